"""Arrays of epochs.npz: losses, accuracies and predictions of a fold after each epoch."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from merec.files import atomic
from merec.run_folder.reading import FOLD_AGAIN, UnexpectedError, reading

_ARRAYS = ("sample_id", "predicted", "train_loss", "train_accuracy")


@dataclass(frozen=True)
class Epochs:
    """Record of one fold after each epoch.

    Attributes:
        sample_id: Ids of the held-out samples.
        predicted: Predicted class after each epoch, or marks of predicted action units. Never used to choose
            an epoch.
        train_loss: Mean training loss of each epoch.
        train_accuracy: Training accuracy of each epoch, with dropout on; for action units the share of
            correctly predicted units.
    """

    sample_id: np.ndarray
    predicted: Int[np.ndarray, "samples epochs *units"]
    train_loss: Float[np.ndarray, " epochs"]
    train_accuracy: Float[np.ndarray, " epochs"]


def read_epochs(file: Path) -> Epochs:
    """Read the record of a fold.

    Raises:
        InputError: If an array is missing or has another type, or shapes contradict each other.
    """
    with reading(file, FOLD_AGAIN):
        with np.load(file, allow_pickle=False) as content:
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise UnexpectedError("it holds one array, expected several by name")
            if sorted(content.files) != sorted(_ARRAYS):
                raise UnexpectedError(
                    f"it holds {', '.join(content.files) or 'nothing'}, expected {', '.join(_ARRAYS)}"
                )
            arrays = {name: content[name] for name in _ARRAYS}
        kinds = {"sample_id": "U", "predicted": "iu", "train_loss": "f", "train_accuracy": "f"}
        for name, kind in kinds.items():
            if arrays[name].dtype.kind not in kind:
                raise UnexpectedError(f"{name} has the type {arrays[name].dtype}")
        predicted = arrays["predicted"]
        samples, epochs = predicted.shape[:2] if predicted.ndim in (2, 3) else (-1, -1)
        expected = {
            "sample_id": (samples,),
            "train_loss": (epochs,),
            "train_accuracy": (epochs,),
        }
        for name, shape in expected.items():
            if arrays[name].shape != shape or epochs < 1:
                shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
                raise UnexpectedError(f"the shapes do not fit each other: {shapes}")
    return Epochs(**arrays)


def write_epochs(file: Path, epochs: Epochs) -> None:
    """Write the arrays of a fold atomically."""
    with atomic(file) as part:
        np.savez_compressed(part, **asdict(epochs))

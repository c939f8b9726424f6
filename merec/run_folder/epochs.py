"""Arrays of epochs.npz: losses, accuracies and predictions of a fold, epoch by epoch."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from merec.files import atomic
from merec.run_folder.reading import FOLD_AGAIN, UnexpectedError, reading

_ARRAYS = ("sample_id", "predicted", "train_loss", "train_accuracy")


@dataclass(frozen=True)
class Epochs:
    """Record of one fold, epoch by epoch.

    Attributes:
        sample_id: Held-out samples.
        predicted: Their predicted class after each epoch, or for each action unit whether it is said to be
            there. Recorded, never used to choose.
        train_loss: Mean training loss of each epoch.
        train_accuracy: Training accuracy of each epoch, as trained (dropout on); of action units how many are
            told rightly, there or not.
    """

    sample_id: np.ndarray
    predicted: Int[np.ndarray, "samples epochs *units"]
    train_loss: Float[np.ndarray, " epochs"]
    train_accuracy: Float[np.ndarray, " epochs"]


def read_epochs(file: Path) -> Epochs:
    """Read what a fold did epoch by epoch.

    Raises:
        InputError: If an array is missing, of another kind, or their shapes do not fit each other.
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
    """Write the arrays of a fold, wholly or not at all."""
    with atomic(file) as part:
        np.savez_compressed(part, **asdict(epochs))

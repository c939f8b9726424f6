"""Starting weights of networks, and the check that they have not seen held-out subjects."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from merec.errors import quote_error
from merec.evaluation.leakage import assert_never_saw
from merec.targets import Target
from merec.tasks.checkpoints import read_weights
from merec.types import InputError


@dataclass(frozen=True)
class StartingWeights:
    """Checkpoint that `task.weights` names.

    Attributes:
        file: Path of the checkpoint; `None` for random initial weights.
        transductive: Whether the checkpoint may have seen held-out subjects; every table then says so.
        target: Target of the network.
    """

    file: str | None
    transductive: bool
    target: Target

    def load_into(
        self, backbone: nn.Module, classes: Sequence[str], held_out: Collection[str]
    ) -> None:
        """Load the checkpoint into a backbone, if there is one.

        The head keeps its initial weights if the checkpoint's head predicts another target or other action
        units. Action units can differ between folds: a fold learns those that enough training subjects show.

        Raises:
            InputError: If the checkpoint has seen a held-out subject, or does not fit.
        """
        if self.file is None:
            return
        checkpoint = read_weights(self.file)
        self.refuse_seen(checkpoint, held_out, str(Path(self.file)))
        state, about = checkpoint["state_dict"], checkpoint["merec"]
        target = replace(self.target, classes=tuple(classes))
        if not target.fits_head(about.get("target", "emotion"), about.get("classes")):
            state = drop_head(backbone, state, self.file)
        load_weights(backbone, state, self.file)

    def refuse_seen(
        self, checkpoint: dict[str, Any], held_out: Collection[str], source: str
    ) -> None:
        """Refuse a checkpoint (also from the cache) that has seen a held-out subject.

        Raises:
            InputError: If so; the message names the checkpoint and the subject.
        """
        assert_never_saw(checkpoint, held_out, self.transductive, source)

    def list_seen(self) -> set[str]:
        """Return the subjects that the checkpoint was trained on."""
        return set(read_weights(self.file)["merec"]["saw"]) if self.file else set()

    def hash(self) -> str | None:
        """Return the SHA-256 of the checkpoint; `None` if there is none."""
        return hashlib.sha256(Path(self.file).read_bytes()).hexdigest() if self.file else None


def drop_head(backbone: nn.Module, state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """Return the weights of a checkpoint without its head.

    Raises:
        InputError: If the backbone does not name its head.
    """
    fresh = tuple(f"backbone.{name}." for name in getattr(backbone, "fresh", ()))
    if not fresh:
        raise InputError(
            f"{source} was trained with another task.target, and {type(backbone).__name__} does not say what "
            "its head is; start from weights of the same target"
        )
    return {key: value for key, value in state.items() if not key.startswith(fresh)}


def load_weights(backbone: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load the weights of a checkpoint into a backbone; the head is kept if the checkpoint has none.

    Raises:
        InputError: If the checkpoint belongs to another backbone, size or number of classes.
    """
    prefix = "backbone."
    weights = {
        key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)
    }
    fresh = tuple(f"{name}." for name in getattr(backbone, "fresh", ()))
    if fresh and not any(key.startswith(fresh) for key in weights):
        started = backbone.state_dict()
        weights |= {key: value for key, value in started.items() if key.startswith(fresh)}
    for key, value in backbone.state_dict().items():
        given = weights.get(key, value)
        # Torch casts whatever it is given; weights of another precision are right, integers are damage.
        both_float = given.is_floating_point() and value.is_floating_point()
        if given.dtype != value.dtype and not both_float:
            raise InputError(
                f"{source}: {prefix}{key} holds {given.dtype}, expected {value.dtype}; train it again"
            )
    try:
        backbone.load_state_dict(weights)
    except RuntimeError as error:
        reason = quote_error(error)  # it lists every weight
        raise InputError(
            f"{source} does not fit {type(backbone).__name__} ({reason}); train with the backbone, "
            "channels and classes it was saved from"
        ) from error

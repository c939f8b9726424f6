"""What travels through merec: a corpus, a batch of its samples, the protocol they belong to."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from merec.errors import InputError

__all__ = ["Batch", "Corpus", "InputError", "Protocol"]


class Batch(NamedTuple):
    """Some samples, what they show, and which they are."""

    inputs: Float[Tensor, "batch channels height width"]
    label: Int[Tensor, " batch"]
    sample_id: np.ndarray  # of str, one per sample: a prediction is joined by it, never by position


@dataclass(frozen=True)
class Protocol:
    """Which samples, which subjects, which classes: two numbers compare only if these agree.

    Attributes:
        name: Short name, e.g. `megc2019-cd`.
        classes: Class names in the order of their label.
        samples: Number of samples.
        subjects: Number of subjects, which is the number of leave-one-subject-out folds.
        hash: First 16 hex digits of the SHA-256 over the sorted (sample id, subject, label) rows.
    """

    name: str
    classes: tuple[str, ...]
    samples: int
    subjects: int
    hash: str

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and numbers, for JSON."""
        return asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Protocol":
        """The inverse of `to_dict`."""
        return cls(**{**fields, "classes": tuple(fields["classes"])})


@dataclass(frozen=True)
class Corpus:
    """The samples of a data set, or of several.

    Attributes:
        protocol: Which list of samples this is.
        index: One row per sample: `sample_id`, `corpus` (the data set it comes from), `subject`,
            `clip` (its name within that data set), `label`.
        flow_maps: Onset-to-apex motion of each row of `index`, 0..255, channels as in
            `channels`; `None` for a corpus of frames.
        channels: Names of the flow maps' channels, e.g. `("u", "v", "strain")`.
    """

    protocol: Protocol
    index: pd.DataFrame
    flow_maps: UInt8[np.ndarray, "samples channels height width"] | None
    channels: tuple[str, ...]

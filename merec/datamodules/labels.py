"""Labels of the samples of a corpus for its target."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from merec.targets import Target, open_target
from merec.types import Corpus, InputError


def read_labels(
    corpus: Corpus, classes: tuple[str, ...]
) -> Int[Tensor, " samples"] | Float[Tensor, "samples units"]:
    """Return the class of each sample, or for each action unit 1 if it is present, else 0."""
    target = replace(open_target(corpus.protocol), classes=classes)
    return torch.from_numpy(target.encode(corpus.index))


def assert_one_label(target: Target) -> None:
    """Refuse balanced classes for action units, since a sample shows several of them."""
    if target.multilabel:
        raise InputError(
            "datamodule.balanced=true draws as many samples of each class, but action units come "
            "together; set datamodule.balanced=false and recipe.class_balanced=true, which weighs each"
        )

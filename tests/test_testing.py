"""The checks of backbones and corpora pass merec's own, and each finds the fault it is there for."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from merec.config import build, compose_node
from merec.config_groups import list_choices
from merec.evaluation.protocol import describe_protocol
from merec.features.representations import list_representations
from merec.testing import check_backbone, check_corpus, check_representation
from merec.types import Corpus, Frames


@pytest.mark.parametrize("representation", list_representations(), ids=lambda entry: entry.name)
def test_every_representation_of_merec_keeps_the_contract(representation):
    check_representation(representation)


class Net(nn.Module):
    """A backbone with a fault of choice."""

    reads = "flow_map"

    def __init__(self, in_channels: int, num_classes: int, fault: str = ""):
        super().__init__()
        self.fault = fault
        self.norm = nn.BatchNorm1d(in_channels)
        self.classify = nn.Linear(in_channels, num_classes + (fault == "shape"))
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        means = self.norm(inputs.mean((2, 3)))
        self.calls += self.fault in ("state", "memory")
        if self.fault == "memory":
            means = means * self.calls
        if self.fault == "batch":
            means = means - means.mean(0)
        if self.fault == "chance":
            means = nn.functional.dropout(means, training=True)
        logits = self.classify(means)
        if self.fault == "finite":
            logits = logits / 0
        if self.fault == "gradient":
            logits = logits + torch.sqrt(self.classify.weight.sum() * 0)
        return logits.detach() if self.fault == "detached" else logits


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in ("htnet", "r3d_18")))
        for name in list_choices("backbone")
    ],
)
def test_every_backbone_of_merec_keeps_the_contract(name):
    overrides = [] if not name.startswith("dual_view") else ["backbone.size=64"]
    check_backbone(build(compose_node("backbone", [f"backbone={name}", *overrides])), num_classes=4)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("shape", r"Net gives \(2, 4\) for 2 samples; expected \(2, 3\)"),
        ("finite", "Net gives logits that are not finite"),
        ("gradient", "the gradient of classify.weight is not finite"),
        ("detached", "Net gives logits without gradient"),
        ("chance", "answers the same samples otherwise the second time"),
        ("memory", "answers the same samples otherwise the second time"),
        ("batch", "answers a sample alone otherwise than among others"),
        ("state", "Net changes calls in eval mode"),
    ],
)
def test_each_fault_of_a_backbone_is_named(fault, message):
    check_backbone(Net)
    with pytest.raises(AssertionError, match=message):
        check_backbone(partial(Net, fault=fault))


def test_the_names_of_a_head_are_a_tuple():
    class Odd(Net):
        fresh = "classify"

    with pytest.raises(AssertionError, match=r"Odd.fresh is 'classify'; expected a tuple"):
        check_backbone(Odd)


def test_a_backbone_says_what_it_reads():
    class Silent(Net):
        reads = None

    with pytest.raises(AssertionError, match=r"Silent\.reads is None; expected one of clip, flow"):
        check_backbone(Silent)


CLASSES = ("negative", "positive")


def make_corpus() -> Corpus:
    rows = [("1_a", "1", "a", 0), ("1_b", "1", "b", 1), ("2_a", "2", "a", 1)]
    index = pd.DataFrame(rows, columns=["sample_id", "subject", "clip", "label"])
    index["corpus"] = "own"
    maps = np.zeros((3, 2, 4, 4), np.uint8)
    return Corpus(describe_protocol("own", index, CLASSES), index, maps, ("u", "v"))


@pytest.mark.slow
def test_corpora_of_merec_keep_the_contract(small_root, rendered):
    small = [f"corpus.root={small_root}", "corpus.expected=null"]
    check_corpus(build(compose_node("corpus", ["corpus=megc2019_flow", *small])))
    check_corpus(build(compose_node("corpus", ["corpus=synthetic", f"corpus.root={rendered}"])))


def make_frames(tmp_path, **changes) -> Corpus:
    corpus = make_corpus()
    facts = {"onset": 1, "apex": 3, "offset": pd.NA, "fps": 30.0, "emotion": "x"}
    facts |= {"action_units": None, "depth": None, "row": 0}
    facts |= {"color": [Frames(tmp_path, "{}.jpg")] * 3}
    return replace(corpus, index=corpus.index.assign(**facts | changes), flow_maps=None)


def edit(column: str, values: list) -> Callable[[Corpus], Corpus]:
    """Change a column, and the protocol with it."""

    def change(corpus: Corpus) -> Corpus:
        index = corpus.index.assign(**{column: values})
        return Corpus(describe_protocol("own", index, CLASSES), index, corpus.flow_maps, ("u", "v"))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: replace(c, index=c.index.drop(columns="clip")), "the index has no clip"),
        (edit("sample_id", ["1_a", "1_a", "2_a"]), "sample 1_a is there twice"),
        (edit("subject", [1, 1, 2]), "subject 1 is no text"),
        (edit("label", [0, 2, 1]), "sample 1_b has label 2; expected 0 to 1"),
        (lambda c: replace(c, index=c.index[:2]), "protocol.samples is 3, but 2 in the index"),
        (lambda c: replace(c, flow_maps=c.flow_maps[:2]), r"flow_maps have shape \(2, 2, 4, 4\)"),
        (lambda c: replace(c, flow_maps=c.flow_maps / 255), "flow_maps are float64; expected uint8"),
        (lambda c: replace(c, flow_maps=None), "the index has no onset, apex"),
    ],
)  # fmt: skip
def test_each_fault_of_a_corpus_is_named(change, message):
    check_corpus(make_corpus())
    with pytest.raises(AssertionError, match=message):
        check_corpus(change(make_corpus()))


def test_each_fault_of_frames_is_named(tmp_path):
    check_corpus(make_frames(tmp_path))
    with pytest.raises(AssertionError, match="onset 5 after apex 3"):
        check_corpus(make_frames(tmp_path, onset=5))
    with pytest.raises(AssertionError, match="color 'x.jpg'; expected merec.types.Frames"):
        check_corpus(make_frames(tmp_path, color="x.jpg"))

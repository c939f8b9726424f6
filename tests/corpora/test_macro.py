"""Test that macro-expressions become a corpus with the same classes and subjects."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from merec.corpora.macro import make_macro_corpus
from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.types import ActionUnit, Camera, Corpus


@pytest.fixture
def corpus() -> Corpus:
    index = pd.DataFrame(
        [("spNO.1_a_5", "spNO.1", 0), ("spNO.12_a_5", "spNO.12", 1)],
        columns=["sample_id", "subject", "label"],
    )
    macro = pd.DataFrame(
        [("m1", "spno.01", 1), ("m2", "spNO.12", 1), ("m3", "spNO.2", 0)], columns=index.columns
    )
    protocol = describe_protocol("made", index, ("negative", "positive"))
    return Corpus(protocol, index, None, (), Camera(9, 9, 1, 1, 2, 2), macro, key_frames=("onset",))


def test_macro_expressions_keep_classes_camera_and_labels(corpus):
    made = make_macro_corpus(corpus)
    assert made.protocol == describe_protocol("made-macro", made.index, ("negative", "positive"))
    assert made.index["sample_id"].tolist() == ["m1", "m2", "m3"]
    assert made.index["label"].tolist() == [1, 1, 0]
    assert (made.camera, made.key_frames) == (corpus.camera, ("onset",))
    assert made.macro is None


def test_macro_expressions_have_frames_only_even_if_the_corpus_has_flow_maps(corpus):
    loaded = replace(corpus, flow_maps=np.zeros((2, 3, 4, 4), np.uint8), channels=("u", "v", "dz"))
    made = make_macro_corpus(loaded)
    assert made.flow_maps is None
    assert made.channels == ()


def test_subjects_are_spelt_as_in_the_corpus_and_further_subjects_are_kept(corpus):
    assert make_macro_corpus(corpus).index["subject"].tolist() == ["spNO.1", "spNO.12", "spNO.2"]


@pytest.mark.parametrize("empty", [False, True])
def test_a_corpus_without_macro_expressions_is_refused_with_a_remedy(corpus, empty):
    bare = replace(corpus, macro=corpus.macro.head(0) if empty else None)
    with pytest.raises(InputError) as error:
        make_macro_corpus(bare)
    message = str(error.value)
    assert "made has no macro-expressions of the classes negative, positive" in message
    assert "MaE_label" in message
    assert "merec synthesize macro=N" in message
    assert "\n" not in message


def test_only_action_units_of_the_corpus_are_targets(corpus):
    units = {"m1": ("R12", "4"), "m2": (), "m3": ("12", "7")}
    coded = {
        name: tuple(
            ActionUnit(int(text.lstrip("R")), text[:1] * (text[0] == "R")) for text in texts
        )
        for name, texts in units.items()
    }
    macro = corpus.macro.assign(corpus="made", action_units=corpus.macro["sample_id"].map(coded))
    protocol = replace(corpus.protocol, classes=("AU4", "AU12"), target="action_units")
    made = make_macro_corpus(replace(corpus, protocol=protocol, macro=macro))
    assert made.index["label"].tolist() == ["AU4+AU12", "none", "AU12"]
    assert made.protocol.target == "action_units"
    assert made.protocol.classes == ("AU4", "AU12")
    bare = macro.assign(action_units=[()] * 3)
    with pytest.raises(InputError, match="made of made-macro has no coded action units"):
        make_macro_corpus(replace(corpus, protocol=protocol, macro=bare))

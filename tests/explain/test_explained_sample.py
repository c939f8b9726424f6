"""Samples to explain are those of held-out subjects with motion."""

import pandas as pd
import pytest

from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.explain.explained_sample import choose_rows
from merec.types import Corpus


def make(**columns) -> Corpus:
    index = pd.DataFrame({"sample_id": [f"x{i}" for i in range(6)], "subject": list("aaabbb")})
    index = index.assign(corpus="drawn", clip=index["sample_id"], label=0, **columns)
    return Corpus(describe_protocol("drawn", index, ["one"]), index, None, ())


@pytest.mark.parametrize(("unseen", "rows"), [(["b"], [3, 5]), ([], [1, 3, 5])])
def test_held_out_subjects_with_motion_are_chosen(unseen, rows):
    corpus = make(onset=1, apex=[1, 2, 1, 2, 1, 2])
    assert choose_rows(corpus, unseen, 9).tolist() == rows


def test_a_corpus_without_frames_is_refused_in_one_line():
    with pytest.raises(InputError, match="drawn has flow maps and no frames"):
        choose_rows(make(), [], 1)

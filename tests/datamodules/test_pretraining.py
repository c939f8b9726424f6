"""No pair of the held-out subject is pretrained on, however they are spelt, and no weak one."""

import numpy as np
import pandas as pd
import pytest

from merec.datamodules.pretraining import choose_pairs, mark_others
from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.types import Corpus


def make_pool(*subjects: str) -> Corpus:
    """A pair of each subject, the first of intensity 0, the second 1, and so on."""
    names = [f"p{number}" for number in range(len(subjects))]
    index = pd.DataFrame({"sample_id": names, "subject": subjects, "label": 0})
    index["intensity"] = np.arange(len(subjects), dtype=float)
    return Corpus(describe_protocol("x-pool", index, ["unlabelled"]), index, None, ())


def test_nobody_held_out_leaves_everyone(caplog):
    assert choose_pairs(make_pool("spNO.1", "", "spNO.2"), [], 0).tolist() == [0, 1, 2]
    assert not caplog.text


def test_the_held_out_subject_and_who_may_be_them_are_left_out(caplog):
    pool = make_pool("spNO.1", "spNO.2", "spno.002", "", "spNO.12")
    assert choose_pairs(pool, ["spNO.2"], 0).tolist() == [0, 4]
    assert "1 of 5 samples of x-pool name no subject" in caplog.text


def test_several_may_be_held_out():
    pool = make_pool("spNO.1", "SPno.2", "spNO.3", "spNO.04")
    assert mark_others(pool, ["spNO.4", "spNO.2"]).tolist() == [True, False, True, False]


def test_what_shows_less_than_asked_is_left_out():
    pool = make_pool("spNO.1", "spNO.2", "spNO.3", "spNO.4")
    assert choose_pairs(pool, ["spNO.4"], 1).tolist() == [1, 2]


def test_nothing_left_is_an_error_that_says_why():
    with pytest.raises(InputError, match=r"all 2 samples of x-pool show spNO\.2"):
        choose_pairs(make_pool("spNO.2", ""), ["spNO.2"], 0)
    with pytest.raises(InputError, match=r"intensity of 9; the strongest has 1\.00"):
        choose_pairs(make_pool("spNO.1", "spNO.3", "spNO.2"), ["spNO.2"], 9)

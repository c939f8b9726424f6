"""A mistake in one's own network is told with its place; its traceback is kept."""

import importlib
import sys
from pathlib import Path

import pytest

from merec.errors import InputError, quote_error
from merec.tracebacks import describe_mistake, find_place, format_traceback

NETWORK = """
from torch import nn

class Mistaken(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.head = nn.Linear(5, num_classes)

    def forward(self, maps):
        pooled = maps.mean((2, 3))
        return self.head(pooled)  # three features, not five

class Unmade(nn.Module):
    def __init__(self, in_channels, num_classes):
        raise KeyError("nothing")
"""


@pytest.fixture
def mistaken(tmp_path: Path, monkeypatch, small) -> list[str]:
    """Overrides of a run of a network that multiplies matrices which do not fit."""
    (tmp_path / "mistaken.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mistaken", raising=False)  # that of another test
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    importlib.invalidate_caches()
    keys = ("streams", "dropout", "size", "compiled", "padding")
    gone = [f"~backbone.{key}" for key in keys]
    return [*small, *gone, "backbone._target_=mistaken.Mistaken", "logger=none"]


@pytest.mark.parametrize("engine", ["loop", "processes", "stacked"])
def test_every_engine_tells_the_place_keeps_the_traceback_and_stops_after_two_folds_alike(
    merec, tmp_path, mistaken, engine
):
    done = merec("train", *mistaken, f"task.engine={engine}", "task.workers=2")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("merec: error: stopped after 2 of 6 folds, which failed alike")
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied" in last
    assert f"{tmp_path / 'mistaken.py'}:11, in forward" in last
    assert "Traceback" not in done.stderr
    (log,) = tmp_path.rglob("train.log")
    assert str(log) in last
    text = log.read_text()
    assert "Traceback (most recent call last)" in text
    assert "return self.head(pooled)" in text
    assert "torch/nn/modules/linear.py" in text, "the traceback is whole"


def test_a_mistake_in_a_constructor_is_told_with_its_place_too(merec, tmp_path, mistaken):
    done = merec("train", *mistaken, "backbone._target_=mistaken.Unmade")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "KeyError: 'nothing'" in line
    assert "mistaken.py:15, in __init__" in line
    (log,) = tmp_path.rglob("train.log")
    assert 'raise KeyError("nothing")' in log.read_text()


def test_what_the_user_can_mend_has_no_traceback_and_no_place():
    with pytest.raises(InputError) as caught:
        raise InputError("seed=a; expected a number")
    assert describe_mistake(caught.value) == "seed=a; expected a number"
    assert format_traceback(caught.value) == ""


def test_the_place_of_an_error_in_a_library_is_the_last_line_outside_of_libraries():
    import numpy as np

    with pytest.raises(ValueError, match="must match") as caught:
        np.cov(np.zeros((2, 3)), np.zeros((2, 4)))  # fails deep in numpy
    assert find_place(caught.value).startswith(f"{__file__}:")
    assert describe_mistake(caught.value).startswith("ValueError: ")


def test_what_a_library_says_is_one_line_of_no_more_than_a_message_can_hold():
    assert quote_error(ValueError("it is\n  broken")) == "it is broken"
    assert quote_error(KeyError()) == "KeyError"
    assert quote_error(ValueError("x" * 9000), most=20) == "x" * 19 + "…"

"""Every number of the config has a range, which is checked before anything is read, rendered or written."""

import copy
import math
from functools import cache
from itertools import zip_longest
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from merec.config_groups import home
from merec.config_schema import register
from merec.override_errors import walk
from merec.range_check import find_out_of_range, walk_values
from merec.ranges import WORDS, find_range
from merec.tasks.contrastive_loss import ESTIMATES, MODES
from merec.tasks.engines.engine_choice import ENGINES

ABSURD = [math.nan, math.inf, -1, 0, 1.5, 10**12, "abc", [], True]
GROUPS = ("corpus", "backbone", "task", "loss", "trainer", "datamodule")
# Facts of a corpus, which are compared with what is found and not computed with.
FACTS = ".expected."


@cache
def compose_all(*groups: str) -> list[dict[str, Any]]:
    """Compose configs that hold each choice of these groups once, choices of several groups in one config."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEREC_HOME", str(home()))
        register()
        GlobalHydra.instance().clear()
        choices = [
            [
                f"{group}={file.stem}"
                for root in (home() / "conf", home())
                for file in sorted((root / group).glob("[!_]*.yaml"))
            ]
            for group in groups
        ]
        rows = [[name for name in row if name] for row in zip_longest(*choices)]
        with initialize_config_dir(str(home() / "conf"), version_base="1.3"):
            return [OmegaConf.to_container(compose("config", row)) for row in rows]


@pytest.fixture
def configs() -> list[dict[str, Any]]:
    return compose_all(*GROUPS)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def find_numbers(config: dict[str, Any]) -> dict[str, Any]:
    """The values of a config that are numbers, or lists of them, by dotted key."""
    return {
        key: value
        for key, value in walk_values(config)
        if FACTS not in key
        and any(is_number(one) for _, one in walk(value))
        and not (isinstance(value, list) and key.endswith("exclude"))
    }


def test_every_number_of_every_choice_has_a_range_and_lies_in_it(configs):
    for config in configs:
        lost = [key for key in find_numbers(config) if find_range(key) is None]
        assert not lost, "give them a range in merec/ranges.py"
        assert find_out_of_range(config) == []


@pytest.mark.parametrize("absurd", ABSURD, ids=str)
def test_an_absurd_value_of_any_number_is_refused_unless_its_range_holds_it(configs, absurd):
    tried = set()
    for config in configs:
        for key in find_numbers(config).keys() - tried:
            tried.add(key)
            *parents, last = key.replace("]", "").replace("[", ".").split(".")
            top = parents[0] if parents else last
            changed = {top: copy.deepcopy(config[top])}
            node: Any = changed
            for name in parents:
                node = node[
                    int(name) if isinstance(node, list) else name if name in node else int(name)
                ]
            node[last] = absurd
            lines = find_out_of_range(changed)
            expected = find_range(key)
            assert expected is not None
            if expected.holds(absurd):
                assert lines == []
                assert is_number(absurd) or expected.switch, (key, absurd)
                assert math.isfinite(absurd)
                assert expected.low <= absurd <= expected.high
            else:
                assert len(lines) == 1
                assert lines[0].startswith(f"{key}=")
                assert "expected" in lines[0]
    assert len(tried) > 90


def test_no_range_holds_what_is_not_finite_or_a_million_millions():
    from merec.ranges import RANGES

    for key, one in RANGES.items():
        assert not any(
            one.holds(value) for value in (math.nan, math.inf, -math.inf, 10**12, "abc")
        ), key
        assert one.holds(True) == one.switch, key
        assert not one.holds([]), key


def test_the_words_of_a_key_are_those_that_the_code_knows():
    from merec.datamodules.modality_channels import SCALINGS
    from merec.datamodules.pretraining import KINDS
    from merec.features.intensity import ESTIMATORS
    from merec.features.representations import MODALITIES
    from merec.features.representations.views import VIEW_CHANNELS
    from merec.features.settings import DIFFERENCES, METHODS, REGIONS

    assert set(WORDS["task.engine"]) == set(ENGINES)
    assert set(WORDS["task.pretrain"]) == {None, *KINDS}
    assert set(WORDS["task.contrast.mode"]) == set(MODES)
    assert set(WORDS["task.contrast.z"]) == set(ESTIMATES)
    assert set(WORDS["datamodule.scaling"]) == set(SCALINGS)
    assert set(WORDS["datamodule.views"]) == {None, *VIEW_CHANNELS}
    assert set(WORDS["datamodule.modality"]) == set(MODALITIES)
    assert set(WORDS["features.motion.flow"]) == set(METHODS)
    assert set(WORDS["features.view_region"]) == set(REGIONS)
    assert set(WORDS["features.difference"]) == set(DIFFERENCES)
    assert set(WORDS["features.pool.intensity"]) == set(ESTIMATORS)


@pytest.mark.parametrize(
    "override",
    [
        pytest.param("trainer.max_epochs=-1", marks=pytest.mark.slow),
        "trainer.max_epochs=0",
        pytest.param("trainer.max_epochs=null", marks=pytest.mark.slow),
        pytest.param("datamodule.num_workers=1000", marks=pytest.mark.slow),
        pytest.param("datamodule.channels=[]", marks=pytest.mark.slow),
        pytest.param("datamodule.batch_size=0", marks=pytest.mark.slow),
        "recipe.optimizer.lr=.nan",
        pytest.param("recipe.optimizer.lr=-1", marks=pytest.mark.slow),
        pytest.param("backbone.dropout=2", marks=pytest.mark.slow),
        pytest.param("features.points.k=1.5", marks=pytest.mark.slow),
        "task.train_on=[]",
        "task=null",
        pytest.param("backbone=null", marks=pytest.mark.slow),
        pytest.param("recipe.optimizer=adamw", marks=pytest.mark.slow),
        pytest.param("optimizer=adamw", marks=pytest.mark.slow),
        pytest.param("seed=-1", marks=pytest.mark.slow),
        pytest.param("seed=5000000000", marks=pytest.mark.slow),
        pytest.param("seed=a", marks=pytest.mark.slow),
        "folds=two",
        pytest.param("folds=-1", marks=pytest.mark.slow),
        pytest.param("fold=-1", marks=pytest.mark.slow),
        "task.engine=lop",
        "corpus.render.subjects=1000000000",
    ],
)
def test_a_value_out_of_range_is_one_line_before_a_corpus_is_rendered(
    merec, tmp_path, monkeypatch, override
):
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path / "cache"))
    done = merec("train", override, "logger=none")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("merec: error: ")
    assert override.split("=")[0].rpartition(".")[2] in line
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "cache" / "synthetic").exists()


def test_an_unknown_estimator_is_named_before_a_corpus_is_rendered(merec, tmp_path, monkeypatch):
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path / "cache"))
    done = merec("train", "task=baseline", "task.estimator=rbf_svn", "logger=none")
    assert done.stderr == "merec: error: task.estimator=rbf_svn is unknown; did you mean rbf_svm?\n"
    done = merec("train", "-m", "backbone=ststnet,ststnot", "logger=none")
    assert done.stderr == "merec: error: there is no backbone=ststnot; did you mean ststnet?\n"
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "cache" / "synthetic").exists()


@pytest.mark.parametrize("fps", ["0", ".nan", "-5", "many"])
def test_a_frame_rate_out_of_range_is_refused_by_every_verb(merec, tmp_path, fps):
    done = merec("doctor", "corpus=casme2", f"corpus.root={tmp_path}", f"corpus.fps={fps}")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "corpus.fps=" in done.stderr
    done = merec("predict", "clip.mp4", f"fps={fps.replace('.nan', 'nan')}")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "fps=" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_flags_of_report_are_true_or_false(merec, tmp_path):
    done = merec("report", "runs", "published=maybe")
    assert (
        done.stderr
        == "merec: error: merec report: published=maybe is not understood; it is true or false\n"
    )

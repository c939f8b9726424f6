"""Pretraining is set beside from scratch, whatever comes out, and thresholds beside what they keep."""

import io
import logging
from collections.abc import Callable
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.evaluation.subject_bootstrap import DRAWS
from merec.presentation.figure_style import to_svg
from merec.reporting.compare import compare_runs
from merec.reporting.page import (
    write_page,
)
from merec.reporting.report import write_report
from merec.studies import intensity_threshold, pretraining_gain
from merec.studies.intensity_threshold import (
    draw_intensities,
    draw_pools,
    draw_studies,
    lay_out_thresholds,
    read_pairs,
    read_thresholds,
)
from merec.studies.pretraining_gain import (
    compare_starts,
    lay_out_pretraining,
    quote_pretraining,
)
from merec.studies.scores import (
    lay_out_scores,
    score_results,
)
from merec.tracking.wandb_logging import flatten_scores, track_result
from merec.types import InputError

INTENSITY = np.linspace(0, 3, 61)


def make_task(
    pretrain: str | None = None,
    freeze: str = "none",
    tau: float = 1.0,
    groups: int | None = None,
    **more: object,
) -> dict:
    """The node of a task."""
    pool = {"intensity": "motion"}
    task = {"datamodule": {"features": {"pool": pool}}, "finetune": {"optimizer": {"lr": 0.1}}}
    start = {"pretrain": pretrain, "pretrain_groups": groups, "weights": None, "freeze": freeze}
    return task | start | {"least_intensity": tau, "transductive": False} | more


def write_pairs(folder: Path, tau: float) -> Path:
    """The pool a run was pretrained on."""
    number = np.arange(len(INTENSITY))
    ids = [f"{n:03d}" for n in number]
    subjects = [f"s{n % 5}" for n in number]
    table = pd.DataFrame({"sample_id": ids, "subject": subjects, "intensity": INTENSITY})
    table.assign(kept=tau <= INTENSITY).to_csv(folder / "pairs.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def few(make_index: Callable) -> pd.DataFrame:
    """One data set of five subjects."""
    return make_index({"smic": 5})


@pytest.fixture(scope="module")
def root(tmp_path_factory, few: pd.DataFrame, write_run: Callable) -> Path:
    """One network in four starts and two thresholds, and another that stands alone."""
    root = tmp_path_factory.mktemp("starts")

    def write(name: str, skill: float, seeds=(0,), net="net-fused", remark=None, **task) -> None:
        for seed in seeds:
            folder = root / name / f"seed-{seed}"
            environment = {"transductive": bool(task.get("transductive"))}
            node = make_task(**task)
            given = {"name": net, "seed": seed, "skill": skill, "environment": environment}
            write_run(folder, few, task=node, remark=remark, **given)
            if task.get("pretrain") == "contrastive":
                write_pairs(folder, node["least_intensity"])

    write("scratch", 1.0, seeds=(0, 1))
    write("probed", 2.5, pretrain="contrastive", freeze="encoder", groups=3)
    write("tuned", 3.0, pretrain="contrastive", groups=3)
    write("random", 0.2, freeze="encoder")
    write("tau", 2.0, pretrain="contrastive", tau=2.0, groups=3)
    write("guilty", 2.2, pretrain="contrastive", transductive=True)
    write("other", 1.5, net="other", width=8)
    return root


def read(*folders: Path) -> list[Result]:
    return pool_runs(find_runs(folders))


def _lay_out(results: list[Result]):
    return lay_out_pretraining(results, compare_starts(results))


@pytest.fixture(scope="module")
def results(root: Path) -> list[Result]:
    return read(root)


def find(results: list[Result], name: str) -> Result:
    """The result of a folder."""
    return next(r for r in results if r.runs[0].folder.path.parent.name == name)


def test_starts_stand_side_by_side_from_scratch_first(results: list[Result]) -> None:
    rows = _lay_out(results).rows
    assert rows["Metric"].tolist() == ["UF1", "UAR"] * 6
    rows = rows[rows["Metric"] == "UF1"].set_index("Method")
    assert rows["Start"].tolist() == [
        "from scratch",
        "random encoder, probed",
        "pretrained (contrastive), probed",
        *["pretrained (contrastive), finetuned"] * 3,
    ]
    assert "other" not in rows.index
    how = rows["Pretrained"]
    assert how[find(results, "tuned").name] == "for each of 3 groups of held-out subjects"
    assert how[find(results, "guilty").name].startswith("TRANSDUCTIVE")
    assert how[find(results, "random").name] == how[find(results, "scratch").name] == "–"


def test_a_probed_encoder_is_set_beside_the_probed_random_one_and_says_what_it_told_apart(
    root: Path, tmp_path: Path, few: pd.DataFrame, write_run: Callable
) -> None:
    columns = "step,accuracy,chance,held_out_accuracy,held_out_chance,held_out_pairs,probe"
    for name, freeze in (("probe", "encoder"), ("tune", "none")):
        task = make_task("contrastive", freeze)
        folder = write_pairs(write_run(tmp_path / name, few, name="net-fused", task=task), 1.0)
        for number, fold in enumerate(sorted((folder / "folds").iterdir())):
            row = "" if name == "probe" and number == 0 else f".{2 + number},.1"
            lines = [columns, f"9,.1,.02,{row or ','},7,", f"600,.5,.02,{row or ','},7,.3"]
            (fold / "pretraining.csv").write_text("\n".join(lines))
    results = read(root / "scratch", root / "random", tmp_path)
    rows = _lay_out(results).rows
    rows = rows[rows["Metric"] == "UF1"].set_index("Start")
    probed, tuned = "pretrained (contrastive), probed", "pretrained (contrastive), finetuned"
    assert rows["Control"].to_dict() == {
        "from scratch": "–",
        "random encoder, probed": "from scratch",
        probed: "random encoder, probed",
        tuned: "from scratch",
    }
    assert rows["Pairs told apart"].to_dict()[probed] == "50.0 % (2.0 %)"
    assert rows["Held out"].to_dict() == {
        "from scratch": "–",
        "random encoder, probed": "–",
        probed: "45.0 % (10.0 %)",  # of folds 1 to 4, whose held-out subjects have pairs
        tuned: "40.0 % (10.0 %)",
    }
    table = compare_starts(results).set_index(["start", "metric"])
    random = table.loc[("random encoder, probed", "uf1"), "b"]
    assert table.loc[(probed, "uf1"), "a"] == pytest.approx(random)
    (quoted,) = [
        text
        for text in quote_pretraining(results, compare_starts(results))
        if "contrastive), probed" in text
    ]
    assert "random encoder, probed" in quoted
    result = next(entry for entry in results if "freeze=encoder" in entry.name)
    monitored = [name for name in flatten_scores(result) if name.startswith("pretraining/")]
    assert len(monitored) in (0, 4)


def test_without_groups_a_network_is_pretrained_inside_each_fold(
    root: Path, tmp_path: Path, few: pd.DataFrame, write_run: Callable
) -> None:
    write_run(tmp_path / "macro", few, name="net-fused", task=make_task("macro"))
    rows = _lay_out(read(root / "scratch", tmp_path)).rows[::2]
    assert rows["Start"].tolist() == ["from scratch", "pretrained (macro), finetuned"]
    assert rows["Pretrained"].tolist() == ["–", "inside each of 5 folds"]


def test_differences_are_those_of_compare(results: list[Result], root: Path) -> None:
    expected = compare_runs([root / "scratch", root / "tuned"], Console(file=io.StringIO()))
    table, name = compare_starts(results), find(results, "tuned").name
    table = table[table["result"] == name].reset_index()
    expected = expected.drop(columns=["result_a", "result_b", "p_holm"])
    pd.testing.assert_frame_equal(table[list(expected)], expected)
    rows = _lay_out(results).rows.set_index(["Method", "Metric"])
    for number, metric in enumerate(("UF1", "UAR")):
        difference = f"+{expected['difference'][number]:.4f}".replace("0.", ".")
        assert rows.loc[(name, metric), "Less control"].startswith(difference)
        assert rows.loc[(name, metric), "p"] == f"{expected['p'][number]:.4f}"[1:]


def test_own_scores_and_intervals_are_those_of_the_main_table(results: list[Result]) -> None:
    scores = score_results(results).set_index(["result", "subset"])
    for _, row in compare_starts(results).iterrows():
        rows = scores.loc[(row["result"], row["subset"])]
        ends = [f"{row['metric']}{end}" for end in ("", "_low", "_high")]
        assert row[["b", "b_low", "b_high"]].tolist() == rows[ends].tolist()


def test_a_network_is_compared_with_one_of_equal_settings_only(
    root: Path, tmp_path: Path, few: pd.DataFrame, write_run: Callable
) -> None:
    task = make_task("contrastive", finetune={"optimizer": {"lr": 0.2}})
    write_pairs(write_run(tmp_path / "faster", few, name="net-fused", task=task), 1.0)
    assert _lay_out(read(root / "scratch", tmp_path)) is None
    assert _lay_out(read(root / "tuned", root / "probed")) is None


def test_each_start_has_a_sentence_with_all_that_must_be_said(results: list[Result]) -> None:
    sentences = quote_pretraining(results, compare_starts(results))
    assert len(sentences) == 5
    (guilty,) = [text for text in sentences if "TRANSDUCTIVE" in text]
    for fact in ("seeds 0, 1", "from scratch", "UF1", "UAR", " p ", "transductive pretraining"):
        assert fact in guilty
    assert sum("pretraining for each of 3 groups" in text for text in sentences) == 3
    assert sum("transductive pretraining" in text for text in sentences) == 1


def test_seeds_that_cannot_be_paired_leave_the_others_in_place(
    root: Path, tmp_path: Path, few: pd.DataFrame, write_run: Callable, caplog
) -> None:
    for seed in (0, 1, 2):
        task = make_task("macro")
        write_run(tmp_path / str(seed), few, name="net-fused", task=task, seed=seed)
    with caplog.at_level(logging.WARNING):
        rows = _lay_out(read(root / "scratch", root / "random", tmp_path)).rows
    assert len(rows) == 2 * 2
    assert "cannot be paired" in caplog.text


def test_names_say_what_the_start_was(results: list[Result]) -> None:
    names = [result.name for result in results]
    assert len(set(names)) == len(names)
    assert find(results, "scratch").name.startswith("net-fused (")
    assert "pretrain=null" in find(results, "scratch").name
    assert "least_intensity=2.0" in find(results, "tau").name
    assert "freeze=encoder" in find(results, "random").name


def test_what_the_task_does_comes_before_how_its_parts_do_it(
    tmp_path: Path, few: pd.DataFrame, write_run: Callable
) -> None:
    for freeze, lr in (("none", 0.1), ("encoder", 0.2)):
        task = make_task("contrastive", freeze, finetune={"optimizer": {"lr": lr}})
        write_run(tmp_path / freeze, few, name="net", task={"finetune": {}} | task)
    names = {result.name for result in pool_runs(find_runs([tmp_path]))}
    assert names == {"net (freeze=encoder, lr=0.2)", "net (freeze=none, lr=0.1)"}


def test_thresholds_count_what_they_keep(results: list[Result]) -> None:
    table = read_thresholds(results).set_index("result")
    assert len(table) == 4
    for name, tau in (("tuned", 1.0), ("tau", 2.0)):
        row = table.loc[find(results, name).name]
        kept = int((tau <= INTENSITY).sum())
        assert (row["least_intensity"], row["estimator"]) == (tau, "motion")
        assert (row["kept"], row["dropped"], row["pairs"]) == (kept, 61 - kept, 61)
        assert row["uf1"] == find(results, name).score()["uf1"].value
    rows = lay_out_thresholds(results, read_thresholds(results)).rows
    assert set(rows["Threshold"]) == {"1", "2"}
    assert (
        "distance between the eyes" in lay_out_thresholds(results, read_thresholds(results)).caption
    )


def test_a_study_is_of_results_that_differ_in_their_threshold_only(results: list[Result]) -> None:
    (study,) = draw_studies(read_thresholds(results))
    (axes,) = study.figure.axes
    places = [label.get_text() for label in axes.get_xticklabels()]
    assert places == ["1\n41 kept", "2\n21 kept"]
    line = axes.lines[0]
    drawn = [find(results, name).score()["uf1"].value for name in ("tuned", "tau")]
    assert line.get_ydata().tolist() == drawn
    assert find(results, "probed").name not in study.caption
    ElementTree.fromstring(to_svg(study.figure))


def test_a_pool_is_drawn_once_with_the_thresholds_of_all_that_used_it(
    results: list[Result],
) -> None:
    (pool,) = draw_pools(results, read_thresholds(results))
    (axes,) = pool.figure.axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [
        "threshold 1: 41 kept, 20 dropped",
        "threshold 2: 21 kept, 40 dropped",
    ]
    assert sum(bar.get_height() for bar in axes.patches) == len(INTENSITY)
    assert "41 kept, 20 dropped" in pool.alt


def test_one_run_shows_its_pool_without_a_study(root: Path) -> None:
    results = read(root / "tuned")
    page = write_page(
        "", "", "", [intensity_threshold.answer(results), pretraining_gain.answer(results)]
    )
    section = page.split('<section id="threshold-of-intensity">')[1].split("</section>")[0]
    assert section.count("<svg") == 1
    assert "41 kept, 20 dropped" in section
    assert "what-pretraining-brings" not in page
    assert not list(draw_studies(read_thresholds(results)))


def test_pools_of_unlike_pairs_are_drawn_apart(root: Path, tmp_path: Path, few, write_run):
    folder = write_run(tmp_path / "blend", few, name="blend", task=make_task("contrastive"))
    write_pairs(folder, 1.0)
    pairs = pd.read_csv(folder / "pairs.csv", dtype={"sample_id": str})
    pairs.iloc[1:].to_csv(folder / "pairs.csv", index=False)
    results = read(root / "tau", tmp_path)
    assert len(list(draw_pools(results, read_thresholds(results)))) == 2


def test_a_run_tells_its_logger_of_its_pairs(
    results: list[Result], tmp_path: Path, make_board: Callable
) -> None:
    for name in ("predictions.csv", "metrics.json"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    for name, expected in (("tau", {"pair_intensities"}), ("scratch", set())):
        board = make_board()
        track_result(board, find(results, name), tmp_path)
        assert {"pair_intensities"} & board.shown.keys() == expected
    flat = flatten_scores(find(results, "tau"))
    assert {key: flat[f"pairs/{key}"] for key in ("pairs", "kept", "dropped")} == {
        "pairs": 61,
        "kept": 21,
        "dropped": 40,
    }
    assert not any(key.startswith("pairs/") for key in flatten_scores(find(results, "scratch")))
    legend = draw_intensities(find(results, "tau")).axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["threshold 2: 21 kept, 40 dropped"]


def test_pairs_keep_their_names_and_a_damaged_file_is_named(
    root: Path, tmp_path: Path, few: pd.DataFrame, write_run: Callable
) -> None:
    assert read_pairs(read(root / "tuned")[0])["sample_id"].iloc[0] == "000"
    folder = write_run(tmp_path / "run", few, name="x", task=make_task("contrastive"))
    (folder / "pairs.csv").write_text("sample_id,subject\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"pairs\.csv is damaged"):
        read_thresholds(read(folder))


@pytest.mark.slow
def test_the_report_holds_tables_numbers_and_sentences(root: Path, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    write_report([root], tmp_path, published=False, console=console)
    printed, page = console.file.getvalue(), (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (printed, page, (tmp_path / "table.md").read_text(encoding="utf-8")):
        assert "What pretraining brings" in text
        assert "not corrected" in text
        assert "Threshold of intensity" in text
    assert page.count("<li>On megc2019-cd") == 5
    assert "What pretraining brings" in (tmp_path / "table.tex").read_text(encoding="utf-8")
    assert len(pd.read_csv(tmp_path / "pretraining.csv")) == 6 * 2
    assert len(pd.read_csv(tmp_path / "threshold.csv")) == 4
    assert f"{DRAWS:,}" in page


def test_without_pretraining_nothing_is_said_of_it(plain) -> None:
    for name in ("report.html", "table.md"):
        text = (plain.folder / name).read_text(encoding="utf-8")
        assert "pretraining brings" not in text
        assert "Threshold of intensity" not in text
    assert pd.read_csv(plain.folder / "pretraining.csv").empty
    assert pd.read_csv(plain.folder / "threshold.csv").empty


@pytest.fixture
def two_remarks(tmp_path: Path, few: pd.DataFrame, write_run: Callable) -> Path:
    write_run(tmp_path / "a", few, name="a", task={"width": 1}, remark="demo <scale>")
    write_run(tmp_path / "b", few, name="b", task={"width": 2})
    return tmp_path


def test_a_remark_of_all_results_stands_once_on_the_page_and_in_every_table_of_files(
    two_remarks: Path, tmp_path: Path
) -> None:
    console, out = Console(file=io.StringIO(), width=200), tmp_path / "out"
    write_report([two_remarks / "a"], out, published=True, console=console)
    assert "Remark: demo <scale>." in " ".join(console.file.getvalue().split())
    page = (out / "report.html").read_text(encoding="utf-8")
    assert '</h1>\n<p class="remark">demo &lt;scale&gt;</p>' in page
    captions = [text.split("</p>")[0] for text in page.split('<p class="caption"')[1:]]
    assert len(captions) >= 5
    assert page.count("Remark: demo &lt;scale&gt;.") == 1
    tables = (out / "table.md").read_text(encoding="utf-8").split("\n## ")
    assert all("Remark: demo <scale>." in unescape(table).replace("\\", "") for table in tables)


def test_of_unlike_remarks_each_row_says_its_own(two_remarks: Path) -> None:
    results = read(two_remarks)
    table = lay_out_scores(results)
    assert table.rows["Method"].tolist()[:2] == ["a, demo <scale>", "b"]
    assert "Remark: demo <scale> for a, demo <scale>." in table.caption


def test_a_comparison_says_the_remark_of_the_side_that_has_one(two_remarks: Path) -> None:
    console = Console(file=io.StringIO(), width=400)
    compare_runs([two_remarks / "b", two_remarks / "a"], console)
    assert "; demo <scale> for a." in console.file.getvalue()


def test_without_remarks_none_is_shown(plain) -> None:
    page = (plain.folder / "report.html").read_text(encoding="utf-8")
    assert 'class="remark"' not in page
    assert "Remark:" not in page

"""Every sample is shown once, as it was predicted, and linked with its own sheet only."""

import io
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rich.console import Console

from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.reporting.page import fill
from merec.reporting.report import write_report
from merec.reporting.sample_sheets import SHEETS, find_sheets, name_sheet, tell_command
from merec.reporting.samples import (
    Sheets,
    list_samples,
)
from merec.studies.subjects import (
    name_anchors,
)

HOSTILE = '"><script>document.title=1</script>&'


@pytest.fixture(scope="module")
def results(runs: Path) -> list[Result]:
    return pool_runs(find_runs([runs]))


def write_sheet(folder: Path, sample_id: str, source: str | None) -> Path:
    facts = PngInfo()
    if source:
        facts.add_text("Source", source)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name_sheet(sample_id)}.png"
    Image.new("L", (2, 2)).save(file, pnginfo=facts)
    return file


def of_corpus(result: Result, target: str, command: str) -> Result:
    run = result.runs[0]
    config = run.config | {"corpus": {"_target_": target}}
    run = replace(run, config=config, environment=run.environment | {"command": command})
    return replace(result, runs=[run, *result.runs[1:]])


def test_each_sample_is_marked_by_whether_it_was_named_rightly(results: list[Result]) -> None:
    page = fill("samples.html", part=list_samples(results, Sheets()))
    net, svm = (result.predictions for result in results)
    right = svm["label"] == svm["predicted"]
    both = (net["label"] == net["predicted"]).groupby(net["sample_id"]).mean()
    assert page.count("<td>✓") == right.sum() + (both == 1).sum()
    assert page.count("<td>✗") == (~right).sum() + (both == 0).sum()
    assert page.count("<td>~") == (both == 0.5).sum() > 0
    assert page.count("<tr>") == 35 + 7  # and a head for each subject
    for anchor in name_anchors(results).values():
        assert page.count(f'id="{anchor}"') == 1


def test_only_sheets_of_the_same_data_set_are_found(tmp_path: Path) -> None:
    samples = pd.DataFrame({"sample_id": ["a/1", "a/2", "a/3", "a/4"], "corpus": "casme3"})
    rows = write_sheet(tmp_path, "a/1", "casme3")
    write_sheet(tmp_path, "a/2", "synthetic")
    write_sheet(tmp_path, "a/3", None)
    (tmp_path / "a_4.png").write_bytes(b"no picture")
    assert find_sheets(samples, tmp_path) == {"a/1": rows}
    assert find_sheets(samples, tmp_path / "nowhere") == {}


def test_a_page_leads_to_the_sheets_from_where_it_lies(runs: Path, tmp_path: Path) -> None:
    sheet = write_sheet(tmp_path / "of 100%" / "inspect", "casme2/s01/c3", "casme2")
    out, console = tmp_path / "deep" / "report", Console(file=io.StringIO())
    write_report([runs / "svm"], out, False, console, sheets=sheet.parent)
    page = (out / "report.html").read_text(encoding="utf-8")
    [link] = [part.split('"')[0] for part in page.split('href="')[1:] if part[0] != "#"]
    assert (out / unquote(link)).resolve() == sheet.resolve()
    assert f'<a href="{link}">casme2/s01/c3</a>' in page


def test_the_command_names_corpus_and_what_was_set_but_no_folder(results: list[Result]) -> None:
    command = "merec train -m corpus=casme3 corpus.root=/data/x corpus.classes=3"
    command += " features.depth=false seed=0,1"
    of_frames = of_corpus(results[0], "merec.corpora.read_casme3", command)
    assert tell_command(of_frames, ["a", "b c"], SHEETS) == (
        "merec inspect a 'b c' corpus=casme3 corpus.root=… corpus.classes=3 features.depth=false"
    )
    assert tell_command(of_frames, ["a"], Path("x")).endswith(" out=x")
    study = of_corpus(
        results[0], "merec.synthetic.read_synthetic", "merec train -m experiments=demo"
    )
    assert tell_command(study, ["a"], SHEETS) == "merec inspect a corpus=synthetic experiments=demo"


def test_flow_maps_have_no_command(results: list[Result]) -> None:
    maps = of_corpus(results[0], "merec.corpora.read_megc2019_flow", "merec train")
    assert tell_command(maps, ["a"], SHEETS) is None
    assert tell_command(results[0], ["a"], SHEETS) is None  # its config says nothing of a corpus


def test_samples_without_a_sheet_are_in_their_subjects_command(results: list[Result]) -> None:
    output = [of_corpus(results[0], "merec.corpora.read_casme3", "merec train"), results[1]]
    first, *rest = (f"casme2/s00/c{number}" for number in range(5))
    page = fill("samples.html", part=list_samples(output, Sheets(SHEETS, {first: "x.png"})))
    assert f"<pre>merec inspect {' '.join(rest)} corpus=casme3</pre>" in page
    assert f'<a href="x.png">{first}</a>' in page


def test_hostile_names_are_text(make_index, write_run, tmp_path: Path) -> None:
    index = make_index({"casme2": 3})
    index["sample_id"] = index["sample_id"] + HOSTILE
    index["subject"] = index["subject"] + HOSTILE
    folder = write_run(tmp_path / "run", index, name=HOSTILE, protocol=f"p{HOSTILE}")
    write_report([folder], tmp_path / "out", True, Console(file=io.StringIO()))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script>document" not in page
    assert '"&gt;<' not in page.replace('"&gt;</', "")
    assert page.count("&#34;&gt;&lt;script&gt;document.title=1&lt;/script&gt;&amp;") > 15 * 2

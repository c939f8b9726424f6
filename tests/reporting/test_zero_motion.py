"""Every table says how many samples were predicted without being trained on, since they show no motion."""

import io

from rich.console import Console

from merec.reporting.report import write_report


def test_the_number_of_samples_without_motion_stands_below_the_scores(tmp_path, index, write_run):
    environment = {"not_trained_on": {"zero_motion": 2}}
    write_run(tmp_path / "run", index, environment=environment)
    console = Console(file=io.StringIO(), width=120)
    write_report([tmp_path / "run"], tmp_path / "report", published=False, console=console)
    line = "2 samples without motion (onset is apex) are predicted, but not trained on."
    assert line in " ".join(console.file.getvalue().split())
    assert line in (tmp_path / "report" / "table.md").read_text()


def test_a_run_that_trained_on_all_or_does_not_say_is_not_spoken_of(report):
    assert "without motion" not in report.printed

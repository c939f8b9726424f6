"""The study that the documentation writes answers as its page says."""

import re

from merec.config_groups import home
from merec.evaluation.pooling import pool_runs
from merec.evaluation.runs import find_runs


def test_the_study_of_the_page_counts_subjects_without_a_correct_prediction(runs):
    page = (home() / "docs/howto/own_study.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    module: dict = {}
    exec(code, module)
    results = pool_runs(find_runs([runs]))
    answer = module["answer"](results)
    table = answer.frames["missed"].set_index("Method")
    for result in results:
        rows = result.predictions
        missed = sum(
            set(part["label"] - part["predicted"]).isdisjoint({0})
            for _, part in rows.groupby("subject")
        )
        assert table["Without"][result.name] == missed
        assert table["Subjects"][result.name] == rows["subject"].nunique()

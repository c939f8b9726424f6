"""Published results on a protocol, with their source and whether the code leaks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import pandas as pd
import yaml

from merec.evaluation.results import Result
from merec.presentation.numbers_and_captions import (
    NOTHING,
    describe_results,
    format_pair,
    name_subset,
)
from merec.presentation.table import Table
from merec.studies.answer import Answer
from merec.studies.scores import score_results

SOURCES = {
    "C": "read in the authors' repository or in the official challenge paper",
    "T": "read in a third party's table",
    "LEAK": (
        "the code chooses the best epoch on the held-out subject, so the number is to be read "
        "beside our best-epoch-on-test, not beside our honest one"
    ),
}


@dataclass(frozen=True)
class Variant:
    """Released code of a method whose network differs from the paper, with the scores of this code.

    Attributes:
        name: Name of the variant, e.g. `PyTorch code, padding 2`.
        settings: Keys of `backbone` that build its network.
        scores: Scores as in `Published`.
    """

    name: str
    settings: dict[str, Any]
    scores: dict[str, str]


@dataclass(frozen=True)
class Published:
    """Published row.

    Attributes:
        method: Name of the method.
        source: `C` or `T`, see `SOURCES`.
        scores: "UF1/UAR" verbatim, for `Full` and by data set if known.
        modality: Input of the method, if known.
        leak: Whether the code chooses the epoch on the held-out subject.
        note: Further note.
        backbone: Name of the class in `merec.backbones` that implements the method; empty if there is none.
        variants: Released code with a different network.
    """

    method: str
    source: Literal["C", "T"]
    scores: dict[str, str]
    modality: str = ""
    leak: bool = False
    note: str = ""
    backbone: str = ""
    variants: tuple[Variant, ...] = ()

    def list_versions(self) -> list["Published"]:
        """Return the row itself, then one row per variant."""
        return [self, *(self._describe(variant) for variant in self.variants)]

    def choose_version(self, backbone: Mapping[str, Any]) -> "Published":
        """Return the variant whose settings match a config of the backbone, else the row itself."""
        for variant in self.variants:
            if all(backbone.get(key) == value for key, value in variant.settings.items()):
                return self._describe(variant)
        return self

    def _describe(self, variant: Variant) -> "Published":
        name = f"{self.method}, {variant.name}"
        return replace(self, method=name, scores=variant.scores, note="", variants=())


@dataclass(frozen=True)
class PublishedTable:
    """Published rows of one protocol, with a common note."""

    protocol: str
    rows: list[Published] = field(default_factory=list)
    note: str = ""


def load_published(protocol: str) -> PublishedTable:
    """Read the published rows of a protocol; empty if nothing is known.

    Args:
        protocol: Name of the protocol. An annotation version (`casme3-4@v2`) is ignored, since papers rarely
            give it.
    """
    key = protocol.partition("@")[0]
    text = files("merec.reporting").joinpath("published.yaml").read_text(encoding="utf-8")
    table = yaml.safe_load(text).get(key, {"rows": [], "note": ""})
    return PublishedTable(key, [_read_row(row) for row in table["rows"]], table["note"])


def _read_row(row: dict[str, Any]) -> Published:
    variants = tuple(Variant(**variant) for variant in row.get("variants", []))
    return Published(**(row | {"variants": variants}))


class Citations(NamedTuple):
    """Table of published rows and own results, with the meaning of its marks."""

    table: Table
    ours: Collection[str]
    marks: Mapping[str, str]


def answer_published(results: Sequence[Result]) -> Answer:
    """Compare published scores with own results; empty if nothing was published for protocol and split."""
    title, table = "Published numbers", lay_out_published(results)
    if table is None:
        return Answer(title)
    ours = {result.name for result in results}
    return Answer(title, [Citations(table, ours, SOURCES)], {"published": table})


def lay_out_published(results: Sequence[Result]) -> Table | None:
    """Lay out published rows and own results below; `None` if nothing was published for protocol and split.

    Published numbers are printed verbatim, with the published number of digits.
    """
    protocol, scores = results[0].protocol, score_results(results)
    published = load_published(protocol.name)
    # They all leave one subject out.
    if not published.rows or not protocol.leaves_one_subject_out:
        return None
    subsets = list(results[0].subsets)
    rows = []
    for row in (version for method in published.rows for version in method.list_versions()):
        rows.append(
            {"Method": row.method, "Modality": row.modality or NOTHING}
            | {name_subset(subset): row.scores.get(subset, NOTHING) for subset in subsets}
            | {"Source": f"{row.source}, LEAK" if row.leak else row.source}
        )
    for result in results:
        result_scores = scores[scores["result"] == result.name]
        own_scores = result_scores.set_index("subset").to_dict("index")
        cells = {"Method": result.name, "Modality": NOTHING}
        for subset in subsets:
            cells[name_subset(subset)] = format_pair(
                own_scores[subset]["uf1"], own_scores[subset]["uar"]
            )
        source = "ours, TRANSDUCTIVE" if result.transductive else "ours"
        rows.append(cells | {"Source": source})
    table = pd.DataFrame(rows)
    if (table["Modality"] == NOTHING).all():
        table = table.drop(columns="Modality")
    notes = [f"{row.method}: {row.note}." for row in published.rows if row.note]
    caption = (
        f"{describe_results(results)} UF1/UAR. C: authors' repository or official "
        "challenge paper. T: a third party's table. LEAK: the code chooses the best "
        "epoch on the held-out subject. "
        f"{' '.join([*notes, published.note])}"
    )
    return Table("Published numbers", caption.strip(), table)

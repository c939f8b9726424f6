"""What networks of points looked at, pooled over folds and seeds, against the coded action units."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from merec.evaluation.results import Result, Score
from merec.evaluation.statistics import mean_interval


@dataclass(frozen=True)
class Agreement:
    """Whether the regions that coded action units move matter more than the others.

    Attributes:
        auc: Probability that they do, mean over samples and seeds; chance is .5.
        samples: How many samples have regions of both kinds.
        subjects: How many subjects these are of.
    """

    auc: Score
    samples: int
    subjects: int


@dataclass(frozen=True)
class Explanation:
    """What the networks of a result looked at.

    Attributes:
        regions: One row per seed, sample and region: `importance` and `coded` as the folds wrote them,
            `subject` and `predicted` of the sample.
        adjacency: One row per seed, fold, layer and pair of regions: `from_region`, `to_region`, `weight`;
            empty where no graph is learned.
        names: The regions in their order.
        classes: Class names in label order.
    """

    regions: pd.DataFrame
    adjacency: pd.DataFrame
    names: list[str]
    classes: tuple[str, ...]

    def average_importance(self) -> pd.DataFrame:
        """Mean importance of each region (columns) over the samples of each predicted class (rows).

        NaN where a class is never predicted.
        """
        mean = self.regions.groupby(["predicted", "region"])["importance"].mean().unstack()
        mean = mean.reindex(index=range(len(self.classes)), columns=self.names)
        return mean.set_axis(list(self.classes))

    def count_predicted(self) -> list[int]:
        """How often each class is predicted, over all seeds."""
        counts = self.regions["predicted"].value_counts() // len(self.names)
        return [int(counts.get(number, 0)) for number in range(len(self.classes))]

    def average_adjacency(self) -> pd.DataFrame | None:
        """How strongly each region (rows) takes from each (columns): mean |weight| of layers and folds."""
        if self.adjacency.empty:
            return None
        strength = self.adjacency.assign(weight=self.adjacency["weight"].abs())
        mean = strength.groupby(["to_region", "from_region"])["weight"].mean().unstack()
        return mean.loc[self.names, self.names]

    def compare_with_action_units(self) -> Agreement | None:
        """The AUC of the importance for the coded regions; `None` if no sample can be compared."""
        wide = self.regions.pivot(index=["seed", "subject", "sample_id"], columns="region")
        auc = rank_coded(wide["importance"].to_numpy(), wide["coded"].to_numpy(bool))
        compared = np.isfinite(auc)
        if not compared.any():
            return None
        known = wide.index[compared]
        subjects = known.get_level_values("subject").to_numpy(str)
        interval = mean_interval(auc[compared], subjects)
        return Agreement(
            Score(float(auc[compared].mean()), *interval),
            known.get_level_values("sample_id").nunique(),
            len(np.unique(subjects)),
        )


# Of a fold: columns and their kinds.
TABLES = {
    "regions": {
        "sample_id": "text",
        "region": "text",
        "importance": "number",
        "coded": "truth",
    },
    "adjacency": {
        "layer": "whole",
        "from_region": "text",
        "to_region": "text",
        "weight": "number",
    },
}


def read_explanation(result: Result) -> Explanation | None:
    """Read what the folds of a result wrote; `None` if its networks do not read points."""
    tables = {
        name: pd.concat([run.read_table(name, kinds) for run in result.runs], ignore_index=True)
        for name, kinds in TABLES.items()
    }
    if tables["regions"].empty:
        return None
    known = result.predictions[["seed", "sample_id", "subject", "predicted"]]
    regions = tables["regions"].merge(known, on=["seed", "sample_id"], validate="many_to_one")
    names = regions["region"].unique().tolist()
    return Explanation(regions, tables["adjacency"], names, result.protocol.classes)


def rank_coded(
    importance: Float[np.ndarray, "samples regions"], coded: Bool[np.ndarray, "samples regions"]
) -> Float[np.ndarray, " samples"]:
    """Probability that a coded region is more important than one that is not, a tie counting half.

    NaN where all or none are coded. It is the area under the ROC curve (Hanley & McNeil 1982).
    """
    difference = importance[:, :, None] - importance[:, None, :]
    pairs = coded[:, :, None] & ~coded[:, None, :]
    wins = (pairs * (np.sign(difference) + 1) / 2).sum((1, 2))
    count = pairs.sum((1, 2))
    return np.divide(wins, count, out=np.full(len(count), np.nan), where=count > 0)

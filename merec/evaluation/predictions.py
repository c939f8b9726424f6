"""Tables of predictions, joined to the index by sample id, and their export as a challenge log."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from merec.files import write_text
from merec.run_folder.prediction_table import COLUMNS
from merec.targets import Target
from merec.types import InputError


def tabulate(
    rows: pd.DataFrame,
    sample_id: Sequence[str] | Shaped[np.ndarray, " samples"],
    probability: Float[np.ndarray, "samples classes"],
    target: Target,
    fold: int,
    seed: int,
) -> pd.DataFrame:
    """Join the predictions of a model to the index by sample id.

    Args:
        rows: Held-out rows of the corpus index.
        sample_id: Sample id of each row of `probability`.
        probability: Probability of each class.
        target: Target, whose `predict` gives the predictions.
        fold: Number of the fold.
        seed: Seed of the run.

    Raises:
        ValueError: If the predicted samples differ from `rows`, or a probability is not finite.
    """
    predicted, expected = Counter(map(str, sample_id)), Counter(rows["sample_id"])
    if predicted != expected:
        wrong = sorted((predicted - expected) | (expected - predicted))
        raise ValueError(
            f"fold {fold}: the model predicted other samples than the held-out ones: {wrong[0]} is "
            f"predicted {predicted[wrong[0]]} times and held out {expected[wrong[0]]} times "
            f"({len(wrong)} such samples)"
        )
    finite = np.isfinite(probability).all(1)
    if not finite.all():
        raise ValueError(
            f"fold {fold}: the model's probabilities of {list(sample_id)[finite.argmin()]} are not "
            "finite; training diverged (try a lower optimizer.lr)"
        )
    # As float64, since what is read back is: single precision would return with other bits.
    columns = [f"p_{name}" for name in target.classes]
    scores = pd.DataFrame(probability.astype(np.float64), columns=columns)
    scores.insert(0, "predicted", target.predict(probability))
    scores.insert(0, "sample_id", list(sample_id))
    held_out = rows[["sample_id", "corpus", "subject", "clip", "label"]].assign(
        fold=fold, seed=seed
    )
    table = held_out.merge(scores, on="sample_id", validate="one_to_one")
    return table[[*COLUMNS, *columns]]


def export_megc2019_log(path: Path, predictions: pd.DataFrame) -> None:
    """Write the log of the MEGC2019 challenge: a line `db subject`, then `file gt pred` per sample.

    Args:
        path: File to write.
        predictions: Predictions of one seed.

    Raises:
        InputError: If there are several seeds.
    """
    seeds = sorted(predictions["seed"].unique().tolist())
    if len(seeds) > 1:
        raise InputError(
            f"{path.name} takes one prediction per sample, but there are seeds {seeds}; pick one"
        )
    lines = []
    for (corpus, subject), rows in predictions.groupby(["corpus", "subject"], sort=True):
        lines.append(f"{corpus} {subject}")
        lines += [
            f"{clip} {label} {predicted}"
            for clip, label, predicted in rows.sort_values("clip")[
                ["clip", "label", "predicted"]
            ].itertuples(index=False)
        ]
    write_text(path, "\n".join(lines) + "\n")

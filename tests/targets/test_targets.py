"""Emotions are predicted one of several, action units each by itself."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy

from merec.errors import InputError
from merec.evaluation.predictions import tabulate
from merec.evaluation.protocol import describe_protocol
from merec.targets import TARGETS, Target, open_target
from merec.targets.action_units import ActionUnits
from merec.targets.emotion import Emotion
from merec.targets.unit_labels import mark_units
from merec.tasks.losses import binary_cross_entropy, cosine_loss, describe_loss, focal_loss

UNITS = ("AU4", "AU7", "AU12")
EMOTION = Emotion(("a", "b", "c"))


def draw(samples: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and marks of three action units, common, rare and rarer."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(samples, 3, generator=rng)
    label = (torch.rand(samples, 3, generator=rng) < torch.tensor([0.6, 0.3, 0.1])).float()
    return logits, label


def test_what_a_protocol_asks_for_is_told():
    index = pd.DataFrame({"sample_id": ["a"], "subject": ["s"], "label": [0]})
    emotions = describe_protocol("made", index, ("a", "b"))
    assert open_target(emotions) == Emotion(("a", "b"))
    units = describe_protocol("made", index.assign(label="none"), UNITS)
    units = type(units)(**vars(units) | {"target": "action_units"})
    assert open_target(units) == ActionUnits(UNITS)


def test_samples_that_show_an_action_unit_weigh_as_much_as_those_that_do_not():
    _, label = draw()
    for weight, marks in zip(
        ActionUnits(UNITS).weigh(label).tolist(), label.T.numpy(), strict=True
    ):
        absent, present = compute_class_weight("balanced", classes=np.arange(2), y=marks)
        assert weight == pytest.approx(present / absent, rel=1e-6)


def test_an_action_unit_that_all_or_none_show_leaves_the_weights_finite():
    label = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    assert ActionUnits(("AU4", "AU7")).weigh(label).tolist() == pytest.approx([3, 1 / 3])


@pytest.mark.parametrize("balanced", [False, True])
def test_the_loss_is_binary_cross_entropy_sample_by_sample(balanced):
    logits, label = draw()
    weight = ActionUnits(UNITS).weigh(label) if balanced else torch.ones(3)
    total = 0.0
    for row, marks in zip(logits.tolist(), label.tolist(), strict=True):
        for logit, mark, times in zip(row, marks, weight.tolist(), strict=True):
            p = 1 / (1 + math.exp(-logit))
            total -= times * math.log(p) if mark else math.log(1 - p)
    assert binary_cross_entropy(logits, label, weight).item() == pytest.approx(total / 120, 1e-5)


def test_what_is_decided_while_training_is_what_is_written_down():
    logits, label = draw(200)
    logits[:4] = torch.tensor(
        [0.0, -0.0, -1e-9]
    )  # so near one half that single precision rounds to it
    target = ActionUnits(UNITS)
    names = [f"clip{n}" for n in range(200)]
    rows = pd.DataFrame({"sample_id": names, "corpus": "made", "subject": "s", "clip": names})
    probability = target.to_probability(logits).double().numpy()
    table = tabulate(rows.assign(label="none"), names, probability, target, 0, 0)
    decided = target.decide(logits)
    np.testing.assert_array_equal(mark_units(table["predicted"], UNITS), decided)
    assert decided[:4].all()
    hits = sum(
        predicted == bool(mark)
        for row, marks in zip(decided.tolist(), label.tolist(), strict=True)
        for predicted, mark in zip(row, marks, strict=True)
    )
    assert float(target.count_hits(logits, label)) == pytest.approx(hits / 3, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_units_are_chosen_by_their_mean_f1_and_emotions_by_uf1(seed):
    logits, label = draw(seed=seed)
    predicted = ActionUnits(UNITS).decide(logits).numpy().astype(np.int8)  # as epochs are kept
    expected = f1_score(label.numpy(), predicted, average="macro", zero_division=0)
    assert ActionUnits(UNITS).score(label.numpy(), predicted) == pytest.approx(expected)
    truth, named = label.argmax(1).numpy(), logits.argmax(1).numpy()
    expected = f1_score(truth, named, average="macro", labels=range(3), zero_division=0)
    assert EMOTION.score(truth, named) == pytest.approx(expected)


def test_trust_is_the_probability_of_what_was_said_in_each_case():
    logits = torch.stack([draw(5, seed)[0] for seed in range(2)]).double()
    emotion, units = EMOTION, ActionUnits(UNITS)
    named, marked = emotion.decide(logits[0]), units.decide(logits[0])
    assert marked.any()
    assert not marked.all()
    for case, rows in enumerate(logits):
        for sample, row in enumerate(rows):
            actual = emotion.trust(logits, named)[case, sample]
            torch.testing.assert_close(actual, row.softmax(0)[named[sample]])
            entry = [
                p if predicted else 1 - p
                for p, predicted in zip(row.sigmoid(), marked[sample], strict=True)
            ]
            torch.testing.assert_close(
                units.trust(logits, marked)[case, sample], torch.stack(entry).mean()
            )


@pytest.mark.parametrize("loss", [cross_entropy, cosine_loss, partial(focal_loss, gamma=2.0)])
def test_a_loss_of_the_other_kind_is_refused_with_one_that_fits(loss):
    EMOTION.check_loss(*describe_loss(loss))
    ActionUnits(UNITS).check_loss(*describe_loss(partial(binary_cross_entropy)))
    with pytest.raises(InputError, match="tells any of them; set loss=binary_cross_entropy"):
        ActionUnits(UNITS).check_loss(*describe_loss(loss))
    with pytest.raises(InputError, match="learns action units, but task.target=emotion"):
        EMOTION.check_loss(*describe_loss(partial(binary_cross_entropy)))


TARGETS_OF_THREE = (EMOTION, ActionUnits(UNITS))


def draw_table(target: Target, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Labels, predictions and their probabilities of thirty samples of five subjects."""
    rng = np.random.default_rng(seed)
    label, probability = (rng.dirichlet(np.ones(3), size=30) for _ in range(2))
    table = pd.DataFrame(
        {"subject": np.repeat([f"s{number}" for number in range(5)], 6), "seed": 0}
    )
    return table.assign(
        label=target.predict(label), predicted=target.predict(probability)
    ), probability


@pytest.mark.parametrize("target", TARGETS_OF_THREE)
def test_what_is_predicted_passes_its_own_checks_and_nothing_else_does(target):
    table, probability = draw_table(target)
    predicted = table["predicted"].to_numpy()
    checks = [target.check_labels("label", table["label"])]
    checks += target.check_predicted(probability, predicted)
    assert not any(np.any(check.wrong) for check in checks)
    target.assert_labels(table, "predicted", "made")
    checks = list(target.check_predicted(probability[::-1].copy(), predicted))
    assert any(np.any(check.wrong) for check in checks)


@pytest.mark.parametrize("target", TARGETS_OF_THREE)
def test_scores_of_decisions_are_those_of_pooled_counts(target):
    table, _ = draw_table(target)
    subjects, counts = target.count(table)
    assert subjects == sorted(set(table["subject"]))
    truth, predicted = target.read(table["label"]), target.read(table["predicted"])
    assert predicted.shape[1:] == target.shape
    assert predicted.max() <= target.highest
    expected = [
        float(target.scorers[name](counts[0].sum(0))) for name in target.metrics_of_decisions
    ]
    assert target.score_decisions(truth, predicted) == pytest.approx(expected)
    assert {*target.metrics_of_decisions} <= {*target.metrics}


@pytest.mark.parametrize("target", TARGETS_OF_THREE)
def test_a_fold_that_trains_all_classes_predicts_them_as_they_are(target):
    _, probability = draw_table(target)
    np.testing.assert_array_equal(target.spread(probability, target.classes), probability)
    assert target.fits_head(target.name, target.classes)
    rest = TARGETS.keys() - {target.name}
    assert not any(target.fits_head(name, target.classes) for name in rest)


@pytest.mark.parametrize("target", TARGETS_OF_THREE)
def test_logarithms_of_probabilities_are_those_of_the_probabilities(target):
    logits = draw()[0].double()
    actual = target.to_log_probability(logits)
    torch.testing.assert_close(actual.exp(), target.to_probability(logits))

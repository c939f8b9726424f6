"""The accuracy on held-out pairs has its chance level, and a linear probe finds what is linear."""

import numpy as np
import pytest
import torch

from merec.targets.action_units import ActionUnits
from merec.targets.emotion import Emotion
from merec.tasks.contrastive_monitor import ProbeData, match_pairs, score_probe
from merec.types import Batch


def draw(pairs: int, noise: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    luck = torch.Generator().manual_seed(seed)
    first = torch.randn(pairs, 16, generator=luck)
    second = first + noise * torch.randn(pairs, 16, generator=luck)
    return tuple(torch.nn.functional.normalize(entry) for entry in (first, second))


def test_unrelated_views_are_matched_as_often_as_one_of_a_batch():
    drawn = [match_pairs(*draw(128, 1e6, seed), 16) for seed in range(40)]
    assert {chance for _, chance in drawn} == {1 / 16}
    error = np.sqrt(1 / 16 * 15 / 16 / (40 * 128))
    assert abs(np.mean([accuracy for accuracy, _ in drawn]) - 1 / 16) < 4 * error


def test_equal_views_are_all_matched_and_views_of_one_place_none():
    assert match_pairs(*draw(70, 0.0), 64) == (1.0, 1 / 64)
    alike = torch.ones(20, 4) / 2
    assert match_pairs(alike, alike, 8) == (0.0, 1 / 8)


def test_a_batch_of_all_pairs_is_matched_as_the_naive_loop_does():
    first, second = draw(12, 1.5)
    hits = [
        all(first[i] @ second[i] > first[i] @ second[j] for j in range(12) if j != i)
        for i in range(12)
    ]
    assert 0 < sum(hits) < 12
    assert match_pairs(first, second, 64) == (sum(hits) / 12, 1 / 12)


def test_a_single_pair_has_no_accuracy():
    assert np.isnan(match_pairs(*draw(1, 0.0), 64)).all()


def probe_of(label: torch.Tensor, target) -> ProbeData:
    def cut(rows) -> list[Batch]:
        return [Batch(torch.zeros(0), label[some], np.empty(0)) for some in rows.split(7)]

    rows = torch.arange(len(label))
    return ProbeData(cut(rows[:60]), cut(rows[60:]), target)


def test_a_probe_finds_what_is_linear_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 6))
    label = torch.from_numpy(np.digitize(features[:, 0], [-0.4, 0.4]))
    units = torch.from_numpy((features[:, :2] > 0.3).astype(np.float32))
    noise = rng.normal(size=(100, 6))
    for truth, target in ((label, Emotion(("a", "b", "c"))), (units, ActionUnits(("AU4", "AU7")))):
        messages = probe_of(truth, target)
        actual = score_probe(features[:60], features[60:], messages)
        assert actual > score_probe(noise[:60], noise[60:], messages) + 0.1


def test_a_unit_that_no_training_sample_shows_is_never_predicted():
    units = torch.zeros(100, 2)
    units[::2, 0] = 1
    units[80:, 1] = 1
    features = units.numpy() + np.random.default_rng(0).normal(size=(100, 2)) / 9
    both = score_probe(features[:60], features[60:], probe_of(units, ActionUnits(("AU4", "AU7"))))
    alone = score_probe(features[:60], features[60:], probe_of(units[:, :1], ActionUnits(("AU4",))))
    assert both == pytest.approx(alone / 2)
    assert alone > 0.9

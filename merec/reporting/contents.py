"""Sections of a report in the order of its page; a new section is a file in studies/ and a line here."""

from collections.abc import Sequence
from pathlib import Path

from merec.evaluation.results import Result
from merec.reporting.leaderboard import answer_leaderboard
from merec.reporting.notes import Notes
from merec.reporting.provenance import answer_provenance
from merec.reporting.published import answer_published
from merec.reporting.samples import answer_samples
from merec.studies import (
    action_unit_scores,
    best_epoch_on_test,
    calibration,
    class_scores,
    confusion_matrices,
    data_sets,
    depth_noise,
    intensity_threshold,
    learning_curves,
    modalities,
    networks_and_controls,
    pretraining_gain,
    region_importance,
    scores,
    seeds,
    shifted_key_frames,
    subjects,
    training_subjects,
)
from merec.studies.answer import Answer


def answer_emotions(
    results: Sequence[Result], notes: Notes, published: bool, out: Path, sheets: Path
) -> list[Answer]:
    """Compute all sections of a report on emotions.

    Args:
        results: Results of one protocol.
        notes: Warnings of the terminal; they may grow while the sections are computed.
        published: Whether published numbers are shown, if there are any.
        out: Folder of the page, from which samples are linked.
        sheets: Folder in which `merec inspect` wrote sheets of samples.
    """
    return [
        networks_and_controls.answer(results),
        Answer("Notes", [notes]),
        *([answer_leaderboard(results)] if published else []),
        scores.answer(results),
        data_sets.answer(results),
        confusion_matrices.answer(results),
        class_scores.answer(results),
        best_epoch_on_test.answer(results),
        seeds.answer(results),
        subjects.answer(results),
        calibration.answer(results),
        modalities.answer(results),
        depth_noise.answer(results),
        training_subjects.answer(results),
        pretraining_gain.answer(results),
        intensity_threshold.answer(results),
        shifted_key_frames.answer(results),
        answer_samples(results, out, sheets),
        learning_curves.answer(results),
        region_importance.answer(results),
        *([answer_published(results)] if published else []),
        answer_provenance(results),
    ]


def answer_action_units(results: Sequence[Result], notes: Notes) -> list[Answer]:
    """Compute all sections of a report on action units; arguments as in `answer_emotions`."""
    return [
        networks_and_controls.answer(results),
        Answer("Notes", [notes]),
        *action_unit_scores.answer(results),
        best_epoch_on_test.answer(results),
        seeds.answer(results),
        depth_noise.answer(results),
        training_subjects.answer(results),
        pretraining_gain.answer(results),
        learning_curves.answer(results),
        answer_provenance(results),
    ]

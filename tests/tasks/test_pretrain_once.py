"""Pretraining inside a fold knows nobody who is held out, and is what pretraining alone would give."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from merec.datamodules import ClipDataModule
from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.features.prepare import FeatureStore, Loaded
from merec.features.representations import Representation
from merec.seeding import derive_seed
from merec.tasks import Pretrain
from merec.types import ActionUnit, Corpus

CLASSES = ("negative", "positive", "surprise")
PEOPLE = ("spNO.1", "spNO.2", "spNO.3")
SPELLINGS = {"spNO.2": "spno.002"}  # in the sheet of macro-expressions
EPOCHS = 2


class Drawn(FeatureStore):
    """A store that draws the map of a sample from its name; those of `spoilt` are others."""

    def __init__(self, spoilt: tuple[str, ...] = ()):
        self.spoilt = spoilt

    def load(
        self, corpus: Corpus, representation: Representation, modality: str, views=None
    ) -> Loaded:
        maps = []
        for sample_id in corpus.index["sample_id"]:
            rng = np.random.default_rng(derive_seed(sample_id, int(sample_id in self.spoilt)))
            maps.append(rng.integers(0, 256, (3, 28, 28), dtype=np.uint8))
        return Loaded(np.arange(len(maps)), {"maps": np.stack(maps)}, "")


def list_samples(suffix: str, entry: int, spellings: dict[str, str]) -> pd.DataFrame:
    rows = [
        (
            f"{subject}_{clip}{suffix}",
            "made",
            spellings.get(subject, subject),
            f"{clip}",
            (clip + at) % 3,
        )
        for at, subject in enumerate(PEOPLE)
        for clip in range(entry)
    ]
    return pd.DataFrame(rows, columns=["sample_id", "corpus", "subject", "clip", "label"])


@pytest.fixture(scope="module")
def people() -> Corpus:
    """Three people, each with three micro- and four macro-expressions; the sheets spell one unlike."""
    index, macro = list_samples("", 3, {}), list_samples("_macro", 4, SPELLINGS)
    return Corpus(describe_protocol("made", index, CLASSES), index, None, (), macro=macro)


def samples_of(subject: str) -> tuple[str, ...]:
    return tuple(f"{subject}_{clip}_macro" for clip in range(4))


@pytest.fixture(scope="module")
def show(people: Corpus, make_data) -> Callable[..., ClipDataModule]:
    """The people through a store, some of whose samples are spoilt."""
    return lambda corpus=people, spoilt=(), **changes: make_data(
        corpus, **{"features": Drawn(spoilt)} | changes
    )


@pytest.fixture(scope="module")
def sweep(make_loso, show, new_folder) -> Callable[..., Path]:
    """Leave people out, each after pretraining on the others."""

    def run(data=None, folder=None, **changes) -> Path:
        folder = folder or new_folder()
        settings = {"pretrain": "macro", "epochs": EPOCHS} | changes
        make_loso(data=data or show(), **settings).run(folder, None)
        return folder

    return run


@pytest.fixture(scope="module")
def whole(sweep) -> Path:
    """The run folder of all three folds. Read only."""
    return sweep()


class Watch(pl.Callback):
    """Write down who is in which batch, and under which name it was drawn."""

    def __init__(self, file: str):
        self.file = file

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        line = {"held_out": pl_module.held_out, "epoch": trainer.current_epoch}
        with Path(self.file).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"sample_id": batch.sample_id.tolist()}) + "\n")


@pytest.fixture
def watched(tmp_path) -> tuple[Watch, Callable[[], pd.DataFrame]]:
    """A callback, and what it saw: a row per sample of a batch."""
    file = tmp_path / "batches.jsonl"
    return Watch(str(file)), lambda: pd.read_json(file, lines=True).explode("sample_id")


@pytest.mark.parametrize("selection", ["last", "inner"])
def test_nobody_held_out_or_watched_is_in_a_pretraining_batch_however_spelt(
    sweep, watched, selection
):
    watch, read = watched
    sweep(callbacks=[watch], selection=selection, inner_parts=2)
    batches = read()
    pretraining = batches["sample_id"].str.endswith("_macro")
    assert (batches["held_out"].str.endswith("pretraining") == pretraining).all()
    for subject in PEOPLE:
        seen = batches[pretraining & (batches["held_out"] == f"{subject}, pretraining")]
        rest = {name for other in PEOPLE if other != subject for name in samples_of(other)}
        assert set(seen["sample_id"]) == rest
        inside = batches[batches["held_out"].str.startswith(f"{subject}, inner")]
        assert inside.empty == (selection == "last")
        if selection == "inner":
            micro = inside[~inside["sample_id"].str.endswith("_macro")]["sample_id"]
            macro = inside[inside["sample_id"].str.endswith("_macro")]["sample_id"]
            who = [set(names.str.split("_").str[0]) for names in (micro, macro)]
            assert who[0] == who[1]
            assert subject not in who[0]
            assert len(who[0]) == 1  # of the two others one is watched


@pytest.mark.parametrize("subject", PEOPLE)
def test_the_held_out_subject_s_macro_expressions_change_no_weight(
    sweep, show, whole, read_fold, same_weights, assert_same_fold, subject
):
    number = PEOPLE.index(subject)
    intact = read_fold(whole, number)
    garbage = sweep(show(spoilt=samples_of(subject)), folds=number)
    assert_same_fold(read_fold(garbage, number), intact)
    # Somebody else's do.
    other = PEOPLE[number - 1]
    assert not same_weights(
        read_fold(sweep(show(spoilt=samples_of(other)), folds=number), number), intact
    )


def test_the_held_out_subject_s_macro_labels_change_no_weight(
    sweep, show, people, whole, read_fold, assert_same_fold
):
    macro = people.macro.copy()
    theirs = macro["subject"] == SPELLINGS["spNO.2"]
    macro.loc[theirs, "label"] = 0
    assert theirs.sum() == 4
    data = show(replace(people, macro=macro))
    assert_same_fold(read_fold(sweep(data, folds=1), 1), read_fold(whole, 1))


def test_checkpoints_say_whom_they_were_pretrained_on(sweep, show, people, read_fold):
    more = people.macro.assign(subject=people.macro["subject"].replace("spNO.3", "spNO.9"))
    folder = sweep(show(replace(people, macro=more)), folds="1")
    merec = read_fold(folder, 1).checkpoint["merec"]
    assert merec["saw"] == ["spNO.1", "spNO.3", "spNO.9"]
    assert merec["never_saw"] == ["spNO.2"]


# Pretraining alone


@pytest.fixture(scope="module")
def pretrain(make_once, show, new_folder) -> Callable[..., Path]:
    """Pretrain one network; the path of its checkpoint."""

    def run(folder=None, logger=None, **changes) -> Path:
        folder = folder or new_folder()
        settings = {"pretrain": "macro", "epochs": EPOCHS, "data": show()} | changes
        make_once(kind=Pretrain, **settings).run(folder, logger)
        assert sorted(file.name for file in folder.iterdir()) == ["checkpoint.ckpt", "config.yaml"]
        return folder / "checkpoint.ckpt"

    return run


@pytest.fixture(scope="module")
def without_second(pretrain) -> Path:
    """A checkpoint that never saw the second subject. Read only."""
    return pretrain(fold=1)


def test_it_says_whom_it_saw_and_never_saw(pretrain, without_second):
    merec = torch.load(without_second, weights_only=True)["merec"]
    assert (merec["saw"], merec["never_saw"]) == (["spNO.1", "spNO.3"], ["spNO.2"])
    merec = torch.load(pretrain(epochs=1), weights_only=True)["merec"]
    assert (merec["saw"], merec["never_saw"]) == (list(PEOPLE), [])


def test_starting_from_it_equals_pretraining_inside_the_fold(
    sweep, whole, without_second, read_fold, same_weights
):
    folder = sweep(pretrain=None, weights=str(without_second), folds=1)
    started, inside = read_fold(folder, 1), read_fold(whole, 1)
    assert same_weights(started, inside)
    pd.testing.assert_frame_equal(started.predictions, inside.predictions, check_exact=True)
    assert started.checkpoint["merec"] == inside.checkpoint["merec"]
    assert not same_weights(read_fold(sweep(pretrain=None, folds=1), 1), inside)


def test_a_fold_whose_subject_it_saw_refuses_it(sweep, without_second):
    with pytest.raises(InputError, match=r"was trained on subject spNO\.1, which this fold holds"):
        sweep(pretrain=None, weights=str(without_second), folds=0)


def test_it_is_logged_and_not_done_twice(pretrain, notes):
    file = pretrain(fold=1, logger=notes)
    assert [step for step, row in notes.rows if "train/loss" in row] == list(range(EPOCHS))
    before = file.stat().st_mtime_ns, len(notes.rows)
    pretrain(folder=file.parent, fold=1, logger=notes)
    assert (file.stat().st_mtime_ns, len(notes.rows)) == before


def test_something_must_be_named(make_once, show):
    with pytest.raises(InputError, match=r"set task\.pretrain=macro"):
        make_once(kind=Pretrain, data=show(), pretrain=None)


# Length, loss, resuming, refusing


@pytest.mark.parametrize(("epochs", "wanted"), [(None, EPOCHS), (3, 3), (1, 1)])
def test_it_takes_as_many_epochs_as_it_is_told_or_as_finetuning(sweep, watched, epochs, wanted):
    watch, read = watched
    sweep(callbacks=[watch], pretrain_epochs=epochs, folds=0)
    counts = read().groupby("held_out")["epoch"].nunique()
    assert counts.to_dict() == {"spNO.1": EPOCHS, "spNO.1, pretraining": wanted}


def test_steps_are_those_of_contrast_and_labels_are_learnt_in_epochs(sweep, watched):
    watch, read = watched
    sweep(callbacks=[watch], pretrain_steps=1, folds=0)
    counts = read().groupby("held_out")["epoch"].nunique()
    assert counts.to_dict() == {"spNO.1": EPOCHS, "spNO.1, pretraining": EPOCHS}


def test_a_resumed_sweep_equals_an_uninterrupted_one(sweep, whole, read_fold, assert_same_fold):
    folder = sweep(folds="0,2")
    sweep(folder=folder)
    for number in range(3):
        assert_same_fold(read_fold(folder, number), read_fold(whole, number))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pretrain": "nonsense"}, r"task\.pretrain=nonsense is unknown; there is macro"),
        ({"pretrain_epochs": 0}, r"task\.pretrain_epochs=0, but it is 1 at least"),
        ({"pretrain_steps": 0}, r"task\.pretrain_steps=0, but it is 1 at least"),
        (
            {"pretrain": "contrastive", "pretrain_epochs": 3, "pretrain_steps": 9},
            "pretrain_epochs=3 and task.pretrain_steps=9 are both given, .* set the other to null",
        ),
    ],
)
def test_unknown_choices_are_refused_at_once(make_loso, show, change, message):
    with pytest.raises(InputError, match=message):
        make_loso(data=show(), **{"pretrain": "macro", **change})


def test_a_corpus_without_macro_expressions_is_refused_at_once(make_loso, show, people, made):
    for data in (show(replace(people, macro=None)), show(made)):
        with pytest.raises(InputError, match="has no macro-expressions of the classes negative"):
            make_loso(data=data, pretrain="macro")


def test_action_units_are_pretrained_on_as_those_of_the_corpus(
    people, show, make_loso, learn_units, new_folder
):
    output = ((), (4,), (4, 12))  # by class; AU 15 is in macro-expressions alone
    index, macro = (
        table.assign(
            action_units=[
                tuple(map(ActionUnit, (*output[label], *more))) for label in table["label"]
            ]
        )
        for table, more in ((people.index, ()), (people.macro, (15,)))
    )
    task = make_loso(
        data=show(replace(people, index=index, macro=macro)),
        pretrain="macro",
        target="action_units",
        min_subjects=2,
        epochs=EPOCHS,
        finetune=learn_units(),
    )
    assert task.protocol.classes == ("AU4", "AU12")
    label = people.macro["label"].to_numpy()
    np.testing.assert_array_equal(
        task.pretraining.label, np.stack([label >= 1, label == 2], axis=1)
    )
    folder = new_folder()
    task.run(folder, None)
    assert len(list(folder.glob("folds/*/predictions.csv"))) == 3


def test_a_macro_expression_that_is_not_ready_leaves_the_others_action_units(people, show):
    class Lacking(Drawn):
        def load(
            self, corpus: Corpus, representation: Representation, modality: str, views=None
        ) -> Loaded:
            actual = super().load(corpus, representation, modality)
            return Loaded(actual.rows[1:], {"maps": actual.arrays["maps"][1:]}, "made up")

    index = people.index.assign(
        label=["AU4", "none", "AU4"] * 3, action_units=[(ActionUnit(4),), (), ()] * 3
    )
    protocol = describe_protocol("made", index, ("AU4",), "action_units")
    data = show(replace(people, index=index, protocol=protocol))
    macro = describe_protocol("made-macro", index, ("AU4",), "action_units")
    output = show(replace(people, index=index, protocol=macro), features=Lacking())
    assert output.corpus.protocol.target == "action_units"
    assert torch.equal(output.label, data.label[1:])

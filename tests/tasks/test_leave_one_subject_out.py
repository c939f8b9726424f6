"""Every subject is held out once and has no say in its own fold."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import f1_score
from torch.nn.functional import cross_entropy, mse_loss

from merec.backbones import STSTNet
from merec.backbones.kernels.acceleration import accelerate
from merec.errors import InputError
from merec.evaluation.completeness import assert_complete
from merec.evaluation.splits import Fold
from merec.metrics import confusion, uf1
from merec.run_folder import RunFolder
from merec.targets.emotion import Emotion
from merec.tasks import Finetune, FinetuneOnce
from merec.tasks.engines.engine_choice import choose_engine
from merec.types import Corpus

SUBJECTS = ("006", "007", "s01", "s02", "sub01", "sub02")
EPOCHS = 4  # of the tasks of conftest.py


def relabel(corpus: Corpus, rows: np.ndarray) -> Corpus:
    """The corpus with a wrong label at each of these rows."""
    label = corpus.index["label"].to_numpy(copy=True)
    label[rows] = (label[rows] + 1) % 3
    return replace(corpus, index=corpus.index.assign(label=label))


def repaint(corpus: Corpus, rows: np.ndarray) -> Corpus:
    """The corpus with noise for a map at each of these rows."""
    maps = corpus.flow_maps.copy()
    rng = np.random.default_rng(1)
    maps[rows] = rng.integers(0, 256, maps[rows].shape, dtype=np.uint8)
    return replace(corpus, flow_maps=maps)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    assert files
    return {str(file): (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def leave_nothing_half_written(folder: Path) -> bool:
    return not list(folder.rglob("*.part*")) and all(
        (fold / "predictions.csv").exists() for fold in folder.glob("folds/*")
    )


# What a sweep gives


def test_the_sweep_learns_and_predicts_every_sample_once(swept, made, read_fold):
    tables = [read_fold(swept, number).predictions for number in range(6)]
    table = pd.concat(tables)
    assert_complete(table, made.protocol, "test")
    assert [set(one["subject"]) for one in tables] == [{subject} for subject in SUBJECTS]
    counts = confusion(table["label"].to_numpy(), table["predicted"].to_numpy(), 3)
    assert uf1(counts) > 0.7  # a guess is right one time in three


def test_the_last_recorded_epoch_is_what_was_predicted(swept, read_fold):
    for number in range(6):
        fold = read_fold(swept, number)
        recorded = pd.Series(fold.epochs["predicted"][:, -1], index=fold.epochs["sample_id"])
        predicted = fold.predictions.set_index("sample_id")["predicted"]
        assert fold.epochs["predicted"].shape == (len(predicted), EPOCHS)
        assert (recorded.loc[predicted.index] == predicted).all()


def test_checkpoints_load_without_pickle_and_say_whom_they_never_saw(swept):
    for number, subject in enumerate(SUBJECTS):
        file = RunFolder(swept).fold(number).checkpoint
        checkpoint = torch.load(file, weights_only=True)
        assert checkpoint["merec"]["never_saw"] == [subject]
        assert checkpoint["merec"]["saw"] == sorted(set(SUBJECTS) - {subject})
        assert checkpoint["merec"]["config"] == (swept / "config.yaml").read_text(encoding="utf-8")
        assert all(torch.is_tensor(value) for value in checkpoint["state_dict"].values())


def test_the_saved_weights_give_the_saved_predictions(swept, make_data, fold_of, read_fold):
    fold = fold_of("s02")
    data = make_data().hold_out(fold.train, fold.test, fold.held_out)
    actual = read_fold(swept, fold.number)
    task = Finetune(
        accelerate(STSTNet(3, 3, [3, 5, 8], 0.5, 28, 1, True)),
        torch.optim.Adam,
        None,
        cross_entropy,
        False,
        Emotion(("a", "b", "c")),
        data.label,
        0,
        "s02",
        "none",
    )
    task.load_state_dict(actual.checkpoint["state_dict"])
    task.eval()
    with torch.no_grad():
        predicted = [task.predict_step(batch, 0) for batch in data.predict_dataloader()]
    ids = np.concatenate([one for one, _ in predicted])
    probability = torch.cat([one for _, one in predicted]).double().numpy()
    table = actual.predictions.set_index("sample_id").loc[ids]
    np.testing.assert_array_equal(table.filter(regex="^p_").to_numpy(), probability)


# A fold is the same whatever happens around it


def test_a_fold_trained_alone_equals_the_same_fold_among_others(
    swept, train, read_fold, assert_same_fold
):
    torch.manual_seed(99)
    np.random.seed(99)
    alone = train(folds="3")
    assert [folder.name for folder in alone.glob("folds/*")] == ["003"]
    assert_same_fold(read_fold(alone, 3), read_fold(swept, 3))


def test_folds_are_the_same_in_any_order(swept, make_loso, new_folder, read_fold, assert_same_fold):
    loso, folder = make_loso(folds="0-2"), new_folder()
    loso.chosen = loso.chosen[::-1]
    loso.run(folder, None)
    for number in range(3):
        assert_same_fold(read_fold(folder, number), read_fold(swept, number))


def test_a_fold_does_not_depend_on_the_number_of_workers(
    swept, train, make_data, read_fold, assert_same_fold
):
    folder = train(data=make_data(num_workers=1), folds="1")
    assert_same_fold(read_fold(folder, 1), read_fold(swept, 1))


def test_another_seed_is_another_training(swept, train, make_data, read_fold, same_weights):
    folder = train(data=make_data(seed=1), folds="1")
    assert not same_weights(read_fold(folder, 1), read_fold(swept, 1))
    assert set(read_fold(folder, 1).predictions["seed"]) == {1}


# The held-out subject has no say


@pytest.fixture(params=[False, True], ids=["plain", "balanced"])
def weighed(request) -> dict[str, Any]:
    """Settings without and with class weights, which are counted from labels too."""
    optimizer = partial(torch.optim.Adam, lr=1e-2)
    finetune = partial(
        Finetune,
        optimizer=optimizer,
        scheduler=None,
        loss=cross_entropy,
        class_balanced=request.param,
    )
    return {"finetune": finetune, "epochs": 2}


def test_held_out_labels_change_no_weight_and_no_prediction(
    made, train, make_data, fold_of, read_fold, same_weights, weighed
):
    fold = fold_of("s01")
    corpora = (made, relabel(made, fold.test))
    runs = [train(data=make_data(corpus), folds=fold.number, **weighed) for corpus in corpora]
    intact, garbage = (read_fold(folder, fold.number) for folder in runs)
    assert (garbage.predictions["label"] != intact.predictions["label"]).all()
    assert same_weights(garbage, intact)
    np.testing.assert_array_equal(garbage.probability, intact.probability)
    np.testing.assert_array_equal(garbage.epochs["predicted"], intact.epochs["predicted"])


def test_training_labels_do_change_the_weights(
    made, train, make_data, fold_of, read_fold, same_weights, weighed
):
    fold = fold_of("s01")
    corpora = (made, relabel(made, fold.train[:5]))
    runs = [train(data=make_data(corpus), folds=fold.number, **weighed) for corpus in corpora]
    assert not same_weights(*(read_fold(folder, fold.number) for folder in runs))


@pytest.mark.parametrize("scaling", ["unit", "standard"])
def test_held_out_maps_change_no_weight(
    made, train, make_data, fold_of, read_fold, same_weights, scaling
):
    fold = fold_of("s01")
    folds = []
    for corpus in (made, repaint(made, fold.test)):
        data = make_data(corpus, scaling=scaling)
        folds.append(read_fold(train(data=data, folds=fold.number, epochs=2), fold.number))
    assert same_weights(*folds)
    assert not np.array_equal(folds[0].probability, folds[1].probability)


# Choosing the number of epochs on inner subjects


@pytest.fixture(scope="module")
def chosen(make_loso, new_folder) -> tuple[list[Any], Path]:
    """Two folds whose number of epochs was chosen inside: what each network was trained on and recorded."""
    loso, folder = make_loso(selection="inner", folds="1-2", epochs=8), new_folder()
    trainer, fitted = loso.fold_trainer, []
    fit = trainer.fit

    def spy(data: Any, *args: Any, **kwargs: Any) -> Any:
        given = fit(data, *args, **kwargs)
        fitted.append((data, given[2]))
        return given

    trainer.fit = spy
    loso.run(folder, None)
    return fitted, folder


def test_inner_subjects_are_training_subjects_set_aside(chosen, fold_of):
    fitted, _ = chosen
    assert len(fitted) == 4  # for each of two folds: once to choose, once for good
    for number, subject in enumerate(("007", "s01")):
        fold, (inner, _), (whole, _) = fold_of(subject), *fitted[2 * number : 2 * number + 2]
        together = np.concatenate([inner.train_rows, inner.test_rows])
        assert sorted(together) == sorted(fold.train)
        names = [set(inner.subject[rows]) for rows in (inner.train_rows, inner.test_rows)]
        assert names[0].isdisjoint(names[1])
        assert all(names)
        np.testing.assert_array_equal(whole.train_rows, fold.train)
        np.testing.assert_array_equal(whole.test_rows, fold.test)


def test_the_first_epoch_of_best_pooled_inner_f1_is_chosen(chosen, made, read_fold):
    fitted, folder = chosen
    labels = made.index.set_index("sample_id")["label"]
    for number in (1, 2):
        _, epochs = fitted[2 * (number - 1)]
        truth = labels.loc[epochs.sample_id]
        scores = [
            f1_score(truth, predicted, labels=range(3), average="macro", zero_division=0)
            for predicted in epochs.predicted.T
        ]
        assert len(scores) == 8
        assert len({round(score, 9) for score in scores}) > 1  # there is something to choose
        fold = read_fold(folder, number)
        assert fold.notes["epochs"] == int(np.argmax(np.round(scores, 9))) + 1
        assert fold.epochs["predicted"].shape[1] == fold.notes["epochs"]


def test_the_chosen_number_of_epochs_is_then_trained_like_a_fixed_one(
    chosen, train, read_fold, assert_same_fold
):
    _, folder = chosen
    fold = read_fold(folder, 1)
    assert_same_fold(fold, read_fold(train(folds=1, epochs=fold.notes["epochs"]), 1))


def test_the_held_out_subject_has_no_say_in_the_number_of_epochs(
    chosen, made, train, make_data, fold_of, read_fold, same_weights
):
    test = fold_of("s01").test
    data = make_data(repaint(relabel(made, test), test))
    folder = train(data=data, selection="inner", folds="2", epochs=8)
    garbage, intact = read_fold(folder, 2), read_fold(chosen[1], 2)
    assert (garbage.predictions["label"].to_numpy() != intact.predictions["label"]).all()
    assert garbage.notes["epochs"] == intact.notes["epochs"]
    assert same_weights(garbage, intact)


# Resuming and failing


def test_finished_folds_are_untouched_and_missing_ones_equal_an_uninterrupted_run(
    swept, make_loso, new_folder, read_fold, assert_same_fold
):
    folder = new_folder()
    make_loso(folds="0,2").run(folder, None)
    before = snapshot(folder)
    make_loso(folds="0-2").run(folder, None)
    after = snapshot(folder)
    assert {file: after[file] for file in before} == before
    assert len(after) > len(before)
    for number in range(3):
        assert_same_fold(read_fold(folder, number), read_fold(swept, number))


def test_a_diverging_training_is_named_with_the_remedy_and_leaves_nothing(make_loso, new_folder):
    folder = new_folder()
    with pytest.raises(InputError) as error:
        make_loso(folds="0-1", lr=1e30).run(folder, None)
    for words in (
        "2 of 2 folds failed (0 006, 1 007)",
        "training loss is",
        "lower recipe.optimizer.lr",
    ):
        assert words in str(error.value)
    assert [file.name for file in folder.rglob("*")] == ["config.yaml"]


def raise_for(subject: str, error: type[BaseException]) -> Callable[..., Finetune]:
    def finetune(held_out: str, **settings: Any) -> Finetune:
        if held_out == subject:
            raise error(f"nothing to see in {subject}")
        optimizer = partial(torch.optim.Adam, lr=1e-2)
        return Finetune(
            held_out=held_out,
            optimizer=optimizer,
            scheduler=None,
            loss=cross_entropy,
            class_balanced=False,
            **settings,
        )

    return finetune


def test_a_failing_fold_does_not_stop_the_others_and_is_named(
    swept, make_loso, new_folder, read_fold, assert_same_fold
):
    folder = new_folder()
    with pytest.raises(InputError, match=r"1 of 3 folds failed \(1 007\).*nothing to see in 007"):
        make_loso(folds="0-2", finetune=raise_for("007", RuntimeError)).run(folder, None)
    assert sorted(fold.name for fold in folder.glob("folds/*")) == ["000", "002"]
    assert leave_nothing_half_written(folder)
    for number in (0, 2):
        assert_same_fold(read_fold(folder, number), read_fold(swept, number))


class Interrupt(pl.Callback):
    """Press Ctrl-C after the second epoch of the fold that holds `subject` out."""

    def __init__(self, subject: str):
        self.subject = subject

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == 1 and pl_module.held_out == self.subject:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("keep_sigint")
def test_ctrl_c_stops_the_sweep_and_writes_no_half_trained_fold(make_loso, new_folder):
    folder = new_folder()
    # Some versions of Lightning swallow Ctrl-C, others turn it into an exit.
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        make_loso(folds="0-2", callbacks=[Interrupt("007")]).run(folder, None)
    assert [fold.name for fold in folder.glob("folds/*")] == ["000"]
    assert leave_nothing_half_written(folder)


class Count(pl.Callback):
    """Count epochs, and say at the end how many there were."""

    def __init__(self, message: str):
        self.epochs, self.said = 0, message

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs += 1

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        with Path(self.said).open("a", encoding="utf-8") as file:
            file.write(f"{pl_module.held_out} {self.epochs}\n")


def test_each_fold_gets_its_own_copy_of_a_callback_with_state(train, tmp_path):
    count = Count(str(tmp_path / "said"))
    train(folds="0-1", epochs=2, callbacks=[count])
    assert (tmp_path / "said").read_text(encoding="utf-8") == "006 2\n007 2\n"
    assert count.epochs == 0


# Starting from weights


def weights(folder: Path, number: int) -> str:
    return str(RunFolder(folder).fold(number).checkpoint)


def test_weights_that_saw_the_held_out_subject_are_refused_by_name(swept, make_loso, new_folder):
    folder = new_folder()
    with pytest.raises(InputError) as error:
        make_loso(folds="0-1", epochs=1, weights=weights(swept, 0)).run(folder, None)
    message = str(error.value)
    # Fold 0 holds out whom the weights never saw, fold 1 does not.
    assert f"{weights(swept, 0)} was trained on subject 007, which this fold holds out" in message
    assert "task.transductive=true" in message
    assert not any(folder.glob("folds/*")), "it is refused before anything is trained or written"


@pytest.fixture
def apart(made, make_data):
    """The same samples as three data sets of two subjects."""
    names = dict(zip(SUBJECTS, ("samm", "samm", "smic", "smic", "casme2", "casme2"), strict=True))
    index = made.index.assign(corpus=made.index["subject"].map(names))
    return make_data(replace(made, index=index))


@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_with_a_data_set_held_out_nobody_of_it_was_seen_and_each_sample_is_predicted_once(
    apart, make_loso, new_folder, read_fold, engine
):
    folder = new_folder()
    loso = make_loso(data=apart, hold_out="corpus", epochs=1, engine=engine)
    loso.run(folder, None)
    files = [read_fold(folder, number) for number in range(3)]
    whom = [("sub01", "sub02"), ("006", "007"), ("s01", "s02")]
    assert [tuple(entry.checkpoint["merec"]["never_saw"]) for entry in files] == whom
    assert [tuple(sorted(set(entry.predictions["subject"]))) for entry in files] == whom
    assert_complete(pd.concat([entry.predictions for entry in files]), loso.protocol, "test")


def test_inner_selection_with_a_data_set_held_out_is_by_subjects_of_the_others(
    apart, make_loso, new_folder, read_fold
):
    folder, few = new_folder(), {"folds": 1, "epochs": 2, "inner_parts": 2}
    make_loso(data=apart, hold_out="corpus", selection="inner", **few).run(folder, None)
    actual = read_fold(folder, 1)
    assert actual.checkpoint["merec"]["never_saw"] == ["006", "007"]
    assert actual.notes["epochs"] in (1, 2)


def test_only_what_is_trained_on_is_seen(apart, make_loso, new_folder, read_fold):
    folder = new_folder()
    loso = make_loso(data=apart, hold_out="corpus", train_on=["smic"], epochs=1)
    loso.run(folder, None)
    assert [read_fold(folder, n).checkpoint["merec"]["saw"] for n in range(2)] == [
        ["s01", "s02"]
    ] * 2
    assert loso.protocol.samples == 20


def test_weights_that_saw_one_subject_of_the_held_out_data_set_are_refused(swept, apart, make_loso):
    # They never saw 006, but they saw 007 of the same data set.
    with pytest.raises(InputError, match=r"was trained on subject 007, which this fold holds out"):
        make_loso(data=apart, hold_out="corpus", folds=1, epochs=1, weights=weights(swept, 0))


def test_transductive_allows_them_and_the_checkpoint_owns_up(swept, train, read_fold):
    folder = train(folds=1, epochs=1, weights=weights(swept, 0), transductive=True)
    merec = read_fold(folder, 1).checkpoint["merec"]
    assert merec["saw"] == sorted(SUBJECTS)
    assert merec["never_saw"] == []


def test_training_really_starts_from_the_weights(swept, train, read_fold):
    still = {"folds": 0, "epochs": 1, "lr": 0.0}
    started = read_fold(train(weights=weights(swept, 0), **still), 0).checkpoint["state_dict"]
    random = read_fold(train(**still), 0).checkpoint["state_dict"]
    kept = torch.load(weights(swept, 0), weights_only=True)["state_dict"]
    name = "backbone.convolution.weight"
    assert torch.equal(started[name], kept[name])
    assert not torch.equal(random[name], kept[name])


def test_inner_selection_may_start_from_weights_that_never_saw_the_held_out_subject(
    swept, train, read_fold
):
    folder = train(folds=0, epochs=2, selection="inner", weights=weights(swept, 0))
    assert read_fold(folder, 0).checkpoint["merec"]["never_saw"] == ["006"]


def test_inner_selection_refuses_weights_that_saw_the_held_out_subject(swept, make_loso):
    with pytest.raises(InputError, match=r"was trained on subject 007, which this fold holds out"):
        make_loso(folds=1, epochs=2, selection="inner", weights=weights(swept, 0))


def test_weights_of_another_number_of_classes_are_refused_clearly(
    swept, made, make_loso, make_data, new_folder
):
    protocol = replace(made.protocol, classes=("negative", "positive", "surprise", "others"))
    data = make_data(replace(made, protocol=protocol))
    with pytest.raises(InputError, match=r"does not fit STSTNet .*\[3, 400\].*\[4, 400\]"):
        make_loso(data=data, folds=0, weights=weights(swept, 0)).run(new_folder(), None)


def test_missing_and_damaged_weights_are_named(swept, make_loso, new_folder, tmp_path):
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(Path(weights(swept, 0)).read_bytes()[:500])
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {}}, foreign)
    for file, predicted in [
        (tmp_path / "nowhere.ckpt", "does not exist; give a checkpoint.ckpt of merec"),
        (damaged, "cannot be read"),
        (foreign, "does not say which subjects it was trained on"),
    ]:
        with pytest.raises(InputError, match=predicted) as error:
            make_loso(folds=0, weights=str(file)).run(new_folder(), None)
        assert str(file) in str(error.value)


# What is refused before anything is trained


def _make_finetune(loss: Callable, scheduler: Callable | None = None) -> Callable:
    optimizer = partial(torch.optim.Adam, lr=1e-2)
    settings = {"optimizer": optimizer, "scheduler": scheduler, "class_balanced": False}
    return partial(Finetune, loss=loss, **settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"engine": "stack"},
            r"task\.engine=stack is unknown; there are loop, processes, stacked, auto",
        ),
        ({"selection": "best"}, r"task\.selection=best is unknown; choose last or inner"),
        ({"folds": "0-6"}, r"6 to hold out, so folds are 0 to 5"),
        ({"workers": 0}, r"task\.workers=0; give 1 or more, or null"),
        ({"chunk": -1}, r"task\.chunk=-1; give 1 or more, or null"),
        ({"engine": "stacked", "selection": "inner"}, r"set task\.engine=auto"),
        (
            {"selection": "inner", "inner_parts": 6},
            r"task\.inner_parts=6, but with 006 held out there are 5 training subjects; set it to 5 or less",
        ),
        (
            {
                "backbone": partial(
                    STSTNet, streams=[2], dropout=0.0, size=8, padding=1, compiled=False
                )
            },
            r"flow maps of 28×28 px; set backbone\.size to what they have",
        ),
        (
            {"finetune": _make_finetune(cross_entropy, torch.optim.lr_scheduler.StepLR)},
            r"recipe\.scheduler cannot be built: TypeError: .*'step_size'",
        ),
        ({"finetune": _make_finetune(mse_loss)}, r"the loss cannot be computed: RuntimeError"),
    ],
)
def test_unknown_choices_are_refused_at_once(make_loso, change, message):
    with pytest.raises(InputError, match=message):
        make_loso(**change)


def test_what_is_tried_at_once_draws_no_random_number(make_loso):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    make_loso()
    assert torch.equal(torch.random.get_rng_state(), before)


# One network


def once(make_once: Callable[..., FinetuneOnce], folder: Path, logger=None, **changes) -> Path:
    make_once(**changes).run(folder, logger)
    return folder


def test_one_fold_alone_equals_that_fold_of_the_sweep(
    swept, make_once, new_folder, read_fold, assert_same_fold
):
    folder = once(make_once, new_folder(), fold=3)
    assert [path.name for path in folder.glob("folds/*")] == ["003"]
    assert_same_fold(read_fold(folder, 3), read_fold(swept, 3))


def test_its_epochs_are_logged(make_once, new_folder, read_fold, notes):
    folder = once(make_once, new_folder(), logger=notes, fold=3, epochs=2)
    losses = [row["train/loss"] for _, row in notes.rows if "train/loss" in row]
    assert losses == read_fold(folder, 3).epochs["train_loss"].tolist()


def test_holding_nobody_out_trains_on_everyone_and_writes_a_checkpoint_only(make_once, new_folder):
    folder = once(make_once, new_folder(), epochs=1)
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint.ckpt", "config.yaml"]
    checkpoint = torch.load(folder / "checkpoint.ckpt", weights_only=True)
    assert checkpoint["merec"]["saw"] == sorted(SUBJECTS)
    assert checkpoint["merec"]["never_saw"] == []


def test_a_finished_checkpoint_is_left_alone(make_once, new_folder):
    folder = once(make_once, new_folder(), epochs=1)
    os.utime(folder / "checkpoint.ckpt", (1, 1))
    before = snapshot(folder)
    once(make_once, folder, epochs=1)
    assert snapshot(folder) == before


def test_a_checkpoint_of_everyone_is_refused_for_every_fold(make_once, make_loso, new_folder):
    folder = once(make_once, new_folder(), epochs=1)
    with pytest.raises(InputError, match=r"was trained on subject 006, which this fold holds out"):
        make_loso(folds="0-1", weights=str(folder / "checkpoint.ckpt"))


@pytest.mark.parametrize("fold", [None, 2])
def test_standard_scaling_is_that_of_the_samples_trained_on(
    make_once, make_data, new_folder, fold, monkeypatch
):
    task = make_once(data=make_data(scaling="standard"), fold=fold, epochs=1)
    given, fit = [], task.fold_trainer.fit

    def spy(data: Any, *rest: Any, **options: Any) -> Any:
        given.append(data)
        return fit(data, *rest, **options)

    monkeypatch.setattr(task.fold_trainer, "fit", spy)
    task.run(new_folder(), None)
    seen = given[0].inputs[given[0].train_rows]
    assert len(seen) == (30 if fold is None else 25)
    assert seen.mean((0, 2, 3)).abs().max() < 1e-4
    assert (seen.std((0, 2, 3)) - 1).abs().max() < 1e-3


@pytest.mark.parametrize("fold", [6, -1])
def test_a_fold_out_of_range_is_refused(make_once, fold):
    with pytest.raises(InputError, match=r"fold"):
        make_once(fold=fold)


def test_folds_hold_what_the_fixtures_say(made: Corpus, fold_of: Callable[[str], Fold]):
    assert sorted(set(made.index["subject"])) == list(SUBJECTS)
    assert len(made.index) == 30
    assert [fold_of(subject).number for subject in SUBJECTS] == list(range(6))


@pytest.mark.parametrize(
    ("device", "folds", "workers", "selection", "engine", "reason"),
    [
        ("cpu", 12, 2, "last", "processes", "2 folds on a core each are faster than one on 2 cores"),
        ("cpu", 2, 8, "inner", "processes", "2 folds on a core each are faster than one on 2 cores"),
        ("cpu", 12, 1, "last", "loop", "this process has one thread, or one worker process, for 12 folds"),
        ("cpu", 1, 8, "last", "loop", "there is one fold to train"),
        ("cpu", 0, 8, "last", "loop", "no fold is left to train"),
        ("cuda", 12, 8, "last", "stacked", "one small network at a time leaves cuda idle"),
        ("cuda", 12, 8, "inner", "loop", "each fold chooses its own number of epochs, so folds cannot be "
         "stacked"),
    ],
)  # fmt: skip
def test_the_engine_follows_from_device_folds_cores_and_selection(
    device, folds, workers, selection, engine, reason
):
    assert choose_engine(device, folds, workers, selection) == (engine, reason)


def test_auto_says_which_engine_it_takes_and_why(make_loso, new_folder, caplog):
    with caplog.at_level(logging.INFO, "merec"):
        make_loso(engine="auto", folds="0", epochs=1).run(new_folder(), None)
    assert "task.engine=auto takes loop: there is one fold to train" in caplog.text


def test_weights_of_other_classes_are_refused_before_any_fold(make_once, make_loso, new_folder):
    folder = once(make_once, new_folder(), epochs=1, fold=0)
    (file,) = folder.rglob("checkpoint.ckpt")
    checkpoint = torch.load(file, weights_only=True)
    head = [name for name in checkpoint["state_dict"] if name.startswith("backbone.classify")]
    for name in head:
        checkpoint["state_dict"][name] = checkpoint["state_dict"][name][:2]
    torch.save(checkpoint, file)
    with pytest.raises(InputError, match=r"does not fit STSTNet .*classes it was saved from"):
        make_loso(folds="0", weights=str(file))

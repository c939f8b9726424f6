"""Encoders pretrained inside folds saw nobody who is held out, are shared, and are the same wherever made."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from merec.datamodules import Augmentation, ClipDataModule, PairPool
from merec.errors import InputError
from merec.evaluation.protocol import describe_protocol
from merec.features.prepare import FeatureStore, Loaded
from merec.features.representations import Representation
from merec.seeding import derive_seed
from merec.tasks import Pretrain
from merec.tasks.contrastive_loss import ContrastSettings
from merec.tasks.contrastive_pretraining import group_subjects
from merec.types import Camera, Corpus

PEOPLE = tuple(f"spNO.{number}" for number in range(1, 6))
MUTE = "spNO.5"  # of whom there is no pair
FLIP = Augmentation(
    flip=0.5, crop=1.0, jitter=0.0, grey=0.0, dropout=0.0, scale=1.0, shift=0.0, apart=False
)


class Tiny(nn.Module):
    """Two linear encoders and a head."""

    reads, fresh, embedding = "views", ("head",), 6

    def __init__(self, in_channels: tuple[int, int], num_classes: int):
        super().__init__()
        first, second = in_channels
        self.first, self.second = nn.Linear(first * 16, 6), nn.Linear(second * 16, 6)
        self.head = nn.Linear(12, num_classes)

    def encode(self, views: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        first, second = (view.flatten(1) for view in views)
        return normalize(self.first(first)), normalize(self.second(second))

    def describe(self, views: tuple[Tensor, Tensor]) -> Tensor:
        return torch.cat(self.encode(views), 1)

    def forward(self, views: tuple[Tensor, Tensor]) -> Tensor:
        return self.head(torch.cat(self.encode(views), 1))


def tabulate(suffix: str, entry: int, people: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        (
            f"{subject}_{clip}{suffix}",
            "made",
            subject,
            f"{clip}",
            (clip + at) % 3,
            "here",
            clip / entry,
        )
        for at, subject in enumerate(people)
        for clip in range(entry)
    ]
    names = ["sample_id", "corpus", "subject", "clip", "label", "depth", "intensity"]
    return pd.DataFrame(rows, columns=names)


class Drawn(FeatureStore):
    """A store that draws the views of a sample from its name; those of `spoilt` subjects are others."""

    def __init__(self, spoilt: tuple[str, ...] = ()):
        self.spoilt = spoilt

    def make_pool(self, corpus: Corpus, jobs: int = -1) -> Corpus:
        index = tabulate("_pair", 6, PEOPLE[:-1])
        index["subject"] = index["subject"].str.lower().str.replace("no.", "no.0")
        protocol = describe_protocol("made-pool", index.assign(label=0), ["unlabelled"])
        return Corpus(protocol, index.assign(label=0), None, (), corpus.camera)

    def load(
        self, corpus: Corpus, representation: Representation, modality: str, views=None
    ) -> Loaded:
        seconds = {"rgb": 3, "depth": 1, "fused": 1}[modality]
        views: dict[str, list[np.ndarray]] = {"first": [], "second": []}
        for name in corpus.index["sample_id"]:
            rng = np.random.default_rng(derive_seed(name, int(name.startswith(self.spoilt or "-"))))
            views["first"].append(rng.normal(size=(1 if modality == "depth" else 3, 4, 4)))
            views["second"].append(rng.normal(size=(seconds, 4, 4)))
            if modality == "depth":
                views["second"][-1] = views["first"][-1]
        arrays = {name: np.stack(entry).astype(np.float32) for name, entry in views.items()}
        return Loaded(np.arange(len(corpus.index)), arrays, "")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory) -> Iterator[Path]:
    """Encoders of these tests lie apart."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("MEREC_CACHE", str(folder))
        yield folder / "encoders"


def count(cache: Path) -> int:
    return len(list(cache.glob("*.ckpt")))


@pytest.fixture(scope="module")
def show(make_data) -> Callable[..., ClipDataModule]:
    """Five people, each with three labelled samples; four of them in unlabelled pairs."""
    index = tabulate("", 3, PEOPLE)
    protocol = describe_protocol("made", index, ("negative", "positive", "surprise"))
    every = Corpus(protocol, index, None, (), Camera(900, 900, 320, 240, 640, 480))
    return lambda spoilt=(), modality="fused", corpus=every, **changes: make_data(
        corpus,
        features=Drawn(spoilt),
        modality=modality,
        representation="views",
        channels=None,
        scaling="standard",
        **changes,
    )


@pytest.fixture(scope="module")
def made_of(show) -> Callable[..., Corpus]:
    """The corpus with other labels, made of its index."""

    def make(change) -> Corpus:
        recorded = show().corpus
        index = recorded.index.assign(label=change(recorded.index))
        protocol = describe_protocol("made", index, recorded.protocol.classes)
        return replace(recorded, index=index, protocol=protocol)

    return make


@pytest.fixture(scope="module")
def sweep(make_loso, show, new_folder) -> Callable[..., Path]:
    """Leave people out, each after contrast without them."""

    def run(data=None, folder=None, **changes) -> Path:
        folder = folder or new_folder()
        settings = {"pretrain": "contrastive", "epochs": 2, "backbone": Tiny} | changes
        make_loso(data=data or show(), **settings).run(folder, None)
        return folder

    return run


@pytest.fixture(scope="module")
def whole(sweep) -> Path:
    """The run folder of all five folds. Read only."""
    return sweep()


def encoder_of(actual) -> dict[str, Tensor]:
    state = actual.checkpoint["state_dict"]
    return {key: value for key, value in state.items() if ".head." not in key}


# Who is seen


@pytest.mark.parametrize("subject", [PEOPLE[1], MUTE])
def test_nothing_of_the_held_out_subject_changes_any_weight(
    sweep, show, whole, read_fold, assert_same_fold, same_weights, subject
):
    """Neither the labelled samples nor the unlabelled pairs."""
    number = PEOPLE.index(subject)
    intact = read_fold(whole, number)
    garbage = read_fold(sweep(show(spoilt=(subject,)), folds=number), number)
    assert same_weights(garbage, intact)
    assert garbage.checkpoint["merec"] == intact.checkpoint["merec"]
    other = sweep(show(spoilt=(PEOPLE[number - 1],)), folds=number)
    assert not same_weights(read_fold(other, number), intact)


@pytest.mark.parametrize("source", ["samples", "both"])
def test_neither_pixels_nor_labels_of_the_held_out_subject_change_an_encoder_of_samples(
    sweep, show, made_of, read_fold, same_weights, source
):
    """Onset and apex of the training samples are contrasted; of the held-out subject nothing is."""
    subject, number = PEOPLE[1], 1
    given = {"pool": PairPool(source=source, batch_size=4, augment=None), "folds": number}
    intact = read_fold(sweep(**given), number)
    assert same_weights(read_fold(sweep(show(spoilt=(subject,)), **given), number), intact)
    relabelled = made_of(lambda rows: (rows["label"] + (rows["subject"] == subject)) % 3)
    assert same_weights(read_fold(sweep(show(corpus=relabelled), **given), number), intact)
    other = sweep(show(spoilt=(PEOPLE[0],)), **given)
    assert not same_weights(read_fold(other, number), intact)
    assert not same_weights(read_fold(sweep(folds=number), number), intact)


def test_what_is_measured_while_encoders_are_contrasted_changes_no_weight_and_is_written_down(
    sweep, whole, read_fold, same_weights, show, caplog
):
    """Neither a probe among training subjects nor the pairs of the held-out subject choose anything."""
    with caplog.at_level("INFO"):
        folder = sweep(folds=1, monitor_steps=3)
    assert same_weights(read_fold(folder, 1), read_fold(whole, 1))
    table = pd.read_csv(folder / "folds" / "001" / "pretraining.csv")
    # 18 pairs in five batches of 3 or 4, twice; measured at the end too
    assert table["step"].tolist() == [3, 6, 9, 10]
    assert (table["held_out_pairs"] == 6).all()
    assert (table["held_out_chance"] == 1 / 4).all()
    assert table[["accuracy", "held_out_accuracy", "probe"]].stack().between(0, 1).all()
    for words in ("step 10: contrastive accuracy", "held-out subjects", "inner training subjects"):
        assert words in caplog.text
    alone = pd.read_csv(sweep(folds=1) / "folds" / "001" / "pretraining.csv")
    assert alone["step"].tolist() == [10]
    assert alone["accuracy"].tolist() == table["accuracy"].tolist()[-1:]
    steps = sweep(folds=1, pretrain_epochs=None, pretrain_steps=7)
    assert pd.read_csv(steps / "folds" / "001" / "pretraining.csv")["step"].tolist() == [7]
    assert alone["held_out_accuracy"].tolist() == table["held_out_accuracy"].tolist()[-1:]
    spoilt = sweep(show(spoilt=(PEOPLE[1],)), folds=1, monitor_steps=3)
    assert same_weights(read_fold(spoilt, 1), read_fold(whole, 1))
    other = pd.read_csv(spoilt / "folds" / "001" / "pretraining.csv")
    # The held-out subject has no say in it.
    assert other["probe"].tolist() == table["probe"].tolist()
    assert other["accuracy"].tolist() == table["accuracy"].tolist()


def test_no_label_reaches_an_encoder_of_samples(make_loso, show, made_of, cache):
    """Its key is the same whatever all labels are, and none is in its batches."""
    pool = PairPool(source="samples", batch_size=4, augment=None)
    given = {"pretrain": "contrastive", "backbone": Tiny, "pool": pool}
    pools = [
        make_loso(data=show(corpus=made_of(change)), **given).pretraining
        for change in (lambda rows: rows["label"], lambda rows: (rows["label"] + 1) % 3)
    ]
    assert [pool.label.unique().tolist() for pool in pools] == [[0], [0]]
    assert pools[0].sample_id.tolist() == pools[1].sample_id.tolist()
    assert all(
        torch.equal(a, b)
        for a, b in zip(*(pool.sample_inputs.views for pool in pools), strict=True)
    )


def test_samples_need_no_clips_without_labels_and_both_are_all_pairs(make_loso, show):
    counts = {}
    for source in ("unlabelled", "samples", "both"):
        pool = PairPool(source=source, batch_size=4, augment=None)
        task = make_loso(data=show(), pretrain="contrastive", backbone=Tiny, pool=pool)
        counts[source] = len(task.pretraining.sample_id)
    assert counts == {"unlabelled": 24, "samples": 15, "both": 39}


def test_checkpoints_say_whom_their_encoder_saw(whole, read_fold):
    merec = read_fold(whole, 1).checkpoint["merec"]
    assert merec["never_saw"] == [PEOPLE[1]]
    assert merec["saw"] == [name for name in PEOPLE if name != PEOPLE[1]]


def test_a_fold_refuses_an_encoder_that_saw_its_subject(make_once, show, sweep, new_folder):
    folder = new_folder()
    make_once(
        kind=Pretrain, data=show(), pretrain="contrastive", backbone=Tiny, epochs=1, fold=1
    ).run(folder, None)
    file = folder / "checkpoint.ckpt"
    sweep(pretrain=None, weights=str(file), folds=1)
    message = rf"{file} was trained on subject {PEOPLE[0]}, which this fold holds out"
    with pytest.raises(InputError, match=message):
        sweep(pretrain=None, weights=str(file), folds=0)
    sweep(pretrain=None, weights=str(file), folds=0, transductive=True)


def test_an_encoder_in_the_cache_that_saw_the_held_out_subject_is_refused(sweep, cache):
    before = set(cache.glob("*.ckpt"))
    sweep(seed=5, folds=2)
    (file,) = set(cache.glob("*.ckpt")) - before
    checkpoint = torch.load(file, weights_only=True)
    assert PEOPLE[2] in checkpoint["merec"]["never_saw"]
    checkpoint["merec"]["saw"].append(PEOPLE[2])  # as if another's had been put in its place
    torch.save(checkpoint, file)
    with pytest.raises(InputError, match=f"was trained on subject {PEOPLE[2]}"):
        sweep(seed=5, folds=2)


# Which encoders there are


def test_pretraining_alone_is_what_a_fold_starts_from(
    make_once, show, sweep, new_folder, read_fold
):
    folder = new_folder()
    make_once(
        kind=Pretrain, data=show(), pretrain="contrastive", backbone=Tiny, epochs=2, fold=1
    ).run(folder, None)
    alone = torch.load(folder / "checkpoint.ckpt", weights_only=True)
    probed = encoder_of(read_fold(sweep(freeze="encoder", folds=1), 1))
    assert probed
    for key, value in probed.items():
        torch.testing.assert_close(value, alone["state_dict"][key], rtol=0, atol=0)
    assert any(key.startswith("objective.") for key in alone["state_dict"])
    assert not any("head" in key for key in alone["state_dict"])


def test_finetuning_goes_on_from_there_unless_the_encoder_is_frozen(sweep, whole, read_fold):
    probed = encoder_of(read_fold(sweep(freeze="encoder", folds=1), 1))
    tuned, scratch = (encoder_of(read_fold(run, 1)) for run in (whole, sweep(pretrain=None)))
    for key, value in probed.items():
        near, far = (value - tuned[key]).abs().max(), (value - scratch[key]).abs().max()
        assert 0 < near < far


@pytest.mark.parametrize(("groups", "encoders"), [(None, 5), (2, 2), (5, 5)])
def test_folds_of_a_group_share_an_encoder(sweep, cache, groups, encoders):
    """Without groups, whoever is in no pair needs one of their own: that of everyone else."""
    before = count(cache)
    sweep(pretrain_groups=groups, seed=100 + (groups or 0))
    assert count(cache) - before == encoders


def test_a_group_that_is_held_out_has_an_encoder_that_saw_none_of_it(sweep, cache, show, read_fold):
    before = count(cache)
    folder = sweep(hold_out="groups", groups=2)
    assert count(cache) == before + 2
    for number in range(2):
        actual = read_fold(folder, number)
        held_out = set(actual.predictions["subject"])
        assert set(actual.checkpoint["merec"]["never_saw"]) == held_out
        assert len(held_out) > 1
        again = sweep(show(tuple(sorted(held_out))), folds=number, hold_out="groups", groups=2)
        spoilt = encoder_of(read_fold(again, number))
        assert all(torch.equal(value, spoilt[key]) for key, value in encoder_of(actual).items())


def test_runs_share_encoders(sweep, cache, whole):
    before = count(cache)
    sweep(freeze="encoder", lr=1e-2)
    assert count(cache) == before
    sweep(contrast=ContrastSettings("softmax", "first_batch", 4, 0.2, 0.5, False), folds=0)
    assert count(cache) == before + 1


def test_transductive_runs_share_one_that_saw_everyone(sweep, cache, read_fold):
    before = count(cache)
    folder = sweep(transductive=True, seed=7)
    assert count(cache) == before + 1
    assert read_fold(folder, 0).checkpoint["merec"]["never_saw"] == []


def test_inner_subjects_may_have_been_seen_without_their_labels(sweep, cache):
    before = count(cache)
    sweep(selection="inner", inner_parts=2, seed=8, folds=0)
    assert count(cache) == before + 1


def test_an_interrupted_sweep_goes_on_to_the_same_end(
    sweep, whole, cache, read_fold, assert_same_fold
):
    folder = sweep(folds="0,2")
    for file in cache.glob("*.ckpt"):  # as on another machine
        file.unlink()
    sweep(folder=folder)
    for number in range(5):
        assert_same_fold(read_fold(folder, number), read_fold(whole, number))


def test_groups_are_parts_of_about_one_size():
    groups = group_subjects([*PEOPLE, *PEOPLE], 2)
    assert sorted(map(len, {tuple(part) for part in groups.values()})) == [2, 3]
    assert all(subject in part for subject, part in groups.items())
    with pytest.raises(
        InputError, match=r"pretrain_groups=1, but there are 5 subjects: give 2 to 5"
    ):
        group_subjects(PEOPLE, 1)


# Pairs


def test_the_pairs_and_which_of_them_are_strong_enough_are_written_down(sweep):
    table = pd.read_csv(sweep(least_intensity=0.5, folds=0) / "pairs.csv")
    assert list(table) == ["sample_id", "subject", "intensity", "kept"]
    assert len(table) == 24
    assert (table["kept"] == (table["intensity"] >= 0.5)).all()
    assert set(table["subject"]) == set(PEOPLE[:-1])  # spelt as in the index


def test_weak_pairs_are_not_trained_on(sweep, show, read_fold, same_weights):
    strong = read_fold(sweep(least_intensity=0.5, folds=0), 0)
    weak = tuple(f"{subject}_{clip}_pair" for subject in PEOPLE for clip in range(3))
    spoilt = read_fold(sweep(show(spoilt=weak), least_intensity=0.5, folds=0), 0)
    assert same_weights(strong, spoilt)


def test_two_views_of_one_image_are_drawn_apart(make_loso, show):
    """Mirrored alike they would be equal, and there would be nothing to learn."""
    pool = PairPool(source="unlabelled", batch_size=12, augment=FLIP)
    for modality, equal in (("depth", False), ("fused", True)):
        task = make_loso(
            data=show(modality=modality), backbone=Tiny, pretrain="contrastive", pool=pool
        )
        assert task.pretraining.augment.apart is not equal
        pairs = task.pretraining.hold_out(np.arange(24), np.arange(0), "nobody")
        mirrored = []
        for batch in pairs.train_dataloader():
            rows = [pairs.sample_id.tolist().index(name) for name in batch.sample_id]
            plain = [view[rows] for view in pairs.hold_out(np.arange(24), np.arange(0), "x").inputs]
            mirrored += [
                [
                    not torch.allclose(seen[at], true[at])
                    for seen, true in zip(batch.inputs, plain, strict=True)
                ]
                for at in range(len(rows))
            ]
        assert any(map(any, mirrored))
        assert all(one == other for one, other in mirrored) is equal


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"least_intensity": 9}, r"has an intensity of 9; the strongest has 0\.83: lower"),
        (
            {"contrast": ContrastSettings("softmax", "first_batch", 99, 0.1, 0.5, False)},
            r"task\.contrast\.negatives=99, but there are 18 pairs",
        ),
        ({"pretrain": "nonsense"}, "there is macro, contrastive"),
        (
            {"pool": PairPool(source="unlabelled", batch_size=None, augment=None)},
            "use backbone=dual_view",
        ),
        (
            {"freeze": "head"},
            r"task\.freeze=head is not possible with Tiny; choose none or encoder",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(make_loso, show, change, message):
    settings = {"pretrain": "contrastive", "backbone": Tiny} | change
    with pytest.raises(InputError, match=message):
        make_loso(data=show(), **settings)

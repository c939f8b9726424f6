"""Checks of the contracts of backbones, corpora and representations, for tests of merec and plug-ins."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from merec.config import build, compose_node
from merec.corpora.doctor.rows import judge_index
from merec.evaluation.protocol import describe_protocol
from merec.features.augmentation import Augmentation
from merec.features.drawn_sample import draw_parts
from merec.features.representations import (
    MODALITIES,
    Channels,
    Inputs,
    Representation,
    list_names,
    open_representation,
)
from merec.targets import open_target
from merec.types import Corpus, Frames, InputError

_COLUMNS = ("sample_id", "corpus", "subject", "clip", "label")
_OF_FRAMES = ("onset", "apex", "offset", "fps", "emotion", "action_units", "color", "depth", "row")
_NAMES = ", ".join(list_names())
_SAMPLES = 5
_CLOSE = 1e-4  # largest difference of two answers to one sample, relative to the largest logit


def check_backbone(
    make: Callable[..., nn.Module], num_classes: int = 3, inputs: Any = None
) -> None:
    """Check that a backbone can be trained and predicts each sample independently.

    Args:
        make: Class or factory (`functools.partial`) that takes `in_channels` and `num_classes`.
        num_classes: Number of classes.
        inputs: At least 5 samples, or two views of them; `None` draws random inputs of the representation in
            `reads`.

    Raises:
        AssertionError: If the class has no `reads`, `fresh` is not a tuple, logits have another shape, are
            not finite or have no gradient, a gradient is not finite, or predictions in eval mode are random
            or depend on other samples of the batch or on earlier samples.
    """
    kind = getattr(make, "func", make)
    name, reads = getattr(kind, "__name__", str(kind)), getattr(kind, "reads", None)
    representation = _open_read(name, reads)
    fresh = getattr(kind, "fresh", ())
    assert not isinstance(fresh, str), (
        f"{name}.fresh is {fresh!r}; expected a tuple of names, as ({fresh!r},)"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        given = _draw_inputs(representation) if inputs is None else inputs
        network = make(in_channels=_count_channels(given, representation), num_classes=num_classes)
        assert isinstance(network, nn.Module), f"{name} is no torch.nn.Module, but {type(network)}"
        for size in (2, _SAMPLES):
            _check_gradients(network.train(), _take(given, 0, size), num_classes, name)
        _check_evaluation(network.eval(), given, num_classes, name)


def check_corpus(corpus: Corpus) -> None:
    """Check that an index is complete, and that protocol and flow maps match its samples.

    Raises:
        AssertionError: If a column is missing, sample ids are repeated or not sorted, a name is not a text, a
            label is not a class, a key frame is not a whole number, subjects differ in spelling only, an
            onset is after its apex, or protocol or flow maps do not match.
    """
    index, protocol = corpus.index, corpus.protocol
    wanted = _COLUMNS if corpus.flow_maps is not None else (*_COLUMNS, *_OF_FRAMES)
    missing = [name for name in wanted if name not in index]
    assert not missing, f"the index has no {', '.join(missing)}; expected {', '.join(wanted)}"
    assert len(index) > 0, "the index is empty; expected a row per sample"
    for name in ("sample_id", "corpus", "subject", "clip"):
        odd = [value for value in index[name] if not isinstance(value, str) or not value]
        assert not odd, f"{name} {odd[0]!r} is no text; read that column with dtype=str"
    ids = index["sample_id"].tolist()
    twice = index.loc[index["sample_id"].duplicated(), "sample_id"].tolist()
    assert not twice, f"sample {twice[0]} is there twice; expected each sample id once"
    assert ids == sorted(ids), "the index is not sorted by sample_id; sort it"
    for finding in judge_index(corpus):
        raise AssertionError(f"sample {finding.sample_id}: {finding.found}; {finding.remedy}")
    labels = open_target(protocol).list_labels()
    outside = index[~index["label"].isin(labels)] if labels else index[:0]
    assert outside.empty, (
        f"sample {outside['sample_id'].iloc[0]} has label {outside['label'].iloc[0]}; expected 0 to "
        f"{len(protocol.classes) - 1}, the place of its class"
    )
    counted = describe_protocol(protocol.name, index, protocol.classes, protocol.target)
    for field in ("samples", "subjects", "hash"):
        expected, actual = getattr(protocol, field), getattr(counted, field)
        assert expected == actual, (
            f"protocol.{field} is {expected}, but {actual} in the index; make the protocol by "
            "describe_protocol of that index"
        )
    if corpus.flow_maps is None:
        _check_frames(corpus)
    else:
        _check_flow_maps(corpus)


def check_representation(representation: Representation) -> None:
    """Check the contract of a representation in every modality on random samples.

    Args:
        representation: Instance of the class.

    Raises:
        AssertionError: If the class is not found by its name, it names no function that computes it, its
            arrays have other names or channels, are not finite or not reproducible; or if mirroring twice
            does not give back the sample, or the augmentation of a sample depends on its batch.
    """
    name = representation.name
    assert type(open_representation(name)) is type(representation), f"{name} is the name of another"
    assert representation.makers, f"{name}.makers is empty; name what decides its arrays"
    settings = build(compose_node("features", [])).settings
    for modality in MODALITIES:
        views = representation.choose_views(modality, None)
        channels = representation.channels(modality, views)
        where = f"{name} in modality {modality}"
        assert len(channels) == len(representation.arrays), (
            f"{where} has channels of {len(channels)} inputs; expected {len(representation.arrays)}"
        )
        samples = [draw_parts(seed, settings, modality, views or ()) for seed in range(_SAMPLES)]
        made = [representation.make(parts) for parts in samples]
        arrays = []
        for array_name in representation.arrays.values():
            assert array_name in made[0], (
                f"{where} makes {', '.join(made[0])}; expected {array_name}"
            )
            again = representation.make(samples[0])[array_name]
            assert np.array_equal(made[0][array_name], again), (
                f"{where}: {array_name} is another if made again"
            )
            array = np.stack([sample[array_name] for sample in made])
            arrays.append(array.astype(np.float32) if array.dtype == np.float16 else array)
        inputs = representation.show(arrays, channels, None)
        for tensor, names in zip(inputs, channels, strict=True):
            count = tensor.shape[representation.channel_axis]
            assert count == len(names), f"{where} has {count} channels; expected {', '.join(names)}"
            assert len(tensor) == _SAMPLES, f"{where} has {len(tensor)} of {_SAMPLES} samples"
            assert tensor.isfinite().all(), f"{where} is not finite"
        _check_augmentation(representation, inputs, channels, where)


def _check_augmentation(
    representation: Representation, inputs: Inputs, channels: Channels, where: str
) -> None:
    """Check that mirroring twice changes nothing, and that samples are augmented independently."""

    def augment(given: Inputs, settings: Augmentation, seeds: Iterable[int]) -> Inputs:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        augmented = representation.augment(given, channels, settings, generators)
        return representation.drop(augmented, settings, generators)

    off = {"crop": 1, "jitter": 0, "grey": 0, "dropout": 0, "scale": 1, "shift": 0}
    possible: dict[str, dict[str, Any]] = {
        "crop": {"crop": 0.5},
        "light": {"jitter": 0.4, "grey": 0.2},
        "geometry": {"dropout": 0.5, "scale": 1.25, "shift": 0.1},
        "rotation": {"rotate": 20},
    }
    on = {
        key: value for kind in representation.augmentations for key, value in possible[kind].items()
    }
    mirror = Augmentation(flip=1, apart=False, **off)
    everything = Augmentation(flip=0.5, apart=True, **(off | on))
    rows = range(_SAMPLES)
    once = augment(inputs, mirror, rows)
    for before, after in zip(inputs, augment(once, mirror, rows), strict=True):
        assert torch.equal(before, after), f"{where}: mirrored twice is not as it was"
    together = augment(inputs, everything, rows)
    for row in rows:
        alone = augment(tuple(tensor[[row]] for tensor in inputs), everything, [row])
        for one, among in zip(alone, together, strict=True):
            assert torch.equal(one[0], among[row]), (
                f"{where}: a sample alone is another than among others; draw from its own generator"
            )


def _open_read(name: str, reads: Any) -> Representation:
    """Open the representation in the `reads` of a backbone."""
    assert isinstance(reads, str), f"{name}.reads is {reads!r}; expected one of {_NAMES}"
    try:
        return open_representation(reads)
    except InputError as error:
        raise AssertionError(
            f"{name}.reads is {reads!r}; expected one of {_NAMES}, or the path of a class"
        ) from error


def _draw_inputs(representation: Representation) -> Any:
    shape = (_SAMPLES, *representation.example_shape("rgb"))
    drawn = tuple(torch.rand(shape) for _ in representation.arrays)
    return drawn if len(drawn) > 1 else drawn[0]


def _count_channels(inputs: Any, representation: Representation) -> Any:
    if isinstance(inputs, tuple):
        return tuple(view.shape[representation.channel_axis] for view in inputs)
    return inputs.shape[representation.channel_axis]


def _take(inputs: Any, start: int, end: int) -> Any:
    if isinstance(inputs, tuple):
        return tuple(view[start:end] for view in inputs)
    return inputs[start:end]


def _check_logits(logits: Any, samples: int, num_classes: int, name: str) -> None:
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    expected = (samples, num_classes)
    assert shape == expected, f"{name} gives {shape} for {samples} samples; expected {expected}"
    assert logits.isfinite().all(), f"{name} gives logits that are not finite"


def _check_gradients(network: nn.Module, inputs: Any, num_classes: int, name: str) -> None:
    network.zero_grad()
    logits = network(inputs)
    samples = len(inputs[0]) if isinstance(inputs, tuple) else len(inputs)
    _check_logits(logits, samples, num_classes, name)
    assert logits.requires_grad, (
        f"{name} gives logits without gradient; leave out detach and no_grad"
    )
    label = torch.arange(len(logits)) % num_classes
    nn.functional.cross_entropy(logits, label).backward()
    for key, weight in network.named_parameters():
        if weight.grad is not None:
            assert weight.grad.isfinite().all(), f"{name}: the gradient of {key} is not finite"


def _check_evaluation(network: nn.Module, inputs: Any, num_classes: int, name: str) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        together = network(_take(inputs, 0, _SAMPLES))
        _check_logits(together, _SAMPLES, num_classes, name)
        again = network(_take(inputs, 0, _SAMPLES))
        alone = [network(_take(inputs, place, place + 1)) for place in reversed(range(_SAMPLES))]
    for logits in alone:
        _check_logits(logits, 1, num_classes, name)
    scale = _CLOSE * max(1.0, together.abs().max().item())
    difference = (again - together).abs().max().item()
    assert difference <= scale, (
        f"{name} answers the same samples otherwise the second time (by {difference:.2g}); in eval mode draw "
        "nothing and keep nothing"
    )
    difference = (torch.cat(alone[::-1]) - together).abs().max().item()
    assert difference <= scale, (
        f"{name} answers a sample alone otherwise than among others (by {difference:.2g}); in eval mode let "
        "no sample depend on its batch"
    )
    changed = [key for key, value in network.state_dict().items() if not value.equal(before[key])]
    assert not changed, f"{name} changes {', '.join(changed)} in eval mode; change nothing there"


def _check_frames(corpus: Corpus) -> None:
    for row in corpus.index.to_dict("records"):
        sample = f"sample {row['sample_id']}"
        assert row["onset"] <= row["apex"], (
            f"{sample} has onset {row['onset']} after apex {row['apex']}; expected onset first"
        )
        assert isinstance(row["color"], Frames), (
            f"{sample} has color {row['color']!r}; expected merec.types.Frames"
        )
        assert row["depth"] is None or isinstance(row["depth"], Frames), (
            f"{sample} has depth {row['depth']!r}; expected merec.types.Frames or None"
        )


def _check_flow_maps(corpus: Corpus) -> None:
    maps = corpus.flow_maps
    assert maps is not None
    expected, shape = (len(corpus.index), len(corpus.channels)), maps.shape
    assert maps.dtype == np.uint8, f"flow_maps are {maps.dtype}; expected uint8, 0 to 255"
    assert (shape[:2], len(shape)) == (expected, 4), (
        f"flow_maps have shape {shape}; expected {expected[0]} samples × {expected[1]} channels "
        f"({', '.join(corpus.channels)}) × height × width"
    )

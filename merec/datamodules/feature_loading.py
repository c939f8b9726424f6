"""Loading of the features of a corpus, and of the samples whose features are ready."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from merec.datamodules.jitter import Jitter, check_jitter, shift_key_frames
from merec.evaluation.protocol import describe_protocol
from merec.features.prepare import FeatureStore, Loaded
from merec.features.representations import Representation
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)
_SHOWN = 3  # samples that a message names

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class LoadedFeatures:
    """Features of the samples of a corpus that are ready.

    Attributes:
        corpus: Corpus of these samples.
        arrays: Features of these samples.
        shifted: Features of shifted key frames; empty without jitter.
        shifts: Key-frame shifts, see `shift_key_frames`; `None` without jitter.
    """

    corpus: Corpus
    arrays: Arrays
    shifted: Arrays = ()
    shifts: pd.DataFrame | None = None


def load_features(
    corpus: Corpus,
    features: FeatureStore | None,
    representation: Representation,
    modality: str,
    require_depth: bool,
    views: Sequence[str] | None,
    jitter: Jitter | None,
) -> LoadedFeatures:
    """Load the features of a corpus and of shifted key frames, or the flow maps of a corpus without frames.

    Args:
        corpus: Corpus of the samples.
        features: The feature store; a corpus of flow maps needs none.
        representation: Representation that the backbone reads.
        modality: `rgb`, `depth` or `fused`.
        require_depth: Leave samples without usable depth out of `rgb` too, so that all modalities have the
            same samples.
        views: See `Representation.choose_views`.
        jitter: Shift of onset and apex; `None` for no shift.

    Raises:
        InputError: As `check_jitter` and `FeatureStore.load`; if there is no store, a feature is not finite,
            or the features of shifted key frames cannot be computed for all samples.
    """
    if jitter is not None:
        check_jitter(jitter, corpus)
    if corpus.flow_maps is not None:
        return LoadedFeatures(corpus, (corpus.flow_maps,))
    if features is None:
        raise InputError(
            f"{corpus.protocol.name} has frames, whose features need a store; set "
            "datamodule.features to one, as conf/features does"
        )
    ready, arrays = _load_ready(corpus, features, representation, modality, require_depth, views)
    if jitter is None or not jitter.active:
        return LoadedFeatures(ready, arrays)
    moved, shifts = shift_key_frames(ready, jitter)
    shifted = _load_shifted(moved, features, representation, modality, views)
    return LoadedFeatures(ready, arrays, shifted, shifts)


def _load_ready(
    corpus: Corpus,
    features: FeatureStore,
    representation: Representation,
    modality: str,
    require_depth: bool,
    views: Sequence[str] | None,
) -> tuple[Corpus, Arrays]:
    """Return the samples of a corpus whose features are ready, and the features."""
    loaded = features.load(corpus, representation, modality, views)
    if require_depth and modality == "rgb":
        in_depth = features.load(corpus, representation, "depth")
        both = np.isin(loaded.rows, in_depth.rows)
        reason = loaded.reason or f"{in_depth.reason} (datamodule.require_depth=true)"
        loaded = Loaded(
            loaded.rows[both],
            {key: array[both] for key, array in loaded.arrays.items()},
            loaded.reason if both.all() else reason,
            loaded.note,
        )
    name, every, ready = corpus.protocol.name, len(corpus.index), len(loaded.rows)
    if ready < every:
        log.warning(
            "%d of %d samples of %s have no %s %s and are left out: %s; `merec prepare` says of each why",
            *(every - ready, every, name, modality, representation.name, loaded.reason),
        )
        index = corpus.index.iloc[loaded.rows].reset_index(drop=True)
        if not name.endswith("-subset"):  # numbers on it are not numbers on the protocol
            name = f"{name}-subset"
        corpus_protocol = corpus.protocol
        protocol = describe_protocol(name, index, corpus_protocol.classes, corpus_protocol.target)
        corpus = replace(corpus, index=index, protocol=protocol)
    if loaded.note:
        log.warning("faces of %s to be doubted: %s", name, loaded.note)
    arrays = tuple(loaded.arrays.values())
    _assert_finite(arrays, corpus.index["sample_id"].tolist(), representation.name)
    if representation.stretched:  # it is a corpus of flow maps from here on
        (channels,) = representation.channels(modality)
        corpus = replace(corpus, flow_maps=arrays[0], channels=channels)
    return corpus, arrays


def _load_shifted(
    corpus: Corpus,
    features: FeatureStore,
    representation: Representation,
    modality: str,
    views: Sequence[str] | None,
) -> Arrays:
    """Load the features of all samples; a failed sample is an error, since it must not be left out."""
    loaded = features.load(corpus, representation, modality, views)
    ids = corpus.index["sample_id"]
    lost = ids.drop(ids.index[loaded.rows]).tolist()
    if lost:
        more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        raise InputError(
            f"{len(lost)} of {len(ids)} samples have no {modality} {representation.name} of shifted key "
            f"frames ({', '.join(lost[:_SHOWN])}{more}): {loaded.reason}; leave them out of all runs "
            "of the study: corpus.exclude"
        )
    arrays = tuple(loaded.arrays.values())
    _assert_finite(arrays, ids.tolist(), representation.name)
    return arrays


def _assert_finite(arrays: Arrays, sample_id: Sequence[str], representation: str) -> None:
    for array in arrays:
        odd = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        if len(odd):
            raise InputError(
                f"the {representation} of sample {sample_id[odd[0]]} hold numbers that are not finite; "
                "delete the feature store's folder (merec prepare names it) and prepare again"
            )

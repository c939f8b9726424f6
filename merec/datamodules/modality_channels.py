"""Channels of each modality and representation, and the pairs that a corpus supports."""

from collections.abc import Sequence

from merec.features.augmentation import Augmentation
from merec.features.representations import MODALITIES, Channels, Representation, list_names
from merec.types import Corpus, InputError

SCALINGS = ("raw", "unit", "standard")


def choose_channels(
    corpus: Corpus,
    modality: str,
    representation: Representation,
    channels: Sequence[str] | None,
    views: Sequence[str] | None = None,
) -> Channels:
    """Return the channels for a modality and a representation, if the corpus supports both.

    Args:
        corpus: Corpus of the samples.
        modality: `rgb`, `depth` or `fused`.
        representation: Representation that the backbone reads.
        channels: Channels of the flow maps to keep, in this order; `None` for all.
        views: See `Representation.choose_views`.

    Raises:
        InputError: If the corpus does not support them; the message lists the pairs that it supports.
    """
    name = corpus.protocol.name
    asked = f"datamodule={modality} with representation {representation.name}"
    if modality not in MODALITIES:
        raise InputError(f"{asked} is unknown; choose a modality of {', '.join(MODALITIES)}")
    if corpus.flow_maps is not None and not (modality == "rgb" and representation.stretched):
        raise InputError(
            f"{asked} does not go with {name}, which has flow maps only; use datamodule=rgb and a backbone "
            "that reads flow_map with its own recipe (backbone=ststnet, without recipe=), or task=baseline"
        )
    if modality != "rgb":
        if not corpus.index["depth"].notna().any():
            raise InputError(
                f"{asked} does not go with {name}, which has no depth; use datamodule=rgb, which goes with "
                f"{', '.join(list_names())}"
            )
        if representation.needs_camera(modality) and corpus.camera is None:
            raise InputError(
                f"{asked} needs the camera of {name}, which is unknown; set corpus.intrinsics, or use "
                f"datamodule=rgb, or datamodule={modality} with a backbone that reads views or flow_map"
            )
    view_channels = representation.channels(modality, views)
    if not representation.stretched:
        return view_channels
    there = view_channels[0] if corpus.flow_maps is None else corpus.channels
    unknown = sorted(set(channels or ()) - set(there))
    if unknown:
        raise InputError(
            f"datamodule.channels has {', '.join(unknown)}; {name} has {', '.join(there)}"
        )
    return (tuple(channels or there),)


def check_scaling(scaling: str, representation: Representation) -> None:
    """Refuse a scaling that does not exist or does not fit the representation."""
    if scaling not in SCALINGS:
        raise InputError(f"datamodule.scaling={scaling} is unknown; choose raw, unit or standard")
    if scaling == "unit" and not representation.stretched:
        raise InputError(
            f"datamodule.scaling=unit divides flow maps by 255; {representation.name} are not of 0 to 255: "
            "choose raw or standard"
        )


def check_augmentation(settings: Augmentation | None, representation: Representation) -> None:
    """Refuse augmentation that does not fit the representation."""
    if settings is None:
        return
    name, possible = representation.name, representation.augmentations
    if settings.crop != 1 and "crop" not in possible:
        raise InputError(
            f"datamodule.augment.crop={settings.crop} cuts views, which {name} is not; set it to 1"
        )
    if settings.light and "light" not in possible:
        raise InputError(
            f"datamodule.augment.jitter and grey change the colours of views, which {name} is not; "
            "set them to 0"
        )
    if settings.rotate and "rotation" not in possible:
        raise InputError(
            f"datamodule.augment.rotate turns points and landmarks, which {name} is not; set it to 0"
        )
    if settings.geometry and "geometry" not in possible:
        raise InputError(
            f"datamodule.augment.dropout, scale and shift change points, which {name} is not; "
            "set them to 0, 1 and 0"
        )

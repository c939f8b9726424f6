"""Which modality of a corpus can be shown in which representation, and what that consists of."""

from collections.abc import Mapping, Sequence

from merec.corpora.megc2019_flow import CHANNELS
from merec.datamodules.augment import COLORS, Augmentation
from merec.features import clip
from merec.features.onset_apex_features import DEFAULT_VIEWS, MODALITIES, Views
from merec.features.points import FEATURES
from merec.types import Corpus, InputError

SCALINGS = ("raw", "unit", "standard")
Channels = tuple[tuple[str, ...], ...]  # one tuple of names per view

# Two depth views are `depth`, one beside another view is `fused`, none is `rgb`.
VIEW_CHANNELS = {"rgb": COLORS, "depth": ("dz",), "flow": ("u", "v", "strain")}
# By representation and modality; of views those that a modality shows unless others are asked for.
SHOWN: Mapping[str, Mapping[str, Channels]] = {
    "points": dict.fromkeys(MODALITIES, (FEATURES,)),
    "views": {
        modality: tuple(VIEW_CHANNELS[view] for view in views)
        for modality, views in DEFAULT_VIEWS.items()
    },
    "flow_map": {
        "rgb": (CHANNELS,),
        "depth": (("dz", "dz_x", "dz_y"),),
        "fused": (("u", "v", "dz"),),
    },
    "clip": {modality: (names,) for modality, names in clip.CHANNELS.items()},
}


def choose_views(modality: str, representation: str, views: Sequence[str] | None) -> Views | None:
    """Return the two views that are shown; `None` where the representation is none of views.

    Args:
        modality: `rgb`, `depth` or `fused`.
        representation: `points`, `views`, `flow_map` or `clip`.
        views: Two of `rgb`, `depth`, `flow`; `None` for those of the modality.

    Raises:
        InputError: If there are no such views, or the modality does not show them.
    """
    if representation != "views" or modality not in MODALITIES:
        if views:
            raise InputError(
                f"datamodule.views={_spell(views)} chooses views, but {representation} are read here; use "
                "backbone=dual_view, or leave it out"
            )
        return None
    if views is None:
        return DEFAULT_VIEWS[modality]
    asked = f"datamodule.views={_spell(views)}"
    unknown = [view for view in views if view not in VIEW_CHANNELS]
    if isinstance(views, str) or len(views) != 2 or unknown:
        raise InputError(
            f"{asked} is no pair of views; give two of {', '.join(VIEW_CHANNELS)}, as [rgb,flow]"
        )
    first, second = views
    if first == second != "depth":
        raise InputError(f"{asked} shows one view twice; name two different ones, as [rgb,flow]")
    fitting = "rgb" if "depth" not in views else "depth" if first == second else "fused"
    if fitting != modality:
        raise InputError(
            f"{asked} are views of datamodule={fitting}, but this is datamodule={modality}, of which tables "
            f"say what was shown; set datamodule={fitting}, or leave datamodule.views out"
        )
    return first, second


def _spell(views: Sequence[str]) -> str:
    return views if isinstance(views, str) else f"[{','.join(map(str, views))}]"


def choose_channels(
    corpus: Corpus,
    modality: str,
    representation: str,
    channels: Sequence[str] | None,
    views: Views | None = None,
) -> Channels:
    """What a pair of modality and representation consists of, if the corpus has it.

    Args:
        corpus: Whose faces.
        modality: `rgb`, `depth` or `fused`.
        representation: `points`, `views`, `flow_map` or `clip`.
        channels: Those of the flow maps to keep, in this order; `None` for all.
        views: See `choose_views`.

    Raises:
        InputError: If the corpus cannot show it, with the pairs that would do.
    """
    name, asked = (
        corpus.protocol.name,
        f"datamodule={modality} with representation {representation}",
    )
    if modality not in MODALITIES or representation not in SHOWN:
        raise InputError(
            f"{asked} is unknown; choose a modality of {', '.join(MODALITIES)} and a backbone that reads "
            f"{', '.join(SHOWN)}"
        )
    if corpus.flow_maps is not None and (modality, representation) != ("rgb", "flow_map"):
        raise InputError(
            f"{asked} does not go with {name}, which has flow maps only; use datamodule=rgb and a backbone "
            "that reads flow_map with its own recipe (backbone=ststnet, without recipe=), or task=baseline"
        )
    if modality != "rgb":
        if not corpus.index["depth"].notna().any():
            raise InputError(
                f"{asked} does not go with {name}, which has no depth; use datamodule=rgb, which goes with "
                f"{', '.join(SHOWN)}"
            )
        if representation == "points" and corpus.camera is None:
            raise InputError(
                f"{asked} needs the camera of {name}, which is unknown; set corpus.intrinsics, or use "
                f"datamodule=rgb, or datamodule={modality} with a backbone that reads views or flow_map"
            )
    if views is not None:
        return tuple(VIEW_CHANNELS[view] for view in views)
    shown = SHOWN[representation][modality]
    if representation != "flow_map":
        return shown
    there = shown[0] if corpus.flow_maps is None else corpus.channels
    unknown = sorted(set(channels or ()) - set(there))
    if unknown:
        raise InputError(
            f"datamodule.channels has {', '.join(unknown)}; {name} has {', '.join(there)}"
        )
    return (tuple(channels or there),)


def check_scaling(scaling: str, representation: str) -> None:
    """Refuse a scaling that there is not, or not for this representation."""
    if scaling not in SCALINGS:
        raise InputError(f"datamodule.scaling={scaling} is unknown; choose raw, unit or standard")
    if scaling == "unit" and representation != "flow_map":
        raise InputError(
            f"datamodule.scaling=unit divides flow maps by 255; {representation} are not of 0 to 255: "
            "choose raw or standard"
        )


def check_augmentation(settings: Augmentation | None, representation: str) -> None:
    """Refuse what cannot happen to a representation."""
    if settings is None:
        return
    if settings.crop != 1 and representation != "views":
        raise InputError(
            f"datamodule.augment.crop={settings.crop} cuts views, which {representation} is not; set it to 1"
        )
    if settings.light and representation != "views":
        raise InputError(
            f"datamodule.augment.jitter and grey change the colours of views, which {representation} is not; "
            "set them to 0"
        )
    if settings.geometry and representation != "points":
        raise InputError(
            f"datamodule.augment.dropout, scale and shift change points, which {representation} is not; "
            "set them to 0, 1 and 0"
        )

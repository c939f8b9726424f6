"""Representations: what a backbone reads of each sample, each an object behind one Protocol.

`datamodule.representation` names one: a file of this folder, or the class of a plug-in by its dotted path.
"""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from merec.features.augmentation import Augmentation
from merec.features.onset_apex_features import Pair
from merec.features.settings import Settings
from merec.types import InputError

MODALITIES = ("rgb", "depth", "fused")
COLORS = ("red", "green", "blue")  # channels of what shows colour
Channels = tuple[tuple[str, ...], ...]  # names of the channels, one tuple per input
Inputs = tuple[Any, ...]  # tensors, one per input of the backbone, samples first


class Parts(NamedTuple):
    """Inputs that a representation of one sample is made from.

    Attributes:
        pair: Files of the sample.
        contents: Content of each file that was read.
        crops: Arrays of `make_crops`, and of `make_depth` where the modality needs depth.
        motion: Arrays of `make_motion`; empty if the representation is made from the clip.
        settings: Settings of all stages.
        modality: `rgb`, `depth` or `fused`.
        views: The two views, for a representation of views; else empty.
    """

    pair: Pair
    contents: Mapping[Path, bytes]
    crops: Mapping[str, np.ndarray]
    motion: Mapping[str, np.ndarray]
    settings: Settings
    modality: str
    views: tuple[str, ...]


@runtime_checkable
class Representation(Protocol):
    """A representation of samples; subclasses inherit what most representations have in common.

    Attributes:
        name: How configs, messages and folders of the feature store call it: its file in this folder, or the
            dotted path of a plug-in's class.
        arrays: Names of the loaded arrays, one per input of the backbone, and of the same in the store.
        makers: Functions that decide the arrays; their code is part of the store's keys.
        heeds: Config keys, `*` for any ending, that no other representation heeds.
        channel_axis: Axis of the channels in a batch.
        augmentations: What may happen to training samples beside mirroring: `crop`, `light`, `geometry`,
            `rotation`.
        from_clip: Whether it is made from the frames between onset and offset, and not from the motion.
        stretched: Whether its channels are stretched to 0..255, the form in which flow maps circulate. A
            corpus without frames has such a representation only; scikit-learn estimators describe it.
        has_regions: Whether its axis 1 holds the facial regions, so that a network of it can be explained.
        motion: Names of the features that describe the motion of a point; empty for what has no points.
        shortage: Name of the array that counts points drawn again; "" if there is none.
    """

    name: ClassVar[str]
    arrays: ClassVar[Mapping[str, str]]
    makers: ClassVar[tuple[Callable[..., Any], ...]]
    heeds: ClassVar[tuple[str, ...]] = ()
    channel_axis: ClassVar[int] = 1
    augmentations: ClassVar[tuple[str, ...]] = ()
    from_clip: ClassVar[bool] = False
    stretched: ClassVar[bool] = False
    has_regions: ClassVar[bool] = False
    shortage: ClassVar[str] = ""
    motion: ClassVar[tuple[str, ...]] = ()

    def channels(self, modality: str, views: Sequence[str] | None = None) -> Channels:
        """Return the names of the channels of each input, in their order.

        Args:
            modality: `rgb`, `depth` or `fused`.
            views: Views as `choose_views` returns them.
        """
        ...

    def example_shape(self, modality: str) -> tuple[int, ...]:
        """Return a small shape of one sample of the first input, for the checks of `merec.testing`."""
        ...

    def choose_views(self, modality: str, views: Sequence[str] | None) -> tuple[str, str] | None:
        """Return the two views of a modality; `None` for a representation without views.

        Args:
            modality: `rgb`, `depth` or `fused`.
            views: `datamodule.views`: two of `rgb`, `depth`, `flow`; `None` for those of the modality.

        Raises:
            InputError: If there are no such views, or the modality does not show them.
        """
        if views:
            raise InputError(
                f"datamodule.views={spell_views(views)} chooses views, but {self.name} are read here; use "
                "backbone=dual_view, or leave it out"
            )
        return None

    def needs_camera(self, modality: str) -> bool:
        """Return whether it can be made only with the intrinsics of the camera."""
        return False

    def list_files(self, pair: Pair, modality: str) -> list[Path]:
        """List the files that it is made from beside those of onset and apex."""
        return []

    def list_settings(self, settings: Settings, pair: Pair) -> dict[str, Any]:
        """Return the values that decide the arrays beside the stages before; part of the store's keys."""
        return {}

    def make(self, parts: Parts) -> dict[str, np.ndarray]:
        """Compute the arrays of one sample.

        Raises:
            InputError: If the sample lacks what the modality needs.
        """
        ...

    def locate(self, parts: Parts) -> np.ndarray:
        """Return column and row, px of the crop, of each point; only called where there are points."""
        raise NotImplementedError(f"{self.name} has no points")

    def show(self, arrays: Sequence[np.ndarray], channels: Channels, size: int | None) -> Inputs:
        """Return the arrays of all samples as they are kept in memory and drawn from.

        Args:
            arrays: Arrays as they are loaded, one per input.
            channels: Names of the channels of each.
            size: Side of images that may be resized, px; `None` for that of the crops.

        Raises:
            InputError: If images would have to grow.
        """
        import torch

        return tuple(torch.from_numpy(array) for array in arrays)

    def augment(
        self, inputs: Inputs, channels: Channels, settings: Augmentation, generators: Sequence[Any]
    ) -> Inputs:
        """Return a batch as a training epoch shows it, before scaling.

        Args:
            inputs: The batch.
            channels: Names of the channels of each input.
            settings: Settings of augmentation.
            generators: One `torch.Generator` per sample.
        """
        from merec.features.image_transforms import augment_images

        return augment_images(inputs, channels, 255 if self.stretched else 0, settings, generators)

    def drop(self, inputs: Inputs, settings: Augmentation, generators: Sequence[Any]) -> Inputs:
        """Mark parts of a scaled batch that a training epoch leaves out, as a channel of its own."""
        return inputs


def spell_views(views: Sequence[str]) -> str:
    """Return views as a command line gives them."""
    return views if isinstance(views, str) else f"[{','.join(map(str, views))}]"


def list_names() -> list[str]:
    """List the names of merec's own representations."""
    return sorted(module.name for module in iter_modules(__path__))


def list_representations() -> list[Representation]:
    """List merec's own representations."""
    return [open_representation(name) for name in list_names()]


@cache
def open_representation(name: str) -> Representation:
    """Return the representation of a name.

    Args:
        name: A file of this folder, whose class has the same name in capitals (`flow_map`: `FlowMap`), or the
            dotted path of a class elsewhere.

    Raises:
        InputError: If there is none.
    """
    module, _, kind = name.rpartition(".")
    names = list_names()
    if not module and name not in names:
        near = get_close_matches(name, names, n=1)
        choices = f"choose {', '.join(names[:-1])} or {names[-1]}"
        hint = f"did you mean {near[0]}?" if near else choices
        raise InputError(f"datamodule.representation={name} is unknown; {hint}")
    if not module:
        module, kind = f"{__name__}.{name}", name.title().replace("_", "")
    try:
        representation: Any = getattr(import_module(module), kind)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"datamodule.representation={name} cannot be imported ({error}); give the dotted path of a class"
        ) from error
    if Representation not in getattr(representation, "__mro__", ()):
        raise InputError(
            f"datamodule.representation={name} is no subclass of {__name__}.Representation; give one"
        )
    if representation.name != name:
        raise InputError(
            f"datamodule.representation={name} calls itself {representation.name}; set "
            f"{kind}.name to the path of the class"
        )
    return representation()

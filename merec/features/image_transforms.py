"""Resizing and augmentation of images and clips: mirroring, cropping and colour jitter.

Every function is pure. Each sample has its own generator, so its augmentation does not depend on its batch or
on the number of workers.
"""

from collections.abc import Sequence
from math import pi
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate

from merec.features.augmentation import Augmentation
from merec.features.point_transforms import draw_luck
from merec.features.representations import COLORS
from merec.features.representations.flow_map import HORIZONTAL
from merec.types import InputError

_FEW = 256  # images that are resized at once
_LUMA = (0.299, 0.587, 0.114)
# To brightness and two axes of hue (YIQ), in which a change of hue is a rotation.
_TO_YIQ = (_LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


def resize_images(
    views: Sequence[Tensor], channels: Sequence[Sequence[str]], size: int
) -> tuple[Tensor, ...]:
    """Resize views by area averages; flow is rescaled to pixels of the new size.

    Args:
        views: Views of shape (samples, channels, side, side).
        channels: Names of the channels of each.
        size: px, up to `side`.

    Raises:
        InputError: If `size` is larger than `side`.
    """
    side = views[0].shape[-1]
    if not 0 < size <= side:
        raise InputError(
            f"datamodule.size={size}, but the crops are of {side} px; give 1 to {side}, or a larger "
            "features.crops.size"
        )
    if size == side:
        return tuple(views)
    resized = []
    for view, names in zip(views, channels, strict=True):
        small = torch.cat(
            [interpolate(some, (size, size), mode="area") for some in view.split(_FEW)]
        )
        for at, name in enumerate(names):
            if name in ("u", "v"):
                small[:, at] *= size / side
        resized.append(small)
    return tuple(resized)


def augment_images(
    inputs: tuple[Tensor, ...],
    channels: Sequence[Sequence[str]],
    top: int,
    settings: Augmentation,
    generators: Sequence[torch.Generator],
) -> tuple[Tensor, ...]:
    """Augment a batch of images or clips.

    Args:
        inputs: One tensor, or one per view; before any scaling.
        channels: Names of the channels of each.
        top: See `flip_images`.
        settings: Settings of augmentation.
        generators: One per sample.
    """
    augmented, luck, mirrored = [], _draw_luck(inputs[0], settings, generators), None
    for number, (images, names) in enumerate(zip(inputs, channels, strict=True)):
        if number and settings.apart:
            luck = _draw_luck(images, settings, generators)
        if mirrored is None or (settings.apart and names == channels[0]):
            mirrored = luck.drawn[:, 0] < settings.flip
        augmented.append(_augment_input(images, names, top, settings, luck, mirrored))
    return tuple(augmented)


class _Luck(NamedTuple):
    """Random draws for a view of each sample: ten numbers in 0..1, and the box of the crop."""

    drawn: Float[Tensor, "batch 10"]
    boxes: "list[Box]"


def _draw_luck(
    view: Tensor, settings: Augmentation, generators: Sequence[torch.Generator]
) -> _Luck:
    drawn, boxes = draw_luck(generators), []
    if settings.crop != 1:
        boxes = [
            place_box(torch.rand(3, generator=generator), settings.crop, *view.shape[2:])
            for generator in generators
        ]
    return _Luck(drawn, boxes)


def _augment_input(
    view: Tensor,
    names: Sequence[str],
    top: int,
    settings: Augmentation,
    luck: _Luck,
    mirrored: Bool[Tensor, " batch"],
) -> Tensor:
    if settings.flip:
        chosen = mirrored.view(-1, *[1] * (view.ndim - 1))
        view = torch.where(chosen, flip_images(view, names, top), view)
    if luck.boxes:
        view = crop_images(view, names, luck.boxes)
    if settings.light and tuple(names) == COLORS:
        change = settings.jitter * (2 * luck.drawn[:, 6:9] - 1)
        # Contrast and brightness are one gain: a difference of two frames has no level of its own.
        gain, saturation, turn = (1 + change[:, 0]) ** 2, 1 + change[:, 1], change[:, 2]
        saturation = torch.where(luck.drawn[:, 9] < settings.grey, 0, saturation)
        view = change_colors(view, gain, saturation, turn)
    return view


def flip_images(
    images: Float[Tensor, "batch channels *frames height width"], channels: Sequence[str], top: int
) -> Float[Tensor, "batch channels *frames height width"]:
    """Mirror the face: reverse columns and the sign of horizontal components; an involution.

    Args:
        images: Images of one view, or of a clip.
        channels: Names of its channels.
        top: A horizontal component c becomes top - c: 255 for maps scaled to 0..255, 0 for components in px.
    """
    mirrored = images.flip(-1)
    for at, name in enumerate(channels):
        if name in HORIZONTAL:
            mirrored[:, at] = top - mirrored[:, at]
    return mirrored


class Box(NamedTuple):
    """Rectangular part of an image, px."""

    top: int
    left: int
    height: int
    width: int


def place_box(luck: Float[Tensor, "3"], smallest: float | int, height: int, width: int) -> Box:
    """Choose a part of an image with the aspect ratio of the image.

    Args:
        luck: Three numbers in 0..1: for area, vertical and horizontal position.
        smallest: Smallest share of the area; the share is uniform from this value to 1.
        height: Height of the image, px.
        width: Width of the image, px.
    """
    area, down, right = luck.tolist()
    side = (smallest + (1 - smallest) * area) ** 0.5
    part, span = max(1, round(side * height)), max(1, round(side * width))
    return Box(int(down * (height - part + 1)), int(right * (width - span + 1)), part, span)


def crop_images(
    images: Float[Tensor, "batch channels height width"],
    channels: Sequence[str],
    boxes: Sequence[Box],
) -> Float[Tensor, "batch channels height width"]:
    """Crop each image and resize the part to the size of the image.

    Flow in px is scaled by the same factor. Strain, depth and colour keep their values.

    Args:
        images: Images of one view.
        channels: Names of its channels.
        boxes: One per image.
    """
    height, width = images.shape[2:]
    cropped = torch.empty_like(images)
    for at, (top, left, part, span) in enumerate(boxes):
        cut = images[at : at + 1, :, top : top + part, left : left + span]
        cropped[at] = interpolate(cut, (height, width), mode="bilinear")[0]
        for name, zoom in (("u", width / span), ("v", height / part)):
            if name in channels:
                cropped[at, channels.index(name)] *= zoom
    return cropped


def change_colors(
    images: Float[Tensor, "batch 3 height width"],
    gain: Float[Tensor, " batch"],
    saturation: Float[Tensor, " batch"],
    turn: Float[Tensor, " batch"],
) -> Float[Tensor, "batch 3 height width"]:
    """Apply colour jitter to the difference of two frames, as if it had been applied to both frames.

    The change is linear, so it may be applied to the difference; nothing is clipped.

    Args:
        images: Differences in colour.
        gain: Factor of brightness.
        saturation: 0 for grey, 1 for no change.
        turn: Turn of hue, in full turns.
    """
    yiq = torch.tensor(_TO_YIQ, dtype=torch.float64)
    angle = 2 * pi * turn.double()
    turned = torch.eye(3, dtype=torch.float64).repeat(len(turn), 1, 1)
    turned[:, 1, 1] = turned[:, 2, 2] = angle.cos()
    turned[:, 1, 2], turned[:, 2, 1] = -angle.sin(), angle.sin()
    turned[:, 1:] *= saturation[:, None, None]
    change = (gain[:, None, None] * (yiq.inverse() @ turned @ yiq)).to(images.dtype)
    # Written out: a matrix product may add up in another order in a batch of another size.
    rows = [
        sum(change[:, row, column, None, None] * images[:, column] for column in range(3))
        for row in range(3)
    ]
    return torch.stack(rows, dim=1)  # type: ignore[arg-type]

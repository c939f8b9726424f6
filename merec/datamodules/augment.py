"""What may happen to a training sample: mirrored, cut out, another light, fewer points, moved a little.

Every function is pure. What happens to a sample is drawn from its own generator, so that neither the batch it
is in nor the number of workers has a say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate

from merec.features.flow_map import HORIZONTAL
from merec.features.points import FEATURES
from merec.features.regions import MIRRORED
from merec.types import InputError

COLORS = ("red", "green", "blue")  # the channels of a view that shows colour
_LUMA = (0.299, 0.587, 0.114)
# To brightness and two axes of hue (YIQ), in which a change of hue is a rotation.
_TO_YIQ = (_LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


@dataclass(frozen=True)
class Augmentation:
    """What happens to training samples, and how much of it; off are 0 and, for `crop` and `scale`, 1.

    Attributes:
        flip: Share of samples that are mirrored, all views alike but for two that show the same `apart`.
        crop: Smallest share of the area of both views that is cut out and shown at full size (.2 for the
            linear probe of Li et al. 2025).
        jitter: Largest change of brightness, contrast and saturation, as a share, and of hue, in turns; of
            views in colour only (.4 in Li et al. 2025).
        grey: Share of samples whose colour views lose their colour (.2 in Li et al. 2025).
        dropout: Largest share of points that are dropped (.875 in Zhang et al. 2025); they are marked, and
            the network leaves them out after it has centred motion.
        scale: Largest factor by which a face grows or shrinks (1.25 there).
        shift: Largest shift of a face along each axis, in units of its radius (.1 there).
        apart: Whether each of two views is cut out and lit by a draw of its own, so that neither its place
            nor its outline tells which views belong together. Different views are still mirrored together: a
            movement to the left does not belong with one to the right. Two views of the same are mirrored
            apart too: without crops they would otherwise be equal.
    """

    flip: float | int
    crop: float | int
    jitter: float | int
    grey: float | int
    dropout: float | int
    scale: float | int
    shift: float | int
    apart: bool

    def __post_init__(self) -> None:
        for name in ("flip", "jitter", "grey", "dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(
                    f"datamodule.augment.{name}={getattr(self, name)} is no share; give 0 (off) to 1"
                )
        if not 0 < self.crop <= 1:
            raise InputError(
                f"datamodule.augment.crop={self.crop} is no part of a view; give more than 0, up to 1 (off)"
            )
        if self.scale < 1 or self.shift < 0:
            raise InputError(
                f"datamodule.augment.scale={self.scale}, shift={self.shift}; give a scale of 1 (off) or more "
                "and a shift of 0 (off) or more"
            )

    @property
    def active(self) -> bool:
        """Whether anything happens."""
        return bool(self.flip) or self.crop != 1 or self.light or self.geometry

    @property
    def light(self) -> bool:
        """Whether colours change."""
        return bool(self.jitter or self.grey)

    @property
    def geometry(self) -> bool:
        """Whether points are dropped or moved."""
        return bool(self.dropout or self.scale != 1 or self.shift)


def augment(
    views: tuple[Tensor, ...],
    channels: Sequence[Sequence[str]],
    representation: str,
    settings: Augmentation,
    generators: Sequence[torch.Generator],
) -> tuple[Tensor, ...]:
    """A batch as a training epoch shows it, but for dropped points (`mark_dropped`).

    Args:
        views: One tensor of flow maps (0..255), points or clips, or two of images; before any scaling.
        channels: Names of each view's channels.
        representation: `flow_map`, `points`, `views` or `clip`.
        settings: What may happen.
        generators: One per sample.
    """
    if representation == "points":
        (points,) = views
        return (_augment_points(points, settings, generators),)
    shown, luck, mirrored = [], _draw_luck(views[0], settings, generators), None
    for number, (view, names) in enumerate(zip(views, channels, strict=True)):
        if number and settings.apart:
            luck = _draw_luck(view, settings, generators)
        if mirrored is None or (settings.apart and names == channels[0]):
            mirrored = luck.drawn[:, 0] < settings.flip
        shown.append(_augment_images(view, names, representation, settings, luck, mirrored))
    return tuple(shown)


def _draw(generators: Sequence[torch.Generator]) -> Float[Tensor, "batch 10"]:
    """All of it always, so that one switch does not change what another one does."""
    return torch.stack([torch.rand(10, generator=generator) for generator in generators])


def _augment_points(
    points: Tensor, settings: Augmentation, generators: Sequence[torch.Generator]
) -> Tensor:
    drawn = _draw(generators)
    if settings.flip:
        flipped = drawn[:, 0] < settings.flip
        points = torch.where(flipped[:, None, None, None], flip_points(points), points)
    if settings.scale != 1 or settings.shift:
        factor = 1 / settings.scale + (settings.scale - 1 / settings.scale) * drawn[:, 2]
        points = move_points(points, factor, settings.shift * (2 * drawn[:, 3:6] - 1))
    return points


class _Luck(NamedTuple):
    """What is drawn for a view of each sample: ten numbers of 0 to 1, and the part that is cut out."""

    drawn: Float[Tensor, "batch 10"]
    boxes: "list[Box]"


def _draw_luck(
    view: Tensor, settings: Augmentation, generators: Sequence[torch.Generator]
) -> _Luck:
    drawn, boxes = _draw(generators), []
    if settings.crop != 1:
        boxes = [
            place_box(torch.rand(3, generator=generator), settings.crop, *view.shape[2:])
            for generator in generators
        ]
    return _Luck(drawn, boxes)


def _augment_images(
    view: Tensor,
    names: Sequence[str],
    representation: str,
    settings: Augmentation,
    luck: _Luck,
    mirrored: Bool[Tensor, " batch"],
) -> Tensor:
    if settings.flip:
        top = 255 if representation == "flow_map" else 0
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
    """The mirrored face: columns reversed, horizontal components turned round. Twice changes nothing.

    Args:
        images: Of one view, or of a clip.
        channels: Names of its channels.
        top: What a horizontal component becomes the distance to: 255 for maps stretched to 0..255, 0 for
            those in their own units.
    """
    mirrored = images.flip(-1)
    for at, name in enumerate(channels):
        if name in HORIZONTAL:
            mirrored[:, at] = top - mirrored[:, at]
    return mirrored


class Box(NamedTuple):
    """A part of an image, px."""

    top: int
    left: int
    height: int
    width: int


def place_box(luck: Float[Tensor, "3"], smallest: float | int, height: int, width: int) -> Box:
    """A part of an image, in the proportions of the whole: a face is not stretched, and strain stays true.

    Args:
        luck: Three numbers of 0 to 1, for the area, for how far down and how far to the right.
        smallest: Share of the area; all from it to the whole are as likely.
        height: Of the image, px.
        width: Of the image, px.
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
    """A part of each image at the size of the whole.

    Flow is in px, so it grows as the image does. Its strain does not, nor do depth and colour.

    Args:
        images: Of one view.
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


def flip_points(
    points: Float[Tensor, "batch regions k 6"],
) -> Float[Tensor, "batch regions k 6"]:
    """The mirrored face: left and right regions change places, x and u their sign. Twice changes nothing."""
    sign = torch.ones(len(FEATURES))
    sign[[FEATURES.index("x"), FEATURES.index("u")]] = -1
    return points[:, list(MIRRORED)] * sign


def mark_dropped(
    points: Float[Tensor, "batch regions k 6"],
    most: float | int,
    generators: Sequence[torch.Generator],
) -> Float[Tensor, "batch regions k 7"]:
    """Append a feature that is 0 for dropped points and 1 for the others.

    The dropped ones stay where they are, for motion is centred over all points. The
    share of a sample's points that is dropped is uniform from 0 to `most`; each region keeps one at least.

    Args:
        points: Features in their scale, for a mark has none.
        most: Largest share that is dropped.
        generators: One per sample.
    """
    marks = []
    for generator in generators:
        share = most * torch.rand((), generator=generator)
        luck = torch.rand(points.shape[1:3], generator=generator)
        marks.append((luck >= share) | (luck == luck.amax(-1, keepdim=True)))
    return torch.cat([points, torch.stack(marks)[..., None].to(points.dtype)], dim=-1)


def move_points(
    points: Float[Tensor, "batch regions k 6"],
    factor: Float[Tensor, " batch"],
    shift: Float[Tensor, "batch 3"],
) -> Float[Tensor, "batch regions k 6"]:
    """Scale and shift where the points are; how they move stays."""
    place = points[..., :3] * factor[:, None, None, None] + shift[:, None, None]
    return torch.cat([place, points[..., 3:]], dim=-1)


def change_colors(
    images: Float[Tensor, "batch 3 height width"],
    gain: Float[Tensor, " batch"],
    saturation: Float[Tensor, " batch"],
    turn: Float[Tensor, " batch"],
) -> Float[Tensor, "batch 3 height width"]:
    """What becomes of the difference of two frames if both are seen in another light.

    All of it is linear in the frames, so the difference takes the same change; nothing is clipped.

    Args:
        images: Differences in colour.
        gain: Factor of brightness.
        saturation: 0 for grey, 1 for no change.
        turn: Of hue, in full turns.
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

"""Augmentation of points: mirroring, scaling, shifting and dropping, with one generator per sample."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from merec.features.augmentation import Augmentation
from merec.features.regions import MIRRORED
from merec.features.representations.points import FEATURES

PAIRED = (("x", "y"), ("u", "v"), ("track_x", "track_y"))  # features along the rows and down


def augment_points(
    points: Tensor, settings: Augmentation, generators: Sequence[torch.Generator]
) -> Tensor:
    """Apply all augmentations to a batch of points except dropping (`mark_dropped`)."""
    drawn = draw_luck(generators)
    if settings.flip:
        flipped = drawn[:, 0] < settings.flip
        points = torch.where(flipped[:, None, None, None], flip_points(points), points)
    if settings.rotate:
        points = turn_motion_and_place(points, FEATURES, draw_angle(drawn, settings))
    if settings.scale != 1 or settings.shift:
        factor = 1 / settings.scale + (settings.scale - 1 / settings.scale) * drawn[:, 2]
        points = move_points(points, factor, settings.shift * (2 * drawn[:, 3:6] - 1))
    return points


def draw_angle(drawn: Float[Tensor, "batch 10"], settings: Augmentation) -> Float[Tensor, " batch"]:
    """Return the angle by which each face is turned, radians; uniform from `-rotate` to `rotate`."""
    return math.radians(settings.rotate) * (2 * drawn[:, 1] - 1)


def turn_motion_and_place(
    points: Float[Tensor, "batch *points features"],
    names: Sequence[str],
    angle: Float[Tensor, " batch"],
) -> Float[Tensor, "batch *points features"]:
    """Turn faces around the optical axis: place and motion by the same angle, z and dz stay.

    torch_geometric's transforms of points turn the place alone.

    Args:
        points: Points, or nodes of a graph.
        names: Names of the features; of `PAIRED` those that are there are turned.
        angle: From x to y (clockwise in the image), radians.
    """
    turned = points.clone()
    angle = angle.view(-1, *[1] * (points.ndim - 2))
    for across, down in PAIRED:
        if across in names:
            x, y = (points[..., names.index(name)] for name in (across, down))
            turned[..., names.index(across)] = angle.cos() * x - angle.sin() * y
            turned[..., names.index(down)] = angle.sin() * x + angle.cos() * y
    return turned


def flip_points(
    points: Float[Tensor, "batch regions k 6"],
) -> Float[Tensor, "batch regions k 6"]:
    """Mirror the face: swap left and right regions and change the sign of x and u; an involution."""
    sign = torch.ones(len(FEATURES))
    sign[[FEATURES.index("x"), FEATURES.index("u")]] = -1
    return points[:, list(MIRRORED)] * sign


def mark_dropped(
    points: Float[Tensor, "batch regions k 6"],
    most: float | int,
    generators: Sequence[torch.Generator],
) -> Float[Tensor, "batch regions k 7"]:
    """Append a feature that is 0 for dropped points and 1 for kept points.

    Dropped points stay in the array, since motion is centred over all points. The dropped share of a sample
    is drawn uniformly from 0 to `most`; each region keeps at least one point.

    Args:
        points: Scaled features; the mark is not scaled.
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
    """Scale and shift the positions of points; their motion stays unchanged."""
    place = points[..., :3] * factor[:, None, None, None] + shift[:, None, None]
    return torch.cat([place, points[..., 3:]], dim=-1)


def draw_luck(generators: Sequence[torch.Generator]) -> Float[Tensor, "batch 10"]:
    """Draw ten numbers in 0..1 per sample. All are always drawn, so that augmentations are independent."""
    return torch.stack([torch.rand(10, generator=generator) for generator in generators])

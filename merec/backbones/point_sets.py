"""Steps that networks of point sets share: dropped points, neighbours, and the layers that classify."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from merec.types import InputError

FEATURES = 6  # of a point: place x, y, z, then motion u, v, dz
REGIONS = 8


def check_channels(in_channels: int, name: str) -> None:
    """Refuse points that do not have the six features.

    Raises:
        InputError: With both numbers.
    """
    if in_channels != FEATURES:
        raise InputError(
            f"points have {in_channels} features; {name} reads {FEATURES}: x, y, z, u, v, dz"
        )


def check_neighbours(count: int) -> None:
    """Refuse a number of neighbours below 1.

    Raises:
        InputError: With the number.
    """
    if count < 1:
        raise InputError(f"backbone.neighbours={count}; give 1 or more")


def replace_dropped(
    points: Float[Tensor, "batch regions k features"],
) -> Float[Tensor, "batch regions k 6"]:
    """Replace each dropped point by the point of its region that moves most and is kept.

    A copy changes no maximum over the points of a region. The seventh feature, if there is one, is 0 for
    points that augmentation dropped and 1 for the others.
    """
    values = points[..., :FEATURES]
    kept = (points[..., FEATURES:] > 0).all(-1)  # without a mark all are kept
    length = torch.linalg.vector_norm(values[..., 3:], dim=-1)
    strongest = torch.where(kept, length, -1).argmax(2)[..., None, None]
    copies = values.gather(2, strongest.expand(*values.shape[:2], 1, FEATURES))
    return torch.where(kept[..., None], values, copies)


def find_neighbours(
    places: Float[Tensor, "batch regions k 3"], count: int
) -> Int[Tensor, "batch regions k neighbours"]:
    """Find the points of the same region that are nearest to each point, itself among them.

    Args:
        places: Places of the points.
        count: Number of neighbours; all points of the region if it has fewer.
    """
    flat = places.flatten(0, 1)
    # The quick way through a product of matrices is not exact enough to order near points.
    distance = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distance.topk(min(count, places.shape[2]), largest=False).indices
    return nearest.unflatten(0, places.shape[:2])


def list_edges(
    neighbours: Int[Tensor, "batch regions k neighbours"],
) -> Int[Tensor, "2 edges"]:
    """List the edges from each neighbour to its point, as torch_geometric takes them.

    Points of all samples and regions are numbered one after the other; edges are sorted by target.
    """
    batch, regions, k, count = neighbours.shape
    first = k * torch.arange(batch * regions, device=neighbours.device).view(batch, regions, 1, 1)
    target = torch.arange(batch * regions * k, device=neighbours.device).repeat_interleave(count)
    return torch.stack([(neighbours + first).flatten(), target])


def make_head(inputs: int, width: int, dropout: float, num_classes: int) -> nn.Sequential:
    """Make the layers from the features of a face to its logits.

    Args:
        inputs: Features of a face.
        width: Width of the layer before the last.
        dropout: Share dropped before the last layer.
        num_classes: Number of logits.
    """
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(width, num_classes),
    )

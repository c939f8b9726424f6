"""The mesh between MediaPipe's landmarks: its triangles, its edges, and which landmarks mirror each other."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import Int

LANDMARKS = 468  # of the face; ten more describe the irises
_MIDDLE = (10, 151)  # an edge on the midline of the forehead

Triangle = tuple[int, int, int]


@cache
def list_triangles() -> tuple[Triangle, ...]:
    """List the triangles of the tesselation, all with the same orientation.

    MediaPipe lists the edges of the triangles in order; each edge starts at the corner where the previous
    edge ends.
    """
    from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarksConnections

    corners = [edge.start for edge in FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION]
    return tuple(zip(corners[::3], corners[1::3], corners[2::3], strict=True))


def list_edges() -> Int[np.ndarray, "2 edges"]:
    """List the edges between landmarks, each in both directions, sorted by target.

    MediaPipe's own list has an edge on the border of the mesh in one direction only, so that it is no
    undirected graph.
    """
    edges = {(a, b) for triangle in list_triangles() for a, b, _ in _turn(triangle)}
    both = edges | {(b, a) for a, b in edges}
    return np.array(sorted(both, key=lambda edge: edge[::-1])).T


@cache
def list_mirrored() -> Sequence[int]:
    """List the landmark of the mirrored face that each landmark becomes.

    The mesh says so itself: an edge on the midline is its own mirror image, and the corner left of an edge
    mirrors the corner right of the mirrored edge. From the midline this leads to all landmarks.
    """
    corner = {(a, b): c for triangle in list_triangles() for a, b, c in _turn(triangle)}
    mirrored = {place: place for place in _MIDDLE}
    waiting, seen = [_MIDDLE, _MIDDLE[::-1]], set()
    while waiting:
        a, b = waiting.pop()
        opposite, image = corner.get((a, b)), corner.get((mirrored[b], mirrored[a]))
        if (a, b) in seen or opposite is None or image is None:
            continue
        seen.add((a, b))
        # Where a quadrangle is split along other diagonals on both sides, the first way decides.
        if mirrored.setdefault(opposite, image) == image:
            waiting += [(b, opposite), (opposite, a), (opposite, b), (a, opposite)]
    return tuple(mirrored[number] for number in range(LANDMARKS))


def _turn(triangle: Triangle) -> tuple[Triangle, Triangle, Triangle]:
    a, b, c = triangle
    return (a, b, c), (b, c, a), (c, a, b)

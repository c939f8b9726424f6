"""Build the mesh of a subject at rest: head, scalp raised by the hair, and a sheet of long hair."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from merec.synthetic.head_model import PARTS, HeadModel
from merec.synthetic.identity import Identity
from merec.synthetic.long_hair import build_long_hair
from merec.synthetic.skin_map import HEIGHT, TEXEL, WIDTH, SkinMap, locate_texels

_LONG_HAIR = len(PARTS)


@dataclass(frozen=True)
class Mesh:
    """Mesh of a subject.

    Attributes:
        rest: Vertices at rest, mm from the midpoint of the eyes; vertices of the head model come first.
        triangles: Vertex indices.
        part: Part of each triangle: an index into `PARTS`, or `len(PARTS)` for long hair.
        corners: Texel (column, row) and share of mouth cavity (0 to 1) at each corner of each triangle.
        follows: Share of the head pose that moves a vertex, 0 (shoulders) to 1 (head).
        cloth: Signed distance from the edge of the shirt, mm; positive inside.
    """

    rest: Float[np.ndarray, "vertices 3"]
    triangles: Int[np.ndarray, "triangles 3"]
    part: Int[np.ndarray, " triangles"]
    corners: Float[np.ndarray, "triangles 3 3"]
    follows: Float[np.ndarray, "vertices 1"]
    cloth: Float[np.ndarray, "vertices 1"]


def build_mesh(
    identity: Identity,
    head: HeadModel,
    skin_map: SkinMap,
    hair: Float[np.ndarray, "height width"],
) -> Mesh:
    """Build the mesh of a subject.

    Args:
        identity: Shape and hair of the subject.
        head: Head model.
        skin_map: Skin map of the head model.
        hair: Share of hair on the scalp, see `Texture`.
    """
    reference = head.vertices
    t = np.clip((reference[:, 1] - 580) / 50, 0, 1)
    radius = np.hypot(reference[:, 0], reference[:, 2] - 20)
    front = np.clip(reference[:, 2] / radius.clip(1), 0, 1)
    collar = 556 - 22 * front**4 - reference[:, 1]
    cloth = np.where(reference[:, 1] < 600, np.maximum(collar, radius - 88), collar)
    mesh = Mesh(
        rest=_raise_scalp(identity, head, hair),
        triangles=head.triangles,
        part=head.part,
        corners=np.concatenate([skin_map.corners, skin_map.inside[..., None]], axis=2),
        follows=(t * t * (3 - 2 * t))[:, None],
        cloth=cloth[:, None],
    )
    return _add_long_hair(mesh, identity, head) if identity.hair.length else mesh


def _add_long_hair(mesh: Mesh, identity: Identity, head: HeadModel) -> Mesh:
    """Append the sheet of long hair to a mesh."""
    eye = head.vertices[head.list_vertices("left eye", "right eye")].mean(axis=0)
    hair, sheet, texels = build_long_hair(
        mesh.rest,
        head.triangles,
        float(eye[2]),
        identity.hair.volume,
        identity.hair.length,
        identity.name,
    )
    return Mesh(
        rest=np.concatenate([mesh.rest, hair]),
        triangles=np.concatenate([mesh.triangles, sheet + len(mesh.rest)]),
        part=np.concatenate([mesh.part, np.full(len(sheet), _LONG_HAIR)]),
        corners=np.concatenate([mesh.corners, np.pad(texels, ((0, 0), (0, 0), (0, 1)))]),
        follows=np.concatenate([mesh.follows, np.ones((len(hair), 1))]),
        cloth=np.concatenate([mesh.cloth, np.full((len(hair), 1), -99.0)]),
    )


def _raise_scalp(
    identity: Identity, head: HeadModel, hair: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, "vertices 3"]:
    """Compute the vertices at rest with the scalp raised by the thickness of the hair, mm."""
    import cv2

    rest = identity.compute_shape(head)
    texels = locate_texels(head.vertices)
    row = texels[:, 1].round().astype(int).clip(0, HEIGHT - 1)
    column = texels[:, 0].round().astype(int) % WIDTH
    density = cv2.GaussianBlur(hair, (0, 0), 4 / TEXEL)[row, column]
    skin = np.isin(np.arange(len(rest)), head.list_vertices("skin"))
    above_neck = head.vertices[:, 1] > 640
    share = np.where(skin & above_neck, np.clip(density * 1.6 - 0.6, 0, 1), 0)[:, None]
    return rest + identity.hair.volume * share * vertex_normals(rest, head.triangles)


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
    """Compute outward unit normals of the vertices, weighting triangles by area."""
    a, b, c = vertices[triangles.T]
    face = np.cross(b - a, c - a)
    total = np.stack(
        [
            np.bincount(triangles.ravel(), np.repeat(face[:, axis], 3), len(vertices))
            for axis in range(3)
        ],
        axis=1,
    )
    return total / np.linalg.norm(total, axis=1, keepdims=True).clip(1e-9)

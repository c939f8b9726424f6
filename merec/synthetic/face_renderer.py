"""Render colour and depth of one subject's face by ray casting, for any shape, pose and gaze."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from merec.open3d_import import load_open3d
from merec.seeding import derive_seed
from merec.synthetic.head_model import PARTS, HeadModel
from merec.synthetic.identity import Identity
from merec.synthetic.mesh import build_mesh, vertex_normals
from merec.synthetic.ray_casting import make_ray_caster
from merec.synthetic.scene import Scene, rotate
from merec.synthetic.shading import Surface, illuminate, paint_eye
from merec.synthetic.skin_map import WIDTH, SkinMap, locate_texels
from merec.synthetic.texture import Texture, paint, to_linear
from merec.types import Camera

NECK = np.array([0.0, -95.0, -75.0])  # mm from the midpoint of the eyes, centre of head rotation
_LEFT_EYE, _RIGHT_EYE = list(PARTS).index("left eye"), list(PARTS).index("right eye")
_TEETH = [list(PARTS).index(part) for part in ("upper teeth", "lower teeth")]
_TONGUE = list(PARTS).index("tongue")
_MOUTH = np.array([0.16, 0.03, 0.03], dtype=np.float32)


@dataclass(frozen=True)
class CleanFrame:
    """Rendered frame without sensor noise.

    Attributes:
        color: Linear RGB.
        depth: Distance along the optical axis, mm.
    """

    color: Float[np.ndarray, "height width 3"]
    depth: Float[np.ndarray, "height width"]


class FaceRenderer:
    """Renderer of one subject, which computes once everything that is equal in all frames.

    Args:
        identity: Appearance of the subject.
        scene: Camera pose, lamps and wall.
        camera: Intrinsics and size of the frames.
        head: Head model.
        skin_map: Skin map of the head model.
        seed: Seed of the corpus.
    """

    def __init__(
        self,
        identity: Identity,
        scene: Scene,
        camera: Camera,
        head: HeadModel,
        skin_map: SkinMap,
        seed: int,
    ):
        self.identity, self.scene, self.camera = identity, scene, camera
        self.head = head
        lashes = locate_texels(head.vertices[head.lashes])
        self.texture: Texture = paint(identity, skin_map, lashes, seed)
        self.mesh = build_mesh(identity, head, skin_map, self.texture.hair)
        self.rest = self.mesh.rest
        self.eyes = {
            part: self.rest[head.list_vertices(name)].mean(axis=0)
            for part, name in ((_LEFT_EYE, "left eye"), (_RIGHT_EYE, "right eye"))
        }
        self.visibility = self._bake_visibility()
        self.backdrop = self._paint_wall(seed)
        columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
        self.rays = np.stack([x, y, np.ones(x.shape)], axis=-1).astype(np.float32)
        to_lens = -self.rays @ scene.rotation.astype(np.float32)
        self.to_lens = to_lens / np.linalg.norm(to_lens, axis=-1, keepdims=True)

    def _bake_visibility(self) -> np.ndarray:
        """Compute the visible share of the sky and of each lamp at every vertex of the face at rest."""
        o3d = load_open3d()
        rng = np.random.default_rng(0)  # equal ray directions for all subjects
        ray_caster = make_ray_caster(self.rest, self.mesh.triangles)
        normal = vertex_normals(self.rest, self.mesh.triangles)
        start = self.rest + 0.6 * normal
        sources = [(normal, 1.0, 64)] + [(lamp[None], 0.16, 24) for lamp in self.scene.lamps]
        visible = []
        for centre, spread, count in sources:
            offset = rng.standard_normal((count, 3))
            offset /= np.linalg.norm(offset, axis=1, keepdims=True)
            direction = centre[:, None] + spread * offset[None]  # cosine-weighted if spread is 1
            direction = np.broadcast_to(direction, (len(start), count, 3))
            origin = np.broadcast_to(start[:, None], direction.shape)
            rays = np.concatenate([origin, direction], axis=-1)
            hidden = ray_caster.test_occlusions(
                o3d.core.Tensor(rays.astype(np.float32)), tfar=200.0, nthreads=1
            )
            visible.append(1 - hidden.numpy().mean(axis=1))
        return np.stack(visible, axis=1).astype(np.float32)

    def _paint_wall(self, seed: int) -> np.ndarray:
        """Paint the wall: one colour with a soft gradient, linear RGB."""
        import cv2

        camera = self.camera
        rng = np.random.default_rng(derive_seed(seed, "wall", self.identity.name))
        coarse = 1 + 0.12 * rng.standard_normal((3, 4)).astype(np.float32)
        shade = cv2.resize(coarse, (camera.width, camera.height), interpolation=cv2.INTER_CUBIC)
        return (self.scene.wall * shade[..., None]).astype(np.float32)

    def apply_pose(self, vertices: np.ndarray, pose: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
        """Apply the head pose to a face; the shoulders stay in place.

        Args:
            vertices: Shape of the face, mm from the midpoint of the eyes.
            pose: Yaw, pitch, roll (degrees) and x, y, z (mm).

        Returns:
            Vertices in room axes (the axes of the head at rest), mm.
        """
        posed = _apply_rigid_pose(vertices, pose)
        return vertices + self.mesh.follows * (posed - vertices)

    def to_camera(self, points: np.ndarray) -> Float[np.ndarray, "points 3"]:
        """Transform points from room axes to camera axes, mm."""
        return points @ self.scene.rotation.T + self.scene.position

    def project(self, points: np.ndarray) -> Float[np.ndarray, "points 2"]:
        """Project points in camera axes (mm) to px; the centre of the first pixel is (0, 0)."""
        camera = self.camera
        return points[:, :2] / points[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)

    def render(self, vertices: np.ndarray, pose: np.ndarray, gaze: np.ndarray) -> CleanFrame:
        """Render colour and depth of one frame.

        Args:
            vertices: Shape of the face, mm from the midpoint of the eyes.
            pose: Yaw, pitch, roll (degrees) and x, y, z (mm) of the head.
            gaze: Yaw and pitch of the eyes, degrees.
        """
        o3d = load_open3d()
        camera = self.camera
        posed = self.apply_pose(vertices, pose)
        in_camera = self.to_camera(posed)
        px = self.project(in_camera)
        left, top = np.floor(px.min(axis=0)).astype(int).clip(0)
        right = min(int(np.ceil(px[:, 0].max())) + 1, camera.width)
        bottom = min(int(np.ceil(px[:, 1].max())) + 1, camera.height)
        window = np.s_[top:bottom, left:right]
        rays = np.zeros((bottom - top, right - left, 6), dtype=np.float32)
        rays[..., 3:] = self.rays[window]
        ray_caster = make_ray_caster(in_camera, self.mesh.triangles)
        hits = ray_caster.cast_rays(o3d.core.Tensor(rays), nthreads=1)
        distance = hits["t_hit"].numpy()
        hit = np.isfinite(distance)
        triangle = hits["primitive_ids"].numpy()[hit].astype(np.int64)
        second, third = hits["primitive_uvs"].numpy()[hit].T
        weights = np.stack([1 - second - third, second, third], axis=-1)
        color = self.backdrop.copy()
        to_lens = np.ascontiguousarray(self.to_lens[window][hit].T)
        color[window][hit] = self._shade(posed, triangle, weights, to_lens, gaze, pose).T
        shape = (camera.height, camera.width)
        depth = np.full(shape, self.scene.wall_distance, dtype=np.float32)
        depth[window][hit] = distance[hit]
        return CleanFrame(color * np.float32(self.scene.exposure), depth)

    def _shade(
        self,
        posed: np.ndarray,
        triangle: np.ndarray,
        weights: np.ndarray,
        to_lens: np.ndarray,
        gaze: np.ndarray,
        pose: np.ndarray,
    ) -> Float[np.ndarray, "3 hits"]:
        """Compute the light reflected from each hit towards the lens, linear RGB.

        Args:
            posed: Vertices in room axes, mm.
            triangle: Index of the triangle of each hit.
            weights: Barycentric coordinates of each hit.
            to_lens: Unit vectors from the hits to the lens in room axes, (3, hits).
            gaze: Yaw and pitch of the eyes, degrees.
            pose: Pose of the head, see `apply_pose`.
        """
        texture, mesh = self.texture, self.mesh
        vertex_values = np.concatenate(
            [vertex_normals(posed, mesh.triangles), self.visibility, posed, mesh.cloth],
            axis=1,
            dtype=np.float32,
        )
        normal, visibility, point, cloth = np.split(
            _interpolate(vertex_values[mesh.triangles[triangle]], weights), (3, 6, 9)
        )
        column, row, inside = _interpolate(mesh.corners[triangle], weights)
        column = np.where(column > WIDTH - 1, column - WIDTH, column)
        albedo, (gloss,) = np.split(_look_up(texture.painted, column, row), (3,))
        slope = _look_up(texture.slope, column, row)
        part = mesh.part[triangle]
        shirt = np.clip(cloth[0] / 2, 0, 1)
        for share, colour in ((shirt, to_linear(self.identity.cloth)), (inside, _MOUTH)):
            covered = np.flatnonzero(share > 0)
            albedo[:, covered] += share[covered] * (colour[:, None] - albedo[:, covered])
        slope *= 1 - shirt
        gloss = gloss * (1 - shirt) * (1 - 0.5 * inside)
        albedo[:, np.isin(part, _TEETH)] = np.array([[0.62], [0.58], [0.48]])
        albedo[:, part == _TONGUE] = np.array([[0.35], [0.10], [0.09]])

        # The relief of the skin tilts the normal around and along the cylinder of the skin map.
        angle = (column / WIDTH - 0.5) * np.float32(2 * np.pi)
        normal[0] -= slope[0] * np.cos(angle)
        normal[1] -= slope[1]
        normal[2] += slope[0] * np.sin(angle)
        wet = np.zeros(len(part), dtype=bool)
        for number, centre in self.eyes.items():
            eye = np.flatnonzero(part == number)
            if len(eye):
                wet[eye] = True
                from_centre = point[:, eye].T - _apply_rigid_pose(centre, pose)
                colour, eye_normal = paint_eye(from_centre, gaze, pose, self.identity.iris)
                albedo[:, eye], normal[:, eye] = colour.T, eye_normal.T
        return illuminate(Surface(albedo, gloss, normal, wet, visibility), to_lens, self.scene)


def _apply_rigid_pose(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Rotate points of the head about the neck and translate them, mm in room axes."""
    return (points - NECK) @ rotate(*pose[:3]).T + NECK + pose[3:]


def _interpolate(corners: np.ndarray, weights: np.ndarray) -> Float[np.ndarray, "values hits"]:
    """Interpolate values at the hits from the corners of their triangles, (hits, 3, values)."""
    return np.ascontiguousarray(np.einsum("hc,hcf->hf", weights, corners).T)


def _look_up(image: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Interpolate an image bilinearly at texels given as flat arrays, to (channels, texels)."""
    import cv2

    width = 512  # the texels are folded into rows, because OpenCV limits a side to 32,767
    rows = -(-len(column) // width)
    padded = np.zeros((2, rows * width), dtype=np.float32)
    padded[0, : len(column)], padded[1, : len(row)] = column, row
    x, y = padded.reshape(2, rows, width)
    values = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(values.reshape(rows * width, -1)[: len(column)].T)

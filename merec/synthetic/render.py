"""One subject in front of the camera: colour and depth of any face shape."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from merec.open3d_import import load_open3d
from merec.seeding import derive_seed
from merec.synthetic.head_model import PARTS, HeadModel
from merec.synthetic.identity import Identity
from merec.synthetic.mesh import build_mesh, vertex_normals
from merec.synthetic.ray_casting import make_scene
from merec.synthetic.shading import Surface, illuminate, paint_eye
from merec.synthetic.skin_map import WIDTH, SkinMap, locate_texels
from merec.synthetic.studio import Studio, rotate
from merec.synthetic.texture import Texture, paint, to_linear
from merec.types import Camera

NECK = np.array([0.0, -95.0, -75.0])  # mm from the eyes: the head turns about this point
_LEFT_EYE, _RIGHT_EYE = list(PARTS).index("left eye"), list(PARTS).index("right eye")
_TEETH = [list(PARTS).index(part) for part in ("upper teeth", "lower teeth")]
_TONGUE = list(PARTS).index("tongue")
_MOUTH = np.array([0.16, 0.03, 0.03], dtype=np.float32)


@dataclass(frozen=True)
class Shot:
    """What the lens sees, without sensor noise.

    Attributes:
        color: Linear RGB.
        depth: Distance along the optical axis, mm.
    """

    color: Float[np.ndarray, "height width 3"]
    depth: Float[np.ndarray, "height width"]


class Portrait:
    """A subject ready to be filmed: all that does not change from frame to frame.

    Args:
        identity: Who.
        studio: Camera place and lamps.
        camera: Intrinsics and size.
        head: The head model.
        skin_map: Its cylinder.
        seed: Seed of the corpus.
    """

    def __init__(
        self,
        identity: Identity,
        studio: Studio,
        camera: Camera,
        head: HeadModel,
        skin_map: SkinMap,
        seed: int,
    ):
        self.identity, self.studio, self.camera = identity, studio, camera
        self.head = head
        lashes = locate_texels(head.vertices[head.lashes])
        self.texture: Texture = paint(identity, skin_map, lashes, seed)
        self.mesh = build_mesh(identity, head, skin_map, self.texture.hair)
        self.rest = self.mesh.rest
        self.eyes = {
            part: self.rest[head.vertices_of(name)].mean(axis=0)
            for part, name in ((_LEFT_EYE, "left eye"), (_RIGHT_EYE, "right eye"))
        }
        self.light = self._bake_light()
        self.backdrop = self._paint_wall(seed)
        across, down = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        column, row = (across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy
        self.way = np.stack([column, row, np.ones(across.shape)], axis=-1).astype(np.float32)
        towards = -self.way @ studio.rotation.astype(np.float32)  # the lens, in the room's axes
        self.view = towards / np.linalg.norm(towards, axis=-1, keepdims=True)

    def _bake_light(self) -> np.ndarray:
        """Ambient occlusion and each lamp's soft shadow at every vertex of the face at rest, 0 to 1."""
        o3d = load_open3d()
        rng = np.random.default_rng(0)  # of directions; the same for all subjects
        scene = make_scene(self.rest, self.mesh.triangles)
        normal = vertex_normals(self.rest, self.mesh.triangles)
        start = self.rest + 0.6 * normal
        fans = [(normal, 1.0, 64)] + [(lamp[None], 0.16, 24) for lamp in self.studio.lamps]
        found = []
        for towards, spread, count in fans:
            ball = rng.standard_normal((count, 3))
            ball /= np.linalg.norm(ball, axis=1, keepdims=True)
            way = towards[:, None] + spread * ball[None]  # cosine-weighted where spread is 1
            way = np.broadcast_to(way, (len(start), count, 3))
            rays = np.concatenate([np.broadcast_to(start[:, None], way.shape), way], axis=-1)
            hidden = scene.test_occlusions(
                o3d.core.Tensor(rays.astype(np.float32)), tfar=200.0, nthreads=1
            )
            found.append(1 - hidden.numpy().mean(axis=1))
        return np.stack(found, axis=1).astype(np.float32)

    def _paint_wall(self, seed: int) -> np.ndarray:
        """A plain wall with a soft gradient."""
        import cv2

        camera = self.camera
        rng = np.random.default_rng(derive_seed(seed, "wall", self.identity.name))
        coarse = 1 + 0.12 * rng.standard_normal((3, 4)).astype(np.float32)
        shade = cv2.resize(coarse, (camera.width, camera.height), interpolation=cv2.INTER_CUBIC)
        return (self.studio.wall * shade[..., None]).astype(np.float32)

    def place(self, vertices: np.ndarray, pose: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
        """The face in the room's axes (those of the head at rest), mm.

        Args:
            vertices: Shape of the face, mm from the midpoint of the eyes.
            pose: Yaw, pitch, roll in degrees, translation in mm.
        """
        turned = (vertices - NECK) @ rotate(*pose[:3]).T + NECK + pose[3:]
        return vertices + self.mesh.follows * (turned - vertices)

    def to_camera(self, placed: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
        """From the room's axes to the camera's, mm."""
        return placed @ self.studio.rotation.T + self.studio.position

    def project(self, points: np.ndarray) -> Float[np.ndarray, "points 2"]:
        """Points in the camera's axes as px; the centre of the first pixel is (0, 0)."""
        camera = self.camera
        return points[:, :2] / points[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)

    def shoot(self, vertices: np.ndarray, pose: np.ndarray, gaze: np.ndarray) -> Shot:
        """Colour and depth of one frame.

        Args:
            vertices: Shape of the face, mm from the midpoint of the eyes.
            pose: Yaw, pitch, roll in degrees, translation in mm.
            gaze: Yaw and pitch of the eyes in degrees.
        """
        o3d = load_open3d()
        camera = self.camera
        placed = self.place(vertices, pose)
        seen = self.to_camera(placed)
        px = self.project(seen)
        left, top = np.floor(px.min(axis=0)).astype(int).clip(0)
        right = min(int(np.ceil(px[:, 0].max())) + 1, camera.width)
        bottom = min(int(np.ceil(px[:, 1].max())) + 1, camera.height)
        window = np.s_[top:bottom, left:right]
        rays = np.zeros((bottom - top, right - left, 6), dtype=np.float32)
        rays[..., 3:] = self.way[window]
        hits = make_scene(seen, self.mesh.triangles).cast_rays(o3d.core.Tensor(rays), nthreads=1)
        distance = hits["t_hit"].numpy()
        hit = np.isfinite(distance)
        triangle = hits["primitive_ids"].numpy()[hit].astype(np.int64)
        second, third = hits["primitive_uvs"].numpy()[hit].T
        weights = np.stack([1 - second - third, second, third], axis=-1)
        color = self.backdrop.copy()
        view = np.ascontiguousarray(self.view[window][hit].T)
        color[window][hit] = self._shade(placed, triangle, weights, view, gaze, pose).T
        shape = (camera.height, camera.width)
        depth = np.full(shape, self.studio.wall_distance, dtype=np.float32)
        depth[window][hit] = distance[hit]
        return Shot(color * np.float32(self.studio.exposure), depth)

    def _shade(
        self,
        placed: np.ndarray,
        triangle: np.ndarray,
        weights: np.ndarray,
        view: np.ndarray,
        gaze: np.ndarray,
        pose: np.ndarray,
    ) -> Float[np.ndarray, "3 hits"]:
        """Light that comes from each hit, linear RGB."""
        texture, mesh = self.texture, self.mesh
        known = np.concatenate(
            [vertex_normals(placed, mesh.triangles), self.light, placed, mesh.cloth],
            axis=1,
            dtype=np.float32,
        )
        normal, light, point, cloth = np.split(
            _interpolate(known[mesh.triangles[triangle]], weights), (3, 6, 9)
        )
        column, row, inside = _interpolate(mesh.corners[triangle], weights)
        column = np.where(column > WIDTH - 1, column - WIDTH, column)
        albedo, (gloss,) = np.split(_look_up(texture.painted, column, row), (3,))
        slope = _look_up(texture.slope, column, row)
        part = mesh.part[triangle]
        shirt = np.clip(cloth[0] / 2, 0, 1)
        for share, colour in ((shirt, to_linear(self.identity.cloth)), (inside, _MOUTH)):
            on = np.flatnonzero(share > 0)
            albedo[:, on] += share[on] * (colour[:, None] - albedo[:, on])
        slope *= 1 - shirt
        gloss = gloss * (1 - shirt) * (1 - 0.5 * inside)
        albedo[:, np.isin(part, _TEETH)] = np.array([[0.62], [0.58], [0.48]])
        albedo[:, part == _TONGUE] = np.array([[0.35], [0.10], [0.09]])

        # Relief tilts the normal along the cylinder's two directions.
        angle = (column / WIDTH - 0.5) * np.float32(2 * np.pi)
        normal[0] -= slope[0] * np.cos(angle)
        normal[1] -= slope[1]
        normal[2] += slope[0] * np.sin(angle)
        wet = np.zeros(len(part), dtype=bool)
        for number, centre in self.eyes.items():
            on = np.flatnonzero(part == number)
            if len(on):
                wet[on] = True
                out = point[:, on].T - self.place_point(centre, pose)
                colour, out = paint_eye(out, gaze, pose, self.identity.iris)
                albedo[:, on], normal[:, on] = colour.T, out.T
        return illuminate(Surface(albedo, gloss, normal, wet, light), view, self.studio)

    def place_point(self, point: np.ndarray, pose: np.ndarray) -> np.ndarray:
        """A point of the head in the room's axes, mm."""
        return (point - NECK) @ rotate(*pose[:3]).T + NECK + pose[3:]


def _interpolate(corners: np.ndarray, weights: np.ndarray) -> Float[np.ndarray, "values hits"]:
    """Values at the hits from those at the corners of their triangles, (hits, 3, values)."""
    return np.ascontiguousarray(np.einsum("hc,hcf->hf", weights, corners).T)


def _look_up(image: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Bilinear values of an image at flat lists of texels, shape (channels, texels)."""
    import cv2

    wide = 512  # OpenCV takes no list longer than 32,767
    rows = -(-len(column) // wide)
    padded = np.zeros((2, rows * wide), dtype=np.float32)
    padded[0, : len(column)], padded[1, : len(row)] = column, row
    x, y = padded.reshape(2, rows, wide)
    found = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(found.reshape(rows * wide, -1)[: len(column)].T)

"""One subject in front of the camera: colour and depth of any face shape."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from merec.corpora.synthetic.hair import hang_hair
from merec.corpora.synthetic.head_model import PARTS, HeadModel
from merec.corpora.synthetic.identity import Identity
from merec.corpora.synthetic.skin_map import BOTTOM, HEIGHT, TOP, WIDTH, SkinMap
from merec.corpora.synthetic.studio import Studio, rotate
from merec.corpora.synthetic.texture import Texture, paint, to_linear
from merec.open3d_import import load_open3d
from merec.seeding import derive_seed
from merec.types import Camera

NECK = np.array([0.0, -95.0, -75.0])  # mm from the eyes: the head turns about this point
_LEFT_EYE, _RIGHT_EYE = list(PARTS).index("left eye"), list(PARTS).index("right eye")
_TEETH = [list(PARTS).index(part) for part in ("upper teeth", "lower teeth")]
_TONGUE = list(PARTS).index("tongue")
_LONG_HAIR = len(PARTS)
# Skin lets light in: red reaches furthest beyond the terminator.
_SOFTNESS = np.array([0.28, 0.12, 0.08], dtype=np.float32)
_DIFFUSE = (1.6 / np.pi / (1 + _SOFTNESS)).astype(np.float32)
_MOUTH = np.array([0.16, 0.03, 0.03], dtype=np.float32)
_SCLERA = np.array([0.60, 0.55, 0.52])


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
        self.head, self.skin_map = head, skin_map
        lashes = skin_map_texels(head.vertices[head.lashes])
        self.texture: Texture = paint(identity, skin_map, lashes, seed)
        self.rest = self._add_hair(identity.neutral(head))
        self._build_mesh()
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
        self.view = _normalise(towards.reshape(-1, 3)).reshape(towards.shape)

    def _build_mesh(self) -> None:
        """The head's mesh, and behind it the sheet of long hair."""
        head, identity = self.head, self.identity
        eye = head.vertices[head.vertices_of("left eye", "right eye")].mean(axis=0)
        reference = head.vertices
        t = np.clip((reference[:, 1] - 580) / 50, 0, 1)
        follows = t * t * (3 - 2 * t)  # how much a vertex turns with the head
        # Over 0 there is cloth: below the collar, and on the shoulders.
        away = np.hypot(reference[:, 0], reference[:, 2] - 20)
        front = np.clip(reference[:, 2] / away.clip(1), 0, 1)
        collar = 556 - 22 * front**4 - reference[:, 1]
        cloth = np.where(reference[:, 1] < 600, np.maximum(collar, away - 88), collar)
        self.triangles, self.part = head.triangles, head.part
        inside = self.skin_map.inside[..., None]
        self.corners = np.concatenate([self.skin_map.corners, inside], axis=2)  # column, row, mouth
        if identity.length:
            hair, sheet, texels = hang_hair(
                self.rest, head.triangles, eye[2], identity.volume, identity.length, identity.name
            )
            self.triangles = np.concatenate([self.triangles, sheet + len(self.rest)])
            self.part = np.concatenate([self.part, np.full(len(sheet), _LONG_HAIR)])
            texels = np.pad(texels, ((0, 0), (0, 0), (0, 1)))
            self.corners = np.concatenate([self.corners, texels])
            self.rest = np.concatenate([self.rest, hair])
            follows = np.concatenate([follows, np.ones(len(hair))])
            cloth = np.concatenate([cloth, np.full(len(hair), -99.0)])
        self.follows, self.cloth = follows[:, None], cloth[:, None]

    def _add_hair(self, rest: np.ndarray) -> np.ndarray:
        """Lift the scalp by the thickness of the hair."""
        texels = skin_map_texels(self.head.vertices)
        row = texels[:, 1].round().astype(int).clip(0, HEIGHT - 1)
        column = texels[:, 0].round().astype(int) % WIDTH
        import cv2

        soft = cv2.GaussianBlur(self.texture.hair, (0, 0), 14)[row, column]
        skin = np.isin(np.arange(len(rest)), self.head.vertices_of("skin"))
        high = self.head.vertices[:, 1] > 640
        share = np.where(skin & high, np.clip(soft * 1.6 - 0.6, 0, 1), 0)[:, None]
        return rest + self.identity.volume * share * vertex_normals(rest, self.head.triangles)

    def _bake_light(self) -> np.ndarray:
        """Ambient occlusion and each lamp's soft shadow at every vertex of the face at rest, 0 to 1."""
        o3d = load_open3d()
        rng = np.random.default_rng(0)  # of directions; the same for all subjects
        scene = self._scene(self.rest)
        normal = vertex_normals(self.rest, self.triangles)
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

    def _scene(self, vertices: np.ndarray) -> Any:
        o3d = load_open3d()
        scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        scene.add_triangles(
            o3d.core.Tensor(np.ascontiguousarray(vertices, dtype=np.float32)),
            o3d.core.Tensor(self.triangles.astype(np.uint32)),
        )
        return scene

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
        return vertices + self.follows * (turned - vertices)

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
        hits = self._scene(seen).cast_rays(o3d.core.Tensor(rays), nthreads=1)
        distance = hits["t_hit"].numpy()
        hit = np.isfinite(distance)
        triangle = hits["primitive_ids"].numpy()[hit].astype(np.int64)
        second, third = hits["primitive_uvs"].numpy()[hit].T
        weights = np.stack([1 - second - third, second, third], axis=-1)
        color = self.backdrop.copy()
        view = self.view[window][hit]
        color[window][hit] = self._shade(placed, triangle, weights, view, gaze, pose)
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
    ) -> Float[np.ndarray, "hits 3"]:
        """Light that comes from each hit, linear RGB."""
        texture, studio = self.texture, self.studio
        corner = self.triangles[triangle]
        known = np.concatenate(
            [vertex_normals(placed, self.triangles), self.light, placed, self.cloth],
            axis=1,
            dtype=np.float32,
        )
        found = np.einsum("hc,hcf->hf", weights, known[corner])
        normal, light, point = found[:, :3], found[:, 3:6], found[:, 6:9]
        place = np.einsum("hc,hcf->hf", weights, self.corners[triangle])
        column, row, inside = np.ascontiguousarray(place.T)
        column = np.where(column > WIDTH - 1, column - WIDTH, column)
        painted = _look_up(texture.painted, column, row)
        albedo, gloss = painted[:, :3], painted[:, 3]
        slope = _look_up(texture.slope, column, row)
        part = self.part[triangle]
        shirt = np.clip(found[:, 9:] / 2, 0, 1)
        for share, colour in ((shirt[:, 0], to_linear(self.identity.cloth)), (inside, _MOUTH)):
            on = np.flatnonzero(share > 0)
            albedo[on] += share[on, None] * (colour - albedo[on])
        slope *= 1 - shirt
        gloss *= (1 - shirt[:, 0]) * (1 - 0.5 * inside)
        albedo[np.isin(part, _TEETH)] = (0.62, 0.58, 0.48)
        albedo[part == _TONGUE] = (0.35, 0.10, 0.09)

        # Relief tilts the normal along the cylinder's two directions.
        angle = (column / WIDTH - 0.5) * np.float32(2 * np.pi)
        normal[:, 0] -= slope[:, 0] * np.cos(angle)
        normal[:, 1] -= slope[:, 1]
        normal[:, 2] += slope[:, 0] * np.sin(angle)
        wet = np.zeros(len(part), dtype=bool)
        for number, centre in self.eyes.items():
            on = np.flatnonzero(part == number)
            if len(on):
                wet[on] = True
                albedo[on], normal[on] = self._paint_eye(centre, point[on], gaze, pose)
        normal = _normalise(normal)
        up = 0.5 + 0.5 * normal[:, 1:2]
        above, below = studio.ambient.astype(np.float32)
        total = albedo * (below + (above - below) * up) * light[:, :1]
        for number, (lamp, colour) in enumerate(zip(studio.lamps, studio.colours, strict=True)):
            lamp, colour = lamp.astype(np.float32), colour.astype(np.float32)
            cosine = normal @ lamp
            diffuse = (cosine[:, None] + _SOFTNESS) * _DIFFUSE
            half = _normalise(view + lamp)
            shine = np.einsum("hc,hc->h", normal, half).clip(0, 1)
            highlight = 0.055 * gloss * shine**26
            highlight[wet] = 2.2 * shine[wet] ** 900
            highlight *= cosine > 0
            seen = light[:, 1 + number : 2 + number]
            total += colour * seen * (albedo * diffuse.clip(0) + highlight[:, None])
        return total

    def _paint_eye(
        self, centre: np.ndarray, point: np.ndarray, gaze: np.ndarray, pose: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sclera, iris and pupil by the angle to the gaze, and the normal of the sphere."""
        turn = rotate(*pose[:3])
        out = point - self.place_point(centre, pose)
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        axis = turn @ rotate(gaze[0], gaze[1], 0) @ np.array([0, 0.0, 1.0])
        off = np.rad2deg(np.arccos(np.clip(out @ axis, -1, 1)))
        around = np.arctan2(*(out @ turn)[:, [1, 0]].T)
        rays = 1 + 0.22 * np.sin(around * 23 + 2 * np.sin(around * 7)) + 0.15 * np.sin(around * 61)
        ring = np.clip((off - 19) / 5, 0, 1)
        iris = to_linear(self.identity.iris)
        tint = iris * (rays * (1.35 - 0.9 * ring))[:, None] + 0.25 * iris * (off < 13)[:, None]
        white = _SCLERA * (1 - 0.20 * np.clip((off - 30) / 35, 0, 1))[:, None]
        edge = np.clip((off - 23.5) / 2.2, 0, 1)[:, None]
        pupil = np.clip((off - 8.0) / 1.5, 0, 1)[:, None]
        return (tint * pupil + 0.004 * (1 - pupil)) * (1 - edge) + white * edge, out

    def place_point(self, point: np.ndarray, pose: np.ndarray) -> np.ndarray:
        """A point of the head in the room's axes, mm."""
        return (point - NECK) @ rotate(*pose[:3]).T + NECK + pose[3:]


def _normalise(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors; einsum is three times as fast as `np.linalg.norm` on rows of three."""
    return vectors / np.sqrt(np.einsum("hc,hc->h", vectors, vectors))[:, None]


def _look_up(image: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Bilinear values of an image at flat lists of texels, shape (texels, channels)."""
    import cv2

    wide = 512  # OpenCV takes no list longer than 32,767
    rows = -(-len(column) // wide)
    padded = np.zeros((2, rows * wide), dtype=np.float32)
    padded[0, : len(column)], padded[1, : len(row)] = column, row
    x, y = padded.reshape(2, rows, wide)
    found = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(rows * wide, -1)[: len(column)]


def skin_map_texels(reference: np.ndarray) -> Float[np.ndarray, "points 2"]:
    """Texels (column, row) of points of the reference head."""
    from merec.corpora.synthetic.skin_map import AXIS

    column = (np.arctan2(reference[:, 0], reference[:, 2] - AXIS) / (2 * np.pi) + 0.5) * WIDTH - 0.5
    row = (TOP - reference[:, 1]) / (TOP - BOTTOM) * HEIGHT - 0.5
    return np.stack([column, row], axis=-1)


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
    """Outward unit normals, each triangle weighted by its area."""
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

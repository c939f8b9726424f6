"""Stages of a sample before its representation: crops of onset and apex, their depth and their motion."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from merec.features.alignment import OUTER_CORNERS, Alignment, align_face
from merec.features.depth_change import measure_depth_change
from merec.features.faces import FaceFinder
from merec.features.frames import assert_unturned, decode_color, decode_depth, describe_size
from merec.features.head_motion import estimate_head_motion, remove_head_depth
from merec.features.landmarks import BLENDSHAPES
from merec.features.optical_flow import measure_flow
from merec.features.regions import draw_regions
from merec.features.settings import CropSettings, MotionSettings
from merec.features.structure import (
    OUTER_EYES,
    USUAL_EYES,
    is_mirrored,
    measure_outer_eyes,
    read_depth_at,
)
from merec.seeding import derive_seed
from merec.synthetic.sensor import add_depth_noise
from merec.types import Camera, InputError

RELIEF = 150  # mm before and behind the face's median depth; further off is no face
WIDE = 4  # times the largest believed depth change, before the head's is taken off


@dataclass(frozen=True)
class Pair:
    """Files of a sample.

    Attributes:
        sample_id: Its name.
        color: Colour frames of onset and apex.
        depth: Depth maps of onset and apex, or `None`.
        camera: Camera of the frames, or `None`.
        clip: Colour image and optional depth map of each frame of the clip; empty if no clip is requested.
    """

    sample_id: str
    color: tuple[Path, Path]
    depth: tuple[Path, Path] | None
    camera: Camera | None
    clip: tuple[tuple[Path, ...], ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of onset and apex, without duplicates."""
        return tuple(dict.fromkeys((*self.color, *(self.depth or ()))))

    @property
    def clip_files(self) -> tuple[Path, ...]:
        """Files of the clip, without duplicates."""
        return tuple(dict.fromkeys(file for frame in self.clip for file in frame))

    def add_noise(
        self, depth: Float[np.ndarray, "height width"], file: Path, noise: float | int
    ) -> Float[np.ndarray, "height width"]:
        """Add the noise of a camera to a depth map; the noise is a fixed function of the file.

        Args:
            depth: Depth of the file, mm.
            file: One of `depth` or of the clip.
            noise: Standard deviation at 550 mm, mm; 0 for none.
        """
        if not noise:
            return depth
        maps = [*dict.fromkeys([*(self.depth or ()), *(frame[-1] for frame in self.clip)])]
        seed = derive_seed("depth noise", self.sample_id, maps.index(file))
        return add_depth_noise(depth, noise, seed)


def make_crops(
    pair: Pair, settings: CropSettings, faces: FaceFinder, contents: Mapping[Path, bytes]
) -> dict[str, np.ndarray]:
    """Align both frames by the face of the onset.

    Args:
        pair: The files.
        settings: Size and margin.
        faces: Finds the face.
        contents: Contents of the files.

    Returns:
        `onset`, `apex` (size, size, 3) uint8; `frame` (2,), height and width, px; `matrix` (2, 3), frame px
        to crop px; `landmarks` (2, 478, 3), px of the crop; `blendshapes` (2, 52), in the order of
        `BLENDSHAPES`.

    Raises:
        InputError: If a frame cannot be read, is black or does not show exactly one face, or if sizes differ.
    """
    # Onset and apex may be one file, which is looked at once then.
    frames = {file: decode_color(contents[file], file) for file in dict.fromkeys(pair.color)}
    onset, apex = (frames[file] for file in pair.color)
    if onset.shape != apex.shape:
        raise InputError(
            f"{pair.color[1]} is {describe_size(apex)}, but its onset {describe_size(onset)}; copy the clip "
            "again from its source"
        )
    faces_by_file = {
        file: faces.find(file, contents[file], frame) for file, frame in frames.items()
    }
    face_pair = [faces_by_file[file] for file in pair.color]
    faces.assert_upright(pair.color[0], onset, face_pair[0])
    alignment = align_face(face_pair[0].points, settings.size, settings.margin)
    landmarks = [
        np.column_stack(
            [alignment.to_crop(face.points[:, :2]), alignment.scale * face.points[:, 2]]
        )
        for face in face_pair
    ]
    return {
        "onset": alignment.crop_color(onset),
        "apex": alignment.crop_color(apex),
        "frame": np.array(onset.shape[:2]),
        "matrix": alignment.matrix,
        "landmarks": np.stack(landmarks).astype(np.float32),
        "blendshapes": np.array(
            [[face.blendshapes[name] for name in BLENDSHAPES] for face in face_pair],
            dtype=np.float32,
        ),
    }


def make_depth(
    pair: Pair, crops: Mapping[str, np.ndarray], contents: Mapping[Path, bytes], noise: float | int
) -> dict[str, np.ndarray]:
    """Crop the depth of both frames in the same way as their colour.

    Args:
        pair: The files.
        crops: Crops of the colour, see `make_crops`.
        contents: Contents of the files.
        noise: Added to the depth of each frame: standard deviation at 550 mm, mm; 0 for none.

    Returns:
        `depth` (2, size, size) float32 mm, 0 = invalid; `eyes` (2, 3), the outer corners of the onset's eyes
        in px of the frame, with the face's median depth in mm.

    Raises:
        InputError: If there is no depth, or if it is not 16-bit, has another size than its colour image, is
            mirrored, or is missing in most of the face.
    """
    if pair.depth is None:
        raise _lacks_depth(pair.sample_id, "modality depth")
    for file in pair.color:
        assert_unturned(contents[file], file)
    height, width = crops["frame"].tolist()
    alignment = Alignment(crops["matrix"], crops["onset"].shape[0])
    onset_landmarks = crops["landmarks"][0].astype(np.float64)
    points = np.column_stack([alignment.to_frame(onset_landmarks[:, :2]), onset_landmarks[:, 2]])
    depths, eyes = {}, np.zeros((2, 3))
    for file in dict.fromkeys(pair.depth):
        depth = decode_depth(contents[file], file, (height, width))
        depth = pair.add_noise(depth, file, noise)
        crop, valid = alignment.crop_depth(depth)
        share = float(valid.mean())
        if share < 0.5:
            raise InputError(
                f"{file} has depth in {share:.0%} of the face only; copy it again, or take datamodule=rgb"
            )
        if file == pair.depth[0]:
            if is_mirrored(points, depth):
                raise InputError(
                    f"{file} fits its colour better if it is mirrored; expected depth px by px: mirror the "
                    "depth maps and export them again, or take datamodule=rgb"
                )
            usual = np.nanmedian(read_depth_at(points, depth))
            eyes = np.column_stack([points[list(OUTER_CORNERS), :2], (usual, usual)])
        depths[file] = crop
    maps = np.stack([depths[file] for file in pair.depth])
    return {"depth": maps, "eyes": eyes}


def assert_true_size(pair: Pair, made: Mapping[str, np.ndarray], frame: np.ndarray) -> None:
    """Refuse depth that implies an impossible face size, if the camera is known.

    Args:
        pair: The files, and the camera.
        made: Arrays of `make_depth`.
        frame: Height and width of the frames, px.

    Raises:
        InputError: If the outer corners of the eyes are too near or too far from each other.
    """
    camera = pair.camera
    if camera is None or pair.depth is None or not np.isfinite(camera).all():
        return
    if [camera.height, camera.width] != frame.tolist():  # its makers say so
        return
    apart = measure_outer_eyes(made["eyes"].astype(np.float64), camera)
    low, high = OUTER_EYES
    if not low <= apart <= high:
        raise InputError(
            f"{pair.depth[0]} makes the outer corners of the eyes {apart:.0f} mm apart, expected "
            f"{low:.0f} to {high:.0f}; its unit looks like {USUAL_EYES / apart:.2g} mm: export depth in mm, "
            "or set corpus.intrinsics to the camera of these frames"
        )


def make_motion(crops: Mapping[str, np.ndarray], settings: MotionSettings) -> dict[str, np.ndarray]:
    """Measure the motion between the crops.

    Returns:
        `flow` (size, size, 2) px, without head motion if so set; `head` (size, size, 2) px, head motion;
        `shift` (1,), its mean length in px; `face` (size, size) bool; `regions` (8, size, size) bool; with
        depth `dz` (size, size) mm, without head motion, and `has_depth` (size, size) bool.
    """
    size = crops["onset"].shape[0]
    flow = measure_flow(crops["onset"], crops["apex"], settings.flow)
    masks = draw_regions(crops["landmarks"][0], size, settings.blinks)
    relief = None
    if "depth" in crops:
        before, after = crops["depth"].astype(np.float32)
        has_depth = before > 0
        usual = np.median(before[masks.face & has_depth]) if (masks.face & has_depth).any() else 0.0
        relief = np.where(has_depth & (np.abs(before - usual) < RELIEF), before, usual)
    head = estimate_head_motion(flow, masks.rigid, relief)
    made = {
        "flow": (flow - head.flow if settings.head else flow).astype(np.float16),
        "head": head.flow.astype(np.float16),
        "shift": np.array([head.shift], dtype=np.float32),
        "face": masks.face,
        "regions": masks.regions,
    }
    if "depth" in crops:
        # A head that comes closer takes all skin with it, which is no measuring error.
        most = settings.most_depth * (WIDE if settings.head else 1)
        change, valid = measure_depth_change(before, after, has_depth, flow, most)
        if settings.head:
            change = remove_head_depth(change, valid, masks.rigid)
            valid &= np.abs(change) <= settings.most_depth
        made["dz"] = np.where(valid, change, 0).astype(np.float16)
        made["known"] = valid
    return made


def require_depth(pair: Pair, crops: Mapping[str, np.ndarray], needing: str) -> None:
    """Refuse a sample without depth.

    Args:
        pair: The files.
        crops: Arrays of `make_crops`, and of `make_depth` if there is depth.
        needing: Name of the feature that needs depth, for the message.

    Raises:
        InputError: If there is none.
    """
    if "depth" not in crops:
        raise _lacks_depth(pair.sample_id, needing)


def _lacks_depth(sample_id: str, needing: str) -> InputError:
    return InputError(
        f"sample {sample_id} has no depth, which {needing} needs; take datamodule=rgb, or "
        "features.depth=true where depth maps lie beside the frames"
    )

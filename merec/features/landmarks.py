"""Face landmarks: MediaPipe's 478 landmarks and 52 blendshapes."""

import contextlib
import math
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from merec.assets import find_asset
from merec.features.alignment import measure_roll

PADDING = 0.25  # of the image's height and width, on each side
_LEAST_TILE = 240  # px; a tile shows faces of a tenth of its side, and smaller ones are of no use
_TILE_STEP = 2 / 3  # of its side, so that a face of a third of it is whole in some tile
_AROUND = 3.0  # times its extent: the square in which a face found in a tile is looked at again
_TURNED = 256  # px of the crop that is turned
_STDERR = threading.Lock()
_SIDED = (
    *(
        "browDown",
        "browOuterUp",
        "cheekSquint",
        "eyeBlink",
        "eyeLookDown",
        "eyeLookIn",
        "eyeLookOut",
    ),
    *(
        "eyeLookUp",
        "eyeSquint",
        "eyeWide",
        "mouthDimple",
        "mouthFrown",
        "mouthLowerDown",
        "mouthPress",
    ),
    *("mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer"),
)
_SINGLE = (
    *("_neutral", "browInnerUp", "cheekPuff", "jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthFunnel", "mouthLeft", "mouthPucker", "mouthRight", "mouthRollLower"),
    *("mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
)
# By the alphabet, as arrays of their scores are ordered.
BLENDSHAPES = tuple(
    sorted((*_SINGLE, *(name + side for name in _SIDED for side in ("Left", "Right"))))
)


@dataclass(frozen=True)
class FaceLandmarks:
    """Face that was detected in one image.

    Attributes:
        points: x, y in px of the image (the first pixel's centre is 0, 0; a point may lie outside), and z
            in about the same scale, smaller towards the camera, relative to the head's centre.
        blendshapes: Score in 0..1 of each ARKit face unit by name, e.g. `jawOpen`; auxiliary only, they do
            not follow a micro-expression.
        transformation: Pose of the canonical face (cm) before a camera of 63° vertical field of view. Where
            the image had to be padded, the camera is that of the padded image.
        other_faces: Number of further faces in the image that are at least half as wide.
    """

    points: Float[np.ndarray, "478 3"]
    blendshapes: dict[str, float]
    transformation: Float[np.ndarray, "4 4"]
    other_faces: int = 0


class FaceLandmarker:
    """Face detector for single images; not thread-safe.

    Close it after use, or use it in a `with` block.

    Raises:
        InputError: If the model is not available (see `find_asset`).
    """

    def __init__(self) -> None:
        model = find_asset("face_landmarker")
        from mediapipe.tasks.python import vision
        from mediapipe.tasks.python.core.base_options import BaseOptions

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=vision.RunningMode.IMAGE,
            num_faces=2,  # a second one is a reason to look at the frame
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        with _silence():
            self._landmarker = vision.FaceLandmarker.create_from_options(options)

    def __enter__(self) -> "FaceLandmarker":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the model."""
        self._landmarker.close()

    def find(self, image: np.ndarray) -> FaceLandmarks | None:
        """Find the face in an image; `None` if there is none.

        If no face is found, the image is padded by a quarter and searched again, since the detector misses
        some faces that fill the image (2 of 442 tightly cropped faces, which are found after padding). Then
        overlapping tiles are searched, since the detector misses faces narrower than a tenth of the image.

        Args:
            image: RGB, uint8 of shape (height, width, 3).

        Raises:
            ValueError: If the image has another type or shape.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                f"an image of {image.dtype} and shape {image.shape}; expected RGB of uint8 and shape "
                "(height, width, 3): convert it first"
            )
        face = self._find(image, 0, 0)
        if face is None:
            rows, columns = (round(PADDING * size) for size in image.shape[:2])
            # Black, as the detector itself fills up an image to a square.
            padded = np.pad(image, ((rows, rows), (columns, columns), (0, 0)))
            face = self._find(padded, rows, columns)
        return self._find_in_tiles(image) if face is None else face

    def is_upside_down(self, image: np.ndarray, face: FaceLandmarks | None = None) -> bool:
        """Return whether a face is upside down; its landmarks are then upright and wrong.

        The image is rotated by 90° in both directions, where landmarks are right for both orientations (mean
        error below .05 of the distance between the eyes). None of 720 upright rendered faces is classified as
        upside down (one with a single rotation), and 52 of 60 faces that are upside down.

        Args:
            image: Image as `find` takes it.
            face: Face found in it; `None` to look at the whole image.
        """
        import cv2

        if face is not None:
            flat = face.points[:, :2]
            low, high = flat.min(axis=0), flat.max(axis=0)
            scale = _TURNED / float(2 * (high - low).max())
            shift = _TURNED / 2 - scale * (low + high) / 2
            matrix = np.column_stack([scale * np.eye(2), shift])
            image = cv2.warpAffine(image, matrix, (_TURNED, _TURNED), flags=cv2.INTER_LINEAR)
        # Both quarters must say so; the roll of an upright face is -90° turned anticlockwise, else 90°.
        for quarter in (1, -1):
            turned = self._find(np.rot90(image, quarter), 0, 0)
            if turned is None or quarter * measure_roll(turned.points) <= 45:
                return False
        return True

    def _find_in_tiles(self, image: np.ndarray) -> FaceLandmarks | None:
        """Find the face in squares of half the image's longer side, then of a quarter, and so on."""
        side = max(image.shape[:2]) // 2
        while side >= _LEAST_TILE:
            faces = []
            for top in _spread(image.shape[0], side):
                for left in _spread(image.shape[1], side):
                    face = self._find(image[top : top + side, left : left + side], -top, -left)
                    faces += [] if face is None else [face]
            if faces:
                return self._look_again(image, faces)
            side //= 2
        return None

    def _look_again(self, image: np.ndarray, faces: list[FaceLandmarks]) -> FaceLandmarks:
        """Find the largest of the faces in tiles again, in a square around it that no tile's border cuts."""
        spans = [(face.points[:, :2].min(axis=0), face.points[:, :2].max(axis=0)) for face in faces]
        sizes = [float((high - low).max()) for low, high in spans]
        main = int(np.argmax(sizes))
        centres = [(low + high) / 2 for low, high in spans]
        apart = [centres[main]]  # one face is found in several tiles
        for centre, size in zip(centres, sizes, strict=True):
            far = all(np.abs(centre - other).max() > sizes[main] / 2 for other in apart)
            apart += [centre] if far and size >= sizes[main] / 2 else []
        half = _AROUND * sizes[main] / 2
        (left, top), (right, bottom) = (
            (centres[main] + sign * half).round().astype(int).clip(0, image.shape[1::-1])
            for sign in (-1, 1)
        )
        again = self._find(image[top:bottom, left:right], -int(top), -int(left)) or faces[main]
        return replace(again, other_faces=max(again.other_faces, len(apart) - 1))

    def _find(self, image: np.ndarray, top: int, left: int) -> FaceLandmarks | None:
        """Find the face in an image whose pixel (0, 0) is pixel (-top, -left) of the original image."""
        import mediapipe

        pixels = mediapipe.Image(
            image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )
        detection = self._landmarker.detect(pixels)
        if not detection.face_landmarks:
            return None
        height, width = image.shape[:2]
        faces = [
            np.array([(point.x, point.y, point.z) for point in face])
            for face in detection.face_landmarks
        ]
        widths = [float(np.ptp(face[:, 0])) for face in faces]
        main = int(np.argmax(widths))
        # MediaPipe counts from the first pixel's corner.
        points = faces[main] * (width, height, width) - (left + 0.5, top + 0.5, 0)
        return FaceLandmarks(
            points,
            {shape.category_name: shape.score for shape in detection.face_blendshapes[main]},
            np.asarray(detection.facial_transformation_matrixes[main], np.float64),
            sum(other >= 0.5 * widths[main] for other in widths) - 1,
        )


def _spread(length: int, side: int) -> list[int]:
    """Return starts of tiles that cover a length evenly and overlap by at least a third of their side."""
    if length <= side:
        return [0]
    count = 1 + math.ceil((length - side) / (_TILE_STEP * side))
    return [round(start) for start in np.linspace(0, length - side, count)]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Discard the standard error of the process inside the `with` block.

    The C++ code of MediaPipe writes five lines about absl and TFLite each time and ignores the environment
    variables GLOG_minloglevel, TF_CPP_MIN_LOG_LEVEL and ABSL_MIN_LOG_LEVEL.
    """
    with _STDERR, Path(os.devnull).open("wb") as nowhere:
        sys.stderr.flush()
        screen = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(screen, 2)
            os.close(screen)

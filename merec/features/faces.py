"""Face of a frame: loaded from the store by a hash of the frame, or detected and stored."""

from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from merec.assets import ASSETS
from merec.features.frames import assert_upright, decode_color, find_face
from merec.features.landmarks import BLENDSHAPES, FaceLandmarker, FaceLandmarks
from merec.features.store import StopError, Store, hash_content, make_key
from merec.source_code import hash_sources
from merec.types import InputError

FACES = "faces"  # where they lie in the store
_MAKER = "merec.features.faces.FaceFinder"


class FaceFinder:
    """Face detector that processes each frame once, whatever the number of samples and settings that use it.

    The landmarker is opened for the first frame that is not in the store. Use it in a `with` block: MediaPipe
    prints errors for a landmarker that is open when Python exits.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._opened: FaceLandmarker | None = None

    def __enter__(self) -> "FaceFinder":
        return self

    def __exit__(self, *error: object) -> None:
        if self._opened:
            self._opened.close()

    def find(self, file: Path, content: bytes, frame: np.ndarray | None = None) -> FaceLandmarks:
        """Return the one face in a frame.

        Args:
            file: The frame's.
            content: Content of the file.
            frame: Decoded pixels, if available: RGB, uint8 of shape (height, width, 3).

        Raises:
            InputError: If the frame is damaged or black, or does not show exactly one face.
            StopError: If the model is not available, or the face cannot be stored.
        """
        key = make_key(
            FACES, hash_sources([_MAKER]).hash, identify_tools(), [hash_content(content)]
        )
        kept = self.store.load(FACES, key)
        if kept is not None:
            scores = dict(zip(BLENDSHAPES, kept["blendshapes"].tolist(), strict=True))
            return FaceLandmarks(kept["points"], scores, kept["transformation"])
        face = self._look(file, content, frame)
        arrays = {
            "points": face.points,
            "blendshapes": np.array([face.blendshapes[name] for name in BLENDSHAPES]),
            "transformation": face.transformation,
        }
        self.store.save(FACES, key, arrays)
        return face

    def assert_upright(self, file: Path, frame: np.ndarray, face: FaceLandmarks) -> None:
        """Refuse a face that is upside down.

        Args:
            file: The frame's.
            frame: Its pixels.
            face: Face found in it.

        Raises:
            InputError: If it is.
            StopError: If the model cannot be had.
        """
        assert_upright(self._open(), frame, face, str(file))

    def _look(self, file: Path, content: bytes, frame: np.ndarray | None) -> FaceLandmarks:
        frame = decode_color(content, file) if frame is None else frame
        return find_face(self._open(), frame, file)

    def _open(self) -> FaceLandmarker:
        if self._opened is None:
            try:
                self._opened = FaceLandmarker()
            except InputError as error:
                raise StopError(str(error)) from error
        return self._opened


@lru_cache(maxsize=1)
def identify_tools() -> dict[str, Any]:
    """Return the identity of the model and of the libraries that open images, which affect all stages."""
    tools = {name: version(name) for name in ("mediapipe", "opencv-contrib-python", "pillow")}
    return tools | {"model": ASSETS["face_landmarker"].sha256}

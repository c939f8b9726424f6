"""Read the manifest of a rendered corpus: its settings and whether rendering finished."""

import json
from pathlib import Path
from typing import Any

from merec.errors import InputError
from merec.synthetic.settings import RenderSettings

MANIFEST = "synthetic.json"


def read_key_frames(root: Path) -> tuple[str, ...]:
    """Return the names of the key frames if only these were rendered; empty if whole clips were."""
    manifest = _read_manifest(root)
    frames = manifest["settings"]["frames"] if manifest else "all"
    return {"key": ("onset", "apex", "offset"), "pair": ("onset", "apex")}.get(frames, ())


def is_finished(root: Path) -> bool:
    """Return whether `root` holds a completely rendered corpus."""
    manifest = _read_manifest(root)
    return bool(manifest and manifest.get("finished"))


def is_begun(root: Path, settings: RenderSettings) -> bool:
    """Return whether rendering of this corpus was begun in `root`.

    Raises:
        InputError: If `root` holds files of something else, or a corpus with other settings.
    """
    manifest = _read_manifest(root)
    if manifest is not None:
        stored = manifest.get("settings", {})
        current = settings.identify()
        changed = [
            "by another version of the renderer's code"
            if key == "code"
            else f"{key} was {stored.get(key)}, is {current.get(key)}"
            for key in sorted(stored.keys() | current.keys())
            if stored.get(key) != current.get(key)
        ]
        if changed:
            raise InputError(
                f"{root} holds a corpus rendered otherwise ({'; '.join(changed)}); give another root, or "
                "delete that folder first"
            )
        return True
    # A killed process may have left a partly written manifest.
    if root.exists() and (
        not root.is_dir() or any(".part" not in file.name for file in root.iterdir())
    ):
        raise InputError(
            f"{root} is no empty folder and holds no {MANIFEST}; give a root of its own, so that rendered "
            "and real faces never mix"
        )
    return False


def _read_manifest(root: Path) -> dict[str, Any] | None:
    file = root / MANIFEST
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not (isinstance(content, dict) and isinstance(content.get("settings"), dict)):
            raise ValueError("it holds no settings")
        return content
    except ValueError as error:
        raise InputError(
            f"{file} is damaged ({error}); delete {root} and render it again"
        ) from error

"""The manifest of a rendered corpus, which says what was rendered and whether to the end."""

import json
from pathlib import Path
from typing import Any

from merec.errors import InputError
from merec.synthetic.settings import Settings

MANIFEST = "synthetic.json"


def read_key_frames(root: Path) -> tuple[str, ...]:
    """Names of the frames that were rendered of each sample at least; none where all were."""
    manifest = _read_manifest(root)
    frames = manifest["settings"]["frames"] if manifest else "all"
    return {"key": ("onset", "apex", "offset"), "pair": ("onset", "apex")}.get(frames, ())


def is_finished(root: Path) -> bool:
    """Whether `root` holds a corpus that was rendered to its end."""
    manifest = _read_manifest(root)
    return bool(manifest and manifest.get("finished"))


def is_begun(root: Path, settings: Settings) -> bool:
    """Whether this corpus was begun in `root`; an error if something else lies there."""
    manifest = _read_manifest(root)
    if manifest is not None:
        before = manifest.get("settings", {})
        now = settings.identify()
        changed = [
            "by another version of the renderer's code"
            if key == "code"
            else f"{key} was {before.get(key)}, is {now.get(key)}"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key)
        ]
        if changed:
            raise InputError(
                f"{root} holds a corpus rendered otherwise ({'; '.join(changed)}); give another root, or "
                "delete that folder first"
            )
        return True
    # A run that was killed may have left the first file half-written.
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

"""Read a synthetic corpus, which is rendered into the cache on first use and read like CAS(ME)^3."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from merec.corpora.casme3 import read_casme3
from merec.errors import InputError
from merec.synthetic.manifest import MANIFEST, is_finished, read_key_frames
from merec.synthetic.settings import RenderSettings, locate_cached
from merec.synthetic.synthesize import synthesize
from merec.types import Corpus

log = logging.getLogger(__name__)


def read_synthetic(
    root: str | None,
    render: Mapping[str, Any],
    name: str,
    annotation: str,
    classes: int,
    class_maps: Mapping[int, Mapping[str, Sequence[str]]],
    emotions: Sequence[str],
    spellings: Mapping[str, str],
    expected: Mapping[str, Any] | None,
    exclude: Sequence[str],
    without: str | Sequence[str],
    layout: str,
    part_c_frames: str,
    unlabelled: str | None,
    intrinsics: Mapping[str, float | int] | str | None,
    fps: float | int,
    lenient: bool = False,
) -> Corpus:
    """Read a rendered corpus.

    `root` is the folder of a corpus rendered by `merec synthesize`, or None for the corpus in the cache,
    which is rendered on first use; `render` are the settings of the corpus in the cache, see
    `RenderSettings`. For all other arguments see `read_casme3`.

    Raises:
        InputError: If `root` holds no completely rendered corpus, or as raised by `synthesize` and
            `read_casme3`.
    """
    folder = _find_or_render(root, render)
    corpus = read_casme3(
        root=str(folder),
        name=name,
        annotation=annotation,
        classes=classes,
        class_maps=class_maps,
        emotions=emotions,
        spellings=spellings,
        expected=expected,
        exclude=exclude,
        without=without,
        layout=layout,
        part_c_frames=part_c_frames,
        unlabelled=unlabelled,
        intrinsics=intrinsics,
        fps=fps,
        lenient=lenient,
        choice="synthetic",
    )
    return replace(corpus, key_frames=read_key_frames(folder))


def _find_or_render(root: str | None, render: Mapping[str, Any]) -> Path:
    """Return the folder of a rendered corpus; render the one in the cache if it is missing."""
    if root is None:
        settings = RenderSettings(**render)
        folder = locate_cached(settings)
        if not is_finished(folder):
            log.info("rendering the synthetic corpus into %s, once", folder)
            synthesize(folder, settings, jobs=-1)
        return folder
    folder = Path(root).expanduser()
    if not is_finished(folder):
        content = "an unfinished corpus" if (folder / MANIFEST).exists() else "no rendered corpus"
        raise InputError(
            f"corpus.root={root} holds {content}; run merec synthesize root={root}, or leave "
            "corpus.root out for the corpus in the cache"
        )
    return folder

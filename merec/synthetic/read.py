"""`corpus=synthetic`: rendered on first use, then read like CAS(ME)^3."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from merec.corpora.casme3 import read_casme3
from merec.errors import InputError
from merec.synthetic.settings import Settings, locate_cached
from merec.synthetic.synthesize import (
    MANIFEST,
    is_finished,
    read_key_frames,
    synthesize,
)
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
    """Read a rendered corpus; without a root it is rendered into the cache when it is first wanted.

    Args:
        root: A corpus that `merec synthesize` rendered, or `None` for the cache.
        render: What is rendered into the cache, see `Settings`.
        name: Name of the data set, and so for all that follow: see `read_casme3`.
        annotation: As there.
        classes: As there.
        class_maps: As there.
        emotions: As there.
        spellings: As there.
        expected: As there.
        exclude: As there.
        without: As there.
        layout: As there.
        part_c_frames: As there.
        unlabelled: As there.
        intrinsics: As there.
        fps: As there.
        lenient: As there.

    Raises:
        InputError: If `root` holds no whole rendered corpus; else as `synthesize` and `read_casme3`.
    """
    if root is None:
        settings = Settings(**render)
        folder = locate_cached(settings)
        if not is_finished(folder):
            log.info("rendering the synthetic corpus into %s, once", folder)
            synthesize(folder, settings, jobs=-1)
    else:
        folder = Path(root).expanduser()
        if not is_finished(folder):
            found = "an unfinished corpus" if (folder / MANIFEST).exists() else "no rendered corpus"
            raise InputError(
                f"corpus.root={root} holds {found}; run merec synthesize root={root}, or leave "
                "corpus.root out for the one in the cache"
            )
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

"""Keys that a run logged, on record in its folder; a dashboard names no others."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from merec.run_folder.reading import expect


@dataclass(frozen=True)
class Keys:
    """Names under which something was logged.

    Attributes:
        config: Dotted names of settings, such as `task.freeze`.
        scores: One number or word a run, such as `smic/uf1`.
        curves: One number an epoch, such as `curves/train_loss_50`.
        tables: Tables, such as `predictions`.
        pictures: Pictures, such as `confusion`.
    """

    config: list[str] = field(default_factory=list)
    scores: list[str] = field(default_factory=list)
    curves: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Tracked:
    """Record of what a run told its logger.

    Attributes:
        logger: Class of the logger.
        project: W&B project; `None` for other loggers.
        entity: Owner of the project, if that is known.
        group: W&B group.
        local: Folder that `wandb sync` would upload, seen from the run folder; `None` if it was online.
        keys: Keys that can be shown.
    """

    logger: str
    project: str | None = None
    entity: str | None = None
    group: str | None = None
    local: str | None = None
    keys: Keys = field(default_factory=Keys)


def parse_tracked(text: str) -> Tracked:
    """Parse the record; of runs of an earlier merec the logger's name alone.

    Raises:
        ValueError: If it is damaged.
    """
    if re.fullmatch(r"\w+", text.strip()):
        return Tracked(text.strip())
    record = expect(json.loads(text), dict, "it", "entries by name")
    keys = expect(record.get("keys"), dict, "keys", "entries by name")
    for name, names in keys.items():
        for group in expect(names, list, f"keys.{name}", "a list of names"):
            expect(group, str, f"an entry of keys.{name}", "a name")
    expect(record.get("logger"), str, "logger", "a name")
    for name in ("project", "entity", "group", "local"):
        expect(record.get(name), (str, type(None)), name, "a text")
    return Tracked(**record | {"keys": Keys(**keys)})


def join_keys(records: Iterable[Keys]) -> Keys:
    """Join the names that any run logged, in the order of the first that did."""
    joined: dict[str, dict[str, None]] = {name: {} for name in asdict(Keys())}
    for record in records:
        for name, keys in asdict(record).items():
            joined[name] |= dict.fromkeys(keys)
    return Keys(**{name: list(keys) for name, keys in joined.items()})

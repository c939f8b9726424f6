"""Record of the keys that a run logged, which dashboards use."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from merec.run_folder.reading import expect


@dataclass(frozen=True)
class Keys:
    """Logged keys by kind.

    Attributes:
        config: Dotted names of settings, such as `task.freeze`.
        scores: Keys with one value per run, such as `smic/uf1`.
        curves: Keys with one value per epoch, such as `curves/train_loss_50`.
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
    """Record of the logging of a run.

    Attributes:
        logger: Class of the logger.
        project: W&B project; `None` for other loggers.
        entity: Owner of the project, if known.
        group: W&B group.
        local: Folder for `wandb sync`, relative to the run folder; `None` if the run was online.
        keys: Logged keys.
    """

    logger: str
    project: str | None = None
    entity: str | None = None
    group: str | None = None
    local: str | None = None
    keys: Keys = field(default_factory=Keys)


def parse_tracked(text: str) -> Tracked:
    """Parse the record; old runs recorded only the name of the logger.

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
    """Return the union of the logged keys of runs, in order of first occurrence."""
    joined: dict[str, dict[str, None]] = {name: {} for name in asdict(Keys())}
    for record in records:
        for name, keys in asdict(record).items():
            joined[name] |= dict.fromkeys(keys)
    return Keys(**{name: list(keys) for name, keys in joined.items()})

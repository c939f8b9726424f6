"""The typed root of every run, and a check that a config fits the code.

This module imports no torch, so that `merec train --help` and `--cfg job` answer at once.
"""

import hashlib
import inspect
import logging
import os
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from merec.config_groups import PluginSearchPath, check_choices, home, list_choices
from merec.errors import InputError, quote_error
from merec.override_errors import (
    complain,
    explain_key,
    explain_override,
    walk,
)
from merec.quoting import quote_texts
from merec.ranges import NOT_OF_A_TWIN, find_out_of_range
from merec.run_folder.reading import reading
from merec.run_folder.resolved_config import check_node
from merec.target_types import describe_wrong_kind
from merec.text_values import find_misread_texts
from merec.unused_overrides import find_ineffective

NEEDED = ("corpus", "features", "datamodule", "backbone", "recipe", "loss", "task", "trainer")
_NAMED = {  # examples of classes, by the key that names one
    "optimizer": "torch.optim.AdamW",
    "scheduler": "torch.optim.lr_scheduler.CosineAnnealingLR",
}


@dataclass
class Recipe:
    """What a backbone wants to be trained with; see `merec.tasks.Finetune`."""

    optimizer: Any = MISSING
    scheduler: Any = None
    class_balanced: float | bool = False
    pretrain: Any = None


@dataclass
class RunConfig:
    """Every top-level key of `merec train`. `Any` is a node whose `_target_` is its schema."""

    seed: int = 0
    fold: int | None = None
    folds: Any = None
    name: str = MISSING
    remark: str | None = None
    resume: str = "same"
    roots: dict[str, str] = field(default_factory=dict)  # where corpora lie, by name of the choice
    corpus: Any = MISSING
    features: Any = MISSING
    datamodule: Any = MISSING
    backbone: Any = MISSING
    recipe: Recipe = field(default_factory=Recipe)
    loss: Any = MISSING
    task: Any = MISSING
    callbacks: dict[str, Any] = field(default_factory=dict)
    trainer: Any = MISSING
    logger: Any = None


def _slug(text: str, most: int = 120) -> str:
    """Return a folder name for overrides: no slash, no space, no `=`; long ones end in a hash."""
    shares = re.sub(r"(?<=\d)/(?=\d)", "of", str(text))  # folds=1/4 is not folds=1-4
    clean = re.sub(r"[^\w.+-]+", "-", shares).strip(
        "-"
    )  # letters of any script, or notes would be one
    if len(clean.encode()) <= most:
        return clean
    short = clean.encode()[: most - 9].decode(errors="ignore")
    return f"{short}-{hashlib.sha256(str(text).encode()).hexdigest()[:8]}"


def register() -> None:
    """Tell Hydra of the schema, of plug-ins and of resolvers.

    `${slug:…}` makes a folder name, `${first:…}` takes the first value that is not null, and `${reads:…}`
    says which representation a backbone's class reads.
    """
    ConfigStore.instance().store(name="schema", node=RunConfig)
    OmegaConf.register_new_resolver("slug", _slug, replace=True)
    OmegaConf.register_new_resolver("first", _find_first, replace=True)
    OmegaConf.register_new_resolver("reads", _find_representation, replace=True)
    Plugins.instance().register(PluginSearchPath)
    # It would print what is raised, too, over several lines.
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)
    # Our launchers are named as those of the plugins, whose schema they are meant to fit.
    warnings.filterwarnings(
        "ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema"
    )


def _find_first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _find_representation(target: str) -> str:
    return getattr(get_object(target), "reads", "flow_map")


def check(cfg: DictConfig, given: Sequence[str] = ()) -> None:
    """Compare a config with the code before anything heavy is built.

    Args:
        cfg: The config.
        given: Dotted keys that must have an effect, as those of the command line of one run.

    Raises:
        InputError: Naming each misfit: a key that no constructor takes, with the nearest one it does
            take; a class that does not exist or is of another kind; a value that was left open; a key
            without effect.
    """
    nodes: dict[str, Any] = OmegaConf.to_container(cfg)  # type: ignore[assignment]
    # Before classes are imported, which takes seconds.
    _refuse([*_find_lost_nodes(nodes), *find_out_of_range(nodes), *_find_lost_choices(nodes)])
    _refuse(find_ineffective(nodes, given))
    known = [f.name for f in fields(RunConfig)]
    rest = {key: node for key, node in nodes.items() if key in known}
    problems = [explain_key(str(key), rest) for key in cfg if key not in known]
    entries = [f.name for f in fields(Recipe)]
    problems += [
        complain(f"recipe.{key}", "a recipe", entries) for key in cfg.recipe if key not in entries
    ]
    problems += _find_misfits(nodes)
    _refuse(problems, "the config does not fit the code: ")


def _refuse(lines: Sequence[str], what: str = "", most: int = 3) -> None:
    """Raise what was found as one line, the first few if they are many; nothing if nothing was found."""
    if lines:
        more = f" | and {len(lines) - most} more" if len(lines) > most else ""
        raise InputError(what + " | ".join(lines[:most]) + more)


def _find_lost_nodes(nodes: dict[str, Any]) -> list[str]:
    """Return one line for each group of the config that a run needs and that is no mapping."""
    lines = []
    for key in NEEDED:
        value = nodes.get(key)
        if not isinstance(value, dict):
            shown = "null" if value in (None, "???") else value
            lines.append(
                f"{key}={shown}, but a run needs one; choose {', '.join(list_choices(key))}"
            )
    callbacks = nodes.get("callbacks")
    for key, value in callbacks.items() if isinstance(callbacks, dict) else ():
        if not isinstance(value, dict) or "_target_" not in value:
            lines.append(
                f"callbacks.{key}={'null' if value is None else value} is no callback; name its class by "
                f"callbacks.{key}._target_=CLASS"
            )
    recipe = nodes.get("recipe")
    for key, needed in (("optimizer", True), ("scheduler", False)):
        value = recipe.get(key) if isinstance(recipe, dict) else {}
        if not isinstance(value, dict) and (needed or value is not None):
            example = _NAMED[key]
            lines.append(
                f"recipe.{key}={'null' if value is None else value} is no class with settings; name one by "
                f"recipe.{key}._target_={example}"
            )
    return lines


def _find_lost_choices(nodes: dict[str, Any]) -> list[str]:
    """Return a line if the estimator of a baseline is none of its estimators."""
    task = nodes["task"]
    estimators, chosen = task.get("estimators"), task.get("estimator")
    if not isinstance(estimators, dict) or chosen in estimators:
        return []
    near = get_close_matches(str(chosen), estimators, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(estimators)}"
    return [f"task.estimator={chosen} is unknown; {hint}"]


def _find_misfits(nodes: Any, root: str = "") -> list[str]:
    """One line for each value left open below `nodes` and each `_target_` that does not take its keys."""
    problems = [
        f"{path} has no value; set {path}=…" for path, node in walk(nodes, root) if node == "???"
    ]
    for path, node in walk(nodes, root):
        if not isinstance(node, dict) or "_target_" not in node:
            continue
        try:
            target = get_object(node["_target_"])
        except (ImportError, ValueError, AttributeError) as error:
            problems.append(_describe_lost_class(path, str(node["_target_"]), error))
            continue
        if wrong := describe_wrong_kind(target, node, path):
            problems.append(wrong)
            continue
        problems += find_misread_texts(target, node, path)
        accepted = inspect.signature(target).parameters
        if any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
            continue
        extra = [key for key in node if not key.startswith("_") and key not in accepted]
        problems += [complain(f"{path}.{key}", node["_target_"], accepted) for key in extra]
        if not node.get("_partial_") and "_args_" not in node:
            open_ = [
                name
                for name, p in accepted.items()
                if p.default is p.empty and p.kind is not p.VAR_POSITIONAL and name not in node
            ]
            problems += [f"{path}: {node['_target_']} needs {name}" for name in open_]
    return problems


def _describe_lost_class(path: str, name: str, error: Exception) -> str:
    """Return a line about a class that cannot be imported, with the nearest of its module."""
    module, _, last = name.rpartition(".")
    there = vars(sys.modules[module]) if module in sys.modules else {}
    near = get_close_matches(last, [key for key in there if not key.startswith("_")], n=1)
    if near:
        return f"{path}._target_: {name} cannot be imported; did you mean {module}.{near[0]}?"
    return f"{path}._target_: {name} cannot be imported ({quote_error(error)})"


def compose_node(group: str, overrides: Sequence[str]) -> DictConfig:
    """The config of one group, e.g. of a corpus, for verbs that need no other; it is checked.

    Args:
        group: Name of the group and of its key in the config.
        overrides: As `merec train` takes them: `corpus=NAME`, `corpus.KEY=VALUE`, `experiments=NAME`.

    Raises:
        InputError: If there is no such choice or key, or the node does not fit the code.
    """
    check_choices([text for text in overrides if text.startswith(f"{group}=")])
    os.environ["MEREC_HOME"] = str(home())
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(home() / "conf"), version_base="1.3"):
        try:
            node = compose("config", quote_texts(overrides))[group]
            plain: Any = OmegaConf.to_container(node, resolve=True)
            wrong = find_out_of_range(plain, group)
            misfits = [] if wrong else _find_misfits(plain, group)
        except (HydraException, OmegaConfBaseException) as error:
            base = compose("config", [text for text in overrides if text.startswith(f"{group}=")])
            line = explain_override(error, base) or " ".join(str(error).split())
            raise InputError(line) from error
    _refuse(wrong)
    _refuse(misfits, "the config does not fit the code: ")
    if group == "corpus":
        refuse_unfollowed(node, overrides)
    return node


def refuse_unfollowed(corpus: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse overrides of `corpus.render` that another key of the corpus makes void.

    Args:
        corpus: The config of the corpus.
        overrides: As the user gave them.

    Raises:
        InputError: Naming them.
    """
    keys = [text.partition("=")[0].lstrip("+~") for text in overrides]
    given = [key for key in keys if key.startswith("corpus.render.")]
    if not given or "render" not in corpus:
        return
    if corpus["root"] is not None:
        raise InputError(
            f"{given[0]} has no effect on corpus.root={corpus['root']}, which is rendered already; leave out "
            "one of the two"
        )
    if corpus["render"]["annotation"] is not None:
        refuse_made([key for key in given if key.rpartition(".")[2] in NOT_OF_A_TWIN])


def refuse_made(given: Sequence[str]) -> None:
    """Refuse numbers of made subjects and samples for the twin of a table, which has its own.

    Args:
        given: The keys as the user gave them; none is fine.

    Raises:
        InputError: Naming them.
    """
    if given:
        raise InputError(
            f"{' and '.join(given)} {'has' if len(given) == 1 else 'have'} no effect beside an annotation, "
            "whose twin has the subjects and the samples of the table; leave "
            f"{'it' if len(given) == 1 else 'them'} out, or give a shorter table"
        )


def takes(node: DictConfig, name: str) -> bool:
    """Whether what a config node describes has an argument of that name."""
    return name in inspect.signature(get_object(node["_target_"])).parameters


def build(node: DictConfig, **extra: Any) -> Any:
    """What a config node describes; an InputError of its constructor comes out as itself."""
    try:
        return instantiate(node, _convert_="all", **extra)
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, InputError):
                raise cause from None
            cause = cause.__cause__
        raise


def build_stored(node: Mapping[str, Any], packages: Sequence[str], source: Path) -> Any:
    """Build what a config describes that came out of a file; nothing is called but classes that are trusted.

    Args:
        node: See `resolve_stored`.
        packages: See `resolve_stored`.
        source: The file, for messages.

    Raises:
        InputError: As `resolve_stored` says, or if the classes of this version of merec do not take the node.
    """
    resolved = resolve_stored(node, packages, source)
    try:
        return build(OmegaConf.create(resolved))
    except InstantiationException as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise InputError(
            f"{source} holds a config that does not fit this version of merec ({reason[:300]}); "
            "train it again"
        ) from error


def resolve_stored(
    node: Mapping[str, Any], packages: Sequence[str], source: Path
) -> dict[str, Any]:
    """Return a config node that came out of a file once it is safe to build.

    What is checked is what is built: the node is resolved, and what it resolves to is looked at.

    Args:
        node: Plain values; `_target_` and `_partial_` are the only keys in it that Hydra may act on.
        packages: Packages and modules whose classes are trusted; none for a node of values alone.
        source: The file, for messages.

    Raises:
        InputError: If there is an interpolation, a target at whatever depth that is no class of these
            packages, or another key that Hydra would act on.
    """
    with reading(source, OWN):
        created = OmegaConf.create(check_node(dict(node)))
        resolved = OmegaConf.to_container(created, resolve=True, throw_on_missing=True)
        plain = check_node(resolved)
    for path, value in walk(plain, ""):
        if not isinstance(value, dict):
            continue
        for key, given in value.items():
            if key == "_target_":
                if not _is_trusted(given, packages):
                    raise InputError(
                        f"{source} asks for {given}, which is no backbone of merec or of a plug-in that is "
                        "installed or named; if you trust its code, install the plug-in, or name it by "
                        "--config-dir=FOLDER or plugins=MODULE"
                    )
            elif key == "_partial_":
                if not isinstance(given, bool):
                    raise InputError(f"{source} has _partial_: {given!r}, expected a flag; {OWN}")
            elif str(key).startswith("_") and str(key).endswith("_"):
                raise InputError(
                    f"{source} has {key} in {path or 'its config'}, which no config of merec has; {OWN}"
                )
    return plain


OWN = "use files of your own or of people you trust"


def _is_trusted(target: Any, packages: Sequence[str]) -> bool:
    """Whether a target is a class that is defined in one of these packages."""
    if not isinstance(target, str):
        return False
    module, _, name = target.rpartition(".")
    if not _lies_in(module, packages):
        return False
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return False
    return inspect.isclass(found) and _lies_in(found.__module__, packages)


def _lies_in(module: str, packages: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)

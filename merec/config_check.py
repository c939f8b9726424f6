"""Compare a config with the code before anything heavy is built."""

import sys
from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from merec.config_groups import list_choices
from merec.config_parts import list_all_parts, list_parameters
from merec.config_schema import NEEDED, Recipe, RunConfig
from merec.errors import InputError, quote_error
from merec.override_errors import (
    complain,
    explain_key,
    walk,
)
from merec.range_check import find_out_of_range
from merec.target_types import describe_wrong_kind
from merec.text_values import find_misread_texts
from merec.unused_overrides import find_ineffective

_NAMED = {  # examples of classes, by the key that names one
    "optimizer": "torch.optim.AdamW",
    "scheduler": "torch.optim.lr_scheduler.CosineAnnealingLR",
}


def check(cfg: DictConfig, given: Sequence[str] = ()) -> None:
    """Compare a config with the code before anything heavy is built.

    Args:
        cfg: The config.
        given: Dotted keys that must have an effect, e.g. keys of the command line.

    Raises:
        InputError: If there are misfits; the message names each: a key that no constructor takes, with the
            most similar one; a class that does not exist or has another type; a missing value; a key without
            effect.
    """
    nodes: dict[str, Any] = OmegaConf.to_container(cfg)  # type: ignore[assignment]
    # Before classes are imported, which takes seconds.
    refuse([*_find_lost_nodes(nodes), *find_out_of_range(nodes), *_find_lost_choices(nodes)])
    refuse(find_ineffective(nodes, given))
    root_keys = [f.name for f in fields(RunConfig)]
    rest = {key: node for key, node in nodes.items() if key in root_keys}
    problems = [explain_key(str(key), rest) for key in cfg if key not in root_keys]
    entries = [f.name for f in fields(Recipe)]
    problems += [
        complain(f"recipe.{key}", "a recipe", entries) for key in cfg.recipe if key not in entries
    ]
    problems += find_misfits(nodes)
    refuse(problems, "the config does not fit the code: ")


def refuse(lines: Sequence[str], what: str = "", most: int = 3) -> None:
    """Raise an error with the first lines of a list of problems; do nothing if it is empty."""
    if lines:
        more = f" | and {len(lines) - most} more" if len(lines) > most else ""
        raise InputError(what + " | ".join(lines[:most]) + more)


def _find_lost_nodes(nodes: dict[str, Any]) -> list[str]:
    """Return one line for each required config group that is not a mapping."""
    lines = []
    for key in NEEDED:
        value = nodes.get(key)
        if not isinstance(value, dict):
            text = "null" if value in (None, "???") else value
            lines.append(
                f"{key}={text}, but a run needs one; choose {', '.join(list_choices(key))}"
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
    """Return a line if the estimator of a baseline is not one of its `estimators`."""
    task = nodes["task"]
    estimators, chosen = task.get("estimators"), task.get("estimator")
    if not isinstance(estimators, dict) or chosen in estimators:
        return []
    near = get_close_matches(str(chosen), estimators, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(estimators)}"
    return [f"task.estimator={chosen} is unknown; {hint}"]


def find_misfits(nodes: Any, root: str = "") -> list[str]:
    """Return one line per missing value below `nodes` and per `_target_` that does not take its keys."""
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
        for part in (target, *list_all_parts(target)):
            problems += find_misread_texts(part, node, path)
        accepted = list_parameters(target)
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
    """Return a line about a class that cannot be imported, with the most similar name in its module."""
    module, _, last = name.rpartition(".")
    there = vars(sys.modules[module]) if module in sys.modules else {}
    near = get_close_matches(last, [key for key in there if not key.startswith("_")], n=1)
    if near:
        return f"{path}._target_: {name} cannot be imported; did you mean {module}.{near[0]}?"
    return f"{path}._target_: {name} cannot be imported ({quote_error(error)})"

"""Explanations of invalid overrides: similar keys, their location, and parameters of constructors."""

import inspect
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, UnsupportedInterpolationType

from merec.ranges import find_range

# Names that other frameworks use, and the key here.
_SYNONYMS = {
    "epochs": "trainer.max_epochs",
    "experiment": "experiments",
    "model": "backbone",
    "network": "backbone",
    "data": "corpus",
    "dataset": "corpus",
    "bs": "datamodule.batch_size",
    "learning_rate": "recipe.optimizer.lr",
    "wd": "recipe.optimizer.weight_decay",
    "gpus": "trainer.devices",
    "workers": "task.workers",
    "root": "corpus.root",
}
# Keys that were renamed, and what else one must know.
_SUCCESSORS = {
    "least_subjects": ("min_subjects", "which counts training subjects, so give one less")
}
_KINDS = {
    "bool": "true or false",
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
    "list": "a list: [a,b]",
    "dict": "entries by name: {a: b}",
}


def walk(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every node of a config with its dotted path, parents first."""
    yield path, node
    if isinstance(node, dict):
        for key, child in node.items():
            yield from walk(child, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from walk(child, f"{path}[{number}]")


def list_parameters(node: Any) -> list[str] | None:
    """Return the parameters of the `_target_` of a node; `None` if it has none or accepts anything."""
    from hydra.utils import get_object

    if not isinstance(node, dict) or "_target_" not in node:
        return None
    try:
        accepted = inspect.signature(get_object(node["_target_"])).parameters
    except (ImportError, ValueError, AttributeError, TypeError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        return None
    return [name for name in accepted if name != "self"]


def complain(path: str, owner: str, accepted: Iterable[str]) -> str:
    """Return a line about a key that its owner does not take, with the most similar one."""
    key = path.rpartition(".")[2]
    names = list(accepted)
    near = get_close_matches(key, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(names)}"
    successor, meaning = _SUCCESSORS.get(key, ("", ""))
    if successor in names:
        hint = f"it is called {successor} now, {meaning}"
    return f"{path}: {owner} has no {key}; {hint}"


def explain_key(path: str, nodes: dict[str, Any]) -> str:
    """Return a line about a key that is not in the config, with a similar key or the way to add it.

    Args:
        path: Dotted key.
        nodes: Config without this key.
    """
    parent, _, key = path.rpartition(".")
    node = nodes
    for name in parent.split(".") if parent else []:
        node = node.get(name) if isinstance(node, dict) else None  # type: ignore[assignment]
    if not isinstance(node, dict) or not parent:
        places = _find_places(path, nodes)
        if places:
            at = dict(walk(nodes))
            classes = [
                "." in key and isinstance(at.get(key), dict) and "_target_" in at[key]
                for key in places
            ]
            named = [f"{key}._target_=CLASS" if is_class else key
                     for key, is_class in zip(places, classes, strict=True)]  # fmt: skip
            return f"there is no {path}; did you mean {' or '.join(named)}?"
    if not isinstance(node, dict):
        return f"{path}: there is no {parent} in the config; `merec train --cfg job` shows what there is"
    present = [name for name in map(str, node) if name[0] != "_"]
    accepted = list_parameters(node)
    renamed = _SUCCESSORS.get(key, ("",))[0] in present
    if accepted is None or renamed or get_close_matches(key, present, n=1):
        return complain(path, parent or "merec train", present)
    owner = node["_target_"].rpartition(".")[2]
    if key in accepted:
        return f"{owner} takes {key}, which the config leaves to it: write +{path}=…"
    near = get_close_matches(key, accepted, n=1)
    if near:
        return f"{path}: {owner} has no {key}; did you mean +{parent}.{near[0]}=…?"
    takes = [name for name in accepted if name != "params"]
    return f"{path}: {owner} has no {key}; it takes {', '.join(takes)}"


def _find_places(path: str, nodes: dict[str, Any]) -> list[str]:
    """Return at most three keys elsewhere in the config that a key may mean."""
    if path in _SYNONYMS:
        path = _SYNONYMS[path]
        if path in nodes or "." not in path:
            return [path]
    # What a task refers to is set where it lies.
    keys = [key for key, value in walk(nodes) if key and not _is_copy(key, nodes)]
    same = [key for key in keys if key == path or key.endswith(f".{path}")]
    if not same and "." in path:
        parent, _, name = path.rpartition(".")
        owners = [key for key in keys if key == parent or key.endswith(f".{parent}")]
        for owner in owners[:1]:
            node = dict(walk(nodes))[owner]
            if name in (list_parameters(node) or ()):
                same = [f"+{owner}.{name}"]
            elif isinstance(node, dict):
                same = [f"{owner}.{near}" for near in get_close_matches(name, node, n=1)]
    return sorted(same, key=lambda key: key.count("."))[:3]


def _is_copy(key: str, nodes: dict[str, Any]) -> bool:
    value = dict(walk(nodes)).get(key)
    return isinstance(value, str) and value.startswith("${") and key.startswith("task.")


def explain_override(error: Exception, cfg: DictConfig, unread: str | None = None) -> str | None:
    """Return one line for Hydra's error about an override; `None` for other errors.

    Args:
        error: Error of Hydra during composition.
        cfg: Config that was composed without the overrides, whose keys are suggested.
        unread: Probable causes: overrides that Hydra's grammar cannot parse, or that contain interpolations.
    """
    text = str(error)
    nodes: dict[str, Any]
    if match := re.search(r"Could not override '([^']+)'", text):
        nodes = OmegaConf.to_container(cfg)  # type: ignore[assignment]
        return explain_key(match[1], nodes)
    if match := re.search(r"In '([^']+)': ConfigKeyError.*?Key '([^']+)' not in", text, re.S):
        nodes = OmegaConf.to_container(cfg)  # type: ignore[assignment]
        full = re.search(r"full_key: (\S+)", text)
        return f"conf/{match[1]}.yaml: {explain_key(full[1] if full else match[2], nodes)}"
    if isinstance(error, InterpolationResolutionError | UnsupportedInterpolationType):
        return f"{unread or error.full_key} cannot be resolved ({text.splitlines()[0]}); give a value instead"
    if match := re.search(r"Error merging override \+*([^=\s]+)=(.*)", text):
        key, value = match[1], match[2].strip()
        cause = re.search(
            r"(?:converted to |valid |Cannot merge.*object_type=)(\w+)",
            str(error.__cause__ or ""),
            re.DOTALL,
        )
        expected = find_range(key)
        wanted = expected.describe() if expected else _KINDS.get(cause[1] if cause else "", "")
        reason = (str(error.__cause__ or error).splitlines() or [""])[0]
        return f"{key}={value} is not understood; " + (f"expected {wanted}" if wanted else reason)
    if match := re.search(r"Cannot find primary config '([^']+)'", text):
        return (
            f"--config-name {match[1]}: merec has one config; put yours into experiments/{match[1]}.yaml and "
            f"give experiments={match[1]}, and leave out --config-name"
        )
    if match := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        group, name = match[1], match[2]
        listed = re.search(
            r"Available options in '[^']+':(.*?)(?:Config search path|$)", text, re.S
        )
        return describe_choices(group, name, (listed[1] if listed else "").split())
    if match := re.search(r"Ambiguous value for argument '([^=]+)=(.*?)'", text):
        expected = find_range(match[1].lstrip("+"))
        number = match[2].replace(",", ".")
        if expected and not expected.whole and re.fullmatch(r"\d+\.\d+([eE]-?\d+)?", number):
            return (
                f"{match[1]}={match[2]} has a comma: for one number write {number} (decimals take a point), "
                "for several runs add -m"
            )
        return (
            f"{match[1]}={match[2]} has a comma: for several runs add -m, for a list write "
            f"'{match[1]}=[{match[2]}]', for one text write {match[1]}='\"{match[2]}\"'"
        )
    if "override_grammar" in text:
        first = text.splitlines()[0]
        what = unread or "an override"
        return f"{what} is not understood ({first}); is a bracket or a quote left open?"
    return None


def describe_choices(group: str, name: str, choices: Iterable[str]) -> str:
    """Return a line about an unknown choice of a group, with the most similar one."""
    names = sorted(choices)
    near = get_close_matches(name.lower(), names, n=1)
    return f"there is no {group}={name}; " + (
        f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    )

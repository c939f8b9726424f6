"""Type checks of the `_target_` of config nodes without calling it."""

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from hydra.utils import get_object

# The class of what a node describes, by dotted key, `*` for any one name.
_KINDS = {
    "backbone": "torch.nn.Module",
    "callbacks.*": "pytorch_lightning.Callback",
    "logger": "pytorch_lightning.loggers.Logger",
    "recipe.optimizer": "torch.optim.Optimizer",
    "recipe.pretrain.optimizer": "torch.optim.Optimizer",
    "recipe.pretrain.scheduler": "torch.optim.lr_scheduler.LRScheduler",
    "recipe.scheduler": "torch.optim.lr_scheduler.LRScheduler",
    "task.estimators.*": "sklearn.base.BaseEstimator",
    "trainer": "pytorch_lightning.Trainer",
}
_LOSS = "loss"
# Of the standard library, where classes are values; its other functions and classes act.
_VALUES = ("builtins", "collections", "datetime", "decimal", "fractions", "functools", "pathlib")


def describe_wrong_kind(target: Any, node: Mapping[str, Any], path: str) -> str | None:
    """Return a line if the `_target_` of a config node does not build an object of the expected type.

    Nothing is called. A function without return annotation is trusted, unless it belongs to the standard
    library.

    Args:
        target: Class or function that `_target_` names.
        node: The node.
        path: Its dotted path.
    """
    expected = _describe_expected(target, node, path)
    return f"{path}._target_ is {node['_target_']}; expected {expected}" if expected else None


def _describe_expected(target: Any, node: Mapping[str, Any], path: str) -> str | None:
    if not callable(target):
        return "a class or a function"
    name = _find_kind(path)
    if path == _LOSS and not _takes_weight(target, node):
        return (
            "a function of logits, labels and weight that gives their mean, e.g. "
            "torch.nn.functional.cross_entropy"
        )
    if name is not None and not _gives(target, get_object(name)):
        return f"a subclass of {name}, or a function that returns one"
    module = str(getattr(target, "__module__", None) or "builtins").partition(".")[0]
    is_value = inspect.isclass(target) and module in _VALUES
    if module in sys.stdlib_module_names and not is_value:
        return (
            f"a subclass of {name}" if name else "a class or function that describes an experiment"
        )
    return None


def _find_kind(path: str) -> str | None:
    parent, _, _ = path.rpartition(".")
    return _KINDS.get(path) or (_KINDS.get(f"{parent}.*") if parent else None)


def _gives(target: Callable[..., Any], kind: type) -> bool:
    """Return whether calling `target` returns an object of a class, as far as is known."""
    if inspect.isclass(target):
        return issubclass(target, kind)
    try:
        returned = get_type_hints(target).get("return")
    except (NameError, TypeError, AttributeError):  # annotations that cannot be resolved
        return True
    return not inspect.isclass(returned) or issubclass(returned, kind)


def _takes_weight(target: Callable[..., Any], node: Mapping[str, Any]) -> bool:
    """Return whether the target of a node can be called like a loss."""
    if inspect.isclass(target):
        if node.get("_partial_"):
            return False  # calling it makes a module, no loss
        target = getattr(target, "forward", None) or target.__call__
    try:
        accepted = inspect.signature(target).parameters
    except (ValueError, TypeError):  # of a function in C
        return False
    return "weight" in accepted or any(p.kind is p.VAR_KEYWORD for p in accepted.values())

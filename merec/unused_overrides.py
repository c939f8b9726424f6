"""Overrides that have no effect, because the chosen setting does not read their key."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from merec.range_check import show_value


@dataclass(frozen=True)
class Needed:
    """Condition under which a key has an effect.

    Attributes:
        key: Dotted key of the setting that the condition refers to.
        values: The setting must have one of these values; empty: any value except `null`.
    """

    key: str
    values: tuple[Any, ...] = ()

    def is_met(self, nodes: Mapping[str, Any]) -> bool:
        """Return whether a config satisfies the condition."""
        value = _select(nodes, self.key)
        return value in self.values if self.values else _asks(value)

    def __str__(self) -> str:
        return " or ".join(f"{self.key}={value}" for value in self.values) or f"{self.key}=…"


_CONTRASTIVE = Needed("task.pretrain", ("contrastive",))
_PRETRAINED = Needed("task.pretrain")
_WEIGHTS = Needed("task.weights")
_UNLABELLED = Needed("task.pool.source", ("unlabelled", "both"))
_BANK = Needed("task.contrast.mode", ("softmax", "nce"))
# By key, `*` for any: all of these groups are needed, of each group one.
Needs = Mapping[str, tuple[tuple[Needed, ...], ...]]
_NEEDED: Needs = {
    "task.transductive": ((_CONTRASTIVE, _WEIGHTS),),
    "task.pretrain_groups": ((_CONTRASTIVE,),),
    "task.pretrain_epochs": ((_PRETRAINED,),),
    "task.pretrain_steps": ((_CONTRASTIVE,),),
    "task.monitor_steps": ((_CONTRASTIVE,),),
    "task.least_intensity": ((_CONTRASTIVE,), (_UNLABELLED,)),
    "task.pool.*": ((_CONTRASTIVE,),),
    "task.contrast.z": ((_CONTRASTIVE,), (Needed("task.contrast.mode", ("nce",)),)),
    "task.contrast.negatives": ((_CONTRASTIVE,), (_BANK,)),
    "task.contrast.momentum": ((_CONTRASTIVE,), (_BANK,)),
    "task.contrast.*": ((_CONTRASTIVE,),),
    "recipe.pretrain.epochs": ((_PRETRAINED,),),
    "recipe.pretrain.steps": ((_CONTRASTIVE,),),
    "recipe.pretrain.*": ((_CONTRASTIVE,),),
    "features.depth_noise": ((Needed("datamodule.modality", ("depth", "fused")),),),
    "task.inner_parts": ((Needed("task.selection", ("inner",)),),),
    "task.groups": ((Needed("task.hold_out", ("groups",)),),),
    "task.train_on": ((Needed("task.hold_out", ("corpus",)),),),
    "task.min_subjects": ((Needed("task.target", ("action_units",)),),),
}
_WITHOUT_FRAMES = ("read_megc2019_flow",)  # corpora of which no features are made
_MISSING = object()


def find_ineffective(
    nodes: Mapping[str, Any], given: Iterable[str], needed: Needs = _NEEDED
) -> list[str]:
    """Return one line for each given key that has no effect.

    Keys of engines such as `task.workers` are not checked, since they do not change results. Keys that a
    choice or study sets are not checked either, since these may be written for several tasks.

    Args:
        nodes: The config.
        given: Dotted keys of the command line.
        needed: Conditions of keys (`*` matches any ending); one condition of each group must be met.
    """
    return [
        f"{key}={_show(value)} {reason}; set that, or leave it out"
        for key in dict.fromkeys(given)
        if _asks(value := _select(nodes, key))
        for reason in _explain(nodes, key, needed)
    ]


def _explain(nodes: Mapping[str, Any], key: str, needed: Needs) -> Iterator[str]:
    task = nodes["task"]
    if key in ("fold", "folds") and key not in task:
        other = "folds" if key == "fold" else "fold"
        name = str(task.get("_target_", "")).rpartition(".")[2]
        takes = f", which takes {other}= instead" if other in task else ""
        yield f"has no effect on {name}{takes}"
        return
    group = key.partition(".")[0]
    corpus = str(nodes["corpus"].get("_target_")).rpartition(".")[2]
    if group == "features" and key != "features.root" and corpus in _WITHOUT_FRAMES:
        yield f"has no effect on {corpus.removeprefix('read_')}, but on a corpus of frames, as corpus=casme3"
        return
    # The backbone of the recipe that other tasks' data are read by, as their messages say, may be named.
    named = key == "backbone" and str(nodes["backbone"].get("_target_")).endswith(".STSTNet")
    if group in ("backbone", "loss") and "backbone" not in task and not named:
        yield "has no effect without a task that trains a network, as task=loso"
        return
    if key.startswith("task.estimators.") and (name := key.split(".")[2]) != task.get("estimator"):
        yield f"has no effect without task.estimator={name}"
        return
    pattern = next((one for one in needed if fnmatchcase(key, one)), None)
    lacking = [
        group
        for group in (needed[pattern] if pattern else ())
        if not any(one.is_met(nodes) for one in group)
    ]
    if lacking:
        yield "is of no use without " + " and ".join(
            " or ".join(map(str, group)) for group in lacking
        )


def _asks(value: Any) -> bool:
    return value is not _MISSING and value is not None and value is not False and value != "none"


def _show(value: Any) -> Any:
    return "…" if isinstance(value, Mapping) else show_value(value)


def _select(nodes: Mapping[str, Any], key: str) -> Any:
    node: Any = nodes
    for name in key.split("."):
        if isinstance(node, list) and name.isdecimal():
            node = dict(enumerate(node)).get(int(name), _MISSING)
        elif isinstance(node, Mapping) and name in node:
            node = node[name]
        else:
            return _MISSING
    return node

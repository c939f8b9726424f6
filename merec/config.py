"""Composing of single config nodes, and building of the objects that they describe.

This module does not import torch, so that `merec train --help` and `--cfg job` are fast.
"""

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from merec.config_check import find_misfits, refuse
from merec.config_groups import check_choices, home
from merec.config_parts import assemble
from merec.config_schema import register
from merec.errors import InputError
from merec.override_errors import (
    explain_override,
)
from merec.quoting import quote_texts
from merec.range_check import find_out_of_range
from merec.ranges import TAKEN_FROM_TABLE


def compose_node(group: str, overrides: Sequence[str]) -> DictConfig:
    """Compose and check the config of one group, e.g. of a corpus.

    Args:
        group: Name of the group and of its key in the config.
        overrides: Overrides as in `merec train`: `corpus=NAME`, `corpus.KEY=VALUE`, `experiments=NAME`.

    Raises:
        InputError: If a choice or key does not exist, or the node does not match the code.
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
            misfits = [] if wrong else find_misfits(plain, group)
        except (HydraException, OmegaConfBaseException) as error:
            base = compose("config", [text for text in overrides if text.startswith(f"{group}=")])
            line = explain_override(error, base) or " ".join(str(error).split())
            raise InputError(line) from error
    refuse(wrong)
    refuse(misfits, "the config does not fit the code: ")
    if group == "corpus":
        refuse_unfollowed(node, overrides)
    return node


def refuse_unfollowed(corpus: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse overrides of `corpus.render` that have no effect because of another key of the corpus.

    Args:
        corpus: Config of the corpus.
        overrides: Overrides as the user gave them.

    Raises:
        InputError: If so; the message names them.
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
        refuse_made([key for key in given if key.rpartition(".")[2] in TAKEN_FROM_TABLE])


def refuse_made(given: Sequence[str]) -> None:
    """Refuse numbers of subjects and samples together with an annotation, which defines them.

    Args:
        given: Keys of such numbers on the command line; may be empty.

    Raises:
        InputError: If `given` is not empty.
    """
    if given:
        raise InputError(
            f"{' and '.join(given)} {'has' if len(given) == 1 else 'have'} no effect beside an annotation, "
            "whose table decides subjects and samples; leave "
            f"{'it' if len(given) == 1 else 'them'} out, or give a shorter table"
        )


def takes(node: DictConfig, name: str) -> bool:
    """Return whether the target of a config node has an argument of this name."""
    return name in inspect.signature(get_object(node["_target_"])).parameters


def build(node: DictConfig, **extra: Any) -> Any:
    """Build the object of a config node; an InputError of its constructor is raised unchanged."""
    try:
        return instantiate(node, _convert_="all", **extra)
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, InputError):
                raise cause from None
            cause = cause.__cause__
        raise


def build_task(node: DictConfig) -> Any:
    """Build the task of a config node, with its parts (see `merec.config_parts`)."""
    values = {key: node[key] for key in node if key != "_target_"}
    settings = {
        str(key): build(value) if OmegaConf.is_config(value) else value
        for key, value in values.items()
    }
    return assemble(get_object(node["_target_"]), settings)

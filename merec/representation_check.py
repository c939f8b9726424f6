"""Check of a config against its representation, which defines the keys that it uses."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from merec.config_check import refuse
from merec.features.representations import list_representations, open_representation
from merec.unused_overrides import Needed, find_ineffective


def check_heeded(cfg: DictConfig, given: Sequence[str]) -> None:
    """Refuse a representation that does not exist, and keys that are used only by other representations.

    Args:
        cfg: Config that `merec.config_check.check` accepted.
        given: Dotted keys that must have an effect.

    Raises:
        InputError: If there are any; the message names each.
    """
    chosen = open_representation(cfg.datamodule.representation)
    names: dict[str, list[str]] = {}
    for name in dict.fromkeys((*list_representations(), chosen)):
        for pattern in name.heeds:
            names.setdefault(pattern, []).append(name.name)
    needed = {
        pattern: ((Needed("datamodule.representation", tuple(heeding)),),)
        for pattern, heeding in names.items()
    }
    nodes: dict[str, Any] = OmegaConf.to_container(cfg)  # type: ignore[assignment]
    nodes["datamodule"]["representation"] = chosen.name
    refuse(find_ineffective(nodes, given, needed))

"""Building of objects from stored configs; only trusted classes are called."""

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from merec.config import build
from merec.errors import InputError
from merec.override_errors import (
    walk,
)
from merec.run_folder.reading import reading
from merec.run_folder.resolved_config import check_node


def build_stored(node: Mapping[str, Any], packages: Sequence[str], source: Path) -> Any:
    """Build the object of a config node from a file; only trusted classes are called.

    Args:
        node: See `resolve_stored`.
        packages: See `resolve_stored`.
        source: The file, for messages.

    Raises:
        InputError: As `resolve_stored`, or if the node does not match the classes of this version of merec.
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


def build_stored_corpus(node: Mapping[str, Any], packages: Sequence[str], source: Path) -> Any:
    """Build the corpus of a stored config; only readers of merec and of trusted packages are called.

    Args:
        node: Node `corpus` of the config.
        packages: Trusted packages and modules, in addition to the readers of merec.
        source: The file, for messages.

    Raises:
        InputError: As `resolve_stored`, or if the reader is not trusted, or the corpus cannot be read.
    """
    target = str(node.get("_target_"))
    module, _, name = target.rpartition(".")
    if (module not in _CORPORA and not _lies_in(module, packages)) or not name.startswith("read_"):
        raise InputError(f"{source} asks for {target}, which is no reader of a corpus; {OWN}")
    values = {key: value for key, value in node.items() if key != "_target_"}
    plain = resolve_stored(values, (), source)
    return build(OmegaConf.create(plain | {"_target_": target}))


def resolve_stored(
    node: Mapping[str, Any], packages: Sequence[str], source: Path
) -> dict[str, Any]:
    """Check that a config node from a file is safe to build, and return it resolved.

    The node is resolved first, so that exactly the node that is built is checked.

    Args:
        node: Plain values; the only keys of Hydra that may occur are `_target_` and `_partial_`.
        packages: Packages and modules whose classes are trusted; empty for a node without `_target_`.
        source: The file, for messages.

    Raises:
        InputError: If the node contains an interpolation, a target that is not a class of these packages, or
            another key of Hydra.
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
_CORPORA = ("merec.corpora", "merec.synthetic")  # whose `read_` functions are called


def _is_trusted(target: Any, packages: Sequence[str]) -> bool:
    """Return whether a target is a class that is defined in one of these packages."""
    if not isinstance(target, str):
        return False
    module, _, name = target.rpartition(".")
    if not _lies_in(module, packages):
        return False
    try:
        loaded = getattr(import_module(module), name, None)
    except ImportError:
        return False
    return inspect.isclass(loaded) and _lies_in(loaded.__module__, packages)


def _lies_in(module: str, packages: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)

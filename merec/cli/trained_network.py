"""A trained network on the command line, with the corpus that it is shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from merec.cli.choices import build_corpus_and_features, name_corpus


def open_network(
    path: str, plugins: Sequence[str], other_code: bool, accelerated: bool = True
) -> Any:
    """Restore the network of a run folder, of the folder of a fold, or of a checkpoint.

    Args:
        path: Folder or file.
        plugins: Modules or packages that the user trusts.
        other_code: Whether code that changed since the training is accepted.
        accelerated: Whether layers are replaced by their faster forms.

    Raises:
        InputError: As raised by `restore`.
    """
    from merec.restore import restore

    given = Path(path).expanduser()
    file = given / "checkpoint.ckpt" if given.is_dir() else given
    return restore(file, plugins, other_code, accelerated=accelerated)


def open_corpus(verb: str, network: Any, overrides: list[str], plugins: Sequence[str]) -> Any:
    """Build the corpus of the overrides; without any, the corpus that the network was trained on.

    Raises:
        InputError: If no corpus is named, it cannot be read, or its reader is not trusted.
    """
    from merec.plugins import list_modules
    from merec.stored_config import build_stored_corpus

    if overrides:
        name_corpus(verb, overrides)
        return build_corpus_and_features(overrides)[0]
    return build_stored_corpus(network.config["corpus"], (*list_modules(), *plugins), network.file)

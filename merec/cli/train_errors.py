"""One-line messages for errors of Hydra, YAML and the file system."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from merec.config_groups import home
from merec.errors import InputError
from merec.override_errors import explain_override
from merec.quoting import is_readable


@contextlib.contextmanager
def explaining(arguments: Sequence[str]) -> Iterator[None]:
    """Turn errors of Hydra in the `with` block into a one-line `InputError`.

    Args:
        arguments: Arguments of the command line.

    Raises:
        InputError: If an override, a config file or a folder is wrong; the message names it.
    """
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        odd = [text for text in arguments if not is_readable(text)]
        odd = odd or [text for text in arguments if "${" in text]
        line = explain_override(error, _compose_choices(arguments), " ".join(odd))
        raise InputError(line or " ".join(str(error).split())) from error
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = f"{mark.name}, line {mark.line + 1}" if mark else "a file of the config"
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        raise InputError(f"{place}: this is no YAML ({reason}); mend that line") from error
    except OSError as error:
        if isinstance(error, InputError) or not error.filename:
            raise
        file = Path(error.filename)
        if file.is_symlink() and not file.exists():
            raise InputError(
                f"{file} is a link to {file.readlink()}, which is not there; mount or make that folder, or "
                "delete the link"
            ) from error
        # Hydra makes the folder of a run, and opens its log.
        raise InputError(
            f"{error.filename} cannot be made or opened ({error.strerror}); set hydra.run.dir (with -m: "
            "hydra.sweep.dir) to another folder"
        ) from error


def _compose_choices(arguments: Sequence[str]) -> DictConfig:
    """Compose the config of the chosen groups without other overrides; empty if the choices are wrong."""
    conf = home() / "conf"
    # Of several choices (a multirun) the first stands for all.
    pairs = [text.partition("=") for text in arguments]
    choices = [
        f"{group}={options.partition(',')[0]}"
        for group, equals, options in pairs
        if equals and (conf / group).is_dir()
    ]
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf), version_base="1.3"):
            return hydra.compose("config", [*choices, "~local"])  # which may be what is wrong
    except HydraException:
        return OmegaConf.create()

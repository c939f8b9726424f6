"""Shell completion: `merec completion bash|zsh|fish` prints a script that asks merec for completions.

Completions are computed from the files of conf/ and the composed config, without slow imports.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from merec.cli import VERBS
from merec.errors import InputError
from merec.plugins import FLAGS, name_folders

_BASH = """\
# merec: completion for bash.  eval "$(merec completion bash)"
_merec() {
    local line="${COMP_LINE:0:COMP_POINT}" words IFS=$' \\t\\n'
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    local last="${words[${#words[@]}-1]}"
    local IFS=$'\\n'
    COMPREPLY=($("${words[0]}" completion words "${words[@]:1}" 2>/dev/null))
    # bash breaks words at "=" and ":": it is given what follows the last of them
    local before="${last%"${last##*[=:]}"}"
    if [[ -n "$before" && "$COMP_WORDBREAKS" == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *[=.] ]]; then compopt -o nospace 2>/dev/null; fi
    return 0
}
complete -o default -F _merec merec
"""
_ZSH = """\
#compdef merec
# merec: completion for zsh.  eval "$(merec completion zsh)", after compinit
_merec() {
    local -a found
    found=("${(@f)$("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then compadd -S '' -- "${found[@]}"; else _files; fi
}
compdef _merec merec
"""
_FISH = """\
# merec: completion for fish.  merec completion fish | source
function __merec_words
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    $words[1] completion words $words[2..-1] "$last" 2>/dev/null
end
complete -c merec -a '(__merec_words)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
# Options of verbs that are no overrides; train has flags of its own.
OPTIONS = {
    "train": ("-m", "--cfg", "--help"),
    "report": ("out=", "published=", "sheets="),
    "compare": ("reference=", "out="),
    "dashboard": ("out=", "online="),
    "doctor": ("deep=", "strict=", "jobs=", "out="),
    "prepare": ("all=", "unlabelled=", "strict=", "jobs=", "out="),
    "inspect": (
        "checkpoint=",
        "method=",
        "count=",
        "unlabelled=",
        "plugins=",
        "other_code=",
        "out=",
    ),
    "predict": ("checkpoint=", "calibration=", "fps=", "intrinsics=", "out="),
    "export": (
        "format=",
        "representation=",
        "datamodule=",
        "features.root=",
        "plugins=",
        "other_code=",
        "out=",
    ),
    "synthesize": ("root=", "jobs="),
    "new": ("backbone", "corpus", "root="),
    "completion": ("bash", "zsh", "fish"),
}
_FLAGS = ("deep", "strict", "all", "unlabelled", "published", "online", "other_code")
_GROUPS = {  # of the config, by verb
    "train": (),  # all
    "doctor": ("corpus", "experiments"),
    "prepare": ("corpus", "features", "experiments"),
    "inspect": ("corpus", "features", "experiments"),
    "export": ("corpus", "features", "experiments"),
}


def print_script(shell: str) -> str:
    """Return the completion script of a shell.

    Raises:
        InputError: If the shell is not supported.
    """
    if shell not in SCRIPTS:
        raise InputError(
            f"merec completion knows {', '.join(SCRIPTS)}, not {shell or 'a shell without a name'}; e.g. "
            'eval "$(merec completion bash)"'
        )
    return SCRIPTS[shell]


def complete(words: Sequence[str], verbs: Sequence[str]) -> list[str]:
    """Return the completions of the last word of a command line after `merec`.

    Args:
        words: Words up to the cursor; the last one is unfinished or empty.
        verbs: All verbs.
    """
    *before, last = words or [""]
    if before and before[-1] in FLAGS:
        return []  # the shell completes folders
    before = name_folders(before)
    if not before:
        return sorted(verb for verb in [*verbs, "--help", "--version"] if verb.startswith(last))
    return sorted({text for text in _list_candidates(before, last) if text.startswith(last)})


def _list_candidates(before: Sequence[str], last: str) -> Iterator[str]:
    verb = before[0]
    key, equals, value = last.partition("=")
    if equals and key in _FLAGS and verb != "train":
        yield from (f"{key}=true", f"{key}=false")
    from merec.config_groups import list_groups

    yield from OPTIONS.get(verb, ())
    yield FLAGS[0]
    if verb == "synthesize":
        yield from (f"corpus={name}" for name in list_groups()["corpus"] if "synth" in name)
        yield from (f"{name}=" for name in _compose([])["corpus"]["render"])
    if verb not in _GROUPS:
        return
    wanted = _GROUPS[verb]
    groups = {name: names for name, names in list_groups().items() if not wanted or name in wanted}
    sign = "+" if last.startswith("+") else ""
    if equals and key.lstrip("+") in groups:
        done, comma, _ = value.rpartition(",")
        yield from (f"{key}={done}{comma}{name}" for name in groups[key.lstrip("+")])
        return
    yield from (f"{sign}{group}=" for group in groups)
    config = _compose(before[1:])
    yield from _list_keys(
        {key: node for key, node in config.items() if not wanted or key in wanted}, last
    )


def _list_keys(config: dict[str, Any], last: str) -> Iterator[str]:
    """Return keys one level below the last word, such as `datamodule.` or `seed=`, or values of a flag."""
    parents, _, _ = last.partition("=")[0].rpartition(".")
    node: Any = config
    for name in parents.split(".") if parents else []:
        node = node.get(name) if isinstance(node, dict) else None
    for name, value in node.items() if isinstance(node, dict) else ():
        path = f"{parents}.{name}" if parents else str(name)
        if str(name).startswith("_"):
            continue
        if isinstance(value, bool):
            yield from (f"{path}=true", f"{path}=false")
        yield f"{path}." if isinstance(value, dict) and value else f"{path}="


def _compose(overrides: Sequence[str]) -> dict[str, Any]:
    """Compose the config of the choices on the command line, or the default config if they are invalid."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from merec.config_groups import home, list_groups
    from merec.config_schema import register

    groups = list_groups()
    chosen = [
        text
        for text in overrides
        if text.partition("=")[2] in groups.get(text.partition("=")[0], ())
    ]
    os.environ["MEREC_HOME"] = str(home())
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(home() / "conf"), version_base="1.3"):
        try:
            config = compose("config", chosen)
        except (HydraException, OmegaConfBaseException):
            config = compose("config")
    return OmegaConf.to_container(config)  # type: ignore[return-value]


def completion(arguments: list[str]) -> None:
    """Complete command lines in a shell: `eval "$(merec completion bash)"`, zsh or fish."""
    if arguments[:1] == ["words"]:  # what the script asks
        sys.stdout.writelines(f"{word}\n" for word in complete(arguments[1:], list(VERBS)))
        return
    if len(arguments) > 1:
        raise InputError(
            f"merec completion takes one shell, not {' '.join(arguments[1:])} too: merec completion "
            f"{arguments[0]}"
        )
    sys.stdout.write(print_script(arguments[0] if arguments else ""))

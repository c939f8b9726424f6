"""Corpus and features from overrides of the command line."""

from typing import Any

from merec.errors import InputError

COMMON = {"jobs": "-1", "out": "", "strict": "false"}  # options of doctor and prepare
GROUPS = ("corpus", "features")  # of the config, whose overrides prepare and inspect take
STUDY = "experiments"  # may say of what corpus and features are, too


def name_corpus(verb: str, overrides: list[str]) -> str:
    """Return the corpus that `corpus=` names."""
    for key in ("corpus=", f"{STUDY}="):
        for text in overrides:
            if text.startswith(key):
                return text.removeprefix(key)
    from merec.config_groups import list_choices

    raise InputError(
        f"merec {verb} needs corpus=NAME; there are {', '.join(list_choices('corpus'))}"
    )


def build_corpus_and_features(overrides: list[str]) -> tuple[Any, Any]:
    """Build the corpus and the feature store from overrides."""
    from merec.config import build, compose_node

    corpus, features = (
        [
            text
            for text in overrides
            if text.lstrip("+~").startswith((f"{group}=", f"{group}.", f"{STUDY}="))
        ]
        for group in GROUPS
    )
    store = build(compose_node("features", features))
    return build(compose_node("corpus", corpus)), store

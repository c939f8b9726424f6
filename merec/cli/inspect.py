"""`merec inspect`: look at samples, and at what decided the predictions of a network."""

import sys
from pathlib import Path

from merec.cli.arguments import read_flag, split_overrides
from merec.cli.choices import GROUPS, STUDY, build_corpus_and_features, name_corpus
from merec.cli.explain import explain
from merec.cli.output import make_folder
from merec.cli.sample_ids import find_rows
from merec.errors import InputError

NETWORK = ("checkpoint", "method", "plugins", "other_code")  # options of an explanation


def inspect(arguments: list[str]) -> None:
    """Look at samples: `merec inspect [SAMPLE…] corpus=NAME [features.KEY=VALUE…] [count=N] [out=FOLDER]`."""
    samples = [text for text in arguments if "=" not in text and not text.startswith("-")]
    rest = [text for text in arguments if text not in samples]
    defaults = {"count": "9", "out": "runs/inspect", "unlabelled": "false"}
    network = dict.fromkeys(NETWORK, "")
    options, overrides = split_overrides("inspect", rest, defaults | network, (*GROUPS, STUDY))
    if samples and any(text.startswith("count=") for text in rest):
        raise InputError(
            f"merec inspect: count= has no effect beside the sample {samples[0]}; leave out one of the two"
        )
    if not options["count"].isdecimal() or int(options["count"]) < 1:
        raise InputError(f"merec inspect: count={options['count']} is no number of samples")
    options["out"] = options["out"] or defaults["out"]
    if options["checkpoint"]:
        explain(samples, options, overrides)
        return
    idle = [key for key in NETWORK if options[key]]
    if idle:
        raise InputError(f"merec inspect: {idle[0]}= has no effect without checkpoint=RUN")
    name_corpus("inspect", overrides)
    corpus, features = build_corpus_and_features(overrides)
    if read_flag("inspect", "unlabelled", options["unlabelled"]):
        corpus = features.make_pool(corpus)
    from merec.reporting.inspect import inspect_corpus, inspect_sample

    out = Path(options["out"])
    make_folder(out)
    if not samples:
        sys.stdout.write(f"{inspect_corpus(corpus, features, int(options['count']), out)}\n")
    for row in find_rows(samples, corpus.index["sample_id"].tolist()):
        for file in inspect_sample(corpus, row, features, out):
            sys.stdout.write(f"{file}\n")

"""`merec inspect`: look at samples."""

import sys
from pathlib import Path

from merec.cli.arguments import read_flag, split_overrides
from merec.cli.choices import GROUPS, STUDY, build_corpus_and_features, name_corpus
from merec.cli.output import make_folder
from merec.errors import InputError


def inspect(arguments: list[str]) -> None:
    """Look at samples: `merec inspect [SAMPLE…] corpus=NAME [features.KEY=VALUE…] [count=N] [out=FOLDER]`."""
    samples = [text for text in arguments if "=" not in text and not text.startswith("-")]
    rest = [text for text in arguments if text not in samples]
    defaults = {"count": "9", "out": "runs/inspect", "unlabelled": "false"}
    options, overrides = split_overrides("inspect", rest, dict(defaults), (*GROUPS, STUDY))
    name_corpus("inspect", overrides)
    if samples and any(text.startswith("count=") for text in rest):
        raise InputError(
            f"merec inspect: count= has no effect beside the sample {samples[0]}; leave out one of the two"
        )
    corpus, features = build_corpus_and_features(overrides)
    if read_flag("inspect", "unlabelled", options["unlabelled"]):
        corpus = features.make_pool(corpus)
    from merec.reporting.inspect import inspect_corpus, inspect_sample

    if not options["count"].isdecimal() or int(options["count"]) < 1:
        raise InputError(f"merec inspect: count={options['count']} is no number of samples")
    out = Path(options["out"] or defaults["out"])
    make_folder(out)
    if not samples:
        sys.stdout.write(f"{inspect_corpus(corpus, features, int(options['count']), out)}\n")
    names = corpus.index["sample_id"].tolist()
    for sample in samples:
        if sample not in names:
            from difflib import get_close_matches

            alike = [name for name in names if name.casefold() == sample.casefold()]
            if alike:
                raise InputError(f"there is no sample {sample}; did you mean {alike[0]}?")
            near = get_close_matches(sample, names, n=3) or names[:3]
            raise InputError(f"there is no sample {sample}; there are {', '.join(near)}, …")
    for sample in dict.fromkeys(samples):
        for file in inspect_sample(corpus, names.index(sample), features, out):
            sys.stdout.write(f"{file}\n")

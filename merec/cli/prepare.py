"""`merec prepare`: compute the features of a corpus."""

import sys

from merec.cli.arguments import read_flag, read_jobs, split_overrides
from merec.cli.choices import COMMON, GROUPS, STUDY, build_corpus_and_features, name_corpus
from merec.cli.output import locate_table
from merec.errors import InputError


def prepare(arguments: list[str]) -> int:
    """Compute features: `merec prepare corpus=NAME [features.KEY=VALUE…] [jobs=N] [out=FILE]`.

    With `all=true` all representations and modalities are computed, also for pairs of unlabelled clips.

    Returns:
        1 if a sample failed and `strict=true`; else 0.
    """
    defaults = {"unlabelled": "false", "all": "false", **COMMON}
    options, overrides = split_overrides("prepare", arguments, defaults, (*GROUPS, STUDY))
    name = name_corpus("prepare", overrides)
    strict, unlabelled, every = (
        read_flag("prepare", key, options[key]) for key in ("strict", "unlabelled", "all")
    )
    for key, value in (("all", every), ("strict", strict)):
        if unlabelled and value:
            raise InputError(
                f"merec prepare: {key}=true has no effect with unlabelled=true, which makes pairs of frames "
                "only; leave out one of the two"
            )
    jobs = read_jobs("prepare", options["jobs"])
    out = locate_table("prepare", options["out"], f"{name}-unlabelled" if unlabelled else name)
    corpus, features = build_corpus_and_features(overrides)
    from merec.csv_export import write_csv
    from merec.features.prepare import choose_modality, list_shown
    from merec.features.representations import open_representation
    from merec.reporting.prepared import describe_failures, describe_pairs

    if unlabelled:
        table = features.make_pool(corpus, jobs).index
        table = table[["sample_id", "subject", "onset", "apex", "intensity"]]
    else:
        modality = choose_modality(corpus, features)
        combinations = (
            list_shown(modality) if every else [(open_representation("points"), modality)]
        )
        table = features.prepare(corpus, jobs, combinations)
        if every and corpus.unlabelled is not None and len(corpus.unlabelled):
            pairs = features.make_pool(corpus, jobs)
            features.prepare(
                pairs,
                jobs,
                [combination for combination in combinations if len(combination[0].arrays) == 2],
            )
    if out:
        write_csv(out, table)
    describe = describe_pairs if unlabelled else describe_failures
    sys.stdout.write(describe(table, features.store.root, out))
    failed = 0 if unlabelled else int((table["status"] != "ready").sum())
    if failed and (table["status"] == "failed").all():
        raise InputError(
            f"none of {failed} samples can be used, {table['sample_id'].iloc[0]} for one: "
            f"{table['reason'].iloc[0]}"
        )
    if strict and failed:
        sys.stderr.write(
            f"merec: error: {failed} of {len(table)} samples cannot be used in all modalities; mend them, "
            "leave them out with corpus.exclude, or set strict=false\n"
        )
    return int(strict and failed > 0)

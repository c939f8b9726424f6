"""`merec inspect checkpoint=RUN`: explain the predictions of a trained network."""

import sys
from pathlib import Path

from merec.cli.arguments import read_flag, read_plugins
from merec.cli.output import make_folder
from merec.cli.sample_ids import find_rows
from merec.cli.trained_network import open_corpus, open_network
from merec.errors import InputError


def explain(samples: list[str], options: dict[str, str], overrides: list[str]) -> None:
    """Write which points and regions decided the predictions of a network.

    Args:
        samples: Ids of samples; none for `count` samples of held-out subjects.
        options: Values of `checkpoint`, `method`, `count`, `plugins`, `other_code` and `out`.
        overrides: Overrides of the corpus; none for the corpus of the run.
    """
    import numpy as np

    from merec.assets import cache_folder
    from merec.explain.explained_sample import choose_rows, explain_samples, take_rows
    from merec.explain.explanation_page import write_explanations
    from merec.explain.point_importance import choose_method, list_motion
    from merec.restore import open_store
    from merec.run_folder.checkpoint import read_checkpoint

    if options["unlabelled"] != "false":
        raise InputError(
            "merec inspect: unlabelled= has no effect beside checkpoint=; leave it out"
        )
    method = choose_method(options["method"] or None)
    plugins = read_plugins(options["plugins"])
    other_code = read_flag("inspect", "other_code", options["other_code"] or "false")
    network = open_network(options["checkpoint"], plugins, other_code)
    list_motion(
        network.representation
    )  # what cannot be explained is refused before anything is read
    corpus = open_corpus("inspect", network, overrides, plugins)
    file = network.file
    unseen = read_checkpoint(file)["merec"].get("never_saw", [])
    if samples:
        rows = np.array(find_rows(samples, corpus.index["sample_id"].tolist()))
    else:
        rows = choose_rows(corpus, unseen, int(options["count"]))
    out = Path(options["out"])
    make_folder(out)
    store = open_store(network.config, cache_folder() / "features", file)
    explained = list(explain_samples(network, take_rows(corpus, rows), store, method))
    if not explained:
        raise InputError(
            f"no sample of {corpus.protocol.name} can be explained; see the warnings above"
        )
    heading = f"{network.config.get('name', file.stem)}: {len(explained)} explained predictions"
    page, table, summary = write_explanations(explained, heading, method, out)
    sys.stdout.write(f"{summary}\n{page}\n{table}\n")

"""`merec synthesize`: render a corpus."""

from pathlib import Path

from merec.cli.arguments import read_jobs, split_paths
from merec.errors import InputError, quote_error
from merec.ranges import TAKEN_FROM_TABLE


def synthesize(arguments: list[str]) -> None:
    """Render a corpus: `merec synthesize [root=FOLDER] [corpus=NAME] [KEY=VALUE…] [jobs=N]`."""
    import logging

    from merec.config import compose_node, refuse_made

    chosen = [text for text in arguments if text.startswith("corpus=")] or ["corpus=synthetic"]
    defaults = compose_node("corpus", chosen).get("render")
    if defaults is None:
        raise InputError(f"{chosen[0]} is not rendered; give corpus=synthetic or synthetic_small")
    keys = {"root": "", "jobs": "-1", "corpus": ""}
    paths, options = split_paths(arguments, {**keys, **dict.fromkeys(defaults, "")}, "synthesize")
    if paths:
        raise InputError(
            f"merec synthesize does not know {paths[0]}; it takes KEY=VALUE, e.g. root={paths[0]}"
        )
    import yaml

    if options["annotation"] not in ("", "null"):
        refuse_made([key for key in TAKEN_FROM_TABLE if options[key]])
    # Not by way of Hydra, whose grammar cannot read the parentheses of the official file names.
    given = {key: options[key] for key in defaults if options[key]}
    try:
        render = dict(defaults) | {
            key: text if key == "annotation" and text != "null" else yaml.safe_load(text)
            for key, text in given.items()
        }
    except yaml.YAMLError as error:
        reason = quote_error(error)
        raise InputError(f"merec synthesize: a value is not understood ({reason})") from error
    from merec.synthetic.settings import RenderSettings, locate_cached
    from merec.synthetic.synthesize import synthesize

    settings = RenderSettings(**render)
    root = Path(options["root"]).expanduser() if options["root"] else locate_cached(settings)
    jobs = read_jobs("synthesize", options["jobs"])
    for finding in synthesize(root, settings, jobs):
        logging.getLogger(__name__).info(
            "%s: row %s, %s: %s; %s",
            finding.kind,
            finding.row,
            finding.sample_id,
            finding.found,
            finding.remedy,
        )

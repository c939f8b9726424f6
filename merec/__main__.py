"""The verbs: `merec VERB …`."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from merec.cli.arguments import read_flag, read_jobs, read_number, split_overrides, split_paths
from merec.cli.help import HELP, describe_verb
from merec.errors import InputError, quote_error
from merec.ranges import NOT_OF_A_TWIN, RANGES

_COMMON = {"jobs": "-1", "out": "", "strict": "false"}  # options of doctor and prepare
_GROUPS = ("corpus", "features")  # of the config, whose overrides prepare and inspect take
_STUDY = "experiments"  # may say of what corpus and features are, too


def train(arguments: list[str]) -> None:
    """Hand over to Hydra: `merec train OVERRIDE…`."""
    from merec.cli.train import train

    train(arguments)


def report(arguments: list[str]) -> None:
    """Pool runs: `merec report RUN… [out=FOLDER] [published=false] [sheets=FOLDER]`."""
    paths, options = split_paths(
        arguments, {"out": "runs/report", "published": "true", "sheets": ""}, "report"
    )
    if not paths:
        raise InputError("merec report needs run folders, e.g. merec report runs/megc2019_flow")
    published = read_flag("report", "published", options["published"])
    sheets = Path(options["sheets"] or "runs/inspect")
    if options["sheets"] and not sheets.is_dir():
        raise InputError(
            f"sheets={sheets} is no folder; give the folder that merec inspect wrote to, or leave sheets out"
        )
    _make_folder(Path(options["out"]))
    from merec.reporting.report import write_report

    write_report(paths, Path(options["out"]), published, sheets=sheets)


def compare(arguments: list[str]) -> None:
    """Test sides against each other: `merec compare RUN_A RUN_B… [reference=A] [out=FOLDER]`."""
    paths, options = split_paths(arguments, {"reference": "", "out": ""}, "compare")
    if len(paths) < 2:
        raise InputError(
            f"merec compare needs two runs or more, not {len(paths)}: merec compare RUN_A RUN_B"
        )
    out = Path(options["out"]) if options["out"] else None
    if out:
        _make_folder(out)
    from merec.reporting.compare import compare_runs

    compare_runs(paths, reference=options["reference"] or None, out=out)


def dashboard(arguments: list[str]) -> None:
    """Show runs in W&B: `merec dashboard RUN… [out=FOLDER] [online=true]`."""
    paths, options = split_paths(arguments, {"out": "runs/dashboard", "online": ""}, "dashboard")
    if not paths:
        raise InputError("merec dashboard needs run folders, e.g. merec dashboard runs/synthetic")
    given = options["online"]
    online = read_flag("dashboard", "online", given) if given else None
    _make_folder(Path(options["out"]))
    from merec.tracking.dashboard import write_dashboard

    write_dashboard(paths, Path(options["out"]), online)


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
        refuse_made([key for key in NOT_OF_A_TWIN if options[key]])
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
    from merec.synthetic.settings import Settings, locate_cached
    from merec.synthetic.synthesize import synthesize

    settings = Settings(**render)
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


def doctor(arguments: list[str]) -> int:
    """Examine a corpus: `merec doctor corpus=NAME [corpus.KEY=VALUE…] [deep=true] [jobs=N] [out=FILE]`.

    Returns:
        1 if there are errors, or with `strict=true` warnings; else 0.
    """
    options, overrides = split_overrides(
        "doctor", arguments, {"deep": "false", **_COMMON}, ("corpus", _STUDY)
    )
    name = _name_corpus("doctor", overrides)
    from merec.config import build, compose_node, takes

    deep, strict = (read_flag("doctor", key, options[key]) for key in ("deep", "strict"))
    jobs = read_jobs("doctor", options["jobs"])
    node = compose_node("corpus", overrides)
    out = _locate_table("doctor", options["out"], name)
    corpus = build(node, lenient=True) if takes(node, "lenient") else build(node)
    from merec.corpora.doctor import examine
    from merec.reporting.findings import print_findings, write_findings

    root = node.get("root")
    faces: list[Any] = []
    if deep and "onset" in corpus.index:
        from tempfile import TemporaryDirectory

        from merec.features.examination import examine_faces

        with (
            TemporaryDirectory() as folder
        ):  # what belongs into a store is for merec prepare to say
            features = build(compose_node("features", []), root=folder)
            faces = examine_faces(corpus, features, jobs)
    examination = examine(corpus, Path(root) if root else None, deep, jobs, faces)
    if out:
        write_findings(out, examination.findings)
    print_findings(examination, out)
    return int(examination.count("error") > 0 or (strict and examination.count("warning") > 0))


def prepare(arguments: list[str]) -> int:
    """Make a corpus's features: `merec prepare corpus=NAME [features.KEY=VALUE…] [jobs=N] [out=FILE]`.

    With `all=true` in each representation and modality, of the pairs of unlabelled clips too.

    Returns:
        1 if a sample failed and `strict=true`; else 0.
    """
    defaults = {"unlabelled": "false", "all": "false", **_COMMON}
    options, overrides = split_overrides("prepare", arguments, defaults, (*_GROUPS, _STUDY))
    name = _name_corpus("prepare", overrides)
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
    out = _locate_table("prepare", options["out"], f"{name}-unlabelled" if unlabelled else name)
    corpus, features = _build_corpus_and_features(overrides)
    from merec.features.prepare import choose_modality, list_shown
    from merec.files import write_csv
    from merec.reporting.prepared import describe_failures, describe_pairs

    if unlabelled:
        table = features.make_pool(corpus, jobs).index
        table = table[["sample_id", "subject", "onset", "apex", "intensity"]]
    else:
        modality = choose_modality(corpus, features)
        shown = list_shown(modality) if every else [("points", modality)]
        table = features.prepare(corpus, jobs, shown)
        if every and corpus.unlabelled is not None and len(corpus.unlabelled):
            pairs = features.make_pool(corpus, jobs)
            features.prepare(pairs, jobs, [each for each in shown if each[0] == "views"])
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


def inspect(arguments: list[str]) -> None:
    """Look at samples: `merec inspect [SAMPLE…] corpus=NAME [features.KEY=VALUE…] [count=N] [out=FOLDER]`."""
    samples = [text for text in arguments if "=" not in text and not text.startswith("-")]
    rest = [text for text in arguments if text not in samples]
    defaults = {"count": "9", "out": "runs/inspect", "unlabelled": "false"}
    options, overrides = split_overrides("inspect", rest, dict(defaults), (*_GROUPS, _STUDY))
    _name_corpus("inspect", overrides)
    if samples and any(text.startswith("count=") for text in rest):
        raise InputError(
            f"merec inspect: count= has no effect beside the sample {samples[0]}; leave out one of the two"
        )
    corpus, features = _build_corpus_and_features(overrides)
    if read_flag("inspect", "unlabelled", options["unlabelled"]):
        corpus = features.make_pool(corpus)
    from merec.reporting.inspect import inspect_corpus, inspect_sample

    if not options["count"].isdecimal() or int(options["count"]) < 1:
        raise InputError(f"merec inspect: count={options['count']} is no number of samples")
    out = Path(options["out"] or defaults["out"])
    _make_folder(out)
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


def predict(arguments: list[str]) -> None:
    """Name an unseen clip's emotion: `merec predict CLIP [checkpoint=FILE] [calibration=RUN] [fps=N]`."""
    keys = ("checkpoint", "calibration", "fps", "intrinsics", "plugins", "other_code")
    defaults = dict.fromkeys(keys, "") | {"out": "runs/predict"}
    paths, options = split_paths(arguments, defaults, "predict")
    if len(paths) != 1:
        raise InputError(
            f"merec predict needs one clip, not {len(paths)}: merec predict CLIP checkpoint=FILE"
        )
    checkpoint, calibration, intrinsics = (
        Path(options[key]).expanduser() if options[key] else None
        for key in ("checkpoint", "calibration", "intrinsics")
    )
    if calibration and not checkpoint:
        raise InputError(f"calibration={calibration} is of no use without checkpoint=FILE")
    fps = (
        read_number("predict", "fps", options["fps"], RANGES["corpus.fps"])
        if options["fps"]
        else None
    )
    out = Path(options["out"] or "runs/predict")
    _make_folder(out)
    from importlib.util import find_spec

    from merec.cli.predict import predict
    from merec.reporting.prediction import describe_prediction

    plugins = [name for name in options["plugins"].split(",") if name]
    for name in plugins:
        top = name.partition(".")[0]
        if not top.isidentifier() or find_spec(top) is None:
            raise InputError(
                f"plugins={name}: there is no module {top or 'without a name'}; give names that Python can "
                "import (PYTHONPATH says from where)"
            )
    other_code = read_flag("predict", "other_code", options["other_code"] or "false")
    found, files = predict(
        paths[0], checkpoint, calibration, fps, intrinsics, out, plugins, other_code
    )
    sys.stdout.write(describe_prediction(found, files))


def completion(arguments: list[str]) -> None:
    """Complete command lines in a shell: `eval "$(merec completion bash)"`, zsh or fish."""
    from merec.cli.completion import complete, print_script

    if arguments[:1] == ["words"]:  # what the script asks
        sys.stdout.writelines(f"{word}\n" for word in complete(arguments[1:], list(VERBS)))
        return
    if len(arguments) > 1:
        raise InputError(
            f"merec completion takes one shell, not {' '.join(arguments[1:])} too: merec completion "
            f"{arguments[0]}"
        )
    sys.stdout.write(print_script(arguments[0] if arguments else ""))


def _name_corpus(verb: str, overrides: list[str]) -> str:
    """What `corpus=` says."""
    for key in ("corpus=", f"{_STUDY}="):
        for text in overrides:
            if text.startswith(key):
                return text.removeprefix(key)
    from merec.config import list_choices

    raise InputError(
        f"merec {verb} needs corpus=NAME; there are {', '.join(list_choices('corpus'))}"
    )


def _locate_table(verb: str, out: str, name: str) -> Path | None:
    """Where a verb's table goes: `out`, runs/VERB/NAME.csv without one, nowhere if it is null."""
    if out == "null":
        return None
    file = Path(out or f"runs/{verb}/{name}.csv")
    if file.suffix.casefold() not in ("", ".csv"):
        raise InputError(
            f"merec {verb}: out={file} ends in {file.suffix}, but what is written is CSV; name a file that "
            "ends in .csv"
        )
    _make_folder(file.parent)
    if file.is_dir():
        raise InputError(f"out={file} is a folder; name a file in it, or out=null for none")
    return file


def _make_folder(folder: Path) -> None:
    """Make a folder for output, before the work and not after it; `main` removes it if it stays empty."""
    from merec.files import make_output

    if folder.suffix.casefold() in _FILES and not folder.is_dir():
        raise InputError(
            f"out={folder} is named as a file is, but several files are written to a folder; name a folder"
        )
    _made.extend(place for place in (folder, *folder.parents) if not place.exists())
    try:
        make_output(folder)
    except OSError as error:
        raise InputError(
            f"out={folder} cannot be written to ({error.strerror or error}); set out= to another place"
        ) from error


def _build_corpus_and_features(overrides: list[str]) -> tuple[Any, Any]:
    """What overrides of the groups corpus and features describe."""
    from merec.config import build, compose_node

    corpus, features = (
        [
            text
            for text in overrides
            if text.lstrip("+~").startswith((f"{group}=", f"{group}.", f"{_STUDY}="))
        ]
        for group in _GROUPS
    )
    store = build(compose_node("features", features))
    return build(compose_node("corpus", corpus)), store


VERBS: dict[str, Callable[[list[str]], int | None]] = {
    "train": train,
    "report": report,
    "compare": compare,
    "dashboard": dashboard,
    "synthesize": synthesize,
    "doctor": doctor,
    "inspect": inspect,
    "predict": predict,
    "prepare": prepare,
    "completion": completion,
}


_FILES = (".html", ".pdf", ".csv", ".xlsx", ".xls", ".json", ".png", ".svg", ".tex", ".md", ".txt")
_made: list[Path] = []  # folders for output, inner ones first


def _open_closed_streams() -> None:
    """Open what the shell closed (`2>&-`) on nothing, else the next file that is opened takes its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            free = os.open(os.devnull, os.O_RDWR)  # the lowest number, which is that of the stream
            setattr(sys, name, os.fdopen(free, "w" if number else "r"))


def main() -> int:
    """Run a verb and return its exit code; errors that the user can mend are one line and code 2."""
    _open_closed_streams()
    verb, *arguments = sys.argv[1:] or ["--help"]
    asks_for_help = verb in ("-h", "--help", "help")
    # Hydra has a page of its own, and of any words completion asks what follows.
    takes_any = verb == "train" or arguments[:1] == ["words"]
    if asks_for_help or (verb in VERBS and not takes_any and {"-h", "--help"} & {*arguments}):
        sys.stdout.write(HELP if asks_for_help else describe_verb(verb))
        return 0
    show_traceback = "HYDRA_FULL_ERROR" in os.environ
    os.umask(0o077)  # faces and what is known of people are for nobody else to read
    # Otherwise Hydra would print errors its own way and exit before they reach us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        if verb == "--version":
            from merec import __version__

            sys.stdout.write(f"merec {__version__}\n")
            return 0
        if verb not in VERBS:
            raise InputError(f"there is no verb {verb}; there are {', '.join(VERBS)}")
        try:
            Path.cwd()
        except FileNotFoundError as error:
            raise InputError(
                "the current folder was deleted; change to another one (cd) and give the command again"
            ) from error
        if verb != "train":  # Hydra sets up its own
            import logging

            logging.basicConfig(format="%(message)s")
            logging.getLogger("merec").setLevel(logging.INFO)
        return VERBS[verb](arguments) or 0
    except InputError as error:
        if show_traceback:
            raise
        sys.stderr.write(f"merec: error: {error}\n")
        return 2
    except OSError as error:
        from merec.files import describe_disk_error, find_disk_error

        cause = find_disk_error(error)
        if show_traceback:
            raise
        where = f"{error.filename}: " if error.filename else ""
        told = (
            describe_disk_error(cause)
            if cause
            else f"{where}{error.strerror or error}; HYDRA_FULL_ERROR=1 shows where"
        )
        sys.stderr.write(f"merec: error: {told}\n")
        return 2
    except KeyboardInterrupt as stop:
        resumes = {
            "train": "; the same command goes on from the last finished fold",
            "synthesize": "; the same command goes on from the last finished clip",
            "prepare": "; the same command goes on, finished samples are kept",
        }
        sys.stderr.write(f"merec: interrupted{resumes.get(verb, '')}\n")
        return stop.args[0] if stop.args else 130
    finally:
        while _made:
            with contextlib.suppress(OSError):  # it holds what was made, or never came to be
                _made.pop(0).rmdir()


if __name__ == "__main__":
    sys.exit(main())

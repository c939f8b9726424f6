"""`merec doctor`: find problems of a corpus."""

from pathlib import Path
from typing import Any

from merec.cli.arguments import read_flag, read_jobs, split_overrides
from merec.cli.choices import COMMON, STUDY, name_corpus
from merec.cli.output import locate_table


def doctor(arguments: list[str]) -> int:
    """Examine a corpus: `merec doctor corpus=NAME [corpus.KEY=VALUE…] [deep=true] [jobs=N] [out=FILE]`.

    Returns:
        1 if there are errors, or with `strict=true` warnings; else 0.
    """
    options, overrides = split_overrides(
        "doctor", arguments, {"deep": "false", **COMMON}, ("corpus", STUDY)
    )
    name = name_corpus("doctor", overrides)
    from merec.config import build, compose_node, takes

    deep, strict = (read_flag("doctor", key, options[key]) for key in ("deep", "strict"))
    jobs = read_jobs("doctor", options["jobs"])
    node = compose_node("corpus", overrides)
    out = locate_table("doctor", options["out"], name)
    corpus = build(node, lenient=True) if takes(node, "lenient") else build(node)
    from merec.corpora.doctor import examine
    from merec.reporting.findings import print_findings, write_findings

    root = node.get("root")
    faces: list[Any] = []
    if deep and "onset" in corpus.index:
        from tempfile import TemporaryDirectory

        from merec.features.examination import examine_faces

        # What belongs into a store is for merec prepare to say.
        with TemporaryDirectory() as folder:
            features = build(compose_node("features", []), root=folder)
            faces = examine_faces(corpus, features, jobs)
    examination = examine(corpus, Path(root) if root else None, deep, jobs, faces)
    if out:
        write_findings(out, examination.findings)
    print_findings(examination, out)
    return int(examination.count("error") > 0 or (strict and examination.count("warning") > 0))

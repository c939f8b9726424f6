"""`merec export`: write features and networks in the formats of other software."""

import sys
from pathlib import Path

from merec.cli.arguments import split_overrides
from merec.cli.choices import GROUPS, STUDY, build_corpus_and_features, name_corpus
from merec.cli.output import make_new_folder
from merec.errors import InputError
from merec.files import whole_folder, write_text

FORMATS = ("pyg", "flow_maps")


def export(arguments: list[str]) -> None:
    """Write features of a corpus: `merec export corpus=NAME format=pyg|flow_maps [out=FOLDER]`."""
    defaults = dict.fromkeys(("format", "datamodule", "out"), "")
    options, overrides = split_overrides("export", arguments, defaults, (*GROUPS, STUDY))
    if options["format"] not in FORMATS:
        given = (
            f"format={options['format']} is unknown" if options["format"] else "format= is missing"
        )
        raise InputError(f"merec export: {given}; choose {' or '.join(FORMATS)}")
    _export_features(options, overrides)


def _export_features(options: dict[str, str], overrides: list[str]) -> None:
    """Write the points or flow maps of a corpus."""
    name = name_corpus("export", overrides)
    out = Path(options["out"] or f"runs/export/{name}-{options['format']}")
    corpus, features = build_corpus_and_features(overrides)
    from merec.datamodules.feature_loading import load_features
    from merec.export.flow_maps import write_flow_maps
    from merec.export.notice import describe_origin
    from merec.export.point_graphs import write_graphs
    from merec.features.prepare import choose_modality
    from merec.features.representations import MODALITIES, open_representation

    graphs = options["format"] == "pyg"
    if graphs and corpus.flow_maps is not None:
        raise InputError(
            f"{name} holds flow maps, and points are made from frames; take format=flow_maps, or a corpus of "
            "frames"
        )
    if options["datamodule"] and corpus.flow_maps is not None:
        raise InputError(
            f"datamodule={options['datamodule']} has no effect on {name}, which holds flow maps; leave it out"
        )
    modality = options["datamodule"] or (choose_modality(corpus, features) if graphs else "rgb")
    if modality not in MODALITIES:
        raise InputError(f"datamodule={modality} is unknown; choose {', '.join(MODALITIES)}")
    make_new_folder(out)
    representation = open_representation("points" if graphs else "flow_map")
    loaded = load_features(corpus, features, representation, modality, False, None, None)
    with whole_folder(out) as folder:
        if graphs:
            summary = write_graphs(loaded.corpus, loaded.arrays[0], modality, folder)
        else:
            summary = write_flow_maps(loaded.corpus, folder)
        notice = describe_origin("points" if graphs else "flow maps", name)
        write_text(folder / "README.txt", f"{summary}\n\n{notice}")
    sys.stdout.write(f"{out}: {summary}\n{notice}")

"""`merec export`: write features and networks in the formats of other software."""

import sys
from importlib.util import find_spec
from pathlib import Path

from merec.cli.arguments import read_flag, read_plugins, split_overrides
from merec.cli.choices import GROUPS, STUDY, build_corpus_and_features, name_corpus
from merec.cli.output import make_new_folder
from merec.cli.trained_network import open_corpus, open_network
from merec.errors import InputError
from merec.files import whole_folder, write_text
from merec.path_names import describe_bad_name

FORMATS = ("pyg", "flow_maps", "onnx")
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")  # of the extra merec[onnx]


def export(arguments: list[str]) -> None:
    """Export features or a network: `merec export RUN|corpus=NAME format=pyg|flow_maps|onnx [out=FOLDER]`."""
    runs = [text for text in arguments if "=" not in text and not text.startswith("-")]
    rest = [text for text in arguments if text not in runs]
    chosen = next((text.removeprefix("format=") for text in rest if text.startswith("format=")), "")
    if chosen not in FORMATS:
        problem = f"format={chosen} is unknown" if chosen else "format= is missing"
        raise InputError(f"merec export: {problem}; choose {', '.join(FORMATS)}")
    if chosen == "onnx":
        _export_network(runs, rest)
    elif runs:
        raise InputError(
            f"merec export: {runs[0]} has no effect on format={chosen}, which exports a corpus; give "
            "corpus=NAME instead"
        )
    else:
        _export_features(rest)


def _export_features(arguments: list[str]) -> None:
    """Write the graphs or flow maps of a corpus."""
    defaults = dict.fromkeys(("format", "representation", "datamodule", "out"), "")
    options, overrides = split_overrides("export", arguments, defaults, (*GROUPS, STUDY))
    name = name_corpus("export", overrides)
    out = Path(options["out"] or f"runs/export/{name}-{options['format']}")
    corpus, features = build_corpus_and_features(overrides)
    from merec.datamodules.feature_loading import load_features
    from merec.export.flow_maps import write_flow_maps
    from merec.export.notice import describe_origin
    from merec.export.point_graphs import REPRESENTATIONS, write_graphs
    from merec.features.prepare import choose_modality
    from merec.features.representations import MODALITIES, open_representation

    graphs, kind = options["format"] == "pyg", options["representation"]
    kinds = REPRESENTATIONS if graphs else ("flow_map",)
    if kind not in ("", *kinds):
        raise InputError(
            f"representation={kind} does not go with format={options['format']}; choose {' or '.join(kinds)}"
        )
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
    representation = open_representation(kind or kinds[0])
    loaded = load_features(corpus, features, representation, modality, False, None, None)
    with whole_folder(out) as folder:
        if graphs:
            summary = write_graphs(
                loaded.corpus, loaded.arrays[0], representation, modality, folder
            )
        else:
            summary = write_flow_maps(loaded.corpus, folder)
        notice = describe_origin("graphs" if graphs else "flow maps", name)
        write_text(folder / "README.txt", f"{summary}\n\n{notice}")
    sys.stdout.write(f"{out}: {summary}\n{notice}")


def _export_network(runs: list[str], arguments: list[str]) -> None:
    """Write the network of a run, checked on samples of its corpus."""
    keys = ("format", "features.root", "plugins", "out")
    defaults = dict.fromkeys(keys, "") | {"other_code": "false"}
    options, overrides = split_overrides("export", arguments, defaults, ("corpus",))
    if len(runs) != 1:
        raise InputError(
            f"merec export format=onnx needs one run or checkpoint, not {len(runs)}: merec export RUN "
            "format=onnx"
        )
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"format=onnx needs {', '.join(missing)}, which is not installed; run pip install 'merec[onnx]'"
        )
    plugins = read_plugins(options["plugins"])
    other_code = read_flag("export", "other_code", options["other_code"])
    from merec.assets import cache_folder
    from merec.restore import open_store

    network = open_network(runs[0], plugins, other_code, accelerated=False)
    config = network.config
    corpus = open_corpus("export", network, overrides, plugins)
    name = str(config.get("name", ""))
    name = Path(runs[0]).expanduser().stem if describe_bad_name(name) else name
    out = Path(options["out"] or f"runs/export/{name}-onnx")
    make_new_folder(out)
    from merec.export.onnx_network import write_onnx

    # Not where the checkpoint says, which may be somebody else's.
    root = Path(options["features.root"] or cache_folder() / "features")
    data = network.show(corpus, open_store(config, root, network.file))
    with whole_folder(out) as folder:
        summary = write_onnx(network, data, folder)
    sys.stdout.write(f"{out / 'network.onnx'}: {summary}\n")

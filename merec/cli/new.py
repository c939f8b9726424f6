"""`merec new`: write a template package with a new backbone or corpus."""

import re
import sys
from keyword import iskeyword
from pathlib import Path

from merec.cli.arguments import expand_home
from merec.errors import InputError

_PYPROJECT = """\
[project]
name = "@NAME@"
version = "0.1.0"
dependencies = ["merec"]

[project.entry-points."merec.plugins"]  # by which merec finds the package once it is installed
@NAME@ = "@NAME@"

[build-system]
requires = ["setuptools>=64"]
build-backend = "setuptools.build_meta"

[tool.setuptools]
packages = ["@NAME@"]

[tool.setuptools.package-data]
"@NAME@" = ["conf/*/*.yaml"]

[tool.pytest.ini_options]
addopts = "-p no:dash"  # a plug-in of pytest that may be installed with others, and warns
"""
_BACKBONE = '''\
"""A backbone for merec."""

from torch import Tensor, nn


class @CLASS@(nn.Module):
    """A convolution over flow maps, pooled to 4×4 places, and a linear layer.

    Args:
        in_channels: Channels of the flow maps; merec gives it.
        num_classes: Number of classes; merec gives it.
        width: Number of filters.
    """

    reads = "flow_map"  # or points, clip, views
    fresh = ("classify",)  # the head, which task.freeze=encoder trains alone

    def __init__(self, in_channels: int, num_classes: int, width: int):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
        )
        self.classify = nn.Linear(16 * width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes) for flow maps (batch, channels, height, width)."""
        return self.classify(self.encoder(inputs))
'''
_BACKBONE_CONF = """\
# A line about it: paper, number of parameters.
_target_: @NAME@.@CLASS@
_partial_: true             # a fresh one per fold; the task gives in_channels and num_classes
width: 8
"""
_BACKBONE_TEST = '''\
"""The backbone keeps merec's contract, with the values of its YAML file."""

from pathlib import Path

import @NAME@
from merec.config import build
from merec.testing import check_backbone
from omegaconf import OmegaConf

CHOICE = Path(@NAME@.__file__).parent / "conf/backbone/@NAME@.yaml"


def test_the_backbone_trains_and_judges_each_sample_alone():
    check_backbone(build(OmegaConf.load(CHOICE)))
'''
_CORPUS = '''\
"""A corpus for merec."""

from collections.abc import Sequence

from merec.corpora.reading.assemble import assemble, resolve_exclusions
from merec.corpora.reading.coding_sheet import read_samples
from merec.corpora.reading.folders import open_root
from merec.corpora.reading.labels import Labelling
from merec.corpora.reading.sheets import read_table
from merec.corpora.reading.source import describe_source
from merec.types import Corpus, Frames

TABLE = "samples.csv"  # or .xlsx, .xls
COLUMNS = {  # merec's name: names in the table
    "subject": ["subject"],
    "clip": ["clip"],
    "onset": ["onset"],
    "apex": ["apex"],
    "offset": ["offset"],
    "emotion": ["emotion"],
    "action_units": ["action_units"],
}
OPTIONAL = ("offset", "action_units")  # columns that may be missing


def read_@NAME@(
    root: str,
    name: str,
    classes: Sequence[str],
    ignored: Sequence[str],
    exclude: Sequence[str],
    fps: float,
    lenient: bool = False,
) -> Corpus:
    """Read the table, whose frames are SUBJECT/CLIP/NUMBER.jpg beside it.

    Args:
        root: Folder of the corpus.
        name: Name of the protocol.
        classes: Emotions in label order.
        ignored: Emotions that belong to no class; their samples are left out.
        exclude: Sample ids to leave out, or `zero_motion` (onset and apex are the same frame).
        fps: Frames/s.
        lenient: Whether invalid rows become findings, for `merec doctor`, instead of an exception.

    Raises:
        InputError: If the table or a column is missing, or (unless `lenient`) a row is invalid.
    """
    folder = open_root(root, "@NAME@")
    table = read_table(folder / TABLE, COLUMNS, optional=OPTIONAL)
    source = describe_source(table, folder / TABLE, TABLE, "@NAME@")
    table["sample_id"] = table["subject"] + "_" + table["clip"]
    table["offset"] = table["offset"].replace("", "unknown")
    labelling = Labelling(
        corpus="@NAME@",
        class_map={emotion: [emotion] for emotion in classes},
        emotions=[*classes, *ignored],
        spellings={emotion.casefold(): emotion for emotion in [*classes, *ignored]},
    )
    index, rejected, findings = read_samples(
        table,
        source,
        labelling,
        errata=None,
        fps=fps,
        find_frames=lambda row: (Frames(folder / row["subject"] / row["clip"], "{}.jpg"), None),
    )
    return assemble(
        index,
        name=name,
        classes=classes,
        expected={},  # by name of the protocol: counts to assert
        exclude=resolve_exclusions(index, table["sample_id"].tolist(), exclude),
        source=source,
        findings=findings,
        lenient=lenient,
        rejected=rejected,
    )
'''
_CORPUS_CONF = """\
# A line about it: paper, frames/s, size of the images.
_target_: @NAME@.read_@NAME@
root: ${oc.select:roots.@NAME@,${oc.env:MEREC_DATA,../shared/data}/@NAME@}
name: @NAME@
classes: [negative, positive, surprise]
ignored: []      # emotions of the table that belong to no class
exclude: []      # sample ids to leave out, or zero_motion
fps: 30
"""
_CORPUS_TEST = '''\
"""The corpus keeps merec's contract."""

from @NAME@ import read_@NAME@
from merec.testing import check_corpus

TABLE = """\\
subject,clip,onset,apex,emotion
01,b,3,9,surprise
01,a,1,5,positive
02,a,2,7,negative
"""


def test_the_index_is_complete(tmp_path):
    (tmp_path / "samples.csv").write_text(TABLE)
    classes = ["negative", "positive", "surprise"]
    corpus = read_@NAME@(str(tmp_path), "@NAME@", classes, ignored=[], exclude=[], fps=30)
    check_corpus(corpus)
    assert corpus.index["sample_id"].tolist() == ["01_a", "01_b", "02_a"]
    assert corpus.index["label"].tolist() == [1, 2, 0]
'''
_FILES = {
    "backbone": (_BACKBONE, _BACKBONE_CONF, _BACKBONE_TEST),
    "corpus": (_CORPUS, _CORPUS_CONF, _CORPUS_TEST),
}
_TRIES = {
    "backbone": "merec train --config-dir {folder} backbone={name}",
    "corpus": "merec doctor --config-dir {folder} corpus={name} corpus.root=FOLDER",
}


def new(arguments: list[str]) -> None:
    """Write a plug-in package: `merec new backbone|corpus NAME [root=FOLDER]`.

    Raises:
        InputError: If the name is invalid or in use, or the folder exists.
    """
    options = [text for text in arguments if text.startswith("root=")]
    words = [text for text in arguments if text not in options]
    if len(words) != 2 or words[0] not in _FILES or len(options) > 1:
        raise InputError(
            f"merec new does not know {' '.join(arguments) or 'what to write'}; it takes merec new backbone "
            "NAME or merec new corpus NAME, and root=FOLDER"
        )
    kind, name = words
    _check_name(kind, name)
    folder = Path(expand_home(options[0].removeprefix("root=")) if options else name)
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} is there already; give another root=FOLDER, or delete it")
    module, conf, test = _FILES[kind]
    files = {
        "pyproject.toml": _PYPROJECT,
        f"{name}/__init__.py": module,
        f"{name}/conf/{kind}/{name}.yaml": conf,
        f"test_{name}.py": test,
    }
    title = "".join(part.capitalize() for part in name.split("_"))
    for place, text in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        filled = text.replace("@NAME@", name).replace("@CLASS@", title)
        (folder / place).write_text(filled, encoding="utf-8")
    package = folder / name
    # With a path, or pip would ask a package index.
    installed = folder if folder.is_absolute() else f"./{folder}"
    sys.stdout.write(
        f"write the {kind}: {package}/__init__.py, its settings in {package}/conf/{kind}/{name}.yaml\n"
        f"test it: python -m pytest {folder}\n"
        f"try it: {_TRIES[kind].format(folder=folder, name=name)}; once pip install {installed} is "
        "done, without --config-dir\n"
    )


def _check_name(kind: str, name: str) -> None:
    """Refuse a name that is not an identifier, or that a choice or a Python module already has.

    Raises:
        InputError: If so; the message gives the reason.
    """
    if not re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", name) or iskeyword(name):
        raise InputError(
            f"{name!r} cannot name a package of Python; expected small letters, digits and _ between them, "
            "e.g. tiny_net"
        )
    from importlib.util import find_spec

    from merec.config_groups import list_choices

    if name in list_choices(kind):
        raise InputError(f"there is a {kind}={name} already; give another name")
    spec = find_spec(name)
    if spec is not None and spec.origin is not None:  # None of a folder without modules
        raise InputError(
            f"there is a module {name} already ({spec.origin}), which the package would hide; give another "
            "name"
        )

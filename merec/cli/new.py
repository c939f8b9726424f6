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
from pathlib import Path

import pandas as pd

from merec.evaluation.protocol import describe_protocol
from merec.types import Corpus, Frames, InputError

COLUMNS = ("subject", "clip", "onset", "apex", "emotion")


def read_@NAME@(root: str, name: str, classes: Sequence[str], fps: float) -> Corpus:
    """Read `samples.csv`, whose frames are SUBJECT/CLIP/NUMBER.jpg beside it.

    Args:
        root: Folder of the corpus.
        name: Name of the protocol.
        classes: Emotions in label order.
        fps: Frames/s.

    Raises:
        InputError: If the table or a column is missing, or an emotion is none of the classes.
    """
    folder = Path(root).expanduser()
    file = folder / "samples.csv"
    if not file.is_file():
        raise InputError(f"{file} does not exist; set corpus.root=FOLDER to where it lies")
    table = pd.read_csv(file, dtype={"subject": str, "clip": str, "emotion": str})
    if missing := [column for column in COLUMNS if column not in table]:
        raise InputError(f"{file} has no {', '.join(missing)}; expected {', '.join(COLUMNS)}")
    unknown = table[~table["emotion"].isin(classes)]
    if not unknown.empty:
        raise InputError(
            f"{file}, row {unknown.index[0] + 2}: emotion {unknown['emotion'].iloc[0]!r}; expected one of "
            f"{', '.join(classes)}; mend the row, or set corpus.classes"
        )
    clips = list(zip(table["subject"], table["clip"], strict=True))
    index = pd.DataFrame(
        {
            "sample_id": [f"{subject}_{clip}" for subject, clip in clips],
            "corpus": "@NAME@",
            "subject": table["subject"],
            "clip": table["clip"],
            "label": table["emotion"].map(list(classes).index),
            "onset": table["onset"],  # frame numbers
            "apex": table["apex"],
            "offset": pd.array([pd.NA] * len(table), dtype="Int64"),  # not annotated
            "fps": float(fps),
            "emotion": table["emotion"],
            "action_units": None,  # not coded
            "color": [Frames(folder / subject / clip, "{}.jpg") for subject, clip in clips],
            "depth": None,
            "row": range(len(table)),
        }
    )
    return Corpus(describe_protocol(name, index, classes), index, None, ())
'''
_CORPUS_CONF = """\
# A line about it: paper, frames/s, size of the images.
_target_: @NAME@.read_@NAME@
root: ${oc.select:roots.@NAME@,${oc.env:MEREC_DATA,../shared/data}/@NAME@}
name: @NAME@
classes: [negative, positive, surprise]
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
    corpus = read_@NAME@(str(tmp_path), "@NAME@", ["negative", "positive", "surprise"], 30)
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

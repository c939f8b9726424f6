"""The hash of code: what is used counts, wherever it is defined; comments, docstrings and the rest do not."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import merec
from merec.errors import InputError
from merec.source_code import hash_sources

PACKAGE = {
    "plug/__init__.py": "from plug.net import Net\nfrom plug.other import Other\n",
    "plug/net.py": """
import numpy as np
import plug.patch
from . import layers
from plug.tables import WIDTH


class Net(layers.Base):
    '''A network.'''

    def forward(self, x):
        # a comment
        from plug.late import scale

        return scale(layers.relu(x)) * WIDTH


def unused(x):
    return np.abs(x)
""",
    "plug/layers.py": """
from pathlib import Path

KERNEL = Path(__file__).with_suffix(".cpp")


class Base:
    def build(self):
        return KERNEL.read_text()


def relu(x):
    return max(x, 0)


def tanh(x):
    return x
""",
    "plug/layers.cpp": "int main() { return 0; }\n",
    "plug/late.py": "def scale(x):\n    return 2 * x\n",
    "plug/tables.py": "WIDTH = 8\nDEPTH = 3\n",
    "plug/patch.py": "from plug.layers import Base\n\nBase.LIMIT = 6\n",
    "plug/other.py": "class Other:\n    pass\n",
}


@pytest.fixture
def hash_files(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Write the package, change files of it, and hash `plug.Net` in a process that starts anew."""

    def hash_files(**changes: tuple[str, str]) -> dict[str, str]:
        for name, text in PACKAGE.items():
            before, after = changes.get(Path(name).name.replace(".", "_"), ("", ""))
            assert before in text
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text.replace(before, after) if before else text)
        code = "import json; from merec.source_code import hash_sources as h; "
        code += "print(json.dumps(h(['plug.Net']).files))"
        path = f"{tmp_path}:{Path(__file__).parents[1]}"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return hash_files


def test_what_a_class_uses_counts_wherever_it_is_defined(hash_files):
    before = hash_files()
    names = ("__init__", "net", "layers", "late", "tables", "patch")
    assert {f"plug/{name}.py" for name in names} <= set(before)
    for file, change in {
        "net_py": ("* WIDTH", "+ WIDTH"),  # itself
        "layers_py": ("max(x, 0)", "max(x, 0.0)"),  # by an attribute of a module
        "late_py": ("2 * x", "3 * x"),  # imported in a function
        "tables_py": ("WIDTH = 8", "WIDTH = 9"),  # a constant
        "patch_py": ("LIMIT = 6", "LIMIT = 7"),  # what changes others when it is imported
        "layers_cpp": ("return 0", "return 1"),  # a file beside the module
    }.items():
        now = hash_files(**{file: change})
        changed = {name for name in before if before[name] != now[name]}
        assert changed == {"plug/" + file.replace("_cpp", "_py").replace("_", ".")}, file


def test_words_and_layout_do_not_count(hash_files):
    before = hash_files()
    for change in [
        ("# a comment", "# another"),
        ("'''A network.'''", "'''A network that is described.'''"),
        ("layers.relu(x)", "layers.relu(\n            x\n        )"),
    ]:
        assert hash_files(net_py=change) == before, change


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def act(x):\n    return x\n", "def act(x):\n    return 2 * x\n"),
        ("SLOPE = 1\n", "SLOPE = 2\n"),
    ],
)
@pytest.mark.parametrize(
    "way",
    [
        "try:\n    from no_such_module import act\nexcept ImportError:\n    from tricks import act\n",
        pytest.param("from tricks import *\n", marks=pytest.mark.slow),
        pytest.param(
            "import torch.nn\nfrom tricks import act\ntorch.nn.Linear.forward = act\n",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "import importlib\nact = importlib.import_module('tricks').act\n",
            marks=pytest.mark.slow,
        ),
        "from tricks import R\nact = R['act']\n",
    ],
)
def test_of_a_plug_in_all_counts_that_is_loaded_however_it_is_reached(tmp_path, way, before, after):
    """By whole files, as names cannot be followed through patches, stars, registries and texts."""
    (tmp_path / "quaint.py").write_text(way + "\n\nclass Net:\n    pass\n")
    code = "import quaint, json; from merec.source_code import hash_sources as h; "
    code += "print(h(['quaint.Net']).hash)"
    actual = set()
    for text in (before, after):
        whole = "R = {}\nSLOPE = 0\ndef act(x):\n    return 0\n" + text + "R['act'] = act\n"
        (tmp_path / "tricks.py").write_text(whole)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        command = [sys.executable, "-B", "-c", code]
        path = f"{tmp_path}:{Path(__file__).parents[1]}"
        done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        actual.add(done.stdout)
    assert len(actual) == 2


def test_libraries_count_by_their_version_and_are_not_read(hash_files):
    hash_files()
    actual = hash_sources(["merec.backbones.STSTNet", "torch.optim.Adam"])
    assert actual.libraries["torch"] == importlib.metadata.version("torch")
    assert all(name.startswith("merec/") for name in actual.files)


def test_a_backbone_of_merec_is_hashed_with_its_kernel_and_without_other_backbones():
    files = hash_sources(["merec.backbones.STSTNet", "merec.tasks.LeaveOneSubjectOut"]).files
    assert "merec/backbones/kernels/pooled_convolution.py" in files
    assert not {"merec/backbones/rcn_a.py", "merec/backbones/lite_point_gcn.py"} & files.keys()


def test_a_stage_of_features_is_hashed_without_those_beside_it():
    flow_map = hash_sources(["merec.features.representations.flow_map.make_flow_map"]).files
    points = hash_sources(["merec.features.representations.points.make_points"]).files
    assert "merec/features/representations/flow_map.py" in flow_map.keys() - points.keys()
    assert "merec/features/representations/points.py" in points.keys() - flow_map.keys()


def test_an_edited_stage_gives_other_keys_to_what_it_makes_alone(tmp_path):
    shutil.copytree(
        Path(merec.__file__).parent,
        tmp_path / "merec",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    stages = [
        *("crops", "depth", "motion"),
        *("clip", "flow_map", "landmark_graph", "points", "views"),
    ]
    code = (
        "from merec.features.representations import list_representations\n"
        "from merec.features.sample import CROPS, DEPTH, MOTION, Stage, list_makers\n"
        "from merec.source_code import hash_sources\n"
        "shown = [Stage(each.name, each) for each in list_representations()]\n"
        "for stage in (CROPS, DEPTH, MOTION, *shown):\n"
        "    print(hash_sources(list_makers(stage)).hash)\n"
    )

    def hash_stages() -> dict[str, str]:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return dict(zip(stages, done.stdout.split(), strict=True))

    before = hash_stages()
    file = tmp_path / "merec/features/representations/flow_map.py"
    text = file.read_text()
    assert "def compute_strain" in text
    file.write_text(
        text.replace("def compute_strain", "def compute_strain(): ...\n\n\ndef compute_strain")
    )
    now = hash_stages()
    assert {stage for stage in stages if before[stage] != now[stage]} == {"flow_map", "views"}


def test_what_does_not_exist_is_refused():
    with pytest.raises(InputError, match="no_such_package"):
        hash_sources(["no_such_package.Net"])

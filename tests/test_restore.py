"""Nothing in somebody else's file is executed, resolved or built; damage is said in one line."""

import copy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from merec.backbones import STSTNet
from merec.config import build, compose_node
from merec.errors import InputError
from merec.features.representations import open_representation
from merec.plugins import name_folders
from merec.restore import open_store, restore
from merec.stored_config import build_stored, build_stored_corpus, resolve_stored
from merec.tasks.checkpoints import hash_network

HARM = "harm.log"  # what the planted class would create: a log file of the standard library
PLANTED = {"_target_": "logging.FileHandler", "filename": HARM}


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEREC_SECRET", "0.5")


@pytest.fixture(scope="module")
def resolved() -> dict[str, Any]:
    """The parts of a resolved config that prediction reads, composed once."""
    node = compose_node("backbone", ["backbone=ststnet"])
    data = {"modality": "rgb", "representation": "flow_map", "channels": ["u", "v", "strain"]}
    return {
        "corpus": {"root": "nowhere"},
        "features": OmegaConf.to_container(compose_node("features", []), resolve=True),
        "datamodule": {**data, "scaling": "raw", "size": 28},
        "backbone": OmegaConf.to_container(node, resolve=True),
    }


@pytest.fixture(scope="module")
def state(resolved) -> dict[str, torch.Tensor]:
    """Fresh weights of the network of that config."""
    network = build(OmegaConf.create(resolved["backbone"]))(in_channels=3, num_classes=3)
    return {f"backbone.{name}": value for name, value in network.state_dict().items()}


@pytest.fixture
def save(state, tmp_path) -> Callable[..., Path]:
    """Write a checkpoint as `merec train` does, with a config and facts of one's own."""

    def write(config: Any, **facts: Any) -> Path:
        recorded = {
            "config": config if isinstance(config, str) else yaml.safe_dump(config),
            "classes": ["negative", "positive", "surprise"],
            "in_channels": 3,
            "scales": None,
            "protocol": "small",
            "target": "emotion",
            "saw": [],
            "never_saw": [],
        }
        file = tmp_path / "checkpoint.ckpt"
        torch.save({"state_dict": state, "merec": recorded | facts}, file)
        return file

    return write


@pytest.fixture
def good(resolved) -> dict[str, Any]:
    """A config whose checkpoint can be restored."""
    return copy.deepcopy(resolved)


def plant(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Put a value into a config."""
    *way, last = path.split(".", path.split("${")[0].count("."))
    node = config
    for key in way:
        node = node[key]
    node[last] = value
    return config


def test_a_checkpoint_of_ones_own_is_restored(good, save, tmp_path):
    network = restore(save(good))
    assert isinstance(network.backbone, STSTNet)
    assert (
        open_store(network.config, tmp_path / "features", network.file).settings.crops.size == 224
    )


def test_a_network_whose_code_changed_since_is_refused_by_name_unless_accepted(good, save, caplog):
    network = build(OmegaConf.create(good["backbone"]))(in_channels=3, num_classes=3)
    code = hash_network(network, open_representation("flow_map"))
    assert {
        "merec/backbones/ststnet.py",
        "merec/features/representations/flow_map.py",
    } <= code.keys()
    restore(save(good, code=code))
    assert not caplog.records
    file = save(good, code=code | {"merec/backbones/ststnet.py": "0" * 16})
    with pytest.raises(InputError, match=r"ststnet\.py changed since.*other_code=true"):
        restore(file)
    restore(file, other_code=True)
    assert "ststnet.py changed since" in caplog.text
    with pytest.raises(InputError, match="code"):
        restore(save(good, code=["x"]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("backbone._target_", "builtins.print"),
        ("backbone._target_", "logging.FileHandler"),
        ("backbone._target_", "merec.backbones.ststnet.Tensor"),
        ("backbone._target_", "merec.backbones.kernels.pooled_convolution.compile_kernel"),
        ("backbone._target_", ["merec.backbones.STSTNet"]),
        ("backbone._target_", "${other}"),
        ("backbone.dropout", "${oc.env:MEREC_SECRET}"),
        ("backbone.dropout", f"${{oc.create:{{_target_: logging.FileHandler, filename: {HARM}}}}}"),
        (
            "backbone.dropout",
            f"${{oc.create:'{{_target_: logging.FileHandler, filename: {HARM}}}'}}",
        ),
        ("backbone.dropout", "${oc.create:${oc.decode:'{_target_: builtins.print}'}}"),
        ("backbone.dropout", "${..features}"),
        ("backbone.dropout", "${reads:logging.FileHandler}"),
        ("backbone.streams", [3, {"deep": ["${oc.env:MEREC_SECRET}"]}]),
        ("backbone.streams", [PLANTED, 5, 8]),
        ("backbone.streams", {"deep": [[PLANTED]]}),
        ("backbone.${oc.env:MEREC_SECRET}", 1),
        ("backbone._args_", [PLANTED]),
        ("backbone._args_", [3]),
        ("backbone._recursive_", False),
        ("backbone._convert_", "none"),
        ("backbone.size", {"_partial_": "yes", "_target_": "merec.backbones.STSTNet"}),
        ("backbone.size", "???"),
        ("features.difference", PLANTED),
        ("features.difference", "${oc.env:MEREC_SECRET}"),
        (
            "features.crops",
            {"size": f"${{oc.create:{{_target_: logging.FileHandler, filename: {HARM}}}}}"},
        ),
        ("features._args_", [1]),
        ("datamodule.modality", "${oc.env:MEREC_SECRET}"),
        ("datamodule.representation", "logging.FileHandler"),
        ("datamodule.representation", "planted_networks.Mine"),
        ("corpus.root", "${oc.env:MEREC_SECRET}"),
        ("corpus.root", "${hydra:runtime.cwd}"),
    ],
)
def test_nothing_of_a_stored_config_is_resolved_or_called_but_backbones(
    good, save, tmp_path, capsys, path, value
):
    file = save(plant(good, path, value))
    with pytest.raises(InputError, match=r"checkpoint\.ckpt"):
        restore(file)
    assert not (tmp_path / HARM).exists()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "logging.FileHandler", "filename": HARM},
        {"_target_": "merec.corpora.doctor.read_nothing"},
        {"_target_": "merec.synthetic.synthesize.synthesize", "root": HARM},
        {"_target_": "merec.corpora.read_megc2019_flow", "root": PLANTED},
        {"_target_": "merec.corpora.read_megc2019_flow", "root": "${oc.env:MEREC_SECRET}"},
        {},
    ],
)
def test_of_a_stored_corpus_only_readers_are_called(tmp_path, node):
    with pytest.raises(InputError, match="config.yaml"):
        build_stored_corpus(node, (), Path("config.yaml"))
    assert not (tmp_path / HARM).exists()


def test_what_is_checked_is_what_is_built(tmp_path):
    # OmegaConf finds interpolations in containers of its own, too: they are refused before it sees them.
    node = {
        "a": {"_target_": "merec.backbones.STSTNet", "_partial_": True},
        "b": {"c": [1, {"d": 2}]},
    }
    assert resolve_stored(node, ("merec.backbones",), tmp_path) == node
    built = build_stored(node["a"], ("merec.backbones",), tmp_path)
    assert built.func is STSTNet


def test_a_network_of_a_plug_in_is_built_only_if_the_user_names_it(
    good, save, tmp_path, monkeypatch
):
    (tmp_path / "my_networks.py").write_text(
        "from merec.backbones import STSTNet\nclass Mine(STSTNet):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    file = save(plant(good, "backbone._target_", "my_networks.Mine"))
    with pytest.raises(InputError, match=r"asks for my_networks\.Mine, .* plugins=MODULE"):
        restore(file)
    assert type(restore(file, ["my_networks"]).backbone).__name__ == "Mine"
    with pytest.raises(InputError, match="asks for"):
        restore(file, ["my_net"])


@pytest.fixture
def planted(good, save, tmp_path, monkeypatch) -> Iterator[Path]:
    """A checkpoint of a class in a module that writes a file when it is imported."""
    package = tmp_path / "project" / "planted_networks"
    (package / "conf").mkdir(parents=True)
    (package / "__init__.py").write_text(
        f"from merec.backbones import STSTNet\nclass Mine(STSTNet):\n    pass\nopen({HARM!r}, 'w').close()\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("MEREC_CONFIG_DIR", "PYTHONPATH"):
        monkeypatch.setenv(name, "")
    yield save(plant(good, "backbone._target_", "planted_networks.Mine"))
    sys.modules.pop("planted_networks", None)


def test_a_checkpoint_alone_does_not_import_a_module_that_is_not_installed_or_named(
    planted, tmp_path, monkeypatch
):
    with pytest.raises(
        InputError, match=r"asks for planted_networks\.Mine, .* --config-dir=FOLDER"
    ):
        restore(planted)
    monkeypatch.syspath_prepend(str(tmp_path / "project"))  # to be importable is not to be named
    with pytest.raises(InputError, match=r"asks for planted_networks\.Mine"):
        restore(planted)
    assert not (tmp_path / HARM).exists()
    assert "planted_networks" not in sys.modules


def test_a_network_of_a_folder_that_the_user_names_is_restored(planted, tmp_path):
    name_folders(["--config-dir", str(tmp_path / "project")])
    assert type(restore(planted).backbone).__name__ == "Mine"


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[]",
        "3",
        "a: [",
        "backbone: 3",
        "a: &a [*a]",
        "a: 2026-01-01",
        "!!python/object/apply:os.getcwd []",
        "\n".join(
            ["a: &a0 [1]", *(f"b{n}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(40))]
        ),
    ],
)
def test_a_config_that_is_none_is_one_line(save, config):
    with pytest.raises(InputError, match=r"checkpoint\.ckpt is damaged") as caught:
        restore(save(config))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "facts",
    [
        {"classes": 3},
        {"classes": []},
        {"classes": ["a", "a"]},
        {"classes": [1, 2]},
        {"in_channels": "3"},
        {"in_channels": 10**9},
        {"in_channels": [3, "x"]},
        {"in_channels": None},
        {"scales": [[1.0], [2.0]]},
        {"scales": "raw"},
        {"protocol": None},
        {"target": "age"},
        {"target": ["emotion"]},
        {"config": None},
    ],
)
def test_facts_of_another_kind_are_one_line(good, save, facts):
    file = save(good)
    checkpoint = torch.load(file, weights_only=True)
    torch.save(checkpoint | {"merec": checkpoint["merec"] | facts}, file)
    with pytest.raises(InputError, match=r"checkpoint\.ckpt is damaged|does not fit") as caught:
        restore(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(good, save, value):
    file = save(good)
    checkpoint = torch.load(file, weights_only=True)
    name = next(iter(checkpoint["state_dict"]))
    checkpoint["state_dict"][name] = checkpoint["state_dict"][name] * value
    torch.save(checkpoint, file)
    with pytest.raises(InputError, match=f"are not finite .{name}.: its training diverged"):
        restore(file)


def test_a_weight_that_no_network_has_is_refused_by_name(good, save, state):
    state["foo"] = torch.zeros(1)
    try:
        with pytest.raises(InputError, match="holds foo, which is no weight of its network"):
            restore(save(good))
    finally:
        del state["foo"]


def test_what_only_running_it_would_read_is_refused_without_that_advice(tmp_path):
    file = tmp_path / "checkpoint.ckpt"
    torch.save({"state_dict": {}, "merec": Path("weights")}, file)
    with pytest.raises(InputError, match="it holds something else than tensors") as error:
        restore(file)
    assert "weights_only" not in str(error.value)


def test_sparse_weights_are_refused_by_name(good, save):
    file = save(good)
    checkpoint = torch.load(file, weights_only=True)
    name = next(iter(checkpoint["state_dict"]))
    checkpoint["state_dict"][name] = checkpoint["state_dict"][name].to_sparse()
    torch.save(checkpoint, file)
    with pytest.raises(InputError, match=f"{name} is torch.sparse_coo, expected a dense tensor"):
        restore(file)

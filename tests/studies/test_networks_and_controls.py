"""Controls are told from networks by their config, and named in every table."""

import pytest

from merec.evaluation.pooling import pool_runs
from merec.evaluation.runs import find_runs
from merec.studies.networks_and_controls import (
    describe_controls,
    name_control,
    name_modality,
)

RGB = {"modality": "rgb", "representation": "flow_map"}
PAIR = {"modality": "fused", "representation": "views", "views": ["rgb", "flow"]}
TASKS = {
    "network": {"freeze": "none", "pretrain": None, "weights": None, "datamodule": RGB},
    "probe": {"freeze": "encoder", "pretrain": None, "weights": None, "datamodule": PAIR},
    "contrast": {
        "freeze": "encoder",
        "pretrain": "contrastive",
        "weights": None,
        "datamodule": PAIR,
    },
    "logistic": {"estimator": "logistic", "datamodule": RGB},
    "ceiling": {"estimator": "true_action_units", "datamodule": RGB},
}


@pytest.fixture
def results(make_small_index, predict, write_predicted, tmp_path):
    root, index = tmp_path, make_small_index()
    for name, task in TASKS.items():
        write_predicted(
            root / name, predict(index), index, name=name, config={"task": task, "seed": 0}
        )
    return {result.name: result for result in pool_runs(find_runs([root]))}


def test_a_control_is_named_by_what_it_does_and_a_network_is_none(results):
    assert name_control(results["network"]) == name_control(results["contrast"]) == ""
    assert name_control(results["probe"]) == "linear probe of an encoder with random weights"
    assert name_control(results["logistic"]) == "logistic on flow maps, no network"
    assert "the ceiling of the emotion" in name_control(results["ceiling"])
    message = describe_controls([*results.values()])
    assert [name for name in TASKS if f"({name})" in message] == ["probe", "logistic", "ceiling"]
    assert describe_controls([results["network"]]) == ""


def test_results_are_grouped_by_what_they_were_shown(results):
    assert name_modality(results["network"]) == "Colour"
    assert name_modality(results["probe"]) == "Views: rgb and flow"
    assert name_modality(results["ceiling"]) == "True action units"

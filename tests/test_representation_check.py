"""A config whose representation does not exist, or does not heed a key that was given, is refused."""

import re

import pytest

from merec.cli.train_arguments import list_keys
from merec.errors import InputError
from merec.representation_check import check_heeded


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("features.points.k=9", "is of no use without datamodule.representation=points; set that"),
        ("features.view_region=face", "is of no use without datamodule.representation=views"),
        (
            "datamodule.representation=pionts",
            "representation=pionts is unknown; did you mean points?",
        ),
        ("datamodule.representation=xyz", "choose clip, flow_map, landmark_graph, points or views"),
        ("datamodule.representation=merec.backbones.STSTNet", "is no subclass of merec.features"),
        ("datamodule.representation=merec.nothing.Map", "cannot be imported (No module named"),
    ],
)
def test_what_no_representation_heeds_is_refused(composed, override, line):
    cfg = composed(override)
    with pytest.raises(InputError, match=re.escape(line)):
        check_heeded(cfg, list_keys([override]))


@pytest.mark.parametrize(
    "overrides",
    ["backbone=lite_point_gcn features.points.k=9", "backbone=dual_view features.view_region=face"],
)
def test_what_the_chosen_representation_heeds_is_taken(composed, overrides):
    given = overrides.split()
    check_heeded(composed(*given), list_keys(given))

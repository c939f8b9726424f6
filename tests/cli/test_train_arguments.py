"""A value has one spelling in the name of its run folder, however it is typed."""

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from merec.cli.train_arguments import check_arguments


@pytest.mark.parametrize(
    "typed",
    [
        "recipe.optimizer.lr=3e-3",
        "recipe.optimizer.lr=.0030",
        "recipe.optimizer.lr=0.003",
        "+recipe.optimizer.betas=[.9, 0.9990]",
        "recipe.class_balanced=True",
        "trainer.max_epochs=1_000",
        "task.freeze=encoder",
    ],
)
def test_one_run_spells_a_value_as_a_multirun_does(typed):
    overrides = OverridesParser.create().parse_overrides([typed])
    ((swept,),) = BasicSweeper.split_arguments(overrides, None)
    assert check_arguments([typed]) == swept


def test_text_and_several_values_stay_as_they_are_typed():
    typed = ["remark=3e-3 was too high", "corpus.root=/data/007", "recipe.optimizer.lr=3e-3,1e-3"]
    assert check_arguments(["-m", *typed]) == ["-m", *typed]

"""A name that YAML takes for a number or boolean is refused with the key and the remedy, never used."""

import re
from collections.abc import Callable, Mapping, Sequence

import pytest
import yaml

from merec.config import compose_node
from merec.config_check import check
from merec.errors import InputError
from merec.text_values import find_misread_texts


def take(
    names: Sequence[str],
    some: Sequence[str] | None,
    text: str,
    maybe: Mapping[str, float] | str | None,
    number: int,
    share: float | int | None,
    table: Mapping[str, str],
    groups: Mapping[int, Mapping[str, Sequence[str]]],
) -> None:
    """A constructor of each kind of annotation."""


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("names", "[006_006_1_2, 018_018_3_1]", "node.names[0] is 197002"),
        ("names", "[a, no]", "node.names[1] is False"),
        ("names", "[1e3, 12]", "node.names[1] is 12"),
        ("names", "abc", "node.names is abc; expected a list"),
        ("some", "[006]", "node.some[0] is 6"),
        ("some", "006", "node.some is 6"),
        ("text", "2024", "node.text is 2024"),
        ("maybe", "on", "node.maybe is True"),
        ("table", "{a: 1}", "node.table.a is 1"),
        ("table", "{off: b}", "node.table, key False is False"),
        ("groups", "{3: {negative: [anger, 007]}}", "node.groups.3.negative[1] is 7"),
    ],
)
def test_a_misread_name_is_named_by_its_key(key: str, value: str, place: str) -> None:
    lines = find_misread_texts(take, {key: yaml.safe_load(value)}, "node")
    assert lines
    assert lines[0].startswith(place)
    assert "quotes" in lines[0] or "list" in lines[0]


@pytest.mark.parametrize(
    "node",
    [
        {"names": ["006_006_1_2"], "some": None, "text": "2024", "maybe": {"a": 1.0}},
        {"names": [], "some": ["a"], "maybe": "file.yaml", "number": 3, "share": 0.5},
        {"names": "${oc.select:a}", "maybe": None, "groups": {3: {"a": ["b"]}}, "share": None},
    ],
)
def test_what_is_text_or_should_be_no_text_passes(node: dict) -> None:
    assert find_misread_texts(take, node, "node") == []


def test_a_sample_id_in_a_file_must_be_quoted(composed: Callable) -> None:
    cfg = composed("corpus=samm")
    cfg.corpus.exclude = yaml.safe_load("[006_006_1_2, 018_018_3_1]")
    with pytest.raises(InputError, match=r"corpus.exclude\[0\] is 197002, .*; put it in quotes"):
        check(cfg)
    cfg.corpus.exclude = yaml.safe_load("['006_006_1_2', 018_018_3_1]")
    check(cfg)


@pytest.mark.parametrize("names", ["[1e3]", "[true]", "[12]", "006_006_1_2"])
def test_names_on_the_command_line_are_text_or_refused(names: str) -> None:
    with pytest.raises(InputError, match=r"corpus.exclude(\[0\])? is "):
        compose_node("corpus", ["corpus=samm", f"corpus.exclude={names}"])


def test_a_data_set_to_train_on_is_text_or_refused(composed: Callable) -> None:
    with pytest.raises(InputError, match=r"task.train_on\[0\] is 4, .*; put it in quotes"):
        check(composed("corpus=megc2019", "task=loso", "task.train_on=[4]"))


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("backbone.compiled=maybe", "backbone.compiled=maybe; expected true or false"),
        ("datamodule.balanced=often", "datamodule.balanced=often; expected true or false"),
        ("datamodule.augment.apart=2", "datamodule.augment.apart=2; expected true or false"),
        (
            "trainer.deterministic=maybe",
            "trainer.deterministic=maybe; expected true or false or warn",
        ),
        ("trainer.precision=7", "trainer.precision=7; expected 64 or 32 or 16"),
        ("task.compiled=maybe", "task.compiled=maybe is unknown; choose false or true"),
        (
            "logger.mode=foo",
            "logger.mode=foo is unknown; choose online, offline, disabled or shared",
        ),
        ("features.motion.flow=raft", "features.motion.flow=raft is unknown; choose dis, tvl1"),
        (
            "features.motion.head=sometimes",
            "features.motion.head=sometimes is unknown; choose false",
        ),
        ("features.difference=foo", "features.difference=foo is unknown"),
        ("features.pool.intensity=foo", "features.pool.intensity=foo is unknown"),
    ],
)
def test_words_other_than_those_known_are_refused(composed: Callable, override, line) -> None:
    with pytest.raises(InputError, match=re.escape(line)):
        check(composed(override))


@pytest.mark.parametrize(
    "override",
    ["trainer.deterministic=warn", "trainer.precision=bf16-mixed", "trainer.precision='16'"],
)
def test_words_of_an_annotation_are_taken(composed: Callable, override) -> None:
    check(composed(override))

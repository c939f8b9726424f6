"""The generated pages of the reference are those of today's code and conf/."""

import importlib.util

import pytest

from merec.config_groups import home

FILE = home() / "docs/reference/generate.py"


@pytest.fixture
def generate():
    spec = importlib.util.spec_from_file_location("generate", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_pages_are_up_to_date(generate, monkeypatch):
    monkeypatch.chdir(home())
    outdated = "run `make reference` and commit the pages"
    assert FILE.with_name("config.md").read_text() == generate.describe_config(), outdated
    assert FILE.with_name("verbs.md").read_text() == generate.describe_verbs(), outdated


def test_a_comment_above_a_block_describes_the_block(generate):
    beside = " " * 27
    source = f"# Head.\nfirst: 1 {beside}# beside\n {beside} # continued\n\n# above\nblock:\n  second: 2\n"
    head, keys = generate.read_yaml(source, "task")
    assert head == "Head."
    meanings = {key.path: key.meaning for key in keys}
    assert meanings == {
        "task.first": "beside continued",
        "task.block": "above",
        "task.block.second": "",
    }


def test_every_group_of_the_config_has_a_section():
    page = (home() / "docs/reference/config.md").read_text()
    groups = {file.parent.name for file in (home() / "conf").glob("*/*.yaml")} - {"local"}
    assert groups > {"logger", "loss", "task"}
    assert all(f"\n## {group}\n" in page for group in groups)

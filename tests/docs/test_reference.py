"""The generated pages of the reference are those of today's code and conf/."""

import importlib.util

from merec.config_groups import home


def test_reference_pages_are_up_to_date(monkeypatch):
    monkeypatch.chdir(home())
    file = home() / "docs/reference/generate.py"
    spec = importlib.util.spec_from_file_location("generate", file)
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    outdated = "run `make reference` and commit the pages"
    assert file.with_name("config.md").read_text() == generate.describe_config(), outdated
    assert file.with_name("verbs.md").read_text() == generate.describe_verbs(), outdated


def test_every_group_of_the_config_has_a_section():
    page = (home() / "docs/reference/config.md").read_text()
    groups = {file.parent.name for file in (home() / "conf").glob("*/*.yaml")} - {"local"}
    assert groups > {"logger", "loss", "task"}
    assert all(f"\n## {group}\n" in page for group in groups)

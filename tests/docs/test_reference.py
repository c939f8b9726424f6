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

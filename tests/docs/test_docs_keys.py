"""Config keys that the documentation names exist."""

import re
from pathlib import Path

import pytest
import yaml

from merec.config_groups import home
from merec.run_folder.identity import flatten

PAGES = [home() / "README.md", *sorted((home() / "docs").rglob("*.md"))]
PAGES.remove(home() / "docs/reference/config.md")  # written from conf/ itself
GROUPS = "backbone|corpus|datamodule|features|hydra|logger|loss|recipe|task|trainer"
KEY = re.compile(rf"(?<![\w./])((?:{GROUPS})\.[a-z_]+(?:\.[a-z_0-9]+)*)(?:=|(?=`))")


def list_keys() -> set[str]:
    """List the keys of all choices of conf/, and the keys that lead to them."""
    keys = set()
    for file in (*home().glob("conf/*/*.yaml"), *home().glob("experiments/*.yaml")):
        text = file.read_text(encoding="utf-8")
        prefix = "" if "@package _global_" in text else f"{file.parent.name}."
        keys |= {f"{prefix}{key}" for key in flatten(yaml.safe_load(text) or {})}
    for file in (home() / "conf/hydra").glob("*/*.yaml"):
        nested = flatten(yaml.safe_load(file.read_text(encoding="utf-8")))
        keys |= {f"hydra.{file.parent.name}.{key}" for key in nested}
    keys |= set(flatten(yaml.safe_load((home() / "conf/config.yaml").read_text(encoding="utf-8"))))
    parents = {key.rpartition(".")[0] for key in keys}
    return keys | parents | {parent.rpartition(".")[0] for parent in parents}


KEYS = list_keys()
MISSPELT = {"backbone.dropuot"}  # the tutorial shows what merec says to it


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(Path(page).relative_to(home())))
def test_every_config_key_of_a_page_exists(page):
    named = {*KEY.findall(page.read_text(encoding="utf-8"))}
    assert sorted(named - KEYS - MISSPELT) == []

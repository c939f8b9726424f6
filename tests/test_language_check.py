"""The language check of `make lint` names what it is for, and nothing else."""

import subprocess
import sys
from pathlib import Path

CHECK = Path(__file__).parent.parent / "checks/language.py"


def check(folder: Path, text: str) -> list[str]:
    (folder / "module.py").write_text(text)
    done = subprocess.run(
        [sys.executable, CHECK, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == bool(done.stdout)
    return [line.partition("module.py:")[2] for line in done.stdout.splitlines()]


def test_vague_names_and_openings_are_named_by_line(tmp_path):
    text = '"""What it is."""\n\n\ndef find(said):\n    """of it."""\n    found = [each for each in said]\n'
    faults = check(tmp_path, text)
    assert [fault.partition(":")[0] for fault in faults] == ["1", "4", "5", "6", "6"]
    assert all(
        any(word in fault for fault in faults) for word in ("What", "said", "of", "found", "each")
    )


def test_plain_words_uses_and_fields_pass(tmp_path):
    text = (
        '"""Names of samples."""\n\n\nclass Row:\n    """Row of a file."""\n\n    found: str\n\n\n'
        'def read(row):\n    """Read `found`."""\n    return row.found\n'
    )
    assert check(tmp_path, text) == []

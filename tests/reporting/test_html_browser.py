"""A browser shows the page: it sorts, follows the theme, prints, and runs no script but its own."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome")
HARMLESS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
Browse = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Open a page with further flags, away from any network and profile."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on PATH")

    def open_page(page: Path, *flags: str) -> subprocess.CompletedProcess:
        folder = f"--user-data-dir={tmp_path / 'profile'}"
        logging = ("--enable-logging=stderr", "--v=0", "--window-size=1280,2000")
        command = [program, *HARMLESS, folder, *logging, *flags, page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    return open_page


@pytest.fixture
def page(report) -> Path:
    return report.folder / "report.html"


def do(page: Path, folder: Path, script: str, allowed: bool = True) -> Path:
    """A copy of the page with another script at its end, allowed or not."""
    text = page.read_text(encoding="utf-8")
    if allowed:
        text = re.sub("<meta http-equiv=[^>]*>", "", text, count=1)
    copy = folder / "copy.html"
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return copy


def read_column(dom: str, table: str, column: int) -> list[str]:
    body = re.search(rf'<table aria-label="{table}".*?<tbody>(.*?)</tbody>', dom, re.DOTALL)[1]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in body.split("</tr>")[:-1]]
    return [row[column] for row in rows]


def click(table: str, column: int, times: int) -> str:
    """A script that presses a heading's button, which keyboards do as well."""
    heading = f'document.querySelectorAll(`table[aria-label="{table}"] th button`)[{column}]'
    return f"for (let i = 0; i < {times}; i++) {heading}.click();"


@pytest.mark.parametrize(("times", "order"), [(1, "ascending"), (2, "descending"), (3, None)])
def test_clicks_sort_numbers_and_leave_dashes_at_the_end(
    browse: Browse, page: Path, tmp_path: Path, times: int, order: str | None
) -> None:
    scores, published = ("Scores", 3), ("Published numbers", 3)
    script = click(*scores, times) + click(*published, times)
    dom = browse(do(page, tmp_path, script), "--dump-dom").stdout
    text = page.read_text(encoding="utf-8")
    for table, column in (scores, published):
        before, after = (read_column(source, table, column) for source in (text, dom))
        numbers = [float(re.match(r"[.\d]+", c)[0]) for c in after if c[0] != "–"]
        dashes = [c for c in after if c[0] == "–"]
        assert sorted(before) == sorted(after)
        if order is None:
            assert after == before
        else:
            assert before != after
            assert numbers == sorted(numbers, reverse=order == "descending")
            assert after[len(numbers) :] == dashes
    assert dom.count("aria-sort=") - text.count("aria-sort=") == (2 if order else 0)
    assert order is None or f'aria-sort="{order}"' in dom


def test_a_page_logs_nothing_and_fits_the_width_of_a_laptop(
    browse: Browse, page: Path, tmp_path: Path
) -> None:
    assert "CONSOLE" not in browse(page, "--dump-dom").stderr
    wide = "document.title = document.documentElement.scrollWidth + '/' + innerWidth"
    dom = browse(do(page, tmp_path, wide), "--dump-dom").stdout
    output, width = map(int, re.search(r"<title>(\d+)/(\d+)</title>", dom).groups())
    assert output <= width


def test_no_script_but_its_own_runs(browse: Browse, page: Path, tmp_path: Path) -> None:
    done = browse(do(page, tmp_path, "document.title = 'taken over'", allowed=False), "--dump-dom")
    assert "<title>taken over" not in done.stdout
    assert "Content Security Policy" in done.stderr
    assert "<th" in done.stdout
    assert "<button" in done.stdout  # its own did


def test_a_link_to_a_subject_unfolds_its_samples(
    browse: Browse, page: Path, tmp_path: Path
) -> None:
    link = "document.querySelector('td a[href^=\"#samples-of\"]')"
    script = f"addEventListener('load', () => {link}.click())"
    dom = browse(do(page, tmp_path, script), "--dump-dom", "--virtual-time-budget=2000").stdout
    assert re.search(r'<details open="">\s*<summary>CASME II', dom)
    assert dom.count("<details open") == 1


def test_the_page_is_light_or_dark_as_its_reader_wants(
    browse: Browse, page: Path, tmp_path: Path
) -> None:
    brightness = {}
    for name, scheme in (("dark", 0), ("light", 1)):
        picture = tmp_path / f"{name}.png"
        theme = f"--blink-settings=preferredColorScheme={scheme}"
        browse(page, f"--screenshot={picture}", theme)
        pixels = np.asarray(Image.open(picture).convert("L"))
        assert pixels.shape == (2000, 1280)
        assert pixels.std() > 10
        brightness[name] = np.median(pixels)
    assert brightness["dark"] < 40
    assert brightness["light"] > 240


def test_it_can_be_printed(browse: Browse, page: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.pdf"
    browse(page, f"--print-to-pdf={file}", "--blink-settings=preferredColorScheme=0")
    assert file.read_bytes().startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", file.read_bytes())) >= 3

"""The documentation builds without a warning, and its pages load nothing from elsewhere."""

import re
import subprocess
import sys

from merec.config_groups import home

# What a page loads by itself; links that a reader follows (a href) may lead elsewhere.
LOADED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)="?(https?:)?//""")


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    done = subprocess.run(command, cwd=home(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 20
    assert [page.name for page in pages if LOADED.search(page.read_text(encoding="utf-8"))] == []
    assert [page.name for page in pages if "url(http" in page.read_text(encoding="utf-8")] == []

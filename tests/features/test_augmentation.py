"""Augmentation: each training sample has draws of its own, and a mirror twice changes nothing."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pytest
import torch
import yaml
from torch.nn.functional import interpolate

from merec.config_groups import home
from merec.datamodules.modality_channels import check_augmentation
from merec.errors import InputError
from merec.features.augmentation import Augmentation
from merec.features.image_transforms import (
    Box,
    augment_images,
    change_colors,
    crop_images,
    flip_images,
    place_box,
)
from merec.features.point_transforms import flip_points, mark_dropped, move_points
from merec.features.regions import REGIONS
from merec.features.representations import (
    COLORS,
    MODALITIES,
    list_representations,
    open_representation,
)
from merec.features.representations.flow_map import compute_strain, mirror
from merec.features.representations.views import VIEW_CHANNELS

OFF = yaml.safe_load((home() / "conf" / "datamodule" / "_clips.yaml").read_text())["augment"]
del OFF["_target_"]
SHOWN = {
    representation.name: {modality: representation.channels(modality) for modality in MODALITIES}
    for representation in list_representations()
}
PAIRS = [(kind, modality) for kind, modalities in SHOWN.items() for modality in modalities]


def settings(**changes) -> Augmentation:
    return Augmentation(**OFF | changes)


def draw(kind: str, modality: str, batch: int = 5) -> tuple[torch.Tensor, ...]:
    """Samples as the store gives them."""
    luck = torch.Generator().manual_seed(0)
    if kind == "points":
        return (torch.randn(batch, 8, 16, 6, generator=luck),)
    if kind == "landmark_graph":
        return (torch.randn(batch, 468, 8, generator=luck),)
    shape = (3, 6, 7) if kind == "clip" else (6, 7)
    views = [
        torch.randn(batch, len(names), *shape, generator=luck) for names in SHOWN[kind][modality]
    ]
    if kind == "flow_map":
        views = [view.mul(40).add(128).round().clamp(0, 255) for view in views]
    return tuple(views)


def apply(views, kind, modality, seeds=range(5), **changes):
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    changed = settings(**changes)
    return open_representation(kind).augment(views, SHOWN[kind][modality], changed, generators)


# Mirrors


@pytest.mark.parametrize(("kind", "modality"), PAIRS)
def test_the_flip_of_a_flip_is_the_identity_and_a_flip_is_not(kind, modality):
    views = draw(kind, modality)
    once = apply(views, kind, modality, flip=1.0)
    twice = apply(once, kind, modality, flip=1.0)
    assert len(views) == len(once) == (2 if kind == "views" else 1)
    for view, flipped, back in zip(views, once, twice, strict=True):
        assert torch.equal(back, view)
        assert (flipped != view).flatten(1).any(1).all()


def test_flow_maps_are_mirrored_as_the_baselines_mirror_them():
    names = SHOWN["flow_map"]["rgb"][0]
    (maps,) = draw("flow_map", "rgb")
    (flipped,) = apply((maps,), "flow_map", "rgb", flip=1.0)
    np.testing.assert_array_equal(flipped, mirror(maps.numpy().astype(np.uint8), names))


@pytest.mark.parametrize(
    ("names", "turned"),
    [
        (("u", "v", "strain"), (0,)),
        (("strain", "v", "u"), (2,)),
        (("dz", "dz_x", "dz_y"), (1,)),
        (("u", "v", "dz"), (0,)),
        (COLORS, ()),
        (("dz",), ()),
    ],
)
def test_only_what_points_along_the_rows_is_turned_round(names, turned):
    images = torch.rand(2, len(names), 4, 4)
    flipped = flip_images(images, names, 0)
    for at in range(len(names)):
        sign = -1 if at in turned else 1
        assert torch.equal(flipped[:, at], sign * images[:, at].flip(-1))


def test_a_flip_swaps_left_and_right_regions_and_turns_x_and_u():
    points = torch.rand(1, 8, 2, 6)
    flipped = flip_points(points)
    for name, region in zip(REGIONS, flipped[0], strict=True):
        other = name.replace("left", "*").replace("right", "left").replace("*", "right")
        origin = points[0, REGIONS.index(other)]
        assert torch.equal(region, origin * torch.tensor([-1, 1, 1, -1, 1, 1]))


@pytest.mark.parametrize("kind", ["points", "landmark_graph"])
def test_a_rotation_turns_place_and_motion_together(kind):
    (samples,) = draw(kind, "fused")
    (turned,) = apply((samples,), kind, "fused", rotate=30)
    names = SHOWN[kind]["fused"][0]
    pairs = [("x", "y"), ("u", "v")] + [("track_x", "track_y")] * ("track_x" in names)
    before, after = (
        {name: values[..., at].double() for at, name in enumerate(names)}
        for values in (samples, turned)
    )
    angles = []
    for across, down in pairs:
        start = torch.complex(before[across], before[down])
        angle = (torch.complex(after[across], after[down]) / start).flatten(1)
        torch.testing.assert_close(angle.abs(), torch.ones_like(angle.abs()), atol=1e-5, rtol=0)
        torch.testing.assert_close(angle, angle[:, :1].expand_as(angle), atol=1e-4, rtol=0)
        angles.append(angle[:, 0].angle().rad2deg())
    for angle in angles:
        torch.testing.assert_close(angle, angles[0], atol=1e-3, rtol=0)
    assert (angles[0].abs() <= 30).all()
    assert angles[0].abs().max() > 5
    assert torch.equal(after["z"], before["z"])
    assert torch.equal(after["dz"], before["dz"])


def test_both_views_of_a_sample_are_flipped_or_none():
    views = draw("views", "fused", batch=40)
    flipped = apply(views, "views", "fused", seeds=range(40), flip=0.5)
    moved = [(now != before).flatten(1).any(1) for now, before in zip(flipped, views, strict=True)]
    assert torch.equal(moved[0], moved[1])
    assert 5 < moved[0].sum() < 35


# Crops


def test_the_crop_of_the_whole_is_the_identity():
    (view, _) = draw("views", "rgb")
    whole = Box(0, 0, *view.shape[2:])
    assert torch.equal(crop_images(view, COLORS, [whole] * 5), view)
    assert place_box(torch.tensor([1.0, 0.3, 0.7]), 0.2, 6, 7) == whole


def test_a_crop_is_cut_out_and_resized():
    view = torch.randn(2, 3, 12, 10)
    cropped = crop_images(view, COLORS, [Box(2, 3, 6, 5), Box(0, 1, 12, 9)])
    for at, cut in enumerate((view[:1, :, 2:8, 3:8], view[1:, :, :, 1:])):
        wanted = interpolate(cut, (12, 10), mode="bilinear", align_corners=False)
        assert torch.equal(cropped[at], wanted[0])


def test_flow_grows_with_the_image_while_strain_and_depth_do_not():
    names = ("u", "v", "strain", "dz")
    ones = torch.ones(1, 4, 12, 12)
    cropped = crop_images(ones, names, [Box(4, 0, 3, 6)])[0]
    assert [channel.unique().tolist() for channel in cropped] == [[2], [4], [1], [1]]


def test_the_strain_of_a_cropped_flow_is_the_cropped_strain():
    across, down = np.meshgrid(np.linspace(0, 3, 64), np.linspace(0, 3, 64))
    u, v = np.sin(across) * np.cos(down), np.cos(2 * across + down)
    view = torch.from_numpy(np.stack([u, v, compute_strain(u, v)])[None]).float()
    output = crop_images(view, ("u", "v", "strain"), [Box(10, 20, 32, 32)])[0].numpy()
    inside = (slice(3, -3),) * 2
    np.testing.assert_allclose(compute_strain(*output[:2])[inside], output[2][inside], rtol=0.05)


def test_a_crop_of_the_mirror_image_mirrors_the_crop_on_the_other_side():
    (_, view) = draw("views", "rgb")
    names = SHOWN["views"]["rgb"][1]
    cropped = crop_images(flip_images(view, names, 0), names, [Box(1, 0, 4, 5)] * 5)
    other_side = crop_images(view, names, [Box(1, 2, 4, 5)] * 5)
    torch.testing.assert_close(cropped, flip_images(other_side, names, 0))


def test_both_views_of_a_sample_are_cropped_alike():
    shared = torch.randn(5, 1, 20, 20)
    views = shared.expand(-1, 3, -1, -1).clone(), shared
    first, second = apply(views, "views", "fused", crop=0.2, flip=0.5)
    assert torch.equal(first, second.expand_as(first))
    assert (second != shared).flatten(1).any(1).all()


def test_crops_keep_proportions_lie_within_and_use_all_areas_and_places():
    luck = torch.rand(2000, 3, generator=torch.Generator().manual_seed(0))
    boxes = [place_box(entry, 0.2, 224, 112) for entry in luck]
    assert all(abs(box.height - 2 * box.width) <= 1 for box in boxes)
    share = np.array([box.height * box.width for box in boxes]) / (224 * 112)
    assert 0.19 < share.min() < 0.21
    assert share.max() > 0.99
    assert np.quantile(share, 0.5) == pytest.approx(0.6, abs=0.03)
    for start, size, whole in ((0, 2, 224), (1, 3, 112)):
        room = np.array([(box[start], whole - box[start] - box[size]) for box in boxes])
        assert room.min() == 0
        assert room.mean(0) == pytest.approx(np.full(2, room.mean()), rel=0.1)


def test_the_least_and_the_last_of_luck_stay_within():
    almost = 1 - 2**-24
    for luck in ([0.0, almost, almost], [almost] * 3, [0.0] * 3):
        top, left, height, width = place_box(torch.tensor(luck), 1e-6, 224, 224)
        assert min(top, left) >= 0
        assert max(top + height, left + width) <= 224
        assert min(height, width) >= 1


# Light


@pytest.mark.parametrize("modality", ["rgb", "fused", "depth"])
def test_light_changes_colour_views_only(modality):
    views = draw("views", modality)
    lit = apply(views, "views", modality, jitter=0.4, grey=0.2)
    for names, before, now in zip(SHOWN["views"][modality], views, lit, strict=True):
        assert torch.equal(before, now) == (names != COLORS)


def test_grey_takes_all_colour_and_keeps_brightness():
    views = draw("views", "rgb")
    grey, _ = apply(views, "views", "rgb", grey=1.0)
    luma = (torch.tensor([0.299, 0.587, 0.114])[:, None, None] * views[0]).sum(1)
    for channel in range(3):
        torch.testing.assert_close(grey[:, channel], luma)


def test_no_change_of_light_is_none_and_hue_turns_full_circle():
    images = torch.rand(3, 3, 4, 4) - 0.5
    one = torch.ones(3)
    for turn in (0.0, 1.0):
        same = change_colors(images, one, one, turn * one)
        torch.testing.assert_close(same, images, atol=1e-6, rtol=0)
    assert not torch.allclose(change_colors(images, one, one, 0.3 * one), images, atol=0.01)


def test_the_difference_of_lit_frames_is_the_lit_difference():
    onset, apex = torch.rand(4, 3, 5, 5), torch.rand(4, 3, 5, 5)
    light = (torch.rand(4) + 0.5, torch.rand(4), torch.rand(4) - 0.5)
    torch.testing.assert_close(
        change_colors(apex - onset, *light),
        change_colors(apex, *light) - change_colors(onset, *light),
        atol=1e-5,
        rtol=0,
    )


# Points


def drop(points: torch.Tensor, most: float, seeds: Sequence[int]) -> torch.Tensor:
    """Which points are kept."""
    marked = mark_dropped(points, most, [torch.Generator().manual_seed(seed) for seed in seeds])
    assert torch.equal(marked[..., :-1], points)
    assert ((marked[..., -1] == 0) | (marked[..., -1] == 1)).all()
    return marked[..., -1] == 1


def test_no_more_points_are_dropped_than_the_largest_share():
    kept = drop(torch.randn(50, 8, 64, 6), 0.5, range(50))
    share = 1 - kept.float().mean((1, 2))
    assert share.max() < 0.6
    assert share.min() < 0.1
    assert share.std() > 0.05


def test_each_region_keeps_a_point_even_if_all_may_be_dropped():
    assert drop(torch.randn(200, 8, 4, 6), 1.0, range(200)).any(-1).all()


def test_points_are_dropped_alike_in_every_batch():
    points = torch.randn(5, 8, 16, 6)
    together = drop(points, 0.875, range(5))
    for row in range(5):
        assert torch.equal(together[[row]], drop(points[[row]], 0.875, [row]))


def test_a_face_grows_shifts_and_moves_as_before():
    points = torch.randn(2, 8, 3, 6)
    factor, shift = torch.tensor([0.8, 1.25]), torch.tensor([[0.1, 0, 0], [0, -0.1, 0.05]])
    moved = move_points(points, factor, shift)
    assert torch.equal(moved[..., 3:], points[..., 3:])
    torch.testing.assert_close(
        moved[..., :3], points[..., :3] * factor[:, None, None, None] + shift[:, None, None]
    )


def test_sizes_and_shifts_stay_in_their_range_and_use_it():
    points = torch.zeros(300, 8, 2, 6)
    points[:, :, 1] = 1
    (moved,) = apply((points,), "points", "rgb", seeds=range(300), scale=1.25, shift=0.1)
    shift = moved[:, 0, 0, :3]
    size = (moved[:, 0, 1, :3] - shift)[:, 0]
    for values, low, high in ((size, 0.8, 1.25), (shift, -0.1, 0.1)):
        assert low - 1e-6 <= values.min() < low + 0.01
        assert high - 0.01 < values.max() <= high + 1e-6


# Draws


@pytest.mark.parametrize(
    ("kind", "modality", "changes"),
    [
        ("flow_map", "rgb", {"flip": 0.5}),
        ("views", "rgb", {"flip": 0.5, "crop": 0.2, "jitter": 0.4, "grey": 0.2}),
        ("points", "fused", {"flip": 0.5, "scale": 1.25, "shift": 0.1}),
    ],
)
def test_a_sample_is_changed_alike_in_every_batch(kind, modality, changes):
    views = draw(kind, modality)
    together = apply(views, kind, modality, **changes)
    for row in range(5):
        alone = apply(tuple(view[[row]] for view in views), kind, modality, [row], **changes)
        for whole, one in zip(together, alone, strict=True):
            assert torch.equal(whole[[row]], one)


def test_one_switch_does_not_change_what_another_does():
    (points,) = draw("points", "rgb")
    (flipped,) = apply((points,), "points", "rgb", flip=0.5)
    (both,) = apply((points,), "points", "rgb", flip=0.5, shift=0.1)
    assert torch.equal(both[..., 3:], flipped[..., 3:])
    views = draw("views", "rgb")
    cut, _ = apply(views, "views", "rgb", crop=0.2)
    cut_and_grey, _ = apply(views, "views", "rgb", crop=0.2, grey=1.0)
    grey_of_cut, _ = apply((cut, views[1]), "views", "rgb", grey=1.0)
    assert torch.equal(cut_and_grey, grey_of_cut)


@pytest.mark.parametrize(("kind", "modality"), PAIRS)
def test_what_is_off_changes_nothing(kind, modality):
    views = draw(kind, modality)
    before = [view.clone() for view in views]
    for now, then in zip(apply(views, kind, modality), before, strict=True):
        assert torch.equal(now, then)
    apply(views, kind, modality, flip=1.0)
    assert all(torch.equal(now, then) for now, then in zip(views, before, strict=True))


def test_active_is_whatever_is_not_off():
    assert not settings().active
    values = asdict(settings())
    assert values.pop("apart") is False  # it changes nothing by itself
    for name, value in values.items():
        on = value - 0.25 if name == "crop" else value + 0.25
        assert settings(**{name: on}).active


@pytest.mark.parametrize("change", [{"flip": 0.5}, {"crop": 0.3}])
def test_views_that_are_drawn_apart_are_not_changed_alike(change):
    """The first is what it would be; the second is what the first would be with other luck."""
    one, _ = draw("views", "depth", batch=20)
    seeds = range(20)
    together = apply((one, one), "views", "depth", seeds, **change)
    apart = apply((one, one), "views", "depth", seeds, apart=True, **change)
    torch.testing.assert_close(together[0], together[1])
    torch.testing.assert_close(together[0], apart[0])
    differ = [not torch.equal(a, b) for a, b in zip(*apart, strict=True)]
    assert sum(differ) > 4
    if "flip" in change:
        assert sum(differ) < 16


def test_different_views_are_cut_out_apart_and_mirrored_together():
    """A movement to the left of one view does not belong with one to the right of the other."""
    first, second = draw("views", "rgb", batch=20)
    seeds = range(20)
    whole = apply((first, second), "views", "rgb", seeds, flip=0.5, apart=True)
    mirrored = [
        [not torch.equal(a, b) for a, b in zip(output, view, strict=True)]
        for output, view in zip(whole, (first, second), strict=True)
    ]
    assert mirrored[0] == mirrored[1]
    assert 4 < sum(mirrored[0]) < 16
    ramp = torch.arange(42.0).view(1, 1, 6, 7).expand(20, 3, 6, 7)  # shows where it was cut out
    names = (("red", "green", "blue"), ("strain", "strain", "strain"))
    luck = [torch.Generator().manual_seed(seed) for seed in seeds]
    one, other = augment_images((ramp, ramp), names, 0, settings(crop=0.3, apart=True), luck)
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("pair", [("rgb", "flow"), ("flow", "depth"), ("depth", "rgb")])
def test_flow_of_any_pair_grows_with_its_own_crop_and_turns_with_the_mirror(pair):
    names = tuple(VIEW_CHANNELS[view] for view in pair)
    views = tuple(torch.ones(8, len(entry), 12, 12) for entry in names)
    luck = [torch.Generator().manual_seed(seed) for seed in range(8)]
    output = augment_images(views, names, 0, settings(flip=1.0, crop=0.3, apart=True), luck)
    for entry, view in zip(names, output, strict=True):
        for channel, name in zip(view.unbind(1), entry, strict=True):
            values = channel.flatten(1)
            assert torch.allclose(values, values[:, :1].expand_as(values), atol=1e-5)
            assert bool((values < -1).all()) == (name == "u")
            assert bool((values > 1.01).all()) == (name == "v")


# What is refused


@pytest.mark.parametrize(
    "change",
    [
        {"flip": 1.5},
        {"crop": 0},
        {"crop": 1.1},
        {"dropout": -0.1},
        {"scale": 0.8},
        {"shift": -0.1},
        {"grey": 2},
    ],
)
def test_settings_out_of_range_are_refused_by_name(change):
    with pytest.raises(InputError, match=f"{next(iter(change))}={next(iter(change.values()))}"):
        settings(**change)


@pytest.mark.parametrize(
    ("kind", "change", "refused"),
    [
        ("flow_map", {"jitter": 0.4}, "colours"),
        ("points", {"grey": 0.2}, "colours"),
        ("points", {"crop": 0.5}, "cuts views"),
        ("flow_map", {"crop": 0.5}, "cuts views"),
        ("flow_map", {"dropout": 0.5}, "change points"),
        ("views", {"scale": 1.25}, "change points"),
    ],
)
def test_what_cannot_happen_to_a_representation_is_refused(kind, change, refused):
    with pytest.raises(InputError, match=refused):
        check_augmentation(settings(**change), open_representation(kind))

"""Images keep what they mean at another size."""

import pytest
import torch

from merec.errors import InputError
from merec.features.image_transforms import resize_images

NAMES = (("red", "green", "blue"), ("u", "v", "strain"))


def draw(samples: int = 300, side: int = 12) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    return torch.randn(samples, 3, side, side), torch.randn(samples, 3, side, side)


def test_a_pixel_of_a_smaller_view_is_the_mean_of_what_it_covers():
    views = draw()
    first, second = resize_images(views, NAMES, 4)
    means = [view.reshape(-1, 3, 4, 3, 4, 3).mean((3, 5)) for view in views]
    torch.testing.assert_close(first, means[0])
    torch.testing.assert_close(second[:, 2], means[1][:, 2])


def test_flow_is_in_pixels_of_the_view():
    (view,) = resize_images((torch.full((2, 3, 12, 12), 6.0),), NAMES[1:], 4)
    torch.testing.assert_close(view[:, :2], torch.full((2, 2, 4, 4), 2.0))
    torch.testing.assert_close(view[:, 2], torch.full((2, 4, 4), 6.0))


def test_the_size_of_the_crops_changes_nothing():
    views = draw()
    assert all(a is b for a, b in zip(resize_images(views, NAMES, 12), views, strict=True))


@pytest.mark.parametrize("size", [0, 13])
def test_views_do_not_grow(size):
    with pytest.raises(InputError, match=rf"datamodule\.size={size}, .*12 px; give 1 to 12"):
        resize_images(draw(2), NAMES, size)

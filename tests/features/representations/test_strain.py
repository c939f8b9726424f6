"""Optical strain is what a shift and a rotation do not have."""

import numpy as np
import pytest

from merec.features.representations.flow_map import compute_strain


@pytest.mark.parametrize(
    ("gradient", "strain"),
    [
        ([[0, 0], [0, 0]], 0),  # a shift
        ([[0, -0.1], [0.1, 0]], 0),  # a rotation
        ([[0.1, 0], [0, 0]], 0.1),  # a stretch along x
        ([[0, 0], [0, 0.1]], 0.1),  # along y
        ([[0.1, 0], [0, 0.1]], 0.1 * 2**0.5),
        ([[0, 0.1], [0, 0]], 0.1 / 2**0.5),  # a shear
        ([[0, 0], [0.1, 0]], 0.1 / 2**0.5),
    ],
)
def test_strain_is_the_norm_of_the_symmetric_gradient(gradient, strain):
    y, x = np.mgrid[:8, :9]
    u, v = (a * x + b * y + 3.0 for a, b in gradient)
    np.testing.assert_allclose(compute_strain(u, v), strain, atol=1e-12)

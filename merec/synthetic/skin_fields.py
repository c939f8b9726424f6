"""Scalar fields on the skin map: smooth noise, spots, Gaussians and steps."""

import numpy as np
from jaxtyping import Float

from merec.synthetic.skin_map import HEIGHT, TEXEL, WIDTH

Field = Float[np.ndarray, "height width"]
Number = float | int
Pair = tuple[Number, Number]


def blob(x: Field, y: Field, at: Pair, size: Pair) -> Field:
    """Return a Gaussian of height 1 at the position `at` with standard deviations `size`, mm."""
    return np.exp(-0.5 * (((x - at[0]) / size[0]) ** 2 + ((y - at[1]) / size[1]) ** 2))


def eye_field(x: Field, y: Field, at: Pair, size: Pair) -> Field:
    """Return a Gaussian of height 1 on both sides of the face, see `blob`."""
    return blob(np.abs(x), y, at, size)


def noise(rng: np.random.Generator, size: Number, stretch: Pair = (1, 1)) -> Field:
    """Draw smooth noise of unit variance that is periodic around the head.

    Args:
        rng: Random generator.
        size: Size of the features, mm.
        stretch: Factors on the size across and along the head.
    """
    import cv2

    step = np.array([size * stretch[0], size * stretch[1]]) / TEXEL
    cells = (max(2, round(HEIGHT / step[1])), max(2, round(WIDTH / step[0])))
    coarse = rng.standard_normal((min(cells[0], HEIGHT), min(cells[1], WIDTH)), dtype=np.float32)
    # Two columns are repeated on each side, so that there is no seam at the back of the head.
    padded = np.concatenate([coarse[:, -2:], coarse, coarse[:, :2]], axis=1)
    scale = WIDTH / coarse.shape[1]
    margin = round(2 * scale)
    field = cv2.resize(padded, (WIDTH + 2 * margin, HEIGHT), interpolation=cv2.INTER_CUBIC)
    field = field[:, margin : margin + WIDTH]
    return field / field.std()


def dots(rng: np.random.Generator, count: int, size: Pair) -> Field:
    """Draw `count` round spots at random positions, with radii in the range `size`, mm."""
    import cv2

    canvas = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    for column, row, radius, depth in zip(
        rng.integers(WIDTH, size=count),
        rng.integers(HEIGHT, size=count),
        rng.uniform(*size, size=count) / TEXEL,
        rng.uniform(0.3, 1, size=count),
        strict=True,
    ):
        # Coordinates have three fractional bits, see `shift`.
        centre = (int(column) * 8, int(row) * 8)
        cv2.circle(canvas, centre, round(radius * 8), float(depth), -1, cv2.LINE_AA, shift=3)
    return cv2.GaussianBlur(canvas, (0, 0), 0.35 / TEXEL)


def step(value: Field, low: Number, high: Number) -> Field:
    """Return a smooth step, 0 at `low` and 1 at `high`; `low` may be greater than `high`."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)

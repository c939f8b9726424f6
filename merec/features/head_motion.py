"""Estimation of head motion between onset and apex, in the optical flow and in depth."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

# Of the consensus: fits that are tried, px each is made from, px that judge it.
_GUESSES, _FEW, _JUDGES = 128, 8, 512
_ROUNDS = 12  # of reweighting; it settles within eight
# How far from the head's movement skin has no vote: px, and share of the usual flow.
_CLOSE, _SHARE = 0.2, 0.05
_CLOSE_DEPTH = 2.5  # mm; sensors give whole ones, with as much noise
_STEP = 2  # px between the samples of a fit: neighbours say the same


@dataclass(frozen=True)
class HeadMotion:
    """Part of an optical flow that is caused by head motion.

    Attributes:
        flow: Flow of the head as a whole, px: an affine function of the position (and of depth, where known).
        shift: Its mean length over the face, px.
    """

    flow: Float[np.ndarray, "size size 2"]
    shift: float


def estimate_head_motion(
    flow: Float[np.ndarray, "size size 2"],
    rigid: Bool[np.ndarray, "size size"],
    relief: Float[np.ndarray, "size size"] | None,
) -> HeadMotion:
    """Estimate head motion from skin that expressions move little.

    An affine function of the position is fitted to the flow where the skin is rigid. A head rotation moves
    near points further than distant ones, so depth is a further regressor where it is known. Since a smile
    moves most of both cheeks smoothly, a mean over all pixels is wrong, weighted or not. Instead many fits to
    a few pixels each are computed (RANSAC, Fischler & Bolles 1981), the fit with the largest number of
    inliers is selected, and it is refined by iteratively reweighted least squares with Tukey's biweight. On
    50 rendered samples the relative error of the head's flow is .17; with reweighting alone it is .37.

    Args:
        flow: px.
        rigid: Mask of rigid skin.
        relief: Depth of each pixel in any unit, finite everywhere; `None` if unknown.
    """
    size = flow.shape[0]
    column, row = np.meshgrid(*(np.linspace(-1, 1, size),) * 2)
    terms = [np.ones_like(column), column, row]
    if relief is not None:
        centred = relief - np.median(relief[rigid]) if rigid.any() else relief
        spread = np.abs(centred[rigid]).max(initial=0)
        if spread > 0:
            terms.append((centred / spread).clip(-3, 3))
    basis = np.stack(terms, axis=-1)
    chosen = np.zeros_like(rigid)
    chosen[::_STEP, ::_STEP] = rigid[::_STEP, ::_STEP]
    a, b = basis[chosen], flow[chosen].astype(np.float64)
    if len(a) < 4 * basis.shape[-1]:
        return HeadMotion(np.zeros_like(flow), 0.0)
    close = _CLOSE + _SHARE * float(np.median(np.linalg.norm(b, axis=1)))
    solution = _fit_robustly(a, b, close)
    whole = (basis @ solution).astype(np.float32)
    return HeadMotion(whole, float(np.linalg.norm(whole[rigid], axis=1).mean()))


def remove_head_depth(
    change: Float[np.ndarray, "size size"],
    valid: Bool[np.ndarray, "size size"],
    rigid: Bool[np.ndarray, "size size"],
) -> Float[np.ndarray, "size size"]:
    """Subtract head motion, an affine function of the position, from a depth change.

    Args:
        change: mm.
        valid: Pixels at which it was measured; only these are used for the fit.
        rigid: Skin that most expressions leave alone.

    Returns:
        mm; unchanged where too little rigid skin was measured.
    """
    size = change.shape[0]
    column, row = np.meshgrid(*(np.linspace(-1, 1, size),) * 2)
    basis = np.stack([np.ones_like(column), column, row], axis=-1)
    chosen = np.zeros_like(rigid)
    chosen[::_STEP, ::_STEP] = (rigid & valid)[::_STEP, ::_STEP]
    a, b = basis[chosen], change[chosen].astype(np.float64)[:, None]
    if len(a) < 4 * basis.shape[-1]:
        return change
    solution = _fit_robustly(a, b, _CLOSE_DEPTH)
    return (change - (basis @ solution)[..., 0]).astype(np.float32)


def _fit_robustly(
    a: Float[np.ndarray, "samples terms"], b: Float[np.ndarray, "samples values"], close: float
) -> Float[np.ndarray, "terms values"]:
    """Return the fit with the largest number of inliers, refined by reweighting the inliers.

    Args:
        a: Regressors of each sample.
        b: Values to fit.
        close: Error from which on a sample has weight 0.
    """
    rng = np.random.default_rng(0)  # the same frames give the same motion
    few = rng.integers(len(a), size=(_GUESSES, _FEW))
    across = a[few].transpose(0, 2, 1)
    ridge = 1e-6 * np.eye(a.shape[1])  # some fews lie on a line
    guesses = np.linalg.solve(across @ a[few] + ridge, across @ b[few])
    judges = rng.integers(len(a), size=_JUDGES)
    votes = _weigh(b[judges] - a[judges] @ guesses, close).sum(axis=-1)
    solution = guesses[votes.argmax()]
    for _ in range(_ROUNDS):
        voting = a.T * _weigh(b - a @ solution, close)
        solution = np.linalg.solve(voting @ a + ridge, voting @ b)
    return solution


def _weigh(off: np.ndarray, close: float) -> np.ndarray:
    """Return Tukey's biweight of errors (..., values): 1 for error 0, 0 from `close` on."""
    squared = np.einsum("...v,...v->...", off, off)  # a sum over so short an axis is slow
    return np.clip(1 - squared / close**2, 0, None) ** 2

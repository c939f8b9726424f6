"""Interactive page of a sample: 3-D points, coloured by region, with arrows of their motion."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from merec.features.alignment import Alignment
from merec.features.regions import REGIONS
from merec.features.structure import back_project, find_outliers, shape_from_landmarks
from merec.types import Camera

if TYPE_CHECKING:  # plotly takes a second to import
    import plotly.graph_objects as go

# Okabe & Ito 2008 without black, and two that stay apart from them.
REGION_COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
    *("#F0E442", "#882255"),
)
_REST = "#bbbbbb"
_POINTS, _ARROWS = 2, 4  # px of the crop between neighbours
_LONGER = 10  # times: a micro-expression moves skin by a millimetre
# The cloud fills the window, without a margin to scroll over.
_WHOLE = "<style>html,body{margin:0;height:100%;overflow:hidden}body>div{height:100%}</style>"


class Cloud(NamedTuple):
    """Points of a face.

    Attributes:
        start: Positions at the onset: mm in camera axes, or px of the crop without depth.
        move: Displacements from onset to apex.
        region: Number of the first region that contains the point, 8 for the rest of the face.
        pixel: Column and row in the crop.
        unit: `mm` or `px`.
    """

    start: Float[np.ndarray, "points 3"]
    move: Float[np.ndarray, "points 3"]
    region: Int[np.ndarray, " points"]
    pixel: Int[np.ndarray, "points 2"]
    unit: str


def make_cloud(arrays: Mapping[str, np.ndarray], camera: Camera | None) -> Cloud:
    """Return the points of a face and their displacements, from depth and camera if available.

    Args:
        arrays: Arrays of `make_crops` and `make_motion`.
        camera: Camera of the frames.
    """
    size = arrays["onset"].shape[0]
    flow = arrays["flow"].astype(np.float64)
    if "depth" in arrays and camera is not None:
        unit = "mm"
        alignment = Alignment(arrays["matrix"], size)
        depth = arrays["depth"][0].astype(np.float32)
        start = back_project(depth, alignment, camera)
        valid = (depth > 0) & arrays["face"]
        valid &= ~find_outliers(start, valid)
        # Where the pixel goes in the frame, and how far away it is then.
        shift = flow @ np.linalg.inv(arrays["matrix"][:, :2]).T
        away = depth + arrays["dz"].astype(np.float64)
        ratio = np.divide(away, depth, out=np.ones_like(away), where=depth > 0)[..., None]
        end = start * ratio
        end[..., :2] += shift / (camera.fx, camera.fy) * away[..., None]
    else:
        unit = "px"
        start, valid = shape_from_landmarks(arrays["landmarks"][0].astype(np.float64), size)
        valid = valid & arrays["face"]
        end = start.astype(np.float64)
        end[..., :2] += flow
    regions = np.concatenate([arrays["regions"], np.ones((1, size, size), bool)])
    chosen = np.zeros((size, size), bool)
    chosen[::_POINTS, ::_POINTS] = valid[::_POINTS, ::_POINTS]
    row, column = np.nonzero(chosen)
    return Cloud(
        start[chosen].astype(np.float64),
        (end - start)[chosen],
        regions.argmax(axis=0)[chosen],
        np.column_stack([column, row]),
        unit,
    )


def write_cloud(arrays: Mapping[str, np.ndarray], camera: Camera | None, title: str) -> str:
    """Write a self-contained page that includes plotly (4 MB).

    Args:
        arrays: Arrays of `make_crops` and `make_motion`.
        camera: Camera of the frames.
        title: Title of the page.
    """
    import plotly.graph_objects as go

    cloud = make_cloud(arrays, camera)
    figure = go.Figure()
    drawn = False
    for number, (name, color) in enumerate(
        zip((*REGIONS, "rest of the face"), (*REGION_COLOURS, _REST), strict=True)
    ):
        inside = cloud.region == number
        if not inside.any():
            continue
        _add_points(figure, cloud, inside, name, color)
        _add_arrows(figure, cloud, inside, in_legend=not drawn)
        drawn = True
    figure.update_layout(
        title=f"{escape(title)}<br>motion {_LONGER} times as long; {cloud.unit}",
        scene={
            "aspectmode": "data",
            # As the camera sees it: x to the right, y down, z away.
            "camera": {"up": {"x": 0, "y": -1, "z": 0}, "eye": {"x": 0.4, "y": -0.2, "z": -2.0}},
            "xaxis": {"title": {"text": f"x, {cloud.unit}"}},
            "yaxis": {"title": {"text": f"y (down), {cloud.unit}"}},
            "zaxis": {"title": {"text": f"z (away), {cloud.unit}"}},
        },
        legend={"itemsizing": "constant"},
        margin={"l": 0, "r": 0, "b": 0, "t": 70},
    )
    page = figure.to_html(
        include_plotlyjs=True,
        include_mathjax=False,
        div_id="cloud",
        # Plotly 7 offers to send what is shown to its maker's cloud: not a subject's face.
        config={"showSendToCloud": False, "displaylogo": False},
    )
    return page.replace("<head>", f"<head><title>{escape(title)}</title>{_WHOLE}", 1)


def _add_points(
    figure: "go.Figure", cloud: Cloud, inside: np.ndarray, name: str, color: str
) -> None:
    """Add the points of a region, with position and motion as hover text."""
    x, y, z = cloud.start[inside].T.round(2).tolist()
    figure.add_scatter3d(
        x=x,
        y=y,
        z=z,
        mode="markers",
        name=name,
        legendgroup=name,
        marker={"size": 2, "color": color},
        customdata=cloud.move[inside].round(3).tolist(),
        hovertemplate=(
            f"{name}<br>(%{{x}}, %{{y}}, %{{z}}) {cloud.unit}<br>moves (%{{customdata[0]}}, "
            f"%{{customdata[1]}}, %{{customdata[2]}}) {cloud.unit}<extra></extra>"
        ),
    )


def _add_arrows(figure: "go.Figure", cloud: Cloud, inside: np.ndarray, in_legend: bool) -> None:
    """Add the arrows of a region, under one name for all regions."""
    arrows = _draw_arrows(cloud, inside & (cloud.pixel % _ARROWS == 0).all(axis=1))
    x, y, z = arrows.T.round(2).astype(object).tolist()
    gaps = [[None if value != value else value for value in axis] for axis in (x, y, z)]
    figure.add_scatter3d(
        x=gaps[0],
        y=gaps[1],
        z=gaps[2],
        mode="lines",
        name="motion",
        legendgroup="motion",  # hidden and shown with one click
        showlegend=in_legend,
        hoverinfo="skip",
        line={"width": 3, "color": "black"},
    )


def _draw_arrows(cloud: Cloud, chosen: np.ndarray) -> Float[np.ndarray, "corners 3"]:
    """Draw all arrows as one line, separated by NaN; an arrow has a tail, a tip and two barbs."""
    tail, move = cloud.start[chosen], _LONGER * cloud.move[chosen]
    tip = tail + move
    across = np.cross(move, (0.0, 0.0, 1.0))
    back = tip - 0.25 * move
    gap = np.full_like(tail, np.nan)
    line = [tail, tip, back + 0.12 * across, tip, back - 0.12 * across, gap]
    return np.stack(line, axis=1).reshape(-1, 3)

"""Style of all figures: colours, sizes, axes, names, and a figure as text."""

import io
import re
import textwrap
from collections.abc import Sequence
from typing import Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito 2008: told apart by colour-blind readers.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
GREY = "#777777"
ON_LIGHT, ON_DARK = "#111111", "#fafafa"  # text in cells, whose own colours no theme changes
SMALL, MEDIUM, LARGE = 8, 9, 10.5  # points
# Black and white are ink and paper of a page; on a dark one these swap, and what is read is lighter.
_THEME = {
    "#000000": "currentColor",
    "#ffffff": "var(--paper)",
    "#cccccc": "var(--line)",
    "#dddddd": "var(--line)",
    COLOURS[0].lower(): "var(--blue)",
    COLOURS[5].lower(): "var(--red)",
}


def to_svg(figure: Figure, prefix: str = "figure") -> str:
    """Return a figure as an SVG element for a page, reproducibly.

    Args:
        figure: Figure to write.
        prefix: Prefix of every id, so that ids of several figures on a page are distinct.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "merec", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]  # an XML prologue has no place inside a page
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    return svg.strip()


def follow_theme(svg: str) -> str:
    """Replace the colours of a picture by those of its page, light or dark; see `page.css`."""
    style = re.compile(r'(?<= style=")[^"]*')
    colour = re.compile("|".join(_THEME))
    return style.sub(lambda m: colour.sub(lambda c: _THEME[c[0]], m[0]), svg)


def draw_cells(
    axes: Axes, values: np.ndarray, colours: str, least: float = 0.0, most: float = 1.0
) -> None:
    """Draw values as coloured cells, the first row on top, as vector graphics."""
    height, width = values.shape
    edges = np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5
    axes.pcolormesh(
        *edges, values, cmap=colours, vmin=least, vmax=most, edgecolors="white", linewidth=0.8
    )
    axes.set_ylim(height - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def measure_row(names: Sequence[str], least: float) -> float:
    """Return the height of a row (inches) that has room for the longest wrapped name."""
    return max(least, 0.13 * max(name.count("\n") + 1 for name in names) + 0.05)


def measure_reach(scores: pd.DataFrame, metric: str) -> Float[np.ndarray, "2 rows"]:
    """Return the distances of the ends of intervals from their scores, for error bars."""
    value, low, high = (scores[f"{metric}{end}"].to_numpy() for end in ("", "_low", "_high"))
    # Rounding may put an end on the wrong side of its value; an error bar must not turn round.
    return np.clip([value - low, high - value], 0, None)


def tidy(axes: Axes, grid: Literal["x", "y"]) -> None:
    """Apply a minimal style: few lines, small numbers and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis=grid, color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)


def plain(text: str) -> str:
    """Escape a name for matplotlib, which would interpret dollars as mathematics."""
    return text.replace("$", r"\$")


def wrap(text: str, width: int) -> str:
    """Wrap a long name over several lines, without truncation."""
    return "\n".join(map(plain, textwrap.wrap(text, width))) or " "

"""What the displays share: the axes, and how one model's line is told from another's."""

from __future__ import annotations

from typing import Any

# Okabe and Ito's colours, told apart by the colour-blind and visible on white and on black; their
# black and yellow are left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES = ("-", "--", "-.", ":")
_SIZE = (6.4, 4.0)  # inches


def pyplot() -> Any:
    """Import matplotlib, or say how to install it.

    Raises
    ------
    ImportError
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'Pictures need matplotlib: pip install "lightxml[plot]" ({error}).'
        ) from error
    return plt


def axes_or_new(ax: Any) -> Any:
    """Return the axes, or those of a new figure."""
    plt = pyplot()
    return plt.subplots(figsize=_SIZE, layout="constrained")[1] if ax is None else ax


def new_panels(n: int) -> Any:
    """Return the axes of a new figure with n panels side by side, an array of shape (n,)."""
    size = (_SIZE[0] if n == 1 else 4.8 * n, _SIZE[1])
    return pyplot().subplots(1, n, figsize=size, layout="constrained", squeeze=False)[1][0]


def line_style(number: int) -> dict[str, Any]:
    """Return colour, marker and dashes of the number-th line of a picture, from 0."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "linewidth": 1.8,
        "markersize": 5.5,
    }


def n_drawn(ax: Any) -> int:
    """Return how many lines with a name are there already."""
    return sum(not line.get_label().startswith("_") for line in ax.lines)


def percent_axis(axis: Any) -> None:
    """Show fractions as per cent."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def finish(ax: Any) -> None:
    """Add faint horizontal lines and, with several names, a legend; take the box away."""
    ax.grid(axis="y", alpha=0.3)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    if n_drawn(ax) > 0:
        ax.legend(frameon=False)

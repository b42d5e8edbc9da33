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


def model_line(ax: Any, name: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the next line there; those given win, by any name they have."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return line_style(len(ax.lines)) | {"label": name} | normalize_kwargs(given, Line2D)


def percent_axis(axis: Any) -> None:
    """Show fractions as per cent, with decimals only where they say something."""
    axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")


def integer_axis(axis: Any) -> None:
    """Have ticks at whole numbers only, be there a single one."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def finish(ax: Any) -> None:
    """Add faint horizontal lines and a legend of what has a name; take the box away."""
    ax.grid(axis="y", alpha=0.3)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    _, names = ax.get_legend_handles_labels()
    if names:
        # Its ground lies over the grid, which would strike the names out, and under the data.
        ax.legend(frameon=True, framealpha=1.0, edgecolor="none").set_zorder(1.5)

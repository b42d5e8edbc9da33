"""The picture of a benchmark: P@1 and P@5 over the time of training, a row of panels a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import Bbox
from settings import LEARNERS, texts_of

METRICS = ("P@1", "P@5")
WIDTH, HEIGHT, TOP = 9.0, 2.9, 0.75  # inches; of the figure, of a row, of what is above the rows
SIZE = 9.0  # points, of text
# Blue and vermilion are told apart by every kind of color vision (Okabe and Ito, 2008); marks too.
COLORS = {
    "light": {"page": "#ffffff", "ink": "#24292f", "faint": "#d0d7de", "ours": "#0072b2",
              "others": "#c04a00"},
    "dark": {"page": "#14181e", "ink": "#d8dee4", "faint": "#3d444d", "ours": "#56b4e9",
             "others": "#f0904c"},
}  # fmt: skip
MARKS = {True: "o", False: "s"}  # ours, others
CALLED = {
    "omikuji+bonsai": "Bonsai-like", "omikuji": "Omikuji", "napkinxc": "napkinXC", "pecos": "PECOS",
    "libmultilabel+trees": "LibMultiLabel trees", "libmultilabel": "LibMultiLabel",
    "one_vs_rest": "SVMs", "nearest": "nearest", "names": "mentions", "fine_tuning": "fine-tuning",
    "features": "words", "frozen": "frozen encoder", "trained": "trained encoder",
}  # fmt: skip
# So far from the best, as a multiple of the distance of the median, is too far for the panel.
FAR = 2.5
FARTHEST = 120  # pixels from a mark to its name


@dataclass(frozen=True)
class Point:
    """A setting in a panel; `is_far`: below it, drawn at its lower edge."""

    name: str
    x: float
    y: float
    is_ours: bool
    has_texts: bool
    is_far: bool


def draw(path: Path, found: Mapping[tuple[str, str], Mapping[str, list[dict[str, Any]]]]) -> None:
    """Write the picture for light pages, and for dark ones with ``_dark`` in its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for theme, colors in COLORS.items():
        name = path if theme == "light" else path.with_stem(f"{path.stem}_dark")
        # The same bytes each time: no date, and ids that are not drawn at random.
        more = {"metadata": {"Date": None}} if path.suffix == ".svg" else {}
        figure_of(found, colors).savefig(name, dpi=100, facecolor=colors["page"], **more)


def figure_of(
    found: Mapping[tuple[str, str], Mapping[str, list[dict[str, Any]]]], colors: Mapping[str, str]
) -> Figure:
    """Return the figure, 900 pixels wide at 100 dots an inch."""
    height = HEIGHT * len(found) + TOP
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots(len(found), len(METRICS), squeeze=False)
    figure.subplots_adjust(
        left=0.07, right=0.975, top=1 - TOP / height, bottom=0.5 / height, wspace=0.13, hspace=0.42
    )
    for row, ((data, part), settings) in zip(axes, found.items(), strict=True):
        done = {n: r for n, runs in settings.items() if (r := [x for x in runs if "figures" in x])}
        for ax, metric in zip(row, METRICS, strict=True):
            _panel(ax, points_of(done, metric), colors)
            of_part = "" if part == "test" else f" ({part})"
            ax.set_title(f"{data}{of_part}: {metric}, %", loc="left", fontsize=SIZE + 1,
                         color=colors["ink"], fontweight="bold")  # fmt: skip
    for ax in axes[-1]:
        ax.set_xlabel("seconds to vectorize and train", fontsize=SIZE, color=colors["ink"])
    _legend(figure, colors)
    return figure


def points_of(settings: Mapping[str, list[dict[str, Any]]], metric: str) -> list[Point]:
    """Return where each setting stands: seconds, and the metric in per cent."""
    values = [np.mean([100 * run["figures"][metric] for run in r]) for r in settings.values()]
    best = max(values, default=0.0)
    least = best - FAR * max(best - float(np.median(values)), 1.0) if values else 0.0
    near = [value for value in values if value >= least]
    floor = min(near, default=0.0) - 0.2 * (best - min(near, default=0.0))
    found = []
    for (name, runs), value in zip(settings.items(), values, strict=True):
        setting = runs[0]["job"]["setting"]
        seconds = np.mean([run.get("vectorize_s", 0) + run["train_s"] for run in runs])
        is_far = bool(value < least)
        found.append(
            Point(
                called(name) + (f" {value:.1f}" if is_far else ""),
                max(float(seconds), 0.1), max(float(value), floor),
                setting.split("+")[0] in LEARNERS, texts_of(setting) is not None, is_far,
            )
        )  # fmt: skip
    return found


def called(name: str) -> str:
    """Return what a setting is called in the picture; how many tokens it reads is in the table."""
    setting = name.split(" ")[0]
    learner = next(n for n in CALLED if setting == n or setting.startswith(f"{n}+"))
    variants = setting.removeprefix(learner).split("+")[1:]
    return ", ".join([CALLED[learner], *(variant.replace("_", " ") for variant in variants)])


def _panel(ax: Axes, points: Sequence[Point], colors: Mapping[str, str]) -> None:
    ax.set_facecolor(colors["page"])
    ax.set_xscale("log")
    if points:
        seconds = [point.x for point in points]
        ax.set_xlim(min(seconds) / 1.6, max(seconds) * 2.6)
        values = [point.y for point in points]
        room = max(max(values) - min(values), 1.0)
        ax.set_ylim(min(values) - 0.12 * room, max(values) + 0.14 * room)
    ax.grid(color=colors["faint"], linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(colors["faint"])
    ax.tick_params(colors=colors["ink"], labelsize=SIZE - 0.5, which="both", color=colors["faint"])
    ax.xaxis.set_major_locator(LogLocator(numticks=8))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    for point in sorted(points, key=lambda point: point.is_ours):  # ours above others
        color = colors["ours" if point.is_ours else "others"]
        ax.plot(point.x, point.y, "v" if point.is_far else MARKS[point.is_ours], color=color,
                markersize=6.5, markeredgewidth=1.5, zorder=3,
                markerfacecolor=color if point.has_texts else colors["page"])  # fmt: skip
    _name(ax, points, colors)


def _name(ax: Axes, points: Sequence[Point], colors: Mapping[str, str]) -> None:
    """Write each point's name near it, where no other name or mark is; a line leads to far ones."""
    renderer = FigureCanvasAgg(ax.figure).get_renderer()  # whose texts have a size
    centers = [ax.transData.transform((point.x, point.y)) for point in points]
    taken = [Bbox.from_bounds(*(center - 6), 12, 12).extents for center in centers]
    inside = ax.get_window_extent(renderer).extents + np.array([-2, 0, 6, 4])
    for point, center in sorted(zip(points, centers, strict=True), key=lambda each: -each[0].y):
        color = colors["ours" if point.is_ours else "others"]
        text = ax.text(0, 0, point.name, fontsize=SIZE, color=color, transform=None, zorder=4)
        size = text.get_window_extent(renderer)
        place = _place(size.width, size.height, center, np.array(taken), inside)
        text.set_transform(ax.transAxes)
        corner = (place[0], place[1] + 0.22 * size.height)  # above what hangs below the line
        text.set_position(ax.transAxes.inverted().transform(corner))
        near = np.clip(center, place[:2], place[2:])
        taken.append(place)
        if (away := np.hypot(*(near - center))) > 13:
            start = center + (near - center) * (5 / away)
            ends = ax.transData.inverted().transform([start, near])
            ax.plot(*ends.T, color=color, linewidth=0.7, alpha=0.8, zorder=2)
            line = np.linspace(start, near, 12)
            taken += [np.array([*dot - 1, *dot + 1]) for dot in line]


def _place(
    width: float, height: float, center: np.ndarray, taken: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """Return the free place nearest to a mark for a text of this size, as (x0, y0, x1, y1)."""
    x = np.concatenate([[center[0] + 7], np.arange(-width - FARTHEST, FARTHEST, 8) + center[0]])
    y = center[1] - height / 2 + np.arange(-FARTHEST, FARTHEST, 3)
    corners = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + np.array([width, height])], axis=1)
    is_free = (boxes[:, :2] >= inside[:2]).all(axis=1) & (boxes[:, 2:] <= inside[2:]).all(axis=1)
    apart = (boxes[:, None, :2] >= taken[None, :, 2:]).any(axis=2)
    apart |= (boxes[:, None, 2:] <= taken[None, :, :2]).any(axis=2)
    is_free &= apart.all(axis=1)
    away = np.hypot(*(np.clip(center, boxes[:, :2], boxes[:, 2:]) - center).T)
    away += 0.05 * np.abs(boxes[:, 1] + height / 2 - center[1])  # beside before above
    return boxes[np.argmin(np.where(is_free, away, away + 1e6))]


def _legend(figure: Figure, colors: Mapping[str, str]) -> None:
    """Say above the panels what color and filling mean."""
    told = [("ours", True, "lightxml"), ("others", False, "others")]
    handles = [
        Line2D([], [], linestyle="", marker=MARKS[mark], color=colors[key], markersize=6.5)
        for key, mark, _ in told
    ]
    names = [name for _, _, name in told]
    for is_filled, name in ((True, "given label texts"), (False, "documents alone")):
        handles.append(
            Line2D([], [], linestyle="", marker="D", color=colors["ink"], markersize=5.5,
                   markeredgewidth=1.5,
                   markerfacecolor=colors["ink"] if is_filled else colors["page"])
        )  # fmt: skip
        names.append(name)
    legend = figure.legend(handles, names, loc="upper left", bbox_to_anchor=(0.06, 1.0), ncols=4,
                           frameon=False, fontsize=SIZE + 1, labelcolor=colors["ink"],
                           handletextpad=0.3, columnspacing=1.6)  # fmt: skip
    legend.set_zorder(5)

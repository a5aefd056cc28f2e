"""Intervals beside each other, what all figures share, and a figure as themed SVG."""

from __future__ import annotations

import io
import re
import textwrap
from html import escape
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecast.errors import wrong_type

__all__ = [
    "BLUE",
    "GREY",
    "LINE",
    "MUTED",
    "ORANGE",
    "PALETTE",
    "Picture",
    "intervals",
    "lines_of",
    "new_axes",
    "themed_svg",
]


#: Colours that colour-blind readers can tell apart (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
GREY, MUTED, LINE = "#b0b0b0", "#808080", "#cccccc"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, MUTED)
_STYLE: dict[Any, Any] = {
    "font.size": 9.0, "axes.titlesize": 10.0, "axes.titlelocation": "left",
    "axes.facecolor": "none", "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED, "xtick.labelcolor": "black", "ytick.color": MUTED,
    "ytick.labelcolor": "black", "axes.grid": False, "figure.facecolor": "white",
}  # fmt: skip
_MARKS = "oDs^v"
_LETTERS = 44


class Picture(Figure):
    """A figure that a notebook shows as the value of a cell, with pyplot or without."""

    def _repr_png_(self) -> bytes:
        """PNG of 128 colours, a third in size of what it would be: notebooks keep it."""
        from PIL import Image

        full, small = io.BytesIO(), io.BytesIO()
        self.savefig(full, format="png", dpi=100)
        Image.open(full).convert("RGB").quantize(128).save(small, "png", optimize=True)
        return small.getvalue()


class Drawn(Axes):
    """Axes that a notebook shows, with the figure that they are in, as the value of a cell."""

    def _repr_png_(self) -> bytes | None:
        figure = figure_of(self)
        return figure._repr_png_() if isinstance(figure, Picture) else None


def new_axes(rows: int, columns: int, size: tuple[float, float], **options: Any) -> list[Axes]:
    """Axes of a new figure of so many inches, row by row."""
    with rc_context(_STYLE):
        figure = Picture(figsize=size, layout="constrained")
        kind = {"axes_class": Drawn}
        return list(
            figure.subplots(rows, columns, squeeze=False, subplot_kw=kind, **options).ravel()
        )


def axes_for(table: pd.DataFrame, width: float = 7.8) -> Axes:
    """Axes of a new figure with room for the lines of a table, as `intervals` takes it."""
    series = table["series"].nunique() if "series" in table else 1
    height = 0.9 + (0.18 + 0.06 * series) * len(lines_of(table)[1])
    return new_axes(1, 1, (width, height))[0]


def require_simulation(result: object, where: str) -> None:
    """Refuse what is no result of `forecast.simulate`."""
    if not isinstance(result, xr.Dataset) or "world" not in result.coords:
        raise wrong_type(where, result, "the result of forecast.simulate.")


def figure_of(ax: Axes) -> Figure:
    """The figure that axes are in."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def intervals(
    table: pd.DataFrame,
    *,
    ax: Axes | None = None,
    axis: str = "",
    reference: float | None = 0.0,
    log: bool = False,
) -> Axes:
    """Dots with intervals, one line per label; filled where the interval excludes the reference.

    Parameters
    ----------
    table : pandas.DataFrame
        From the top down: ``label``, ``value``, ``lower``, ``upper`` (what is not finite is not
        drawn). Where there are such columns: ``heading`` above a group of labels; ``series``, by
        colour, whose rows share the line of their label; ``mark``, a tick to compare with;
        ``back_lower`` and ``back_upper``, a grey bar behind.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a figure of its own.
    axis : str
        Label of the axis of values, with the unit.
    reference : float, optional
        Value of 'no difference'.
    log : bool
        Logarithmic axis.

    Returns
    -------
    matplotlib.axes.Axes
    """
    place, ticks = lines_of(table)
    at = np.array(heights(table))
    ax = axes_for(table) if ax is None else ax
    series = table["series"].astype(str) if "series" in table else pd.Series("", table.index)
    names = list(dict.fromkeys(series))
    if "back_lower" in table:
        ax.hlines(at, table["back_lower"], table["back_upper"], color=LINE, lw=6, zorder=0)
    for k, name in enumerate(names):
        mine = (series == name).to_numpy()
        value, lower, upper = table.loc[mine, ["value", "lower", "upper"]].to_numpy(float).T
        colour, marker = PALETTE[k % len(PALETTE)], _MARKS[k % len(_MARKS)]
        y = at[mine] + 0.26 * (k - (len(names) - 1) / 2) * (len(place) < len(table))
        ax.hlines(y, lower, upper, color=colour, lw=1.7)
        clear = np.full(y.shape, True)
        if reference is not None:
            clear = (lower > reference) | (upper < reference)
        for chosen, face in ((clear, colour), (~clear, "white")):
            known = chosen & np.isfinite(value)
            if known.any():
                ax.plot(value[known], y[known], marker, ms=5, color=colour, mfc=face)
        ax.plot([], [], f"{marker}-", ms=5, lw=1.7, color=colour, label=name)
    if "mark" in table:
        ax.plot(table["mark"], at, "|", color="black", ms=11, mew=1.6)
    if reference is not None:
        ax.axvline(reference, color=MUTED, lw=0.9, ls="--", zorder=0)
    ax.set_yticks(range(len(ticks)), ticks)
    for i, label in enumerate(ax.get_yticklabels()):
        label.set_fontweight("normal" if i in place.values() else "bold")
    ax.set_ylim(len(ticks) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines[["left", "top", "right"]].set_visible(False)
    ax.grid(axis="x", color=LINE, lw=0.5)
    ax.set_axisbelow(True)
    if log:
        log_axis(ax, table[["value", "lower", "upper"]].to_numpy(float))
    lines = (textwrap.fill(line, 66, break_on_hyphens=False) for line in axis.split("\n"))
    ax.set_xlabel("\n".join(lines))
    if "series" in table:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(names), frameon=False)
    return ax


def heights(table: pd.DataFrame) -> list[int]:
    """Where each row of a table stands along the axis of lines."""
    place, _ = lines_of(table)
    return [place[key] for key in _keys(table)]


def _keys(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Heading and label of each row: rows with the same stand on one line."""
    headings = table["heading"].astype(str) if "heading" in table else [""] * len(table)
    return list(zip(headings, table["label"].astype(str), strict=True))


def lines_of(table: pd.DataFrame) -> tuple[dict[tuple[str, str], int], list[str]]:
    """Where each line stands, and the words along the axis, headings among them."""
    place: dict[tuple[str, str], int] = {}
    ticks: list[str] = []
    for heading, group in groupby(dict.fromkeys(_keys(table)), key=lambda line: line[0]):
        ticks += [heading] if heading else []
        for line in group:
            place[line] = len(ticks)
            ticks.append(_short(line[1]))
    return place, ticks


def log_axis(ax: Axes, values: np.ndarray) -> None:
    """Logarithmic x axis with plain numbers: 1, 2 and 5 of each power of ten, or these alone."""
    ax.set_xscale("log")
    known = values[np.isfinite(values) & (values > 0)]
    low, high = (known.min(), known.max()) if known.size else (0.5, 2.0)
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    steps = (1.0,) if np.log10(high / low) > 2.5 else (1.0, 2.0, 5.0)
    every = [s * p for p in powers for s in steps]
    ticks = [t for t in every if low / 1.6 <= t <= high * 1.6]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()


def _short(label: str) -> str:
    return label if len(label) <= _LETTERS else label[: _LETTERS - 1].rstrip(" –") + "…"


#: Colours of the figures, and what the style sheet of the page calls them.
_COLOURS = {
    "#000000": "var(--ink)", "#ffffff": "var(--paper)", BLUE: "var(--s0)", ORANGE: "var(--s1)",
    GREEN: "var(--s2)", GREY: "var(--soft)", MUTED: "var(--muted)", LINE: "var(--line)",
}  # fmt: skip


def themed_svg(drawn: Axes | Figure, *, name: str, label: str) -> str:
    """Figure as an SVG element: text as text, no width of its own, ids that clash with no other.

    `name` is unique on the page and begins all ids; `label` says what the figure shows to people
    who cannot see it.
    """
    figure = figure_of(drawn) if isinstance(drawn, Axes) else drawn
    figure.patch.set_alpha(0.0)
    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href|href)="#', rf'\1="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    for colour, variable in _COLOURS.items():
        svg = svg.replace(colour, variable)
    # Text has no fill of its own in matplotlib's output: it would stay black on a dark page.
    family = r"""(font: (?:\w+ )*[\d.]+px|font-family:) ['A-Za-z][^";]*"""
    svg = re.sub(family, r"\1 var(--sans)", svg)
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    size = f"max-width:{float(view[1]) * 1.3:.0f}px" if view else ""
    for attribute in ("width", "height"):
        svg = re.sub(rf'<svg ([^>]*?){attribute}="[^"]*"', r"<svg \1", svg, count=1)
    head = f'<svg class="mpl" role="img" aria-label="{escape(label)}" style="{size}" '
    return svg.replace("<svg ", head, 1).strip()

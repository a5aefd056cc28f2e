"""World map of state risk as one SVG element that needs no script to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from forecast.plot.world import BINS, geometry
from forecast.text import interval, percent

__all__ = ["bin_labels", "world_map"]

_NO_VALUE = "no value: not a member of the state system at the end of the record"


def bin_labels() -> list[str]:
    """Labels of the colour classes, lowest first."""
    ends = [f"{100 * b:g}" for b in BINS]
    return [f"under {ends[0]}%", *(f"{a}–{b}%" for a, b in pairwise(ends)), f"{ends[-1]}% or more"]


def world_map(
    states: pd.DataFrame, horizons: Sequence[int], spans: Mapping[int, str]
) -> tuple[Markup, list[str]]:
    """SVG map of the table ``states``, and the states that have a value but no place on it.

    Each horizon (years ahead) is one class of colour per shape (``h1-3``); `spans` are its years
    in words.
    """
    world = geometry()
    chosen = states[states["horizon"].isin(horizons)]
    by_code = {str(code): rows for code, rows in chosen.groupby("iso3", sort=True)}
    order = chosen[chosen["horizon"] == horizons[0]].sort_values(
        ["probability", "iso3"], ascending=[False, True], kind="stable"
    )["iso3"]
    rank = {str(code): i for i, code in enumerate(order)}
    paths = {code: f'<path d="{path}"' for code, path in world["paths"].items()}
    dots = {
        code: f'<circle r="38" cx="{10 * x:.0f}" cy="{10 * y:.0f}"'
        for code, (x, y) in world["dots"].items()
        if code in by_code
    }
    shapes = "".join(
        _shape(head, by_code.get(code), world["names"].get(code, code), rank.get(code), spans)
        for heads in (paths, dots)
        for code, head in heads.items()
    )
    placed = {*world["paths"], *world["dots"]}
    absent = [str(by_code[code]["state"].iloc[0]) for code in by_code if code not in placed]
    svg = (
        f'<svg class="world" viewBox="0 0 {world["width"]:g} {world["height"]:g}"'
        ' role="application" tabindex="0"'
        ' aria-label="World map of state risk. Arrow keys go through the states from the highest'
        ' risk down; the table below holds the same numbers.">'
        '<defs><pattern id="hatch" width="60" height="60" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><rect width="60" height="60" class="hatch-paper"/>'
        '<line x1="0" y1="0" x2="0" y2="60" class="hatch-line"/></pattern></defs>'
        f'<g transform="scale(.1)">{shapes}</g></svg>'
    )
    return Markup(svg), absent


def _shape(
    head: str, rows: pd.DataFrame | None, name: str, rank: int | None, spans: Mapping[int, str]
) -> str:
    if rows is None:
        return f'{head} class="none" data-name="{escape(name)}" data-none="{_NO_VALUE}"/>'
    classes, texts = [], []
    for row in rows.to_dict("records"):
        horizon, p = int(row["horizon"]), float(row["probability"])
        classes.append(f"h{horizon}-{int(np.searchsorted(BINS, p, side='right'))}")
        said = (
            f"{percent(p)} {spans[horizon]} ({row['interval_level']:.0%}"
            f" {row['interval_kind']} interval {interval(row['lower'], row['upper'])})"
        )
        texts.append(f'data-h{horizon}="{escape(said)}"')
    title = escape(str(rows["state"].iloc[0]))
    return (
        f'{head} class="{" ".join(classes)}" data-name="{title}" data-rank="{rank}"'
        f" {' '.join(texts)}/>"
    )

"""World map of state risk as one SVG element that needs no script to be read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from forecast.text import interval, percent

__all__ = ["BINS", "bin_labels", "world_map"]

#: Lower ends of the colour classes (probability); the first class begins at 0.
BINS: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9)

_ASSET = Path(__file__).parent / "assets" / "world.json"
_NO_VALUE = "no value: not a member of the state system at the end of the record"


@lru_cache(maxsize=1)
def _geometry() -> dict[str, Any]:
    geometry: dict[str, Any] = json.loads(_ASSET.read_text(encoding="utf-8"))
    return geometry


def bin_labels() -> list[str]:
    """Labels of the colour classes, lowest first."""
    ends = [f"{100 * b:g}" for b in BINS]
    between = [f"{a}–{b}%" for a, b in pairwise(ends)]
    return [f"under {ends[0]}%", *between, f"{ends[-1]}% or more"]


def world_map(
    states: pd.DataFrame, horizons: Sequence[int], spans: Mapping[int, str]
) -> tuple[Markup, list[str]]:
    """SVG map, and the states that have a value but no place on it.

    Parameters
    ----------
    states : pandas.DataFrame
        Table ``states`` of the report.
    horizons : sequence of int
        Years ahead that can be shown; each is one class of colour per shape (``h1-3``).
    spans : mapping of int to str
        Years of each horizon in words.
    """
    world = _geometry()
    chosen = states[states["horizon"].isin(horizons)]
    by_code = {str(code): rows for code, rows in chosen.groupby("iso3", sort=True)}
    order = chosen[chosen["horizon"] == horizons[0]].sort_values(
        ["probability", "iso3"], ascending=[False, True], kind="stable"
    )["iso3"]
    rank = {str(code): i for i, code in enumerate(order)}
    shapes = []
    for code, path in world["paths"].items():
        shape = f'<path d="{path}"'
        shapes.append(_shape(shape, by_code.get(code), world["names"][code], rank.get(code), spans))
    dots = [
        _shape(f'<circle r="38" cx="{10 * x:.0f}" cy="{10 * y:.0f}"', by_code[code], code,
               rank[code], spans)
        for code, (x, y) in world["dots"].items() if code in by_code
    ]  # fmt: skip
    placed = set(world["paths"]) | set(world["dots"])
    absent = [str(by_code[code]["state"].iloc[0]) for code in by_code if code not in placed]
    width, height = world["width"], world["height"]
    svg = (
        f'<svg class="world" viewBox="0 0 {width:g} {height:g}" role="application" tabindex="0"'
        ' aria-label="World map of state risk. Arrow keys go through the states from the highest'
        ' risk down; the table below holds the same numbers.">'
        '<defs><pattern id="hatch" width="60" height="60" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><rect width="60" height="60" class="hatch-paper"/>'
        '<line x1="0" y1="0" x2="0" y2="60" class="hatch-line"/></pattern></defs>'
        f'<g transform="scale(.1)">{"".join(shapes)}{"".join(dots)}</g></svg>'
    )
    return Markup(svg), absent


def _shape(
    head: str, rows: pd.DataFrame | None, name: str, rank: int | None, spans: Mapping[int, str]
) -> str:
    if rows is None:
        return f'{head} class="none" data-name="{escape(name)}" data-none="{_NO_VALUE}"/>'
    classes, texts = [], []
    for row in rows.itertuples(index=False):
        horizon = int(str(row.horizon))
        p, lower, upper = (float(str(v)) for v in (row.probability, row.lower, row.upper))
        classes.append(f"h{horizon}-{int(np.searchsorted(BINS, p, side='right'))}")
        said = (
            f"{percent(p)} {spans[horizon]} ({float(str(row.interval_level)):.0%}"
            f" {row.interval_kind} interval {interval(lower, upper)})"
        )
        texts.append(f'data-h{horizon}="{escape(said)}"')
    title = escape(str(rows["state"].iloc[0]))
    return (
        f'{head} class="{" ".join(classes)}" data-name="{title}" data-rank="{rank}"'
        f" {' '.join(texts)}/>"
    )

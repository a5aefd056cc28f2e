"""Every pair of states as the page holds it in whole numbers, and the world map of state risk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup, escape

from forecast.plot.world import BINS, geometry
from forecast.simulation.dynamics import STATUSES
from forecast.text import interval, percent

__all__ = ["SCALE", "bin_labels", "pair_data", "place", "shown_rows", "world_map"]


#: A stratum in a cell of a table: what is on record between the two.
_STRATA = {
    "first ever": "none",
    "quiet": "an old one",
    "recurrent": "a recent one",
    "outside the population": "not of the model",
}
#: Probabilities are whole numbers of ten-millionths: short for the many small ones.
SCALE = 10_000_000
_DIGITS = 4
#: Left end of the bars.
_LEAST = 1e-3
_KEYS = ["ccode_a", "ccode_b"]


def place(probability: float) -> str:
    """Position on the logarithmic bar of the table, 0 (0.1%) to 100 (100%)."""
    share = 1 - math.log10(max(probability, _LEAST)) / math.log10(_LEAST)
    return f"{100 * min(max(share, 0.0), 1.0):.1f}"


def _whole(values: npt.ArrayLike) -> list[int]:
    """Ten-millionths, of four significant digits."""
    values = np.asarray(values, dtype=np.float64)
    size = np.floor(np.log10(np.maximum(np.abs(values), 1.0 / SCALE)))
    step = np.maximum(10.0 ** (size - _DIGITS + 1), 1.0 / SCALE)
    return [int(v) for v in np.rint(np.rint(values / step) * step * SCALE)]


def pair_data(
    risks: pd.DataFrame,
    states: pd.DataFrame,
    disputes: pd.DataFrame,
    changes: pd.DataFrame | None,
    horizons: Sequence[int],
    severe: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Columns of all pairs, likeliest of the leading level in the first year first.

    Of the tables of the report ``risks``, ``states`` (codes and regions), ``disputes`` (since when,
    until when), ``changes`` (None: the first report) and ``risks_deaths_25`` (the leading level,
    and fighting beside it), at the years ahead that the table can show.

    ``levels``, names of the levels of severity, the leading one first; ``states`` (name, what else
    finds it, region), ``classes`` (stratum in words and its base rate by level and horizon); of
    each pair ``a``, ``b`` and ``k``, places in these, ``o``, place in `STATUSES`, ``v``, 1 if
    politically relevant; ``p``, ``l``, ``u`` by level and horizon in units of 1 / `SCALE`, ``c``,
    the change of the probability of an onset in the same units (None where there is none); ``w``,
    by the row of a pair under way, the probability that it still is, by horizon; ``f``, by the same
    row, probability and interval of fighting, by horizon; ``d``, by row, since when it is under way
    or when it ended.
    """
    tables = {"onset": risks} if severe is None else {"deaths_25": severe, "onset": risks}
    leading = next(iter(tables.values()))
    first = leading[leading["horizon"] == horizons[0]].sort_values(
        ["probability", *_KEYS], ascending=[False, True, True], ignore_index=True
    )
    order = pd.MultiIndex.from_frame(first[_KEYS])
    levels = {
        name: [table[table["horizon"] == h].set_index(_KEYS).reindex(order) for h in horizons]
        for name, table in tables.items()
    }
    about = states.drop_duplicates("ccode")
    places = {int(code): i for i, code in enumerate(about["ccode"])}
    codes, classes = _classes(first["stratum"], list(levels.values()))
    going = np.flatnonzero(first["status"] == STATUSES[2])
    still = np.stack([part["still_under_way"].to_numpy(float) for part in levels["onset"]], axis=1)
    changed = None
    if changes is not None:
        of = changes.set_index([*_KEYS, "horizon"])["change"]
        found = [of.xs(h, level="horizon").reindex(order).to_numpy(float) for h in horizons]
        whole = (_whole(np.nan_to_num(values)) for values in found)
        changed = [
            [v if known else None for v, known in zip(row, np.isfinite(values), strict=True)]
            for row, values in zip(whole, found, strict=True)
        ]
    columns = {
        key: [[_whole(part[name]) for part in parts] for parts in levels.values()]
        for key, name in (("p", "probability"), ("l", "lower"), ("u", "upper"))
    }
    return {
        "horizons": list(horizons),
        "levels": list(levels),
        "states": [
            [str(r.state), f"{r.iso3} {r.abbrev}", str(r.region)] for r in about.itertuples()
        ],
        "classes": classes,
        "a": [places[code] for code in first["ccode_a"]],
        "b": [places[code] for code in first["ccode_b"]],
        "k": codes,
        "o": [STATUSES.index(status) for status in first["status"]],
        "v": first["relevant"].astype(int).tolist(),
        **columns,
        "c": changed,
        "w": {int(i): _whole(still[i]) for i in going if np.isfinite(still[i]).all()},
        "f": {} if severe is None else _fighting(levels["deaths_25"], going),
        "d": _dates(order, disputes),
    }


def _classes(
    strata: pd.Series, levels: Sequence[Sequence[pd.DataFrame]]
) -> tuple[list[int], list[list[Any]]]:
    """Of each pair the place in the classes: stratum in words, base rates by level and horizon."""
    base = [part["base_rate"].to_numpy(float) for parts in levels for part in parts]
    codes, found = pd.factorize(pd.Series(list(zip(strata, *base, strict=True))), sort=True)
    classes = []
    for name, *rates in found:
        past, remote, _ = str(name).partition(", remote")
        words = _STRATA.get(past, past) + ("; remote" if remote else "")
        classes.append([words, [_whole(part) for part in np.array(rates).reshape(len(levels), -1)]])
    return codes.tolist(), classes


def _fighting(
    parts: Sequence[pd.DataFrame], rows: npt.NDArray[np.intp]
) -> dict[int, list[list[int]]]:
    """Probability and interval of fighting of some rows, by horizon."""
    names = ["fighting", "fighting_lower", "fighting_upper"]
    values = np.stack([part[names].to_numpy(dtype=np.float64) for part in parts], axis=1)
    return {int(i): [_whole(of_horizon) for of_horizon in values[i]] for i in rows}


def _dates(order: pd.MultiIndex, disputes: pd.DataFrame) -> dict[int, str]:
    """Since when a conflict is under way, or when it ended, as much of it as is known, by row."""
    rows = order.get_indexer(pd.MultiIndex.from_frame(disputes[_KEYS]))
    dates = disputes["since"].where(disputes["status"] == STATUSES[2], disputes["end"])
    return {int(i): str(date) for i, date in zip(rows, dates, strict=True)}


def shown_rows(data: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    """The first rows of the table at its first level and horizon, of pairs not under way.

    What the script of the page shows at first, from the same whole numbers.
    """
    known = data["c"] is not None and data["levels"][0] == "onset"
    rows: list[dict[str, Any]] = []
    for i in [i for i, status in enumerate(data["o"]) if STATUSES[status] != "under way"][:most]:
        stratum, rates = data["classes"][data["k"][i]]
        p, lower, upper = (data[name][0][0][i] / SCALE for name in "plu")
        base = rates[0][0] / SCALE
        change = data["c"][0][i] if known else None
        rows.append(
            {
                "a": data["states"][data["a"][i]][0],
                "b": data["states"][data["b"][i]][0],
                "p": p, "lower": lower, "upper": upper, "base": base,
                "ratio": p / base if base else math.nan,
                "stratum": stratum,
                "status": STATUSES[data["o"][i]],
                "date": data["d"].get(i, ""),
                "change": None if change is None else change / SCALE,
            }
        )  # fmt: skip
    return rows


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

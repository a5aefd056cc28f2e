"""Every pair of states as the table of the page holds it: columns of whole numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.report.words import SHORT_STRATA, STATUSES

__all__ = ["SCALE", "pair_data", "place", "shown_rows"]

#: Probabilities are whole numbers of ten-millionths: short for the many small ones.
SCALE = 10_000_000
_DIGITS = 4
#: Left end of the bars.
_LEAST = 1e-3


def place(probability: float) -> str:
    """Position on the logarithmic bar of the table, 0 (0.1%) to 100 (100%)."""
    share = 1 - math.log10(max(probability, _LEAST)) / math.log10(_LEAST)
    return f"{100 * min(max(share, 0.0), 1.0):.1f}"


def _whole(values: npt.NDArray[np.float64]) -> list[int]:
    """Ten-millionths, of four significant digits."""
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

    Parameters
    ----------
    risks : pandas.DataFrame
        Table ``risks`` of the report.
    states : pandas.DataFrame
        Table ``states``, for codes and regions.
    disputes : pandas.DataFrame
        Table ``disputes``: since when, and until when.
    changes : pandas.DataFrame or None
        What changed since the report before.
    horizons : sequence of int
        Years ahead that the table can show.
    severe : pandas.DataFrame, optional
        Table ``risks_deaths_25``: the leading level, and fighting beside it.

    Returns
    -------
    dict
        ``levels``, names of the levels of severity, the leading one first; ``states`` (name, what
        else finds it, region), ``classes`` (stratum in words and its base rate by level and
        horizon); of each pair ``a``, ``b`` and ``k``, places in these, ``o``, place in `STATUSES`,
        ``v``, 1 if politically relevant; ``p``, ``l``, ``u`` by level and horizon in units of
        1 / `SCALE`, ``c``, the change of the probability of an onset in the same units (None where
        there is none); ``w``, by the row of a pair under way, the probability that it still is, by
        horizon; ``f``, by the same row, probability and interval of fighting, by horizon; ``d``, by
        row, since when it is under way or when it ended.
    """
    tables = {"onset": risks} if severe is None else {"deaths_25": severe, "onset": risks}
    keys = ["ccode_a", "ccode_b"]
    leading = next(iter(tables.values()))
    chosen = leading[leading["horizon"].isin(horizons)]
    first = chosen[chosen["horizon"] == horizons[0]].sort_values(
        ["probability", *keys], ascending=[False, True, True], ignore_index=True
    )
    order = pd.MultiIndex.from_frame(first[keys])
    levels = {
        name: [table[table["horizon"] == h].set_index(keys).reindex(order) for h in horizons]
        for name, table in tables.items()
    }
    by = dict(zip(horizons, levels["onset"], strict=True))
    about = states.drop_duplicates("ccode")
    places = {int(code): i for i, code in enumerate(about["ccode"])}
    base = np.stack(
        [
            part["base_rate"].to_numpy(dtype=np.float64)
            for parts in levels.values()
            for part in parts
        ]
    )
    labels = pd.Series(list(zip(first["stratum"], *base, strict=True)))
    codes, classes = pd.factorize(labels, sort=True)
    under_way = first["status"].to_numpy() == STATUSES[2]
    still = np.stack([by[h]["still_under_way"].to_numpy(dtype=np.float64) for h in horizons])

    def each(name: str) -> list[list[list[int]]]:
        return [
            [_whole(part[name].to_numpy(dtype=np.float64)) for part in parts]
            for parts in levels.values()
        ]

    return {
        "horizons": list(horizons),
        "levels": list(levels),
        "states": [
            [str(r.state), f"{r.iso3} {r.abbrev}", str(r.region)] for r in about.itertuples()
        ],
        "classes": [
            [
                SHORT_STRATA.get(str(name), str(name)),
                [_whole(part) for part in np.array(rates).reshape(len(levels), -1)],
            ]
            for name, *rates in classes
        ],
        "a": [places[code] for code in first["ccode_a"]],
        "b": [places[code] for code in first["ccode_b"]],
        "k": codes.tolist(),
        "o": [STATUSES.index(status) for status in first["status"]],
        "v": first["relevant"].astype(int).tolist(),
        "p": each("probability"),
        "l": each("lower"),
        "u": each("upper"),
        "c": None if changes is None else [_changes(changes, order, h) for h in horizons],
        "w": {int(i): _whole(still[:, i]) for i in np.flatnonzero(under_way)
              if np.isfinite(still[:, i]).all()},
        "f": {} if severe is None else _fighting(levels["deaths_25"], np.flatnonzero(under_way)),
        "d": _dates(order, disputes),
    }  # fmt: skip


def _fighting(
    parts: Sequence[pd.DataFrame], rows: npt.NDArray[np.intp]
) -> dict[int, list[list[int]]]:
    """Probability and interval of fighting of some rows, by horizon."""
    names = ["fighting", "fighting_lower", "fighting_upper"]
    values = np.stack([part[names].to_numpy(dtype=np.float64) for part in parts], axis=1)
    return {int(i): [_whole(of_horizon) for of_horizon in values[i]] for i in rows}


def _changes(changes: pd.DataFrame, order: pd.MultiIndex, horizon: int) -> list[int | None]:
    part = changes[changes["horizon"] == horizon].set_index(["ccode_a", "ccode_b"])["change"]
    found = part.reindex(order).to_numpy(dtype=np.float64)
    whole = _whole(np.nan_to_num(found))
    return [v if known else None for v, known in zip(whole, np.isfinite(found), strict=True)]


def _dates(order: pd.MultiIndex, disputes: pd.DataFrame) -> dict[int, str]:
    """Since when a conflict is under way, or when it ended, as much of it as is known, by row."""
    rows = order.get_indexer(pd.MultiIndex.from_frame(disputes[["ccode_a", "ccode_b"]]))
    return {
        int(i): since if status == STATUSES[2] else end
        for i, status, since, end in zip(
            rows, disputes["status"], disputes["since"], disputes["end"], strict=True
        )
    }


def shown_rows(data: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    """The first rows of the table at its first level and horizon, of pairs not under way.

    What the script of the page shows at first, from the same whole numbers.
    """
    going = STATUSES.index("under way")
    rows: list[dict[str, Any]] = []
    for i, status in enumerate(data["o"]):
        if len(rows) == most:
            break
        if status == going:
            continue
        stratum, rates = data["classes"][data["k"][i]]
        p, lower, upper = (data[name][0][0][i] / SCALE for name in "plu")
        base = rates[0][0] / SCALE
        known = data["c"] is not None and data["levels"][0] == "onset"
        change = data["c"][0][i] if known else None
        rows.append(
            {
                "a": data["states"][data["a"][i]][0],
                "b": data["states"][data["b"][i]][0],
                "p": p, "lower": lower, "upper": upper, "base": base,
                "ratio": p / base if base else math.nan,
                "stratum": stratum,
                "status": STATUSES[status],
                "date": data["d"].get(i, ""),
                "change": None if change is None else change / SCALE,
            }
        )  # fmt: skip
    return rows

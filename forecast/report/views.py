"""A table of the page as text, and the views of pairs and states."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecast.text import interval, percent

__all__ = ["Row", "Tables", "View", "pair", "state_view", "under_way_view", "view"]

Tables = Mapping[str, pd.DataFrame]
Row = Mapping[Hashable, Any]
#: Classes of deaths of a pair in a conflict.
_DEATHS = ("none", "1–25", "26–100", "101–250", "251–500", "501–999", "1,000 or more")


@dataclass(frozen=True)
class View:
    """A table of the page, and the file beside it that has every row and digit.

    Headings of numbers begin with ``#``, which is not shown.
    """

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    file: str


def view(
    caption: str, file: str, table: pd.DataFrame, columns: Mapping[str, str | Callable[[Row], str]]
) -> View:
    """Rows of a table as cells: of each heading the column to copy, or what makes its text."""
    makers = [(lambda r, c=c: str(r[c])) if isinstance(c, str) else c for c in columns.values()]
    rows = [tuple(make(r) for make in makers) for r in table.to_dict("records")]
    return View(caption, tuple(columns), rows, file)


def pair(row: Row) -> str:
    """The two states of a row."""
    return f"{row['state_a']} – {row['state_b']}"


def level_words(table: pd.DataFrame) -> str:
    """Level and kind of the intervals of a table of risks: ``90% equal-tailed interval``."""
    first = table.iloc[0]
    return f"{first['interval_level']:.0%} {first['interval_kind']} interval"


def under_way_view(tables: Tables, longest: int) -> dict[str, Any]:
    """Conflicts under way at the end of the record: the numbers, and what each pair can expect.

    The view of all of them; ``pairs``, how many; ``ended``, the view of the pairs whose conflict
    ended in the last year.
    """
    risks, disputes = tables["risks"], tables["disputes"]
    keys = ["ccode_a", "ccode_b"]
    by = {h: risks[risks["horizon"] == h].set_index(keys) for h in sorted({1, longest})}
    first, level = int(risks["first_year"].iloc[0]), f"{level_words(risks)}s"

    def chance(h: int, names: Sequence[str]) -> Callable[[Row], str]:
        def cell(r: Row) -> str:
            e = by[h].loc[(r["ccode_a"], r["ccode_b"])]
            p, lower, upper = (float(e[name]) for name in names)
            return f"{percent(p)} ({interval(lower, upper)})"

        return cell

    def deaths(r: Row) -> str:
        known = r["deaths_class"]
        return "unknown" if pd.isna(known) else _DEATHS[int(known)]

    def since(r: Row) -> str:
        return str(r["since"]) or "unknown"

    still = ("still_under_way", "still_lower", "still_upper")
    begins = chance(1, ("probability", "lower", "upper"))
    going = disputes[disputes["status"] == "under way"]
    return {
        "view": view(
            f"A conflict of the two is under way at the end of {first - 1}: since when, whether it"
            f" still is at the end of later years, and whether a further one begins beside it"
            f" ({level} in brackets)",
            "disputes", going,
            {"Pair": pair, "#Under way since": since, "#Deaths so far": deaths}
            | {f"#Still under way at the end of {first + h - 1}": chance(h, still) for h in by}
            | {f"#A further one begins in {first}": begins},
        ),
        "pairs": len(going),
        "ended": view(
            f"A conflict of the two ended in {first - 1}: probability that a new one begins in"
            f" {first} ({level} in brackets)",
            "disputes", disputes[disputes["status"] == "ended"],
            {"Pair": pair, "#Began": since, "#Deaths": deaths, "#Ended": "end",
             f"#A new one in {first}": begins},
        ),
    }  # fmt: skip


def state_view(
    states: pd.DataFrame, horizons: Sequence[int], spans: Mapping[int, str], severity: str = "onset"
) -> View:
    """States by risk: what the map shows, for those who cannot see or point at it."""
    first = states[states["horizon"] == horizons[0]]
    first = first.sort_values(["probability", "ccode"], ascending=[False, True])
    by = {h: states[states["horizon"] == h].set_index("ccode") for h in horizons}
    rows = [
        (str(r["state"]), str(r["region"]), *(
            text for h in horizons for e in (by[h].loc[r["ccode"]],)
            for text in (percent(e["probability"]), interval(e["lower"], e["upper"]))
        ))
        for r in first.to_dict("records")
    ]  # fmt: skip
    return View(
        "Probability that a state is a party to at least one onset"
        f"{' with more than 25 deaths' if severity == 'deaths_25' else ''}, with its"
        f" {level_words(states)}",
        ("State", "Region", *(c for h in horizons for c in (f"#{spans[h]}", "#interval"))),
        rows,
        "states" if severity == "onset" else f"states_{severity}",
    )

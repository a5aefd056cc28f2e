"""What happened: onsets, disputes, who began them, and which were under way when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import pandas as pd

from forecast.errors import ForecastError
from forecast.panel.window import BoolArray, IntArray, Variable, Window
from forecast.sources.spells import span_years

__all__ = [
    "ESCALATIONS",
    "OF_DEATHS",
    "OUTCOMES",
    "Escalation",
    "Outcome",
    "Succession",
    "UnderWay",
    "conflict_variables",
    "initiators_coded",
]

Outcome = Literal[
    "onset", "originator_onset", "force_onset", "fatal_onset", "deaths_25_onset", "war_onset"
]
Escalation = Literal["escalation_to_force", "escalation_to_fatality", "escalation_to_war"]
#: What a pair is whose dispute is under way on 1 January: a row whatever the year brings; no row;
#: or, as is the custom in the field, a row only of a year in which a new one begins.
UnderWay = Literal["stratum", "drop", "convention"]
#: What the history of a state does that goes on under another number: it goes with the state, or
#: its clocks and counts start again.
Succession = Literal["continue", "restart"]


def _force(table: pd.DataFrame) -> BoolArray:
    return table["level"].isin(("use_of_force", "clash", "war")).to_numpy(dtype=bool)


def _deaths(table: pd.DataFrame, least: int) -> BoolArray:
    """Class of deaths of at least `least`; a class that is not known is not."""
    return (table["deaths_class"] >= least).fillna(False).to_numpy(dtype=bool)


def _war(table: pd.DataFrame) -> BoolArray:
    return (table["level"] == "war").to_numpy(dtype=bool)


#: Which conflicts count as an onset of each outcome: all; both sides there from the first day;
#: use of force or more; at least one battle death; more than 25; war.
OUTCOMES: Mapping[Outcome, Callable[[pd.DataFrame], BoolArray]] = {
    "onset": lambda table: np.ones(len(table), dtype=bool),
    "originator_onset": lambda table: np.asarray(
        (table[["role_a", "role_b"]] == "originator").all(axis=1), dtype=bool
    ),
    "force_onset": _force,
    "fatal_onset": lambda table: _deaths(table, 1),
    "deaths_25_onset": lambda table: _deaths(table, 2),
    "war_onset": _war,
}

#: Outcomes that are not known of a conflict whose deaths are not.
OF_DEATHS: frozenset[str] = frozenset({"fatal_onset", "deaths_25_onset"})

#: Which disputes rose that far at any time between the two.
ESCALATIONS: Mapping[Escalation, Callable[[pd.DataFrame], BoolArray]] = {
    "escalation_to_force": _force,
    "escalation_to_fatality": lambda table: _deaths(table, 1),
    "escalation_to_war": _war,
}


def initiators_coded(conflicts: pd.DataFrame) -> bool:
    """Whether the source says who began its conflicts; one that never does has all unclear."""
    return not len(conflicts) or bool((conflicts["initiator"] != "unclear").any())


def conflict_variables(
    window: Window, together: BoolArray, outcome: Outcome
) -> dict[str, Variable]:
    """Events as dense arrays, with the number of conflicts that went into them.

    Symmetric (year, state, other) bool: ``onset``, an episode of `outcome` between the two began
    that year; ``onset_count`` (uint8), how many of any kind did; ``dispute``, any episode was
    active on some day of it; ``open``, one was still going on at its end: begun by 31 December, its
    end in a later year or not yet on record (never in a year past the coverage); ``at_risk``, the
    pair is there (`together`) and it is not a year in which a dispute merely continues without a
    new onset; ``onset_unknown``, whether an episode of `outcome` began is not known (deaths
    unknown, for outcomes of deaths). ``initiated``, directed: `state` began an onset of `outcome`
    against `other`; ``initiator_unknown``, symmetric: one began, but who began it is not clear.
    (year, state) int16: ``dispute_onset_count``, number of distinct conflicts of any kind that the
    state came into that year. (year) int: ``episodes``, rows of the conflicts of `outcome` that
    began that year.

    ``onset_count``, ``dispute``, ``open``, ``at_risk`` and ``dispute_onset_count`` do not depend on
    `outcome`: the rows and the history of a dyad are the same for all outcomes.
    """
    table = window.tables.conflicts
    start, end = span_years(table)
    a, has_a = window.positions(table["ccode_a"].to_numpy())
    b, has_b = window.positions(table["ccode_b"].to_numpy())
    here = has_a & has_b
    covers = window.tables.coverage["conflicts"]
    low, high = max(window.first, covers.first), min(window.last, covers.last)
    if not window.carry_forward:
        # Past its end nobody is listed as a state, so nothing can happen to one.
        high = min(high, window.tables.coverage["states"].last)
    began = here & (start >= low) & (start <= high)
    t = start - window.first

    def marked(rows: BoolArray, *, both: bool = True, swap: bool = False) -> BoolArray:
        out = np.zeros(together.shape, dtype=bool)
        x, y = (b, a) if swap else (a, b)
        out[t[rows], x[rows], y[rows]] = True
        if both:
            out[t[rows], y[rows], x[rows]] = True
        return out

    counts = OUTCOMES[outcome](table) & began
    onset = marked(counts)
    any_onset = onset if outcome == "onset" else marked(began)
    number = np.zeros(together.shape, dtype=np.uint8)
    for x, y in ((a, b), (b, a)):
        np.add.at(number, (t[began], x[began], y[began]), 1)
    unknown = np.zeros(len(table), dtype=bool)
    if outcome in OF_DEATHS:
        unknown = table["deaths_class"].isna().to_numpy(dtype=bool) & began
    initiator = table["initiator"].to_numpy(dtype=np.str_)
    initiated = marked(counts & np.isin(initiator, ("a", "both")), both=False)
    initiated |= marked(counts & np.isin(initiator, ("b", "both")), both=False, swap=True)
    dispute, going_on = _under_way(window, together, (start, end), (a, b), here, high)
    if (any_onset & ~together).any() or (any_onset & ~dispute).any():
        raise ForecastError(
            "An onset fell outside the spells of its states or its own dispute: the tables were "
            "changed after they were checked. Rebuild them with tables_from_frames."
        )
    pair = ("year", "state", "other")
    return {
        "onset": (pair, onset),
        "onset_count": (pair, number),
        "dispute": (pair, dispute),
        "open": (pair, going_on),
        "at_risk": (pair, together & (any_onset | ~dispute)),
        "onset_unknown": (pair, marked(unknown) & ~onset),
        "initiated": (pair, initiated),
        "initiator_unknown": (pair, marked(counts & (initiator == "unclear"))),
        "dispute_onset_count": (("year", "state"), _onset_counts(table, began, window)),
        "episodes": (("year",), np.bincount(t[counts], minlength=len(window.years))),
    }


def _under_way(
    window: Window,
    together: BoolArray,
    spans: tuple[IntArray, IntArray],
    sides: tuple[IntArray, IntArray],
    here: BoolArray,
    high: int,
) -> tuple[BoolArray, BoolArray]:
    """Pairs in a dispute on some day of the year, and those in one that goes on after it."""
    (start, end), (a, b) = spans, sides
    # Conflicts are never carried forward: an ongoing one is known up to the coverage only.
    row, t = window.expand("conflicts", start, np.minimum(end, high))
    keep = here[row]
    row, t = row[keep], t[keep]
    keep = together[t, a[row], b[row]]
    row, t = row[keep], t[keep]
    dispute = np.zeros(together.shape, dtype=bool)
    going_on = np.zeros_like(dispute)
    for happened, at in ((dispute, slice(None)), (going_on, end[row] > window.years[t])):
        happened[t[at], a[row][at], b[row][at]] = True
        happened[t[at], b[row][at], a[row][at]] = True
    return dispute, going_on


def _onset_counts(table: pd.DataFrame, began: BoolArray, window: Window) -> np.ndarray:
    """Distinct conflicts by state and the year in which the state came into them.

    One war of many dyads counts once, also if it reaches a further enemy in a later year.
    """
    rows = table.loc[began, ["conflict_id", "ccode_a", "ccode_b"]].copy()
    rows["t"] = span_years(table.loc[began])[0] - window.first
    sides = [
        rows[["conflict_id", "t", c]].set_axis(["id", "t", "c"], axis=1)
        for c in ("ccode_a", "ccode_b")
    ]
    distinct = pd.concat(sides).sort_values("t", kind="stable").drop_duplicates(["id", "c"])
    count = np.zeros((len(window.years), len(window.states)), dtype=np.int16)
    at, _ = window.positions(distinct["c"].to_numpy())
    np.add.at(count, (distinct["t"].to_numpy(), at), 1)
    return count

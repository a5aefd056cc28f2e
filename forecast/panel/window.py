"""The years and states of one world, and where spells fall in them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from forecast.sources.spells import expand_years, span_years
from forecast.sources.tables import OBLIGATIONS, Coverage, Tables

__all__ = ["BoolArray", "IntArray", "Variable", "Window", "coverage_window"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
#: Dimensions and values of one variable of the world.
Variable = tuple[tuple[str, ...], npt.NDArray[np.generic]]

#: Tables that must cover a year for a mask to be True in it.
_MASKS: Mapping[str, tuple[str, ...]] = {
    "member_covered": ("states", "powers"),
    "obligation_covered": ("alliances", "members"),
    "conflict_covered": ("conflicts",),
    "capability_covered": ("capabilities",),
    "contiguity_covered": ("contiguity",),
}


def coverage_window(coverage: Mapping[str, Coverage], tables: tuple[str, ...]) -> tuple[int, int]:
    """First and last year that all of some tables cover."""
    return (
        max(coverage[table].first for table in tables),
        min(coverage[table].last for table in tables),
    )


class Window:
    """Axes of one world: its `years`, and its `states`.

    `states` are the COW numbers, ascending, of all that are members at any time from `first` to
    `last`.
    With `carry_forward` spells that are open on the last covered day go on past it.
    """

    def __init__(self, tables: Tables, *, first: int, last: int, carry_forward: bool) -> None:
        self.tables = tables
        self.first, self.last, self.carry_forward = first, last, carry_forward
        self.years: IntArray = np.arange(first, last + 1, dtype=np.int64)
        row, _ = self.expand("states", *span_years(tables.states))
        self.states: IntArray = np.unique(tables.states["ccode"].to_numpy(dtype=np.int64)[row])

    def expand(self, table: str, first: IntArray, last: IntArray) -> tuple[IntArray, IntArray]:
        """Spell and index into `years` of each spell-year that window and table cover."""
        covers = self.tables.coverage[table]
        # A spell is open or ended by the last covered day, so running on past the coverage
        # repeats what was in force on that day, not everything that held during its last year.
        stop = self.last if self.carry_forward else min(self.last, covers.last)
        row, year = expand_years(first, last, window=(max(self.first, covers.first), stop))
        return row, year - self.first

    def positions(self, codes: npt.NDArray[np.generic]) -> tuple[IntArray, BoolArray]:
        """Index of each COW number into `states`, and whether it is there at all."""
        at = np.searchsorted(self.states, codes).clip(max=max(len(self.states) - 1, 0))
        if not len(self.states):
            return at, np.zeros(len(codes), dtype=bool)
        return at, self.states[at] == codes

    def masks(self) -> dict[str, Variable]:
        """Which years are covered, by kind of fact; which are carried forward, and amended."""
        out: dict[str, Variable] = {}
        carried = np.zeros(len(self.years), dtype=bool)
        for name, needed in _MASKS.items():
            first, last = coverage_window(self.tables.coverage, needed)
            mask = (self.years >= first) & (self.years <= last)
            if self.carry_forward and name != "conflict_covered":
                past = self.years > last
                carried |= past
                mask |= past
            out[name] = (("year",), mask)
        out["carried_forward"] = (("year",), carried)
        columns = self.tables.coverage["members"].columns
        for name in OBLIGATIONS:
            mask = np.asarray(out["obligation_covered"][1], dtype=bool).copy()
            if name in columns:  # a column that ends before its table is not carried on
                mask &= (self.years >= columns[name][0]) & (self.years <= columns[name][1])
            out[f"{name}_covered"] = (("year",), mask)
        after = self.tables.coverage["members"].amended_after
        amended = self.years > (self.last if after is None else after)
        out["amended"] = (("year",), amended)
        return out

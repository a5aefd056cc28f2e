"""Gleditsch–Ward numbers and COW numbers: the same for most states, year-aware for the rest.

Both systems descend from Russett, Singer and Small (1968) and share their numbers. They differ in
who continues whom and in the numbers of four Pacific states, and Gleditsch and Ward (1999) list a
few states that COW never admitted. A number says *who*, not *whether a member*: the two lists
disagree on entry and exit (Germany is 260 in Gleditsch–Ward from 1949, a COW member from 1955),
which the membership spells of the data set decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from forecast.errors import ArgumentError

__all__ = ["GW_ONLY", "NO_STATE", "to_cow", "to_cow_codes", "to_gw", "to_gw_codes"]

IntArray = npt.NDArray[np.int64]
System = Literal["gw", "cow"]

#: Stands in arrays for a state that the other system does not have.
NO_STATE = 0


@dataclass(frozen=True)
class _Rule:
    """From `first` to `last` the state numbered `gw` there is numbered `cow` here."""

    gw: int
    cow: int
    first: int = 0
    last: int = 9999


# A later rule overrides an earlier one, so that in a year of change the state that is there on
# 31 December counts, as in `resolve_state`. Every number that means different states in the two
# systems is listed: 970 must never be taken for Nauru on one side and Kiribati on the other.
_RULES: tuple[_Rule, ...] = (
    _Rule(gw=255, cow=255, last=1945),
    # Unified Germany (3 October 1990): the enlarged Federal Republic, or Germany again.
    _Rule(gw=260, cow=260, last=1990),
    _Rule(gw=260, cow=255, first=1990),
    # Unified Yemen (22 May 1990): the enlarged Arab Republic, or a new state.
    _Rule(gw=678, cow=678, last=1990),
    _Rule(gw=678, cow=679, first=1990),
    # Serbia, Yugoslavia (1 December 1918 to 4 June 2006), Serbia: one state in COW.
    _Rule(gw=340, cow=345, last=1918),
    _Rule(gw=345, cow=345, first=1918, last=2006),
    _Rule(gw=340, cow=345, first=2006),
    _Rule(gw=970, cow=946),  # Kiribati
    _Rule(gw=971, cow=970),  # Nauru
    _Rule(gw=972, cow=955),  # Tonga
    _Rule(gw=973, cow=947),  # Tuvalu
)

#: Members of the Gleditsch–Ward system that COW never lists.
GW_ONLY: Mapping[int, str] = {
    89: "United Provinces of Central America",
    99: "Great Colombia",
    563: "Transvaal",
    564: "Orange Free State",
    711: "Tibet",
    815: "Vietnam (Annam/Cochin China/Tonkin)",
}

_HIGHEST = 999


def to_cow(gwcode: int, year: int) -> int:
    """COW number of the state that Gleditsch and Ward number `gwcode` in a year.

    In a year of change (1990 for 260 and 678, 1918 and 2006 for Serbia) the state of its last day.
    Raises ArgumentError if COW has no such state, or the number is no state number.
    """
    return _one(gwcode, year, to_cow_codes(gwcode, year), "Gleditsch–Ward", "COW")


def to_gw(ccode: int, year: int) -> int:
    """Gleditsch–Ward number of the state that COW numbers `ccode` in a year; as `to_cow`."""
    return _one(ccode, year, to_gw_codes(ccode, year), "COW", "Gleditsch–Ward")


def to_cow_codes(gwcodes: npt.ArrayLike, years: npt.ArrayLike) -> IntArray:
    """COW numbers of many states, each in its year; `NO_STATE` where COW has none."""
    return _translate(gwcodes, years, source="gw", target="cow")


def to_gw_codes(ccodes: npt.ArrayLike, years: npt.ArrayLike) -> IntArray:
    """Gleditsch–Ward numbers of many states, each in its year; `NO_STATE` where they have none."""
    return _translate(ccodes, years, source="cow", target="gw")


def _translate(
    codes: npt.ArrayLike, years: npt.ArrayLike, *, source: System, target: System
) -> IntArray:
    code, year = np.broadcast_arrays(np.asarray(codes, np.int64), np.asarray(years, np.int64))
    # Outside its rules a listed number stands for nobody; all others are common to both systems.
    listed = {number for rule in _RULES for number in (rule.gw, rule.cow)} | set(GW_ONLY)
    strange = np.isin(code, sorted(listed)) | (code < 1) | (code > _HIGHEST)
    out = np.where(strange, NO_STATE, code)
    for rule in _RULES:
        hit = (code == getattr(rule, source)) & (year >= rule.first) & (year <= rule.last)
        out[hit] = getattr(rule, target)
    return out


def _one(code: int, year: int, found: IntArray, here: str, there: str) -> int:
    if int(found) == NO_STATE:
        name = f" ({GW_ONLY[code]})" if here != "COW" and code in GW_ONLY else ""
        raise ArgumentError(f"The {here} number {code}{name} has no {there} number in {year}.")
    return int(found)

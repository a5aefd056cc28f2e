"""What a feature needs: the years in which that is known, and how it moves in a simulated year.

A rule reads what a simulation knows of the past (`Past`), for some rows R and all its draws D, and
gives the values of the feature at the end of the last year (`Values`). The simulation hands every
rule the same past and asks for no feature by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import UnknownNameError
from forecast.features.arrays import OBLIGATION_WEIGHTS
from forecast.features.shared import shared

__all__ = [
    "MEASURES", "NEEDS", "Moves", "Past", "Rule", "Status", "Values", "as_at_origin", "constant",
    "flagged", "from_conflicts", "from_status", "known_classes", "known_years", "mask", "moves_of",
    "needed", "tabulated", "with_calendar",
]  # fmt: skip

Float32Array = npt.NDArray[np.float32]

#: What a feature may need, with its mask of covered years; "member" has none. The masks from
#: "rivalry" on belong to tables that a data set may lack.
NEEDS: Mapping[str, str | None] = MappingProxyType(
    {
        "obligation": "obligation_covered",
        "treaty": "obligation_covered",
        "capability": "capability_covered",
        "conflict": "conflict_covered",
        "contiguity": "contiguity_covered",
        "neutrality": "neutrality_covered",
        "member": None,
        "rivalry": "rivalry_covered",
        "regime": "regime_covered",
        "polity": "polity_covered",
        "troops": "troops_covered",
        "trade": "trade_covered",
        "igo": "igo_covered",
        "distance": "distance_covered",
    }
)

#: Measures of democracy, as the option ``measure`` names them, with the need that each is.
MEASURES: Mapping[str, str] = MappingProxyType({"polyarchy": "regime", "polity": "polity"})


def needed(needs: frozenset[str], options: Mapping[str, Any]) -> frozenset[str]:
    """What is needed under these options: another measure of democracy is another table."""
    if "measure" not in options or not needs & set(MEASURES.values()):
        return needs  # other features measure other things
    if options["measure"] not in MEASURES:
        raise UnknownNameError("measure of democracy", options["measure"], MEASURES)
    return needs - set(MEASURES.values()) | {MEASURES[options["measure"]]}


def known_years(world: xr.Dataset, needs: frozenset[str]) -> npt.NDArray[np.bool_]:
    """Years that all needed sources cover; none if the world lacks the table of one."""
    known = np.ones(world.sizes["year"], dtype=bool)
    for need in needs:
        if (mask := NEEDS[need]) is not None:
            known &= np.asarray(world[mask]) if mask in world else np.False_
    return known


def known_classes(world: xr.Dataset, options: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Years that cover every obligation class that the options ask for by name or by weight."""
    known = np.ones(world.sizes["year"], dtype=bool)
    for option in ("obligation", "weights"):
        asked = options.get(option, {})
        weights = OBLIGATION_WEIGHTS.get(asked, {}) if isinstance(asked, str) else asked
        for name, weight in weights.items():
            if weight and (mask := f"{name}_covered") in world:
                known &= world[mask].to_numpy()
    return known


def mask(
    values: Float32Array,
    world: xr.Dataset,
    known: npt.NDArray[np.bool_],
    level: str,
    needs: frozenset[str],
) -> Float32Array:
    """Write NaN where a source does not cover the year or a state is not in the system."""
    if not known.all():
        values[~known] = np.nan
    if "member" in needs and level == "state":
        values[~world["member"].to_numpy()] = np.nan
    elif "member" in needs and level != "system":
        np.copyto(values, np.float32(np.nan), where=_no_pairs(world))
    return values


@shared
def _no_pairs(world: xr.Dataset) -> npt.NDArray[np.bool_]:
    """All but pairs of two different members of the system, (year, state, other)."""
    member = world["member"].to_numpy()
    different = ~np.eye(member.shape[1], dtype=bool)
    return np.asarray(~(member[:, :, None] & member[:, None, :] & different))


Rows = slice | npt.NDArray[np.integer[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Values:
    """Raw values of a simulated feature for every row and draw.

    A count is an index into a short list of raw values, so that its design columns are looked up
    and not computed two million times; what fades with the years is a value each.
    """

    index: IntArray | None  # of each value in `raw`, (R, D or 1); None: `raw` holds the values
    raw: npt.NDArray[np.floating[Any]]  # (V,), or (R, D or 1)

    def array(self) -> npt.NDArray[np.floating[Any]]:
        """The values, (R, D or 1)."""
        return self.raw if self.index is None else self.raw[self.index]

    def rows(self, at: Rows) -> Values:
        """Those of some rows."""
        if self.index is None:
            return Values(None, self.raw[at])
        return Values(self.index[at], self.raw)


def tabulated(
    count: IntArray, formula: Callable[[IntArray], npt.NDArray[Any]] = np.asarray
) -> Values:
    """`formula` of counts (the counts themselves), made once for each that there is."""
    low = int(count.min(initial=0))
    each = np.arange(low, int(count.max(initial=0)) + 1)
    index = count - low if low else count
    return Values(index.astype(np.int16, copy=False), formula(each).astype(np.float64))


def flagged(held: BoolArray) -> Values:
    """0 or 1."""
    return Values(held.astype(np.int16), np.array([0.0, 1.0]))


class Status(Protocol):
    """How things stand between the two states of each row at the end of a year; (R, D or 1)."""

    @property
    def peace(self) -> IntArray:
        """Years at peace."""

    @property
    def active(self) -> BoolArray:
        """A dispute was active on some day of the year."""

    @property
    def under_way(self) -> BoolArray:
        """One is open on its last day."""


class Past(Status, Protocol):
    """What went before, on record and simulated, of the two states of each row and of the others.

    What a simulation counts in onsets of pairs stands, for a state, for as many distinct conflicts
    as on record. Values of both states are one as the side of the term says.
    """

    @property
    def total(self) -> IntArray:
        """Onsets between the two so far, (R, D)."""

    def onsets(self, window: int, *, shorter: bool = False) -> IntArray:
        """Onsets between the two in the last `window` years, (R, D).

        A window that reaches before the record is an error, or, if it may be, `shorter`.
        """

    def faded(self, half_life: float) -> Float32Array:
        """Onsets between the two, each weighing 2^(−age / half_life), (R, D)."""

    def of_states(self, window: int) -> Values:
        """Conflicts of the two states in the last `window` years."""

    def of_states_faded(self, half_life: float) -> Float32Array:
        """Fading conflicts of the two states, (R, D)."""

    def with_others(self, half_life: float) -> Float32Array:
        """Fading conflicts of the two states, those with each other left out, (R, D)."""

    def with_allies(self, half_life: float) -> Float32Array:
        """Fading onsets of each with the allies of the other, (R, D)."""

    def ally_in_dispute(self, *, with_opponent: bool) -> Values:
        """Whether an ally of each is in an active dispute with the other, or with a third state."""

    def of_system(self, window: int) -> tuple[IntArray, int]:
        """Onsets of the whole system in the last `window` years, (R, D), and its state-years."""

    def of_system_faded(self, half_life: float) -> tuple[npt.NDArray[np.float64], float]:
        """Fading onsets of the whole system, (R, D), and its state-years, fading as they do."""


#: ``rule(past, **options)``; one that tells of the pair's status alone is given a `Status`.
Rule = Callable[..., Values]


@dataclass(frozen=True)
class Moves:
    """How a feature moves in a simulated year."""

    words: str  # for the documentation
    #: Its values in the simulated world; None if it is computed from the world carried forward.
    rule: Rule | None = None
    of_status: bool = False  # the rule reads the `Status` of the pair alone
    #: Options under which the rule holds; under others conflicts stay as at the origin.
    when: Callable[[Mapping[str, Any]], bool] | None = None


def from_conflicts(rule: Rule) -> Moves:
    """With simulated conflicts, draw by draw."""
    return Moves("with simulated conflicts", rule)


def from_status(rule: Rule) -> Moves:
    """With the simulated conflicts of the pair itself, draw by draw."""
    return Moves("with simulated conflicts of the pair", rule, of_status=True)


def as_at_origin(reason: str) -> Moves:
    """Conflicts as in the last years of the record, moved on to the year; all else as it moves."""
    return Moves(f"its conflicts stay as at the origin: {reason}")


def constant(what: str) -> Moves:
    """As last recorded, whatever else it needs."""
    return Moves(f"constant: {what} as last recorded")


def with_calendar(what: str) -> Moves:
    """With the calendar alone."""
    return Moves(f"with the calendar: {what}")


#: What moves when years are simulated, by need; what else there is stays as last recorded.
_MOVING: Mapping[str, str] = {
    "obligation": "alliances (as edited)",
    "capability": "capability shares (drawn forward)",
}
_LASTING: Mapping[str, str] = {
    "contiguity": "borders",
    "distance": "borders",
    "regime": "regimes",
    "polity": "regimes",
    "trade": "trade",
    "igo": "memberships",
    "troops": "troops",
    "member": "members of the system and their status",
}


def moves_of(needs: frozenset[str]) -> Moves:
    """How a feature that is not built from conflicts moves, as its needs say."""
    if moving := [words for need, words in _MOVING.items() if need in needs]:
        return Moves("with " + " and ".join(moving))
    lasting = next(words for need, words in _LASTING.items() if need in needs)
    return constant(lasting)

"""What a panel can be made of: units, populations and outcomes, and which go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, get_args

from forecast.errors import ArgumentError, nearest
from forecast.panel.dispute_rows import Ending
from forecast.panel.events import Escalation, Outcome, Succession, UnderWay
from forecast.unmeasured import why_unmeasured

__all__ = [
    "CHOICES",
    "OUTCOMES",
    "Choices",
    "Ending",
    "Escalation",
    "Outcome",
    "Population",
    "Succession",
    "UnderWay",
    "Unit",
    "choose",
    "ways_of",
]

Unit = Literal[
    "dyad-year",
    "directed-dyad-year",
    "state-year",
    "dispute-dyad",
    "dispute-dyad-month",
    "alliance-year",
]
Population = Literal[
    "politically_relevant", "all", "contiguous", "major_power", "same_region", "originators"
]

#: Of pairs of states, whether or not they are in a dispute.
_OF_PAIRS = tuple(p for p in get_args(Population) if p != "originators")
#: Populations of each unit, its default first.
_POPULATIONS: Mapping[str, tuple[str, ...]] = {
    "dyad-year": ("all", *(p for p in _OF_PAIRS if p != "all")),
    "directed-dyad-year": _OF_PAIRS,
    "state-year": ("all", "major_power"),
    "dispute-dyad": ("all", *(p for p in get_args(Population) if p != "all")),
    "dispute-dyad-month": ("all", *(p for p in get_args(Population) if p != "all")),
    "alliance-year": ("all",),
}

#: Outcomes of each unit that has its own, its default first.
_OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "dispute-dyad": tuple(reversed(get_args(Escalation))),
    "dispute-dyad-month": get_args(Ending),
}
#: Outcomes of all units.
OUTCOMES: tuple[str, ...] = (*get_args(Outcome), *get_args(Escalation), *get_args(Ending))


@dataclass(frozen=True)
class Choices:
    """Options of a panel that go together."""

    unit: Unit
    population: Population
    outcome: Outcome | Escalation | Ending
    lag: int
    under_way: UnderWay
    succession: Succession = "continue"

    @property
    def events(self) -> Outcome:
        """Which conflicts are onsets in the world behind the panel."""
        return "onset" if self.unit in _OUTCOMES else self.outcome  # type: ignore[return-value]


#: Names of the options: what a panel, and a model that asks for one, say of the rows.
CHOICES: tuple[str, ...] = tuple(option.name for option in fields(Choices))


def choose(
    unit: str,
    population: str | None,
    outcome: str | None,
    lag: int,
    under_way: str = "stratum",
    succession: str = "continue",
) -> Choices:
    """Checked options, with the defaults of the unit; an error names what is allowed."""
    if unit not in get_args(Unit):
        raise _wrong("unit", unit, get_args(Unit))
    populations = _POPULATIONS[unit]
    outcomes = _OUTCOMES.get(unit, get_args(Outcome))
    population = populations[0] if population is None else population
    outcome = outcomes[0] if outcome is None else outcome
    for name, value, valid, known in (
        ("population", population, populations, get_args(Population)),
        ("outcome", outcome, outcomes, OUTCOMES),
        ("under_way", under_way, ways_of(unit), get_args(UnderWay)),
        ("succession", succession, get_args(Succession), get_args(Succession)),
    ):
        if value not in valid:
            raise _wrong(name, value, valid, unit if value in known else None)
    if lag < 1:
        raise ArgumentError(f"lag={lag}: expected at least 1; every feature is lagged.")
    return Choices(unit, population, outcome, lag, under_way, succession)  # type: ignore[arg-type]


def ways_of(unit: str) -> tuple[str, ...]:
    """What a pair with a dispute under way may be in a panel of a unit, the default first.

    Rows that are no years of pairs are never left out for a dispute that goes on: a state in one
    can begin another.
    """
    return get_args(UnderWay) if unit in ("dyad-year", "directed-dyad-year") else ("stratum",)


def _wrong(name: str, value: str, valid: tuple[str, ...], unit: str | None = None) -> ArgumentError:
    if name == "outcome" and unit is None and (reason := why_unmeasured(str(value), OUTCOMES)):
        raise ArgumentError(f"{name}={value!r}: {reason} The outcomes are {', '.join(valid)}.")
    of = f" for unit={unit!r}" if unit else ""
    near = None if unit else nearest(str(value), valid)
    hint = f" Did you mean {near!r}?" if near else ""
    return ArgumentError(f"{name}={value!r}: expected one of {', '.join(valid)}{of}.{hint}")

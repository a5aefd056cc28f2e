"""`explain`: what a scenario does to one pair, and where the difference comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, wrong_type
from forecast.inference.fit import Fit
from forecast.simulation.comparison import UNUSUAL
from forecast.simulation.levels import Level, as_severity, of_level
from forecast.simulation.paired import origin_of, tables_of
from forecast.sources.codes import resolve_states
from forecast.sources.state_index import StateIndex
from forecast.text import percent, points, points_interval

__all__ = [
    "Explanation",
    "check_pair",
    "explain",
    "parts_words",
    "simulated_states",
    "support_words",
]

State = str | int


@dataclass(frozen=True)
class Explanation:
    """One pair under a scenario.

    Attributes
    ----------
    scenario : str
        Name of the scenario.
    state_a, state_b : str
        The two states.
    ccode_a, ccode_b : int
        Their COW numbers.
    last_year : int
        Probabilities are of at least one onset by the end of this year, of the level `severity`.
    status_quo, scenario_risk, difference, own, contagion : tuple of float
        Mean, lower and upper end: of both risks, of their paired difference, of what the pair's
        own alliances make of it, and of what comes through other pairs' simulated disputes. The
        two parts add up to the difference draw by draw.
    interval : str
        What the intervals are.
    own_features_changed : bool
        Whether the pair's own alliances are edited.
    first_year : int or None
        First year in which the edits can act on any pair.
    leaves_range : tuple of str
        Features of the pair that leave the range of the fit with the edits.
    percentile_before, percentile_after : float or None
        How unusual the pair's alliances are among the fit's rows in the last year (0 to 100).
    timing, caution : str
        In words: when the edits can act, and what the numbers are not.
    severity : {"onset", "fatal", "deaths_25", "deaths_1000"}
        Level of the disputes, as in `forecast.simulate`.
    """

    scenario: str
    state_a: str
    state_b: str
    ccode_a: int
    ccode_b: int
    last_year: int
    status_quo: tuple[float, ...]
    scenario_risk: tuple[float, ...]
    difference: tuple[float, ...]
    own: tuple[float, ...]
    contagion: tuple[float, ...]
    interval: str
    own_features_changed: bool
    first_year: int | None
    leaves_range: tuple[str, ...]
    percentile_before: float | None
    percentile_after: float | None
    timing: str
    caution: str
    severity: Level = "onset"

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """The answer in sentences."""
        change, lower, upper = self.difference
        parts = parts_words(self.own, self.contagion, edited=self.own_features_changed)
        support = support_words(self.leaves_range, self.percentile_before, self.percentile_after)
        kind = self.interval.split(",")[0]
        return " ".join(
            filter(
                None,
                (
                    f"{self.state_a}–{self.state_b} under {self.scenario!r}: the probability of at"
                    f" least one {of_level('onset', self.severity)} by the end of {self.last_year}"
                    " goes from"
                    f" {percent(self.status_quo[0])} to {percent(self.scenario_risk[0])}"
                    f" ({points(change)}; {kind} interval {points_interval(lower, upper)})."
                    f" {parts}",
                    support,
                    self.timing,
                    self.caution,
                ),
            )
        )


def parts_words(own: tuple[float, ...], contagion: tuple[float, ...], *, edited: bool) -> str:
    """Where a difference comes from, as a sentence: mean, lower and upper end of its two parts.

    `edited`: whether the pair's own alliances are.
    """
    others = f"{_does(contagion, 'the simulated disputes of other pairs', 'contagion: ')}"
    if not edited:
        return f"No alliance of the two changes; {others}."
    return f"{_does(own, 'Their own alliances')}; {others}."


def _does(part: tuple[float, ...], subject: str, label: str = "") -> str:
    mean, lower, upper = part
    size = points(abs(mean)).lstrip("+")
    ends = f"({label}{points_interval(lower, upper)})"
    if size.startswith("0 "):
        return f"{subject} leave it as it is {ends}"
    return f"{subject} {'lower' if mean < 0 else 'raise'} it by {size} {ends}"


def support_words(leaves: tuple[str, ...], before: float | None, after: float | None) -> str:
    """How far the pair gets from what the fit has seen, as a sentence; empty if it stays.

    `leaves` are features that leave the range of the fit, `before` and `after` percentiles without
    and with the edits.
    """
    out = f"It leaves the range of the fit in {', '.join(leaves)}." if leaves else ""
    if before is None or after is None or not math.isfinite(before + after):
        return out
    if round(before) == round(after):
        return out
    moved = (
        f"The pair's alliances go from the {_ordinal(before)} to the {_ordinal(after)} percentile"
        " of distance from the rows of the fit"
        f"{': an extrapolation' if after > UNUSUAL else ''}."
    )
    return f"{out} {moved}".strip()


def _ordinal(percentile: float) -> str:
    number = min(round(percentile), 99) if percentile < 100 else 100
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 < number % 100 < 14 else ending}"


def explain(result: xr.Dataset, a: State, b: State) -> Explanation:
    """What a scenario does to the risk of one pair, and where the difference comes from.

    Parameters
    ----------
    result : xarray.Dataset
        From `forecast.simulate` with a scenario.
    a, b : str or int
        The two states in either order, which the answer keeps; as in `forecast.risk`.

    Returns
    -------
    Explanation

    Raises
    ------
    UnknownNameError
        An unknown state; the nearest name is suggested.
    ArgumentError
        No result of `forecast.simulate`, one without a scenario, a state paired with itself, or a
        pair that was not simulated.
    """
    given: object = result
    if not isinstance(given, xr.Dataset):
        if isinstance(given, Fit):
            tables_of(given)  # of a frame: the reason why nothing can be simulated
        raise wrong_type("explain", given, "a result of forecast.simulate(fit, scenario).")
    if "difference_parts" not in result:
        raise ArgumentError("The result has no scenario; simulate one to explain what it does.")
    x, y = simulated_states(result, [a, b])
    if x == y:
        raise ArgumentError(f"{a!r} and {b!r} are the same state; a dyad needs two.")
    here = (result["ccode_a"].to_numpy() == min(x, y)) & (result["ccode_b"].to_numpy() == max(x, y))
    if not here.any():
        raise ArgumentError(f"{a}–{b} is not among the simulated pairs.")
    pair = result.isel(dyad=int(here.argmax()), year=-1)
    names = dict(zip(result["state"].to_numpy(), result["state_name"].to_numpy(), strict=True))
    risk, parts = pair["cumulative_risk"], pair["difference_parts"]
    before, after = (
        float(pair["distance_percentile"].sel(world=w)) for w in ("status_quo", "scenario")
    )
    leaves = pair["leaves_range"]

    def three(values: xr.DataArray) -> tuple[float, ...]:
        return tuple(float(v) for v in values.to_numpy())

    return Explanation(
        scenario=str(result.attrs["scenario"]),
        state_a=str(names[x]),
        state_b=str(names[y]),
        ccode_a=x,
        ccode_b=y,
        last_year=int(pair["year"]),
        status_quo=three(risk.sel(world="status_quo")),
        scenario_risk=three(risk.sel(world="scenario")),
        difference=three(risk.sel(world="difference")),
        own=three(parts.sel(source="own")),
        contagion=three(parts.sel(source="contagion")),
        interval=str(risk.attrs["interval"]),
        own_features_changed=bool(pair["changed"]),
        first_year=result.attrs["first_year"],
        leaves_range=tuple(str(t) for t in leaves["term"].to_numpy()[leaves.to_numpy()]),
        percentile_before=before if math.isfinite(before) else None,
        percentile_after=after if math.isfinite(after) else None,
        timing=str(result.attrs["timing"]),
        caution=str(result.attrs["caution"]),
        severity=as_severity(result.attrs.get("severity", "onset")),
    )


def check_pair(fit: Fit, a: State, b: State) -> None:
    """Refuse what is no pair of two states before anything is simulated."""
    x, y = resolve_states(tables_of(fit), [a, b], year=origin_of(fit), note=False)
    if x == y:
        raise ArgumentError(f"{a!r} and {b!r} are the same state; a dyad needs two.")


def simulated_states(result: xr.Dataset, states: Sequence[State]) -> list[int]:
    """COW numbers of states of a result of `forecast.simulate`, by the rule of names."""
    labels = {
        "ccode": "state",
        "name": "state_name",
        "abbrev": "state_abbrev",
        "iso3": "state_iso3",
    }
    # A result made by hand may have letters of one system, or none.
    letters = "state_iso3" if "state_iso3" in result else "state_name"
    there = {name: key if key in result else letters for name, key in labels.items()}
    table = pd.DataFrame({name: result[key].to_numpy() for name, key in there.items()})
    always = pd.DatetimeIndex(["1816-01-01"] * len(table))
    whole = table.assign(start=always, end=pd.Series(pd.NaT, index=table.index))
    return StateIndex.of(whole).resolve(states, int(result["year"].to_numpy()[0]))

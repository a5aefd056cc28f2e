"""Answers about sets of pairs, from the draws and the simulated worlds of an outlook."""

from __future__ import annotations

from collections.abc import Iterable, Set
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.draws import Stream, estimates, generator
from forecast.errors import ArgumentError, UnknownNameError
from forecast.risk.outlook import Outlook
from forecast.risk.pair_answer import date_words
from forecast.risk.pairs import risk_answer
from forecast.risk.set_answer import SetRisk
from forecast.simulation.dynamics import STATUSES
from forecast.simulation.joint import any_begins
from forecast.simulation.levels import LEVELS, Level
from forecast.sources.codes import (
    alliance_named,
    alliance_of,
    find_alliance,
    member_codes,
    resolve_state,
    resolve_states,
    state_index,
    state_label,
)
from forecast.text import percentage, percentage_interval, rounding_step

if TYPE_CHECKING:
    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.sources.tables import Tables

__all__ = ["any_answer", "pairs_between", "side_codes", "worlds_of"]

State = str | int
Side = State | Iterable[State]
Pair = tuple[int, int]
Codes = tuple[int, ...]
#: Years of the record that are told beside an answer, names that a side is written out with, and
#: pairs that are told with their own intervals.
_BEFORE, _NAMES, _LARGEST = 20, 4, 5
#: COW numbers are below it.
_CODES = 1000


def any_answer(
    outlook: Outlook,
    a: Side,
    b: Side | None,
    horizon: int,
    level: float,
    *,
    record: CalibrationRecord | None,
    severity: Level = "onset",
) -> SetRisk:
    """Everything about any of the pairs between two sides: the fields of `SetRisk`.

    Each side is a state, an alliance or an iterable of states; without `b` it is every other state,
    and the same set twice asks about the pairs within it. `record` is that of forecasts of single
    pairs by this model, out of sample.
    """
    one = side_codes(outlook.tables, outlook.origin, a, "a")
    other = None if b is None else side_codes(outlook.tables, outlook.origin, b, "b")
    pairs = pairs_between(outlook, one, other)
    draws, independent, number, own = worlds_of(outlook, pairs, horizon, level, severity)
    probability, lower, upper = estimates(draws, level).tolist()
    distribution = _distribution(number, probability)
    reached, tail = np.cumsum(distribution), (1.0 - level) / 2.0
    step = rounding_step(probability, [upper - lower] if record else [])
    order = np.argsort(-own, kind="stable").tolist()
    fit = outlook.fit
    opposite = tuple(sorted({s for p in pairs for s in p} - {*one})) if other is None else other
    return SetRisk(
        side_a=_words(outlook, one),
        side_b="any other state" if other is None else _words(outlook, other),
        states_a=_names(outlook, one),
        states_b=_names(outlook, opposite),
        pairs=len(pairs),
        probability=probability,
        lower=lower,
        upper=upper,
        interval_kind="equal-tailed",
        expected=float(own.sum()),
        distribution=tuple(float(p) for p in distribution),
        fewest=int(np.searchsorted(reached, tail)),
        most=int(np.searchsorted(reached, 1.0 - tail).clip(max=reached.size - 1)),
        independent=independent,
        contributions=tuple(
            {
                "pair": _pair_words(outlook, pairs[i], one),
                "probability": float(own[i]),
                "share": float(own[i] / own.sum()),
            }
            for i in order
        ),
        under_way=_under_way(outlook, pairs, horizon, one),
        record=_record(outlook, pairs, severity),
        observed_rate=sum(pair not in outlook.position for pair in pairs),
        handling=f"model {fit.spec.name}, {fit.method}, {draws.size} simulated worlds",
        rounded={
            "step": step,
            "text": percentage(probability, step),
            "interval": percentage_interval(lower, upper, step),
            "supported_by": (
                "Digits are those of the interval: forecasts of single pairs by this fit have a"
                " record, those of sets have none that travels with it."
                if record
                else "One digit: no backtest travels with this fit, so the probability has no"
                " record out of sample."
            ),
            # As each is told when it is asked about alone.
            "largest": [
                {"pair": _pair_words(outlook, pairs[i], one)}
                | {name: told.rounded[name] for name in ("text", "interval")}
                for i in order[:_LARGEST]
                for told in [risk_answer(outlook, pairs[i], horizon, level, record, severity)]
            ],
        },
        **outlook.asked(
            horizon, level, severity, f"at least one of {len(pairs)} pairs (undirected dyads)"
        ),
    )


def worlds_of(
    outlook: Outlook, pairs: list[Pair], horizon: int, level: float, severity: Level
) -> tuple[npt.NDArray[np.float64], float, npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """What the simulated worlds say of a set of pairs.

    Draws of the probability that any has an onset; its mean if onsets were independent; the number
    of pairs with one in each world; the probability of each pair.
    """
    at = np.array([outlook.position.get(pair, -1) for pair in pairs], dtype=np.int64)
    inside, outside = at[at >= 0], [p for p, row in zip(pairs, at, strict=True) if row < 0]
    hazard, onsets = outlook.hazards(inside, horizon, severity)
    joint, draws = outlook.joint, outlook.joint.weight.size
    rates = np.array(
        [outlook.base_of(horizon, outlook.stratum_without_row(p), severity)[0] for p in outside]
    )
    # Pairs without a row of the model have a rate of their own, and no part in joint onsets.
    none_outside = np.prod(1.0 - rates)

    def within(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        if not inside.size:
            return np.full(draws, 1.0 - none_outside)
        begins = any_begins(hazard, onsets, joint.hub[inside], weight)[-1]
        return np.asarray(1.0 - (1.0 - begins) * none_outside)

    rng = generator(outlook.seed, Stream.OUTSIDE_PAIRS)
    number = onsets.any(axis=0).sum(axis=0)
    number = number + (rng.random((rates.size, draws)) < rates[:, None]).sum(axis=0)
    own = np.empty(len(pairs))
    own[at >= 0] = outlook.estimates(inside, horizon, level, severity)[0][:, -1]
    own[at < 0] = rates
    independent = float(within(np.zeros_like(joint.weight)).mean())
    return within(joint.weight), independent, number, own


def side_codes(tables: Tables, year: int, side: Side, name: str) -> Codes:
    """COW numbers of a side as it was given: a state, an alliance by name, or several states."""
    if isinstance(side, str):
        alliance = alliance_named(tables, side)
        if alliance is None:
            return (_state(tables, side, year),)
        if state_index(tables).knows(side):
            state = state_label(tables, resolve_state(tables, side, year=year), year=year)
            raise ArgumentError(
                f"{name}={side!r} is ambiguous: a code of {state}, and the alliance {alliance!r}."
                " Write the name in full."
            )
        row = find_alliance(tables.alliances, side)
        members = member_codes(tables, str(row["alliance_id"]), year)
        if not members:
            raise ArgumentError(
                f"{name}={side!r}: the alliance had no members on 31 December {year}; give the"
                " states, for instance forecast.members(…, year)."
            )
        return tuple(sorted(members))
    if isinstance(side, int | np.integer):
        return (resolve_state(tables, int(side), year=year),)
    if not isinstance(side, Iterable):
        raise ArgumentError(
            f"{name}={side!r}: expected a state, an alliance or a set of states, found"
            f" {type(side).__name__}."
        )
    # A set has no order of its own: that of the numbers, the same in every process.
    given = sorted(side, key=str) if isinstance(side, Set) else list(side)
    codes = resolve_states(tables, given, year=year)
    if not codes:
        raise ArgumentError(f"{name} is an empty set; expected at least one state.")
    return tuple(sorted(codes) if isinstance(side, Set) else dict.fromkeys(codes))


def _state(tables: Tables, name: str, year: int) -> int:
    try:
        return resolve_state(tables, name, year=year)
    except UnknownNameError as error:
        if error.suggestion is not None or "Did you mean" in str(error):
            raise
        try:
            find_alliance(tables.alliances, name)
        except UnknownNameError as other:
            near = () if other.suggestion is None else (other.suggestion,)
            raise UnknownNameError("state or alliance", name, near) from error
        raise


def pairs_between(outlook: Outlook, one: Codes, other: Codes | None) -> list[Pair]:
    """Pairs with a state of each side, smaller COW number first, in order."""
    if other is None:
        states = outlook.tables.states
        year = outlook.origin
        last = pd.Timestamp(year=year, month=12, day=31)
        there = (states["start"].dt.year <= year) & (states["end"].isna() | (states["end"] >= last))
        other = tuple(int(code) for code in states.loc[there, "ccode"])
    pairs = sorted({(min(x, y), max(x, y)) for x, y in product(one, other) if x != y})
    if not pairs:
        raise ArgumentError(f"Both sides are {_words(outlook, one)} alone; pairs need two states.")
    return pairs


def _distribution(number: npt.NDArray[np.integer], probability: float) -> npt.NDArray[np.float64]:
    """Probability of 0, 1, … pairs: of none as told, of several as in the worlds with at least one.

    The worlds alone would tell the probability of none with the noise of counting them.
    """
    counts = np.bincount(number, minlength=2).astype(np.float64)
    counts[1] += not counts[1:].any()
    return np.concatenate([[1.0 - probability], probability * counts[1:] / counts[1:].sum()])


def _names(outlook: Outlook, codes: Iterable[int]) -> tuple[str, ...]:
    return tuple(outlook.label(code) for code in codes)


def _pair_words(outlook: Outlook, pair: Pair, first: Codes) -> str:
    """Names of a pair, that of the side that was asked `first` first."""
    place = {code: at for at, code in enumerate(first)}
    ordered = sorted(pair, key=lambda code: place.get(code, len(place)))
    return "–".join(outlook.label(code) for code in ordered)


def _words(outlook: Outlook, codes: Codes) -> str:
    """A side in words: its state, the alliance that it is, its states, or how many they are."""
    if len(codes) == 1:
        return outlook.label(next(iter(codes)))
    if name := alliance_of(outlook.tables, frozenset(codes), outlook.origin):
        return f"{name} ({len(codes)} states)"
    names = _names(outlook, codes)
    if len(names) <= _NAMES:
        return f"{', '.join(names[:-1])} or {names[-1]}"
    return f"{len(names)} states"


def _under_way(
    outlook: Outlook, pairs: list[Pair], horizon: int, first: Codes
) -> tuple[dict[str, str | float], ...]:
    found: list[dict[str, str | float]] = []
    for pair in pairs:
        if pair in outlook.disputes and outlook.status(pair) == STATUSES[2]:
            dispute = outlook.disputes[pair]
            since = dispute["start"].date().isoformat()
            found.append(
                {
                    "pair": _pair_words(outlook, pair, first),
                    "name": str(dispute["name"]),
                    "since": date_words(since, str(dispute["start_precision"])),
                    "still": float(outlook.still_under_way(pair, horizon)[-1].mean()),
                }
            )
    return tuple(sorted(found, key=lambda one: str(one["since"])))


def _record(outlook: Outlook, pairs: list[Pair], severity: Level) -> dict[str, int]:
    """Years of the last twenty in which a dispute of the level began between the same pairs."""
    last = outlook.origin
    first = max(last - _BEFORE + 1, outlook.tables.coverage["conflicts"].first)
    table = outlook.tables.conflicts
    if severity != "onset":
        table = table[(table["deaths_class"] >= LEVELS[severity]).fillna(False)]
    year = table["start"].dt.year.to_numpy()
    codes = [table[name].to_numpy(dtype=np.int64) for name in ("ccode_a", "ccode_b")]
    number = codes[0] * _CODES + codes[1]
    ours = (year >= first) & (year <= last) & np.isin(number, [a * _CODES + b for a, b in pairs])
    begun = np.unique(np.stack([year[ours], number[ours]]), axis=1)
    return {
        "first_year": first,
        "last_year": last,
        "years_with": int(np.unique(begun[0]).size),
        "onsets": begun.shape[1],
    }

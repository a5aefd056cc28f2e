"""`risk`: how likely is a dispute to begin between two states, with all that the number needs.

The first query on a fit simulates every dyad of its population once (seconds); after that a
query reads its answer from the draws (well under a millisecond).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Set
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal, overload
from weakref import WeakKeyDictionary

import numpy as np

from forecast.errors import ArgumentError, UnknownNameError, shown

if TYPE_CHECKING:
    import pandas as pd

    from forecast.evaluation.backtest import Backtest
    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.inference.fit import Fit
    from forecast.risk.outlook import Outlook
    from forecast.risk.pair_answer import Risk
    from forecast.risk.set_answer import SetRisk
    from forecast.simulation.levels import Level
    from forecast.simulation.paired import StatusQuo

    type Evidence = Backtest | CalibrationRecord

__all__ = ["forget", "remember", "risk", "risk_of_sides"]

State = str | int
Many = list[str] | list[int] | list[State] | tuple[State, ...]
Group = Set[str] | Set[int] | Set[State]
#: Simulations that are remembered, however large; and bytes up to which more of them are.
_REMEMBERED, _ROOM = 4, 1_000_000_000


@overload
def risk(
    fit: Fit, a: State, b: State, *, how: None = ..., horizon: int = ..., level: float = ...,
    draws: int | None = ..., seed: int | None = ..., evidence: Evidence | None = ...,
    severity: Level = ...,
) -> Risk: ...  # fmt: skip
@overload
def risk(
    fit: Fit, a: Many | None = ..., b: Many | None = ..., *, how: None = ...,
    horizon: int = ..., level: float = ..., draws: int | None = ..., seed: int | None = ...,
    evidence: Evidence | None = ..., severity: Level = ...,
) -> pd.DataFrame: ...  # fmt: skip
@overload
def risk(
    fit: Fit, a: State | Many | Group, b: State | Many | Group | None = ..., *,
    how: Literal["any"], horizon: int = ..., level: float = ..., draws: int | None = ...,
    seed: int | None = ..., evidence: Evidence | None = ..., severity: Level = ...,
) -> SetRisk: ...  # fmt: skip
def risk(
    fit: Fit,
    a: State | Many | Group | None = None,
    b: State | Many | Group | None = None,
    *,
    how: Literal["any"] | None = None,
    horizon: int = 1,
    level: float = 0.9,
    draws: int | None = None,
    seed: int | None = None,
    evidence: Evidence | None = None,
    severity: Level = "onset",
) -> Risk | pd.DataFrame | SetRisk:
    """Probability that a dispute begins between two states in the years after the record.

    Parameters
    ----------
    fit : Fit
        Fit of a dyad-year model.
    a, b : str or int, or sequences of them
        The two states, in either order, which the answer keeps: each by name (in use, official or
        foreign), ISO or COW code (docs/panels.md, Names of states).
        Sequences of equal length ask about many pairs at once; None for both asks about every
        dyad of the population. With ``how="any"`` each is a side: a state, a set of states (such
        as `forecast.members` gives) or an alliance by name; no `b` stands for every other state,
        and the same set twice for the pairs within it.
    how : {"any"}, optional
        Ask whether a dispute begins between at least one of the pairs of the two sides, and
        between how many, from joint draws.
    horizon : int
        Years ahead, 1 to 20. The probability is of at least one onset in all of them together;
        it is simulated with feedback, not 1 − (1 − p)^h.
    level : float
        Probability content of the equal-tailed interval.
    draws : int, optional
        Posterior draws used; all by default.
    seed : int, optional
        Seed of what is drawn ahead; the fit's own by default.
    evidence : CalibrationRecord or Backtest, optional
        Record to quote in ``calibration``; by default the one that travels with the fit
        (``fit.record``). Without either the numbers there are in sample, and say so.
    severity : {"onset", "fatal", "deaths_25", "deaths_1000"}
        Level of the probability: of any dispute, or of one that comes to at least one, more than
        25, more than 999 deaths. `Risk.ladder` holds all four, whichever is asked.

    Returns
    -------
    Risk, SetRisk or pandas.DataFrame
        With ``how="any"`` one answer for the set of pairs. Without: one for one pair; for many one
        row per pair and year ahead h = 1 … `horizon` with ``probability`` (within h years),
        ``lower``, ``upper``, ``base_rate``, ``ratio``, ``base_population``, ``stratum``,
        ``status``, ``still_under_way`` with ``still_lower`` and ``still_upper`` (NaN unless under
        way), ``handling``, ``severity``; with ``severity="deaths_25"`` also ``fighting`` with
        ``fighting_lower`` and ``fighting_upper`` (`Risk.fighting`).

    Raises
    ------
    UnknownNameError
        An unknown state or severity; the nearest name is suggested.
    ArgumentError
        A state paired with itself, sequences of different length, a level outside (0, 1), an
        unknown `how`, a set without ``how``, an empty set, a set within itself of one state, a fit
        of another unit or outcome than onsets of pairs and years.
    """
    from forecast.inference.fit import as_fit
    from forecast.simulation.paired import check_span

    fit = as_fit(fit, "risk(fit, a, b)")
    check_span(horizon, level, seed=seed, draws=draws)
    a, b = _one_or_many("a", a), _one_or_many("b", b)
    if how not in (None, "any"):
        raise UnknownNameError("how", how, ["any"], "Expected 'any', or nothing.")
    if how is None:
        _check_pairs(a, b)
    if how == "any" and a is None:
        raise ArgumentError("how='any' needs a side: give `a`, a state or a set of states.")
    from forecast.risk.pairs import risk_answer, risk_table
    from forecast.simulation.levels import as_severity

    severity = as_severity(severity)

    seed = fit.seed if seed is None else seed
    outlook = _outlook(fit, horizon, draws, seed, lambda: _check_states(fit, a, b, how))
    outlook.severity.require(severity)
    if how == "any" and a is not None:
        from forecast.risk.sets import any_answer

        record = _record(fit, evidence)
        return any_answer(outlook, a, b, horizon, level, record=record, severity=severity)
    assert not isinstance(a, Set) and not isinstance(b, Set)
    if a is None or b is None:
        return risk_table(outlook, outlook.everyone(), horizon, level, severity)
    if isinstance(a, str | int) and isinstance(b, str | int):
        record = _record(fit, evidence)
        pair = outlook.pairs([a], [b])[0]
        return risk_answer(outlook, pair, horizon, level, record, severity)
    assert not isinstance(a, str | int) and not isinstance(b, str | int)
    return risk_table(outlook, outlook.pairs(a, b), horizon, level, severity)


def risk_of_sides(
    fit: Fit,
    a: str,
    b: str | None,
    *,
    any_: bool,
    horizon: int = 1,
    level: float = 0.9,
    severity: Level = "onset",
) -> Risk | SetRisk:
    """Answer about two states; about any of their pairs if that is asked or one is an alliance.

    Each of `a` and `b` is a state or an alliance; without `b` it is every other state (with
    `any_`).
    """
    from forecast.sources.codes import alliance_named

    tables = fit.panel.tables
    named = [tables is not None and alliance_named(tables, x) for x in (a, b) if x is not None]
    if any_ or any(named):
        return risk(fit, a, b, how="any", horizon=horizon, level=level, severity=severity)
    if b is None:
        raise ArgumentError(
            f"One state alone, {a!r}: give the other one, or ask about all of them (how='any',"
            " `forecast risk STATE --any`)."
        )
    return risk(fit, a, b, horizon=horizon, level=level, severity=severity)


_RECORDS: WeakKeyDictionary[Backtest, CalibrationRecord] = WeakKeyDictionary()


def _record(fit: Fit, evidence: Evidence | None) -> CalibrationRecord | None:
    """Record to quote; that of a backtest is made on the first query."""
    from forecast.evaluation.calibration_record import CalibrationRecord, record_of

    if evidence is None or isinstance(evidence, CalibrationRecord):
        return fit.record if evidence is None else evidence
    with _LOCK:
        if evidence not in _RECORDS:
            _RECORDS[evidence] = record_of(evidence, tables=fit.panel.tables)
        return _RECORDS[evidence]


_OUTLOOKS: OrderedDict[tuple[str, int | None, int], Outlook] = OrderedDict()
#: Held while a fit is simulated: threads that ask at once wait for one simulation.
_LOCK = RLock()


def forget() -> None:
    """Drop the simulated draws that earlier queries left in memory."""
    with _LOCK:
        _OUTLOOKS.clear()
        _RECORDS.clear()


def remember(fit: Fit, now: StatusQuo) -> None:
    """Let queries on all draws of a fit read a status quo that is simulated already."""
    from forecast.risk.outlook import Outlook

    horizon = len(now.paths.annual)
    with _LOCK:
        _OUTLOOKS[(fit.id, None, fit.seed)] = Outlook(
            fit, horizon=horizon, draws=None, seed=fit.seed, now=now
        )


def _one_or_many(name: str, given: Any) -> Any:
    """A state as text or a whole number of Python; many as they are; all else is refused."""
    if isinstance(given, np.integer):
        return int(given)
    if isinstance(given, bool | float | bytes) or not isinstance(
        given, str | int | Iterable | None
    ):
        raise ArgumentError(
            f"{name}={shown(given)}: expected a state, by its name or code, or a list of them, "
            f"found {type(given).__name__}."
        )
    return given


def _check_pairs(a: Any, b: Any) -> None:
    """Refuse what is neither two states nor two sequences of as many, nor nothing at all."""
    if isinstance(a, Set) or isinstance(b, Set):
        raise ArgumentError(
            "A set of states is a side of a question: ask with how='any' whether a dispute begins"
            " between at least one of the pairs. For a row per pair give lists of equal length."
        )
    if (a is None) != (b is None):
        raise ArgumentError(
            "Give both states, or neither to ask about every dyad; one state against all others is"
            " asked about with how='any'."
        )
    one, other = (isinstance(side, str | int) for side in (a, b))
    if a is not None and (one != other or (not one and len(a) != len(b))):
        raise ArgumentError("Give two states, or two sequences of states of equal length.")


def _check_states(
    fit: Fit, a: State | Many | Group | None, b: State | Many | Group | None, how: str | None
) -> None:
    """Refuse names that nobody has before anything is simulated."""
    from forecast.risk.sets import side_codes
    from forecast.simulation.paired import origin_of, tables_of
    from forecast.sources.codes import resolve_states

    tables, year = tables_of(fit), origin_of(fit)
    given: list[State] = []
    for name, side in (("a", a), ("b", b)):
        if how == "any" and side is not None:
            side_codes(tables, year, side, name)
        elif side is not None:
            given += [side] if isinstance(side, str | int) else side
    resolve_states(tables, given, year=year, note=False)


def _outlook(
    fit: Fit, horizon: int, draws: int | None, seed: int, check: Callable[[], None]
) -> Outlook:
    """Simulated draws of a fit, made on the first query and remembered for the next ones.

    What is asked is checked before anything is simulated.
    """
    from forecast.risk.outlook import Outlook

    key = (fit.id, draws, seed)
    with _LOCK:
        known = _OUTLOOKS.get(key)
        if known is None or known.horizon < horizon:
            check()
            known = Outlook(fit, horizon=max(horizon, 5), draws=draws, seed=seed)
            _OUTLOOKS[key] = known
        _OUTLOOKS.move_to_end(key)
        while len(_OUTLOOKS) > _REMEMBERED and sum(o.nbytes for o in _OUTLOOKS.values()) > _ROOM:
            _OUTLOOKS.popitem(last=False)
        return known

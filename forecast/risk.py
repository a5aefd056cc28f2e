"""`risk`: how likely is a dispute to begin between two states, with all that the number needs.

The first query on a fit simulates every dyad of its population once (seconds); after that a
query reads its answer from the draws (well under a millisecond).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, overload
from weakref import WeakKeyDictionary

from forecast.errors import ArgumentError

if TYPE_CHECKING:
    import pandas as pd

    from forecast.evaluation.backtest import Backtest
    from forecast.evaluation.record import CalibrationRecord
    from forecast.inference.fit import Fit
    from forecast.scenario.outlook import Outlook

    type Evidence = Backtest | CalibrationRecord

__all__ = ["Risk", "forget", "risk"]

State = str | int
Many = list[str] | list[int] | list[State] | tuple[State, ...]
_REMEMBERED = 4


@dataclass(frozen=True)
class Risk:
    """Answer to one query.

    Attributes
    ----------
    state_a, state_b : str
        Names of the two states in the origin year.
    ccode_a, ccode_b : int
        Their COW numbers, smaller first.
    first_year, last_year : int
        Years of the forecast, both included.
    horizon : int
        Number of these years.
    probability : float
        Probability that at least one dispute begins between the two in these years.
    lower, upper : float
        Interval of that probability.
    interval_kind, interval_level : str, float
        What the interval is and its probability content.
    unit : str
        Unit and population of the probability.
    stratum : str
        ``"first ever"`` (no onset between the two on record), ``"quiet"`` (one, but more than
        ten years of peace), ``"recurrent"``, or ``"outside the population"``.
    base_rate : float
        Observed share of the stratum's dyads with an onset within as many years.
    base_rows : int
        Dyad-years from which it was counted.
    ratio : float
        `probability` over `base_rate`.
    drivers : tuple of dict
        The three features that move the log-odds of the first year most, relative to the
        average dyad-year of the fit: ``term``, ``log_odds``, ``value``.
    effects : dict
        Log-odds of what no feature explains: ``state`` and ``dyad`` effects.
    ongoing : bool
        A dispute of the two was active at the end of the record; while it continues no new one
        can begin, and the probability allows for that.
    handling : str
        Which method answered: the model, or the observed rate for a pair outside its population.
    support : dict
        Rows of the fit in the stratum and of this dyad; levels new to the fit; features
        outside the range seen in the fit.
    calibration : dict
        How forecasts like that of the first year did, in this stratum and band of probability:
        ``covered`` (whether there is a record of such forecasts out of sample), ``source``,
        ``stratum``, ``band``, ``rows``, ``onsets_expected``, ``onsets_observed``,
        ``observed_rate`` with its interval, and ``text``, all of it in a sentence.
    vintage : dict
        First and last year and version of every table.
    caution : str
        What the number is not.
    rounded : dict
        ``probability``, ``lower`` and ``upper`` in multiples of ``step``: no more digits than
        the widest of the interval, the band of the record and the record's own interval
        supports, and one digit without a record; as ``text`` and ``interval``, with the
        ``base_rate`` and what decided (``supported_by``).
    """

    state_a: str
    state_b: str
    ccode_a: int
    ccode_b: int
    first_year: int
    last_year: int
    horizon: int
    probability: float
    lower: float
    upper: float
    interval_kind: str
    interval_level: float
    unit: str
    stratum: str
    base_rate: float
    base_rows: int
    ratio: float
    drivers: tuple[dict[str, Any], ...]
    effects: dict[str, float]
    ongoing: bool
    handling: str
    support: dict[str, Any]
    calibration: dict[str, Any]
    vintage: dict[str, Any]
    caution: str
    rounded: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON: every number in full, and rounded beside it."""
        return asdict(self)

    def __str__(self) -> str:
        """The answer and its record, with no more digits than they support."""
        span = (
            f"in {self.first_year}"
            if self.horizon == 1
            else f"in {self.first_year}–{self.last_year}"
        )
        several = " For the first of these years alone:" if self.horizon > 1 else ""
        return (
            f"{self.state_a}–{self.state_b}: probability {self.rounded['text']} that a"
            f" dispute begins {span} ({self.interval_level:.0%} {self.interval_kind} interval"
            f" {self.rounded['interval']}); base rate of the stratum"
            f" '{self.stratum}' {self.rounded['base_rate']}."
            f"{several if self.calibration['covered'] else ''} {self.calibration['text']}"
        )


@overload
def risk(
    fit: Fit, a: State, b: State, *, horizon: int = ..., level: float = ...,
    draws: int | None = ..., seed: int | None = ..., evidence: Evidence | None = ...,
) -> Risk: ...  # fmt: skip
@overload
def risk(
    fit: Fit, a: Many | None = ..., b: Many | None = ..., *,
    horizon: int = ..., level: float = ..., draws: int | None = ..., seed: int | None = ...,
    evidence: Evidence | None = ...,
) -> pd.DataFrame: ...  # fmt: skip
def risk(
    fit: Fit,
    a: State | Many | None = None,
    b: State | Many | None = None,
    *,
    horizon: int = 1,
    level: float = 0.9,
    draws: int | None = None,
    seed: int | None = None,
    evidence: Evidence | None = None,
) -> Risk | pd.DataFrame:
    """Probability that a dispute begins between two states in the years after the record.

    Parameters
    ----------
    fit : Fit
        Fit of a dyad-year model.
    a, b : str or int, or sequences of them
        The two states by name, ISO3 or COW abbreviation, or COW number, in either order.
        Sequences of equal length ask about many pairs at once; None for both asks about every
        dyad of the population.
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

    Returns
    -------
    Risk or pandas.DataFrame
        One answer for one pair. For many: one row per pair and year ahead h = 1 … `horizon`
        with ``probability`` (within h years), ``lower``, ``upper``, ``base_rate``, ``ratio``,
        ``stratum``, ``ongoing``, ``handling``.

    Raises
    ------
    UnknownNameError
        An unknown state; the nearest name is suggested.
    ArgumentError
        A state paired with itself, sequences of different length, a level outside (0, 1).
    """
    if not 1 <= horizon <= 20:
        raise ArgumentError(f"horizon={horizon}: expected 1 to 20 years.")
    if not 0.0 < level < 1.0:
        raise ArgumentError(f"level={level}: expected a probability between 0 and 1, such as 0.9.")
    from forecast.scenario.answers import risk_answer, risk_table

    outlook = _outlook(fit, horizon, draws, fit.seed if seed is None else seed)
    if a is None and b is None:
        return risk_table(outlook, outlook.everyone(), horizon, level)
    if a is None or b is None:
        raise ArgumentError("Give both states, or neither to ask about every dyad.")
    if isinstance(a, str | int) and isinstance(b, str | int):
        return risk_answer(outlook, outlook.pair(a, b), horizon, level, _record(fit, evidence))
    if isinstance(a, str | int) or isinstance(b, str | int) or len(a) != len(b):
        raise ArgumentError("Give two states, or two sequences of states of equal length.")
    pairs = [outlook.pair(x, y) for x, y in zip(a, b, strict=True)]
    return risk_table(outlook, pairs, horizon, level)


_RECORDS: WeakKeyDictionary[Backtest, CalibrationRecord] = WeakKeyDictionary()


def _record(fit: Fit, evidence: Evidence | None) -> CalibrationRecord | None:
    """Record to quote; that of a backtest is made on the first query."""
    from forecast.evaluation.record import CalibrationRecord, record_of

    if evidence is None or isinstance(evidence, CalibrationRecord):
        return fit.record if evidence is None else evidence
    if evidence not in _RECORDS:
        _RECORDS[evidence] = record_of(evidence)
    return _RECORDS[evidence]


_OUTLOOKS: OrderedDict[tuple[str, int | None, int], Outlook] = OrderedDict()


def forget() -> None:
    """Drop the simulated draws that earlier queries left in memory."""
    _OUTLOOKS.clear()
    _RECORDS.clear()


def _outlook(fit: Fit, horizon: int, draws: int | None, seed: int) -> Outlook:
    """Simulated draws of a fit, made on the first query and remembered for the next ones."""
    from forecast.scenario.outlook import Outlook

    key = (fit.id, draws, seed)
    known = _OUTLOOKS.get(key)
    if known is None or known.horizon < horizon:
        known = Outlook(fit, horizon=max(horizon, 5), draws=draws, seed=seed)
        _OUTLOOKS[key] = known
        while len(_OUTLOOKS) > _REMEMBERED:
            _OUTLOOKS.popitem(last=False)
    _OUTLOOKS.move_to_end(key)
    return known

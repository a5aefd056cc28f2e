"""Answers to risk queries, read from the simulated draws: one pair in full, or many as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.draws import estimates
from forecast.features.strata import OUTSIDE, population_words
from forecast.risk.ladder import fighting_draws, ladder_draws, ladder_entries, told
from forecast.risk.outlook import Outlook
from forecast.risk.pair_answer import Ended, Risk, UnderWay
from forecast.simulation.dynamics import STATUSES
from forecast.simulation.levels import LEVELS, Level
from forecast.text import percentage, percentage_interval, rounded, rounding_step

if TYPE_CHECKING:
    from forecast.evaluation.calibration_record import CalibrationRecord

__all__ = ["risk_answer", "risk_table"]

_, ENDED, UNDER_WAY = STATUSES

_NO_RECORD = {
    "covered": False,
    "source": "none: an observed rate, not a forecast",
    "text": "This is an observed rate, not a forecast, and has no record.",
}


def risk_table(
    outlook: Outlook,
    asked: Sequence[tuple[int, int]],
    horizon: int,
    level: float,
    severity: Level = "onset",
) -> pd.DataFrame:
    """One row per pair, as it was asked, and year ahead; columns as `forecast.risk` has them."""
    pairs = [_in_order(pair) for pair in asked]
    at = np.array([outlook.position.get(pair, -1) for pair in pairs], dtype=np.int64)
    stratum = [
        outlook.stratum_without_row(pair) if row < 0 else str(outlook.stratum[row])
        for row, pair in zip(at.tolist(), pairs, strict=True)
    ]
    status = [outlook.status(pair) for pair in pairs]
    base = np.empty((len(pairs), horizon))
    for h in range(1, horizon + 1):
        known = {name: outlook.base_of(h, name, severity)[0] for name in set(stratum)}
        base[:, h - 1] = [known[name] for name in stratum]
    numbers = _numbers(outlook, pairs, at, stratum, base, level, severity)
    still = np.full((3, len(pairs), horizon), np.nan)
    fights = numbers.copy()
    for i in (i for i, how in enumerate(status) if how == UNDER_WAY):
        still[:, i] = estimates(outlook.still_under_way(pairs[i], horizon), level)
        for h in range(horizon if severity == "deaths_25" else 0):
            draws = ladder_draws(outlook, pairs[i], stratum[i], h + 1)[2]
            fights[:, i, h] = estimates(fighting_draws(outlook, pairs[i], draws)[0], level)
    count = np.arange(1, horizon + 1)
    codes = np.array(asked, dtype=np.int64).reshape(-1, 2)
    names = np.array([[outlook.label(x), outlook.label(y)] for x, y in asked]).reshape(-1, 2)

    def each(values: Any) -> Any:
        return np.repeat(values, horizon)

    def three(name: str, low: str, high: str, values: Any) -> dict[str, Any]:
        return dict(zip((name, low, high), values.reshape(3, -1), strict=True))

    population = outlook.fit.spec.population
    return pd.DataFrame(
        {
            "ccode_a": each(codes[:, 0]),
            "ccode_b": each(codes[:, 1]),
            "state_a": each(names[:, 0]),
            "state_b": each(names[:, 1]),
            "horizon": np.tile(count, len(pairs)),
            "first_year": outlook.origin + 1,
            "last_year": np.tile(outlook.origin + count, len(pairs)),
            **three("probability", "lower", "upper", numbers),
            "interval_kind": "equal-tailed",
            "interval_level": level,
            "stratum": each(stratum),
            "base_rate": base.ravel(),
            "base_population": each([_base_population(population, name) for name in stratum]),
            "ratio": (numbers[0] / base).ravel(),
            "status": each(status),
            **three("still_under_way", "still_lower", "still_upper", still),
            "handling": each(np.where(at >= 0, "model", "observed rate")),
            "severity": severity,
        }
        | (
            three("fighting", "fighting_lower", "fighting_upper", fights)
            if severity == "deaths_25"
            else {}
        )
    )


def _numbers(
    outlook: Outlook,
    pairs: Sequence[tuple[int, int]],
    at: npt.NDArray[np.int64],
    stratum: Sequence[str],
    base: npt.NDArray[np.float64],
    level: float,
    severity: Level,
) -> npt.NDArray[np.float64]:
    """Probability and interval of each pair within 1, 2, … years; (3, pairs, horizon)."""
    found = np.empty((3, *base.shape))
    inside = at >= 0
    found[:, inside] = outlook.estimates(at[inside], base.shape[1], level, severity)
    for i in np.flatnonzero(~inside).tolist():
        for h in range(base.shape[1]):
            if severity == "onset":
                rate = outlook.base_rates[h + 1][stratum[i]]
                found[:, i, h] = base[i, h], *rate.interval(level)
                continue
            draws = ladder_draws(outlook, pairs[i], stratum[i], h + 1)
            found[:, i, h] = estimates(draws[tuple(LEVELS).index(severity)], level)
    return found


def _in_order(pair: tuple[int, int]) -> tuple[int, int]:
    return min(pair), max(pair)


def risk_answer(
    outlook: Outlook,
    asked: tuple[int, int],
    horizon: int,
    level: float,
    record: CalibrationRecord | None,
    severity: Level = "onset",
) -> Risk:
    """Everything about one pair as it was asked: the fields of `forecast.risk.Risk`."""
    pair = _in_order(asked)
    row, fit = outlook.position.get(pair), outlook.fit
    stratum = outlook.stratum_without_row(pair) if row is None else str(outlook.stratum[row])
    base = outlook.base_rates[horizon][stratum]
    base_rate = outlook.base_of(horizon, stratum, severity)[0]
    status = outlook.status(pair)
    ladder, fighting, rises = _how_bad(outlook, pair, stratum, horizon, level, record)
    of_level_asked = ladder[tuple(LEVELS).index(severity)]
    if row is None:
        told = _observed(outlook, stratum, horizon, level, severity, of_level_asked)
        width = told["upper"] - told["lower"]
        widths, base_width = [width], width
        reason = "the interval of the observed rate"
    else:
        told, widths, reason = _modelled(
            outlook, row, horizon, level, record, severity, of_level_asked
        )
        base_width = outlook.base_width(horizon, stratum) * base_rate / base.rate
    numbers = (told["probability"], told["lower"], told["upper"])
    return Risk(
        state_a=outlook.label(asked[0]),
        state_b=outlook.label(asked[1]),
        ccode_a=asked[0],
        ccode_b=asked[1],
        status=status,
        under_way=(
            _under_way(outlook, pair, horizon, level, rises) if status == UNDER_WAY else None
        ),
        ended=_ended(outlook.disputes[pair]) if status == ENDED else None,
        ladder=ladder,
        fighting=fighting,
        stratum=stratum,
        base_rate=base_rate,
        base_population=_base_population(fit.spec.population, stratum),
        base_rows=base.rows,
        ratio=told["probability"] / base_rate,
        rounded=_rounded(numbers, widths, (base_rate, base_width), reason),
        **told,
        **outlook.asked(horizon, level, severity, "the two (undirected dyad)"),
    )


def _observed(
    outlook: Outlook,
    stratum: str,
    horizon: int,
    level: float,
    severity: Level,
    entry: dict[str, Any],
) -> dict[str, Any]:
    """What the observed rate of its stratum says of a pair that the model has no row of."""
    base = outlook.base_rates[horizon][stratum]
    lower, upper = base.interval(level)
    numbers = {"probability": base.rate, "lower": lower, "upper": upper}
    return {
        **({name: entry[name] for name in numbers} if severity != "onset" else numbers),
        "interval_kind": "equal-tailed (Jeffreys)",
        "drivers": (),
        "effects": {},
        "handling": (
            f"The pair is outside the population {outlook.fit.spec.population!r} on which the model"
            " was fitted; the answer is the observed rate among such pairs."
            if stratum == OUTSIDE
            else "A feature that the model needs is missing for the pair (a state in its first"
            " year has none); the answer is the observed rate of its stratum."
        ),
        "support": {
            "rows_in_stratum": base.rows,
            "rows_of_dyad": 0,
            "new_levels": [],
            "outside_range": [],
            "distance_percentile": None,
        },
        "calibration": dict(_NO_RECORD),
    }


def _modelled(
    outlook: Outlook,
    row: int,
    horizon: int,
    level: float,
    record: CalibrationRecord | None,
    severity: Level,
    entry: dict[str, Any],
) -> tuple[dict[str, Any], list[float], str]:
    """What the draws say of a pair; the widths that its digits depend on, and in words which."""
    values, fit = outlook.cumulative[row, horizon - 1], outlook.fit
    first = outlook.first_probability(row)
    if severity == "onset":
        probability, lower, upper = estimates(values, level).tolist()
        calibration = (
            outlook.rows_of_fit.in_sample(str(outlook.stratum[row]), first)
            if record is None
            else record.quote(outlook.record_stratum(row), first)
        )
        widths, reason = _supported(calibration, upper - lower, probability / first)
    else:
        probability, lower, upper = (entry[name] for name in ("probability", "lower", "upper"))
        calibration = entry["record"]
        widths, reason = _supported_level(calibration, upper - lower, probability)
    told = {
        "probability": probability,
        "lower": lower,
        "upper": upper,
        "interval_kind": "equal-tailed",
        "drivers": outlook.drivers(row),
        "effects": {name: float(effect[row]) for name, effect in outlook.effects.items()},
        "handling": f"model {fit.spec.name}, {fit.method}, {values.size} posterior draws",
        "support": outlook.support(row),
        "calibration": calibration,
    }
    return told, widths, reason


def _base_population(population: str, stratum: str) -> str:
    """Whose base rate it is, in words."""
    pairs = population_words(population)
    return f"pairs other than {pairs}" if stratum == OUTSIDE else pairs


def _dates(dispute: dict[str, Any], name: str, key: str) -> dict[str, str]:
    """Date and precision of one end of a dispute."""
    date, precision = dispute[key], str(dispute[f"{key}_precision"])
    return {name: date.date().isoformat(), f"{name}_precision": precision}


def _ended(dispute: dict[str, Any]) -> Ended:
    dates = _dates(dispute, "since", "start") | _dates(dispute, "end", "end")
    return Ended(conflict_id=str(dispute["conflict_id"]), name=str(dispute["name"]), **dates)


def _how_bad(
    outlook: Outlook,
    pair: tuple[int, int],
    stratum: str,
    horizon: int,
    level: float,
    record: CalibrationRecord | None,
) -> tuple[tuple[dict[str, Any], ...], dict[str, Any] | None, dict[str, Any] | None]:
    """Ladder, fighting, and how a dispute under way may rise."""
    draws = ladder_draws(outlook, pair, stratum, horizon)
    fighting, rises = fighting_draws(outlook, pair, draws[tuple(LEVELS).index("deaths_25")])
    entries = ladder_entries(outlook, draws, stratum, horizon, level, record)
    unrecorded = outlook.severity.unrecorded
    rising = None
    if rises is not None and rises[0] not in unrecorded:
        rising = {"severity": rises[0], **told(rises[1], level)}
    return entries, None if "deaths_25" in unrecorded else told(fighting, level), rising


def _supported_level(
    record: dict[str, Any], width: float, probability: float
) -> tuple[list[float], str]:
    """As `_supported`, where the record is of expected and observed numbers of a level."""
    if not record["covered"]:
        return [], "one digit: there is no record of such forecasts"
    wide = probability * (record["upper"] - record["lower"]) / max(record["expected"], 1e-9)
    widest = "the interval of the probability" if width >= wide else "the record of the level"
    return [width, wide], f"the wider of two: {widest}"


def _under_way(
    outlook: Outlook,
    pair: tuple[int, int],
    horizon: int,
    level: float,
    rises: dict[str, Any] | None,
) -> UnderWay:
    dispute, row = outlook.disputes[pair], outlook.position.get(pair)
    still = outlook.still_under_way(pair, horizon)
    further = None if row is None else outlook.cumulative[row, :horizon]
    years = []
    for h in range(horizon):
        year: dict[str, Any] = {"year": outlook.origin + 1 + h}
        chances = {"still": still[h], "ended": 1 - still[h]}
        chances["further"] = None if further is None else further[h]
        for name, draws in chances.items():
            mean, *ends = [None] * 3 if draws is None else estimates(draws, level).tolist()
            year |= {name: mean, f"{name}_interval": None if draws is None else ends}
        years.append(year)
    deaths = (
        f"{'more than' if dispute['severe'] else 'no more than'} 25 deaths of the pair recorded"
    )
    if pd.isna(dispute["deaths_class"]):
        deaths = "deaths of the pair not known, and not counted as more than 25"
    return UnderWay(
        conflict_id=str(dispute["conflict_id"]),
        name=str(dispute["name"]),
        **_dates(dispute, "since", "start"),
        age=int(dispute["age"]),
        years=tuple(years),
        severity=(
            f"{deaths} so far; disputes of the past are told apart by those that they came to"
        ),
        rises=rises,
    )


def _supported(calibration: dict[str, Any], width: float, scale: float) -> tuple[list[float], str]:
    """Widths of what is not known of a probability, and in words what they are.

    The record is about the first year; `scale`, the probability over that of the first year,
    carries its widths to more years. Without a record no width is known.
    """
    if not calibration["covered"]:
        return [], "one digit: there is no record of such forecasts"
    band, rate = calibration["band"], calibration["observed_rate_interval"]
    widths = [width, scale * (band[1] - band[0]), scale * (rate[1] - rate[0])]
    names = (
        "the interval of the probability",
        "the band of the calibration record",
        "the interval of the calibration record",
    )
    return widths, f"the widest of three: {names[int(np.argmax(widths))]}"


def _rounded(
    numbers: tuple[float, float, float], widths: list[float], base: tuple[float, float], reason: str
) -> dict[str, Any]:
    """The field `rounded` of `forecast.risk.Risk`."""
    probability, lower, upper = numbers
    step = rounding_step(probability, widths)
    base_step = rounding_step(base[0], [base[1]])
    return {
        "probability": rounded(probability, step),
        "lower": rounded(lower, step),
        "upper": rounded(upper, step),
        "step": step,
        "text": percentage(probability, step),
        "interval": percentage_interval(lower, upper, step),
        "base_rate": percentage(base[0], base_step),
        "supported_by": reason,
    }

"""Answers to risk queries, read from the simulated draws: one pair in full, or many as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.draws import estimates
from forecast.evaluation.rounding import percentage, percentage_interval, rounded, rounding_step
from forecast.evaluation.strata import OUTSIDE, population_words
from forecast.risk import Ended, Risk, UnderWay
from forecast.scenario.dynamics import STATUSES
from forecast.scenario.ladder import fighting_draws, ladder_draws, ladder_entries, told
from forecast.scenario.levels import LEVELS, RECORDED_AS, Level, of_level
from forecast.scenario.outlook import Outlook
from forecast.scenario.simulate import CAUTION

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
    pairs: Sequence[tuple[int, int]],
    horizon: int,
    level: float,
    severity: Level = "onset",
) -> pd.DataFrame:
    """One row per pair and year ahead; columns as `forecast.risk` documents them."""
    at = np.array([outlook.position.get(pair, -1) for pair in pairs], dtype=np.int64)
    inside = at >= 0
    mean, lower, upper, base = (np.empty((len(pairs), horizon)) for _ in range(4))
    mean[inside], lower[inside], upper[inside] = outlook.estimates(
        at[inside], horizon, level, severity
    )
    places = list(zip(at.tolist(), pairs, strict=True))
    stratum = [
        outlook.stratum_without_row(pair) if row < 0 else str(outlook.stratum[row])
        for row, pair in places
    ]
    outside = [i for i, (row, _) in enumerate(places) if row < 0]
    for h in range(1, horizon + 1):
        rates = outlook.base_rates[h]
        known = {name: outlook.base_of(h, name, severity)[0] for name in set(stratum)}
        base[:, h - 1] = [known[name] for name in stratum]
        mean[~inside, h - 1] = base[~inside, h - 1]
        for i in outside:
            if severity == "onset":
                lower[i, h - 1], upper[i, h - 1] = rates[stratum[i]].interval(level)
                continue
            draws = ladder_draws(outlook, pairs[i], stratum[i], h)[tuple(LEVELS).index(severity)]
            mean[i, h - 1], lower[i, h - 1], upper[i, h - 1] = estimates(draws, level)
    status = [outlook.status(pair) for pair in pairs]
    still = np.full((3, len(pairs), horizon), np.nan)
    for i, (_, pair) in enumerate(places):
        if status[i] == UNDER_WAY:
            still[:, i] = estimates(outlook.still_under_way(pair, horizon), level)
    fights = np.stack([mean, lower, upper])
    if severity == "deaths_25":
        for i in (at for at, s in enumerate(status) if s == UNDER_WAY):
            for h in range(horizon):
                draws = ladder_draws(outlook, pairs[i], stratum[i], h + 1)[2]
                fights[:, i, h] = estimates(fighting_draws(outlook, pairs[i], draws)[0], level)
    count = np.arange(1, horizon + 1)
    codes = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    names = np.array([[outlook.label(x), outlook.label(y)] for x, y in pairs]).reshape(-1, 2)

    def each(values: Any) -> Any:
        return np.repeat(values, horizon)

    return pd.DataFrame(
        {
            "ccode_a": each(codes[:, 0]),
            "ccode_b": each(codes[:, 1]),
            "state_a": each(names[:, 0]),
            "state_b": each(names[:, 1]),
            "horizon": np.tile(count, len(pairs)),
            "first_year": outlook.origin + 1,
            "last_year": np.tile(outlook.origin + count, len(pairs)),
            "probability": mean.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "interval_kind": "equal-tailed",
            "interval_level": level,
            "stratum": each(stratum),
            "base_rate": base.ravel(),
            "base_population": each(
                [_base_population(outlook.fit.spec.population, name) for name in stratum]
            ),
            "ratio": (mean / base).ravel(),
            "status": each(status),
            "still_under_way": still[0].ravel(),
            "still_lower": still[1].ravel(),
            "still_upper": still[2].ravel(),
            "handling": each(np.where(inside, "model", "observed rate")),
            "severity": severity,
        }
        | (
            {
                name: values.ravel()
                for name, values in zip(
                    ("fighting", "fighting_lower", "fighting_upper"), fights, strict=True
                )
            }
            if severity == "deaths_25"
            else {}
        )
    )


def risk_answer(
    outlook: Outlook,
    pair: tuple[int, int],
    horizon: int,
    level: float,
    record: CalibrationRecord | None,
    severity: Level = "onset",
) -> Risk:
    """Everything about one pair: the fields of `forecast.risk.Risk`."""
    row = outlook.position.get(pair)
    fit = outlook.fit
    stratum = outlook.stratum_without_row(pair) if row is None else str(outlook.stratum[row])
    base = outlook.base_rates[horizon][stratum]
    base_rate = outlook.base_of(horizon, stratum, severity)[0]
    status = outlook.status(pair)
    ladder, fighting, rises = _how_bad(outlook, pair, stratum, horizon, level, record)
    common: dict[str, Any] = {
        "state_a": outlook.label(pair[0]),
        "state_b": outlook.label(pair[1]),
        "ccode_a": pair[0],
        "ccode_b": pair[1],
        "first_year": outlook.origin + 1,
        "last_year": outlook.origin + horizon,
        "horizon": horizon,
        "status": status,
        "under_way": (
            _under_way(outlook, pair, horizon, level, rises) if status == UNDER_WAY else None
        ),
        "ended": _ended(outlook.disputes[pair]) if status == ENDED else None,
        "interval_level": level,
        "severity": severity,
        "ladder": ladder,
        "fighting": fighting,
        "unit": (
            f"probability of at least one {of_level(fit.spec.outcome, severity)}, as"
            " recorded in the data, between the two (undirected dyad) within"
            f" {horizon} year{'s' if horizon > 1 else ''}"
        ),
        "stratum": stratum,
        "base_rate": base_rate,
        "base_population": _base_population(fit.spec.population, stratum),
        "base_rows": base.rows,
        "recall": outlook.tables.coverage["conflicts"].recall_words(
            outlook.origin + 1, RECORDED_AS[severity]
        ),
        "vintage": outlook.vintage,
        "caution": CAUTION,
    }
    if row is None:
        lower, upper = base.interval(level)
        probability = base.rate
        if severity != "onset":
            entry = ladder[tuple(LEVELS).index(severity)]
            probability, lower, upper = (entry[n] for n in ("probability", "lower", "upper"))
        return Risk(
            **common,
            probability=probability,
            lower=lower,
            upper=upper,
            interval_kind="equal-tailed (Jeffreys)",
            ratio=probability / base_rate,
            drivers=(),
            effects={},
            handling=(
                f"The pair is outside the population {fit.spec.population!r} on which the model"
                " was fitted; the answer is the observed rate among such pairs."
                if stratum == OUTSIDE
                else "A feature that the model needs is missing for the pair (a state in its first"
                " year has none); the answer is the observed rate of its stratum."
            ),
            support={
                "rows_in_stratum": base.rows,
                "rows_of_dyad": 0,
                "new_levels": [],
                "outside_range": [],
                "distance_percentile": None,
            },
            calibration=dict(_NO_RECORD),
            rounded=_rounded(
                (probability, lower, upper),
                [upper - lower],
                (base_rate, upper - lower),
                "the interval of the observed rate",
            ),
        )
    values = outlook.cumulative[row, horizon - 1]
    probability, lower, upper = estimates(values, level).tolist()
    if severity != "onset":
        entry = ladder[tuple(LEVELS).index(severity)]
        probability, lower, upper = (entry[n] for n in ("probability", "lower", "upper"))
    first = outlook.first_probability(row)
    calibration = (
        outlook.in_sample(row)
        if record is None
        else record.quote(outlook.record_stratum(row), first)
    )
    if severity == "onset":
        widths, reason = _supported(calibration, upper - lower, probability / first)
    else:
        calibration = entry["record"]
        widths, reason = _supported_level(calibration, upper - lower, probability)
    return Risk(
        **common,
        probability=probability,
        lower=lower,
        upper=upper,
        interval_kind="equal-tailed",
        ratio=probability / base_rate,
        drivers=outlook.drivers(row),
        effects={name: float(effect[row]) for name, effect in outlook.effects.items()},
        handling=f"model {fit.spec.name}, {fit.method}, {values.size} posterior draws",
        support=outlook.support(row),
        calibration=calibration,
        rounded=_rounded(
            (probability, lower, upper),
            widths,
            (base_rate, outlook.base_width(horizon, stratum) * base_rate / base.rate),
            reason,
        ),
    )


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
    numbers: tuple[float, float, float],
    widths: list[float],
    base: tuple[float, float],
    reason: str,
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

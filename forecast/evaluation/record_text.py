"""One cell of a calibration record in words, with no more digits than it supports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from forecast.simulation.levels import DEATHS
from forecast.text import percentage, percentage_interval, rounding_step

if TYPE_CHECKING:
    from forecast.evaluation.calibration_record import CalibrationRecord

__all__ = ["FEW", "band_words", "level_quotation", "no_quotation", "quotation"]

#: Rows below which a cell says little; its sentence says so.
FEW = 20


def band_words(low: float, high: float) -> str:
    """Band of probability in words: ``2–5%``, ``under 0.1%``, ``50% or more``."""
    if low <= 0.0:
        return f"under {100 * high:g}%"
    if high >= 1.0:
        return f"{100 * low:g}% or more"
    return f"{100 * low:g}–{100 * high:g}%"


def _ahead(record: CalibrationRecord) -> str:
    return "one year ahead" if record.horizon == 1 else f"{record.horizon} years ahead"


def _such(record: CalibrationRecord, stratum: str) -> str:
    """Rows of the stratum as a noun: ``dyad-years of pairs with a conflict under way``."""
    from forecast.features.strata import NEW, STRATA_WORDS

    words = {**STRATA_WORDS, NEW: "pairs new to the model"}.get(stratum, f"the stratum '{stratum}'")
    return record.unit if stratum == "all" else f"{record.unit} of {words}"


def quotation(record: CalibrationRecord, cell: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `CalibrationRecord.bands` as `CalibrationRecord.quote` documents it."""
    stratum, rows, observed = str(cell["stratum"]), int(cell["rows"]), int(cell["observed"])
    rate, lower, upper = (float(cell[k]) for k in ("rate", "lower", "upper"))
    low, high = float(cell["low"]), float(cell["high"])
    step = rounding_step(rate if observed else upper, [upper - lower])
    share = percentage(rate, step) if observed else "none"
    text = (
        f"Of {rows:,} {_such(record, stratum)} that were given {band_words(low, high)}"
        f" {_ahead(record)}, {share}"
        f" ({percentage_interval(lower, upper, step)}, {record.level:.0%} Jeffreys)"
        f" had an onset, {record.years}"
    )
    few = "; so few say little." if rows < FEW else "."
    return _about(record, stratum, (low, high)) | {
        "covered": True,
        "rows": rows,
        "onsets_observed": observed,
        "onsets_expected": float(cell["expected"]),
        "observed_rate": rate,
        "observed_rate_interval": [lower, upper],
        "observed_rate_interval_kind": f"{record.level:.0%} equal-tailed (Jeffreys)",
        "text": text + few,
    }


def no_quotation(
    record: CalibrationRecord, stratum: str, band: tuple[float, float], known: bool
) -> dict[str, Any]:
    """What is said when the record has no forecast like the one that is asked about."""
    such = _such(record, stratum)
    where = (
        f"none of its {such} was given {band_words(*band)} {_ahead(record)}"
        if known
        else f"it has no {such}"
    )
    text = (
        f"The record of {record.years} does not cover this: {where}. The probability has no record"
        " of its own."
    )
    return _about(record, stratum, band) | {"text": text}


def _about(record: CalibrationRecord, stratum: str, band: tuple[float, float]) -> dict[str, Any]:
    """Every entry of a quotation, as where nothing is covered."""
    return {
        "covered": False,
        "source": f"out of sample, {_ahead(record)}, {record.years}",
        "model": record.model,
        "stratum": stratum,
        "band": list(band),
        "years": [record.first_year, record.last_year],
        "rows": 0,
        "onsets_observed": 0,
        "onsets_expected": 0.0,
        "observed_rate": None,
        "observed_rate_interval": None,
        "observed_rate_interval_kind": None,
        "text": "",
    }


_SCOPES = {
    "all": "all pairs",
    "relevant": "neighbours and pairs with a major power",
    "remote": "pairs neither neighbours nor with a major power",
}


def level_quotation(record: CalibrationRecord, severity: str, scope: str) -> dict[str, Any]:
    """What `CalibrationRecord.quote_level` documents."""
    table = record.ladder
    source = f"out of sample, {_ahead(record)}, {record.years}"
    rows = table[table["severity"] == severity] if len(table) else table
    if not len(rows):
        text = "The record has no forecasts of this level of severity."
        return {"covered": False, "source": source, "text": text}
    scope = scope if scope in set(rows["scope"]) else "all"
    cell = rows[rows["scope"] == scope].iloc[0]
    unknown = int(cell["unknown"])
    counted = f"onsets with {DEATHS[severity]}" if severity in DEATHS else "onsets"
    text = (
        f"Of {_SCOPES.get(scope, scope)}, {_ahead(record)}, {record.years}: {counted}"
        f" expected {cell['expected']:.3g}, observed {int(cell['observed'])}"
    )
    if unknown:
        text += f", with {unknown} more of which the deaths are not known"
    text += f" (as many as from {cell['lower']:.0f} to {cell['upper']:.0f} would fit,"
    text += f" {record.level:.0%} exact)."
    return {
        "covered": True,
        "source": source,
        "scope": scope,
        "rows": int(cell["rows"]),
        "expected": float(cell["expected"]),
        "observed": int(cell["observed"]),
        "unknown": unknown,
        "lower": float(cell["lower"]),
        "upper": float(cell["upper"]),
        "text": text,
    }

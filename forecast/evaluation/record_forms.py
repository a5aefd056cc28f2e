"""A calibration record as plain values and back (the schema is versioned), and in sentences."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.documents import json_of
from forecast.errors import ArtifactError, shown
from forecast.evaluation.calibration import Decomposition, Reliability
from forecast.simulation.levels import DEATHS
from forecast.text import percentage, percentage_interval, rounding_step

if TYPE_CHECKING:
    from forecast.evaluation.calibration_record import CalibrationRecord

__all__ = [
    "FEW", "KIND", "RECORD_VERSION", "band_words", "level_quotation", "no_quotation", "quotation",
    "record_fields", "record_to_dict", "sealed", "unsealed",
]  # fmt: skip

KIND = "calibration record"
#: Version of the schema below; a record of another version is refused, not guessed at.
RECORD_VERSION = 1

_TABLES = ("recalibration", "murphy", "counts", "ratios", "scores", "bands")
#: Came later: a record without is one that was not asked for it.
_LATER = ("ladder",)
_PLAIN = {
    "model": str, "horizon": int, "first_year": int, "last_year": int, "rows": int,
    "events": int, "unit": str, "level": float, "specification": str,
}  # fmt: skip
#: Letters of numpy's kinds that a column may have, and how it is read back.
_DTYPES = {"f": "float64", "i": "int64", "b": "bool", "s": "str"}


def record_to_dict(record: CalibrationRecord) -> dict[str, Any]:
    """Plain values only; a number that is not finite is None."""
    curve = record.reliability
    return {
        "kind": KIND,
        "schema_version": RECORD_VERSION,
        **{name: make(getattr(record, name)) for name, make in _PLAIN.items()},
        "reliability": curve.to_dict() | {"curve": _table(curve.curve)},
        **{name: _table(getattr(record, name)) for name in (*_TABLES, *_LATER)},
        "settings": _plain(record.settings),
    }


def _plain(value: Any) -> Any:
    """Mappings, lists and numbers of Python."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _table(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Columns in order, each with a letter for its kind."""
    found = {}
    for name in table:
        values = table[name].to_numpy()
        letter = values.dtype.kind if values.dtype.kind in "fib" else "s"
        plain = values.astype(str) if letter == "s" else values
        found[str(name)] = {"dtype": letter, "values": _plain(plain.tolist())}
    return found


def _read(name: str, content: Mapping[str, Any]) -> pd.DataFrame:
    columns = {}
    for column, part in content.items():
        if part["dtype"] not in _DTYPES:
            raise ArtifactError(
                f"Calibration record: column {shown(column)} of {name!r} has the kind"
                f" {shown(part['dtype'])}, expected one of {', '.join(_DTYPES)}."
            )
        columns[column] = pd.Series(part["values"], dtype=_DTYPES[part["dtype"]])
    return pd.DataFrame(columns)


def record_fields(content: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a record from plain values; an `ArtifactError` if it is none, or damaged."""
    if content.get("kind") != KIND:
        raise ArtifactError(f"Not a calibration record: kind is {shown(content.get('kind'))}.")
    if content.get("schema_version") != RECORD_VERSION:
        raise ArtifactError(
            f"Calibration record: schema_version is {shown(content.get('schema_version'))},"
            f" expected {RECORD_VERSION}. Make it again from the backtest."
        )
    needed = (*_PLAIN, "reliability", *_TABLES, "settings")
    missing = [name for name in needed if name not in content]
    if missing:
        raise ArtifactError(f"Calibration record: {', '.join(missing)} missing.")
    try:
        curve = content["reliability"]
        rules = curve["decompositions"].items()
        parts: dict[str, Any] = {name: make(content[name]) for name, make in _PLAIN.items()}
        parts |= {name: _read(name, content.get(name, {})) for name in (*_TABLES, *_LATER)}
        parts["reliability"] = Reliability(
            curve=_read("reliability", curve["curve"]),
            decompositions={rule: Decomposition(**values) for rule, values in rules},
            level=float(curve["level"]),
            kind=str(curve["kind"]),
            outside=float(curve["outside"]),
        )
        return parts | {"settings": dict(content["settings"])}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"Calibration record: damaged ({shown(error, 200)}).") from error


def _canonical(content: object) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _digest(content: object) -> str:
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def sealed(record: CalibrationRecord, fit_id: str) -> str:
    """Text of the file that keeps a record with a fit: its id, a digest, the record."""
    content = record_to_dict(record)
    return _canonical({"fit": fit_id, "sha256": _digest(content), "record": content})


def unsealed(text: bytes, fit_id: str, where: str) -> dict[str, Any]:
    """Plain values of the record in such a text; an `ArtifactError` if damaged or another fit's."""
    seal = json_of(text, where)
    content = seal.get("record") if isinstance(seal, dict) else None
    if not isinstance(content, dict) or (
        [seal.get("fit"), seal.get("sha256")] != [fit_id, _digest(content)]
    ):
        raise ArtifactError(
            f"{where} is not the calibration record that was saved with this fit. Delete it, or"
            " make it again with `forecast report`."
        )
    return content


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

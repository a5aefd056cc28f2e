"""Check of a calibration record: whether forecasts out of sample could be relied upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from forecast.evaluation.check_tables import RATE, CheckResult, listed
from forecast.evaluation.yearly_counts import FROM_DRAWS

if TYPE_CHECKING:
    import pandas as pd

    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.evaluation.inputs import FloatArray

__all__ = ["reliability_of"]


def reliability_of(record: CalibrationRecord) -> CheckResult:
    """Check of the forecasts of a calibration record: yearly totals, recalibration slope.

    Half of `RATE` each. Totals are held against predictive distributions with the uncertainty of
    parameters and years, the slope is robust to years and pairs that hang together. The share of
    the reliability curve outside of its band is told, not judged: rows of one year rise
    and fall together, which the band does not know.
    """
    counts, line = record.counts, record.recalibration.iloc[0]
    tests: list[tuple[str, float]] = []
    totals = "No predictive distribution of yearly totals is on record. "
    if (counts["kind"] == FROM_DRAWS).all():
        tail = min(1.0, float(_tails(counts).min()) * len(counts))
        tests.append(("yearly totals", tail))
        totals = (
            f"{int(counts['inside'].sum())} of {len(counts)} yearly totals lie inside their "
            f"{counts['level'].iloc[0]:.0%} predictive intervals (tail probability of the "
            f"farthest, for as many years: {tail:.3f}). "
        )
    if np.isfinite(line["slope"]):
        error = (line["slope_upper"] - line["slope_lower"]) / 2.0 / norm.isf((1 - record.level) / 2)
        tail = float(2.0 * norm.sf(abs(line["slope"] - 1.0) / error))
        tests.append(("recalibration slope", tail))
        slope = (
            f"The recalibration slope is {line['slope']:.2f} ({record.level:.0%} interval "
            f"{line['slope_lower']:.2f} to {line['slope_upper']:.2f}; tail probability {tail:.3f}; "
            "below 1: too extreme, above: too timid). "
        )
    else:
        slope = f"There is no recalibration slope: {line['remark']} "
    ratio = record.ratios.iloc[0]
    parts = record.reliability.decompositions["brier"]
    least = RATE / max(len(tests), 1)
    bad = [name for name, tail in tests if tail < least]
    verdict = (
        "Not judged: there is too little on record."
        if not tests
        else f"No tail probability is below {least:.3f}."
        if not bad
        else f"Below {least:.3f} is that of: {listed(bad)}."
    )
    text = (
        f"Out of sample, {record.years}, {record.rows} {record.unit}, {record.events} onsets: "
        f"expected over observed is {ratio['ratio']:.2f}. {totals}{slope}{verdict} The isotonic "
        f"reliability curve leaves its {record.reliability.level:.0%} consistency band for "
        f"{record.reliability.outside:.0%} of the rows (not judged: the band takes rows as "
        f"independent). Brier score {parts.score:.5f} = miscalibration {parts.miscalibration:.5f} "
        f"- discrimination {parts.discrimination:.5f} + uncertainty {parts.uncertainty:.5f}."
    )
    passed = None if not tests else not bad
    curve = record.reliability
    return CheckResult("reliability", passed, curve.curve, text, curve)


def _tails(counts: pd.DataFrame) -> FloatArray:
    """Two-sided tail probability of each yearly total in its predictive distribution.

    The larger of that of the draws, which a total beyond all of a few hundred draws has none of,
    and that of a normal distribution of the square root with the width of the interval.
    """
    pit = counts["pit"].to_numpy(dtype=np.float64)
    root = {n: np.sqrt(counts[n].to_numpy(dtype=np.float64)) for n in ("lower", "upper", "mean")}
    width = norm.isf((1.0 - counts["level"].to_numpy(dtype=np.float64)) / 2.0)
    # the square root of a count has an s.d. of a half at least, unless next to none is expected
    spread = np.maximum((root["upper"] - root["lower"]) / (2.0 * width), 0.25)
    seen = np.sqrt(counts["observed"].to_numpy(dtype=np.float64))
    smooth = 2.0 * norm.sf(np.abs(seen - root["mean"]) / spread)
    tails: FloatArray = np.maximum(2.0 * np.minimum(pit, 1.0 - pit), smooth)
    return tails

"""What every check returns, and the tables behind it: replicates, leave-one-out, verdicts.

A replicate keeps the history that was observed. What it can be held against are therefore numbers
of onsets in groups of rows that are told from the past alone (a decade, a state, the years since
the pair's last onset): given the past, the outcome of such a row is a draw from its probability
if the model is true, so that observed less expected is a martingale, whose variance is that of the
replicates. Statistics of the outcomes as a sequence (runs of peace, shares that recur, units
with many onsets) are none of these: an onset makes the next one likelier in the record, but a
replicated onset does not, and a true model with state dependence would fail.

Reliability is judged out of sample, from a calibration record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from forecast.cards import Card, Carded
from forecast.evaluation.score_table import records
from forecast.evaluation.scores import FloatArray
from forecast.evaluation.yearly_counts import FROM_DRAWS
from forecast.inference.diagnostics import khat_limit

if TYPE_CHECKING:
    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.evaluation.insample import InSample

__all__ = [
    "LEVEL", "RATE", "CheckResult", "counts", "earlier_onsets", "judged", "listed", "loo_row",
    "predictive_table", "reliability_of", "replicated_statistics", "verdict",
]  # fmt: skip

IntArray = npt.NDArray[np.int64]
Statistics = Mapping[str, tuple[FloatArray, float]]

RATE = 0.05
"""Rate at which a check that is a test fails a model that is true."""
LEVEL = 0.9
"""Probability of every interval in the tables."""
SINCE = (1, 2, 3, 6, 11, 26)
"""First years of the groups of years since the last onset."""
EARLIER = (1, 2, 5)
"""First numbers of the groups of earlier onsets."""


@dataclass(frozen=True, eq=False, repr=False)
class CheckResult(Carded):
    """Outcome of one check.

    Attributes
    ----------
    name : str
        Name in `CHECKS`.
    passed : bool or None
        Whether it met the thresholds that `text` states; None: not judged, `text` says why.
    table : pandas.DataFrame
        Its numbers.
    text : str
        What was checked, against which threshold, and what was found, in plain sentences.
    shown : object or None
        What `forecast.plot.check` draws; None: it has no figure.
    """

    name: str
    passed: bool | None
    table: pd.DataFrame
    text: str
    shown: Any = None

    def card(self) -> Card:
        """Verdict and sentences."""
        return Card(f"Check {self.name!r}", checks=[(self.passed, self.text)])

    def to_dict(self) -> dict[str, Any]:
        """Name, verdict, sentences and table as plain values."""
        about = {"name": self.name, "passed": self.passed, "text": self.text}
        return about | {"table": records(self.table)}


def listed(names: Iterable[object]) -> str:
    """At most eight names, and how many more there are."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")


def counts(draw: IntArray, row: IntArray, draws: int, group: IntArray, size: int) -> IntArray:
    """Onsets (each with its data set and row) by data set and group of rows, (draws, size).

    A row of group -1 is left out.
    """
    label = group[row]
    keep = label >= 0
    flat = np.bincount(draw[keep] * size + label[keep], minlength=draws * size)
    return flat.reshape(draws, size).astype(np.int64)


def earlier_onsets(
    outcome: FloatArray, unit: IntArray, year: IntArray
) -> tuple[IntArray, IntArray]:
    """Years since the unit's last onset in an earlier year, and how many there were; both (n,).

    The rows are sorted by unit, then year. Years are -1 where no onset came before; one before
    the first row is not known.
    """
    base = int(year.min())
    span = int(year.max()) - base + 1
    key = unit * span + (year - base)
    onset = key[outcome == 1.0]
    before = np.searchsorted(onset, key)  # a row of the same year is not earlier
    number = before - np.searchsorted(onset, unit * span)
    last = onset[np.maximum(before - 1, 0)] if onset.size else np.zeros_like(key)
    return np.where(number > 0, key - last, -1), number


def replicated_statistics(
    sample: InSample, *, names: Mapping[int, str] | None = None
) -> dict[str, tuple[FloatArray, float]]:
    """Draws and observed value of every statistic: numbers of onsets in groups of rows.

    In total, by decade, of each of the ten states of which most are expected, by years since the
    unit's last onset, and by its number of earlier onsets. `names` are those of states by COW
    number; the number where there is none.
    """
    seen = np.flatnonzero(sample.outcome == 1.0)
    found: dict[str, tuple[FloatArray, float]] = {}

    def both(group: IntArray, size: int) -> tuple[IntArray, IntArray]:
        replicated = counts(*sample.replicated, sample.draws, group, size)
        return replicated, counts(np.zeros_like(seen), seen, 1, group, size)[0]

    def add(labels: list[str], group: IntArray) -> None:
        replicated, observed = both(group, len(labels))
        used = np.bincount(group[group >= 0], minlength=len(labels)) > 0
        for j in np.flatnonzero(used):
            found[labels[j]] = (replicated[:, j].astype(np.float64), float(observed[j]))

    add(["onsets"], np.zeros_like(sample.year))
    decades, index = np.unique(sample.year // 10 * 10, return_inverse=True)
    add([f"onsets in the {decade}s" for decade in decades], index.astype(np.int64))
    codes, places = _states(sample)
    known = names or {}
    by_state = [both(place, codes.size) for place in places]
    for j, code in enumerate(codes.tolist()):
        found[f"onsets of {known.get(code, f'state {code}')}"] = (
            np.sum([r[:, j] for r, _ in by_state], axis=0, dtype=np.float64),
            float(sum(o[j] for _, o in by_state)),
        )
    since, number = earlier_onsets(sample.outcome, sample.unit, sample.year)
    add(
        [f"onsets {span} after the last" for span in _spans(SINCE, "year", "years")]
        + ["first onsets"],
        np.where(since < 0, len(SINCE), np.searchsorted(SINCE, since, side="right") - 1),
    )
    add(
        [f"onsets after {span}" for span in _spans(EARLIER, "earlier one", "earlier ones")],
        np.searchsorted(EARLIER, number, side="right") - 1,
    )
    return found


def _spans(firsts: tuple[int, ...], one: str, many: str) -> list[str]:
    """Names of the groups that begin at `firsts`, the last one open."""
    names = []
    for first, after in zip(firsts, (*firsts[1:], 0), strict=True):
        last = after - 1
        if last == first:
            names.append(f"{first} {one if first == 1 else many}")
        else:
            names.append(f"{first} or more {many}" if after == 0 else f"{first}–{last} {many}")
    return names


def _states(sample: InSample, top: int = 10) -> tuple[IntArray, list[IntArray]]:
    """States of which most onsets are expected, and their place in each row (-1: not there).

    A dyad's onset counts for both sides. Chosen by what is expected: those with most observed
    onsets would be those that luck has favoured.
    """
    sides = [n for n in ("ccode", "ccode_a", "ccode_b") if n in sample.rows]
    values = [sample.rows[name].to_numpy().astype(np.int64) for name in sides]
    states = np.unique(np.concatenate(values))
    place = [np.searchsorted(states, code) for code in values]
    expected = sum(np.bincount(p, sample.probability, minlength=states.size) for p in place)
    order = np.argsort(-np.asarray(expected), kind="stable")[:top]
    chosen = np.full(states.size, -1)
    chosen[order] = np.arange(order.size)
    return states[order], [chosen[p] for p in place]


def judged(statistics: Statistics, *, rate: float) -> tuple[FloatArray, float]:
    """How far each observed value lies from its draws, and how far is too far for any of them.

    Distances are of square roots (which spread about alike whatever the number of onsets), in
    s.d. of the draws. The limit is that which the largest distance of a draw over all statistics
    exceeds at a rate of at most `rate`: with the observed values taken as one more draw, a true
    model fails no more often than that.
    """
    values = np.sqrt(np.column_stack([np.append(d, o) for d, o in statistics.values()]))
    spread = values.std(axis=0)
    distance = np.abs(values - values.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
    largest = np.sort(distance.max(axis=1))[::-1]
    # as many members of the whole, the observed one among them, as may lie above the limit
    return distance[-1], float(largest[int(rate * largest.size)])


def predictive_table(
    statistics: Statistics, *, told: Sequence[str] = ()
) -> tuple[pd.DataFrame, float]:
    """Observed value, predictive median, interval and distance, and the largest plausible one.

    Statistics that are `told` are not judged: no distance, and None for whether it is plausible.
    """
    tail = (1.0 - LEVEL) / 2.0
    of = [name for name in statistics if name not in told]
    distance, limit = judged({name: statistics[name] for name in of}, rate=RATE)
    far = dict(zip(of, map(float, distance), strict=True))
    rows = []
    for name, (draws, observed) in statistics.items():
        lower, median, upper = np.quantile(draws, [tail, 0.5, 1.0 - tail])
        above = float((draws > observed).mean() + 0.5 * (draws == observed).mean())
        rows.append(
            {
                "statistic": name,
                "observed": observed,
                "median": float(median),
                "lower": float(lower),
                "upper": float(upper),
                "level": LEVEL,
                "tail_probability": 2.0 * min(above, 1.0 - above),
                "distance": far.get(name, np.nan),
                "plausible": far[name] <= limit if name in far else None,
            }
        )
    return pd.DataFrame(rows), limit


def loo_row(
    left_out: str,
    elpd: FloatArray,
    khat: FloatArray,
    climate: FloatArray,
    draws: int,
    weight: FloatArray,
) -> dict[str, Any]:
    """Sums over the rows or units left out one at a time, gain on the base rate, and Pareto k.

    Of each: log predictive density, Pareto shape, log density of the base rate (`climate`), and
    how many it stands for.
    """
    total, base = float(weight @ elpd), float(weight @ climate)
    limit = khat_limit(draws)
    return {
        "left_out": left_out,
        "count": int(elpd.size),
        "elpd": total,
        "se": _error(elpd, weight),
        "base_rate_elpd": base,
        "skill": 1.0 - total / base,
        "gain": total - base,
        "gain_se": _error(elpd - climate, weight),
        "over_limit": int((khat > limit).sum()),
        "limit": limit,
        "largest_khat": float(khat.max()) if np.isfinite(khat.max()) else np.nan,
        "draws": draws,
    }


def _error(values: FloatArray, weight: FloatArray) -> float:
    """Standard error of a weighted sum."""
    mean = float(weight @ values) / float(weight.sum())
    return float(np.sqrt(weight @ (values - mean) ** 2))


def verdict(table: pd.DataFrame, limit: float, members: str) -> str:
    """Which statistics are too far from their draws, and how far that is."""
    table = table[table["plausible"].notna()]
    bad = table.loc[~table["plausible"].astype(bool), "statistic"]
    rule = (
        f"{limit:.1f} s.d., the distance that {1 - RATE:.0%} of the {members} keep in all of them"
    )
    but = "" if bad.empty else f" but {listed(bad)}"
    return f"Observed values of {len(table)} within {rule}: all{but}."


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

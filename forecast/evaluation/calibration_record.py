"""The calibration record of a model: how its forecasts did, made from a backtest's rows.

It travels with a fit (`forecast.store`), is quoted by `forecast.risk` and shown by the report. What
is in it is out of sample: every forecast was made from the years before its origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.draws import check_level
from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation import score_table as st
from forecast.evaluation.calibration import THETAS, Reliability, murphy, reliability
from forecast.evaluation.record_forms import record_fields, record_to_dict
from forecast.evaluation.score_table import REFERENCE
from forecast.evaluation.yearly_counts import counts_of_record
from forecast.features.strata import BaseRate

if TYPE_CHECKING:
    from forecast.evaluation.backtest_result import Backtest
    from forecast.sources.tables import Tables

__all__ = ["BANDS", "CalibrationRecord", "band_of", "calibration_record", "record_of"]

#: Edges of the bands of probability within which forecasts are held against what happened.
BANDS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

_SCORES = ["kind", "group", "rows", "events", "score", "value", "lower", "upper", "block", "blocks"]
#: Thresholds of the Murphy diagram: a curve, with the usual ones among them.
_THETAS = tuple(sorted({*THETAS, *np.geomspace(0.001, 0.5, 40).round(5).tolist()}))


@dataclass(frozen=True, eq=False)
class CalibrationRecord:
    """How the forecasts of a model did out of sample, at one horizon.

    Attributes
    ----------
    model : str
        Name of the model in the backtest.
    horizon : int
        Years ahead; 1 is the first year that was not known.
    first_year, last_year : int
        Years that were forecast.
    rows, events : int
        Forecasts, and how many of them came true.
    unit : str
        What a row is: ``"dyad-years"`` or ``"state-years"``.
    level : float
        Probability of every interval.
    reliability : Reliability
        CORP curve with consistency band, and score decompositions.
    recalibration : pandas.DataFrame
        ``group``, ``intercept``, ``slope``, their ``…_lower`` and ``…_upper``, ``interval`` (its
        kind), ``remark`` (why there is none).
    murphy : pandas.DataFrame
        ``theta``, ``score`` and, where climatology was run, ``reference``, ``skill``.
    counts : pandas.DataFrame
        Events of each year: ``year``, ``observed``, ``mean``, ``lower``, ``upper``, ``level``,
        ``inside``, ``pit``, ``kind`` (what the predictive distribution holds).
    ratios : pandas.DataFrame
        Σp over observed: ``kind`` (all, stratum, decade, region), ``group``, ``rows``,
        ``observed``, ``expected``, ``ratio``, ``lower``, ``upper``, ``interval``.
    scores : pandas.DataFrame
        ``kind``, ``group``, ``rows``, ``events``, ``score``, ``value``, ``lower``, ``upper``,
        ``block``, ``blocks``: percentile interval of a bootstrap of years or pairs, the wider.
    bands : pandas.DataFrame
        ``stratum`` (all first), ``low``, ``high`` (low ≤ p < high), ``rows``, ``expected``,
        ``observed``, ``rate``, ``lower``, ``upper``: equal-tailed Jeffreys interval, of rows
        taken as independent, that ends at 0 where nothing and at 1 where everything came true
        (Brown, Cai and DasGupta 2001). Without rows the last three are NaN.
    ladder : pandas.DataFrame
        Expected and observed at every level of severity, as
        `forecast.evaluation.yearly_counts.ladder_table` has it; empty where it was not asked for.
    specification : str
        SHA-256 of the specification that was backtested; empty when not known.
    settings : dict
        Origins, seed, panel and whatever else says where it comes from.
    """

    model: str
    horizon: int
    first_year: int
    last_year: int
    rows: int
    events: int
    unit: str
    level: float
    reliability: Reliability
    recalibration: pd.DataFrame
    murphy: pd.DataFrame
    counts: pd.DataFrame
    ratios: pd.DataFrame
    scores: pd.DataFrame
    bands: pd.DataFrame
    ladder: pd.DataFrame = field(default_factory=pd.DataFrame)
    specification: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the version of the schema; `from_dict` reads it back."""
        return record_to_dict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> CalibrationRecord:
        """Record from what `to_dict` gave.

        Raises
        ------
        ArtifactError
            Another version of the schema, or something is missing or not what it should be.
        """
        return cls(**record_fields(content))

    @property
    def years(self) -> str:
        """Years that were forecast, in words."""
        first, last = self.first_year, self.last_year
        return str(first) if first == last else f"{first}–{last}"

    def quote(self, stratum: str, probability: float) -> dict[str, Any]:
        """What the record says of forecasts like one: same stratum, same band of probability.

        Parameters
        ----------
        stratum : str
            Stratum, or ``"all"``.
        probability : float
            The forecast, at the record's horizon.

        Returns
        -------
        dict
            ``covered`` (whether the record has such a forecast at all), ``stratum``, ``band``,
            ``rows``, ``onsets_expected``, ``onsets_observed``, ``observed_rate``,
            ``observed_rate_interval``, its ``…_kind``, ``years``, ``source`` and ``text``, one
            sentence with no more digits than the interval supports.
        """
        if not 0.0 <= probability <= 1.0:
            raise ArgumentError(f"`probability` must lie in [0, 1], found {probability}.")
        edges = self._edges
        band = band_of(probability, edges)
        found = self._quotes.get((stratum, band))
        if found is not None:
            return dict(found)
        from forecast.evaluation.record_forms import no_quotation

        known = stratum in set(self.bands["stratum"])
        return no_quotation(self, stratum, (edges[band], edges[band + 1]), known)

    def quote_level(self, severity: str, scope: str = "all") -> dict[str, Any]:
        """What the record says of forecasts of a level of severity.

        Parameters
        ----------
        severity : str
            Level.
        scope : str
            ``"relevant"``, ``"remote"``, or ``"all"``, which answers where a scope has no entry.

        Returns
        -------
        dict
            ``covered``, ``scope``, ``expected``, ``observed``, ``unknown``, ``lower``, ``upper``,
            ``source`` and ``text``.
        """
        from forecast.evaluation.record_forms import level_quotation

        return level_quotation(self, severity, scope)

    @cached_property
    def _edges(self) -> tuple[float, ...]:
        part = self.bands[self.bands["stratum"] == st.EVERY]
        return (float(part["low"].iloc[0]), *map(float, part["high"]))

    @cached_property
    def _quotes(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Every quotation, made once, so that a query only looks it up."""
        from forecast.evaluation.record_forms import quotation

        edges, made = self._edges, {}
        for row in self.bands.to_dict("records"):
            if row["rows"]:
                key = (str(row["stratum"]), band_of(float(row["low"]), edges))
                made[key] = quotation(self, {str(k): v for k, v in row.items()})
        return made


def band_of(probability: float, edges: Sequence[float] = BANDS) -> int:
    """Place of the band [low, high) that holds a probability; 1 is in the last one."""
    return int(_bands_of(probability, edges))


def _bands_of(probability: npt.ArrayLike, edges: Sequence[float]) -> npt.NDArray[np.intp]:
    place = np.searchsorted(edges, np.asarray(probability), side="right") - 1
    return np.asarray(np.clip(place, 0, len(edges) - 2))


def record_of(
    backtest: Backtest,
    *,
    horizon: int | None = None,
    specification: str = "",
    tables: Tables | None = None,
    **options: Any,
) -> CalibrationRecord:
    """Record of the model of a backtest, with the predictive yearly counts of its draws.

    Parameters
    ----------
    backtest : Backtest
        Its forecasts and counts are read.
    horizon : int, optional
        Years ahead; the shortest by default.
    specification : str
        SHA-256 of the specification, so that the record cannot be put on another model's fit.
    tables : Tables, optional
        The data set behind it; with it, the record says of every level of severity how its
        forecasts did (onsets of pairs and years, one year ahead).
    **options
        As for `calibration_record`; the seed is the backtest's by default.
    """
    known = backtest.settings
    chosen = int(backtest.forecasts["horizon"].min()) if horizon is None else horizon
    made = calibration_record(
        backtest.forecasts,
        model=backtest.model,
        horizon=chosen,
        counts=backtest.counts,
        specification=specification,
        **{"seed": int(known.get("seed", 0)), **options},
    )
    about = ("origins", "seed", "panel", "rows_left_out")
    made = replace(made, settings={k: known[k] for k in about if k in known})
    if tables is None or chosen != 1:
        return made
    return replace(made, ladder=backtest.severity(tables, level=made.level))


def calibration_record(
    forecasts: pd.DataFrame,
    *,
    model: str,
    seed: int,
    horizon: int = 1,
    counts: pd.DataFrame | None = None,
    level: float = 0.95,
    resamples: int = 500,
    specification: str = "",
) -> CalibrationRecord:
    """Calibration record of one model from the rows of a backtest.

    Parameters
    ----------
    forecasts : pandas.DataFrame
        Rows as `forecast.evaluation.backtest.Backtest.forecasts` documents them (or read back
        from its Parquet files): ``horizon``, ``year``, ``outcome``, ``model``, ``probability``,
        a key (``ccode_a``, ``ccode_b`` or ``ccode``) and, where known, ``stratum``, ``decade``,
        ``region``, ``peace_years``. Skill is measured against the rows of climatology; without
        them there is none.
    model, horizon : str, int
        Whose record, and how many years ahead.
    seed : int
        Seed of consistency bands and bootstraps; children are spawned.
    counts : pandas.DataFrame, optional
        Yearly counts with ``pit`` of the same backtest, from posterior draws. Without them the
        counts are simulated from the mean probabilities alone, and say so.
    level, resamples : float, int
        Probability of every interval; bootstrap resamples per kind of block.
    specification : str
        SHA-256 of the specification.

    Raises
    ------
    ArgumentError
        A column is missing, a row is there twice.
    UnknownNameError
        A model or horizon that the forecasts do not have.
    """
    check_level(level)
    rows = _rows_of(forecasts, model, horizon)
    y, p = rows["outcome"].to_numpy(), rows["probability"].to_numpy()
    curve_seed, score_seed, count_seed = (
        int(s) for s in np.random.SeedSequence(seed).generate_state(3)
    )
    base = _reference(forecasts, rows, horizon)
    both = [rows] if base is None else [rows, rows.assign(model=REFERENCE, probability=base)]
    table = st.score_table(
        pd.concat(both, ignore_index=True),
        by=("relevance", "stratum", "peace"),
        against=None if base is None else REFERENCE,
        scores=(st.resampled, st.recalibration),
        models=[model],
        level=level,
        bootstrap=st.Bootstrap(score_seed, resamples),
    )
    line = table["score"].isin(["intercept", "slope"])
    ratios = st.score_table(rows, by=("relevance", "stratum", "decade", "region"),
                            scores=(st.ratio,), level=level)  # fmt: skip
    scores = table[~line].rename(columns={"estimate": "value"})[_SCORES].reset_index(drop=True)
    return CalibrationRecord(
        model=model,
        horizon=horizon,
        first_year=int(rows["year"].min()),
        last_year=int(rows["year"].max()),
        rows=len(rows),
        events=int(y.sum()),
        unit=str(table["unit"].iloc[0]),
        level=level,
        reliability=reliability(y, p, seed=curve_seed, level=level),
        recalibration=st.wide(
            table[line], ["kind", "group"], ends=["intercept", "slope"], last=["interval", "remark"]
        ),
        murphy=murphy(y, p, reference=base, thetas=_THETAS),
        counts=counts_of_record(rows, counts, seed=count_seed, level=level),
        ratios=st.ratio_lines(ratios).drop(columns=["horizon", "model", "level"]),
        scores=scores.astype({"blocks": "int64"}),
        bands=_band_rows(rows, level),
        specification=specification,
    )


def _reference(
    forecasts: pd.DataFrame, rows: pd.DataFrame, horizon: int
) -> npt.NDArray[np.float64] | None:
    """Forecasts of climatology for the same rows, matched by key."""
    base = forecasts[(forecasts["model"] == REFERENCE) & (forecasts["horizon"] == horizon)]
    if base.empty:
        return None
    keys = ["year", *(name for name in st.KEYS if name in rows)]
    found = rows[keys].merge(base[[*keys, "probability"]], on=keys, how="left", validate="1:1")
    if found["probability"].isna().any():
        gone = int(found["probability"].isna().sum())
        raise ArgumentError(f"{gone} rows have no forecast of the reference {REFERENCE!r}.")
    return found["probability"].to_numpy(dtype=np.float64)


def _band_rows(rows: pd.DataFrame, level: float) -> pd.DataFrame:
    """Forecasts and events by stratum and band of probability, empty bands among them."""
    p, y = rows["probability"].to_numpy(), rows["outcome"].to_numpy()
    place = _bands_of(p, BANDS)
    table = []
    for _, label, mask in st.slices(rows, ("stratum",)):
        for i, (low, high) in enumerate(pairwise(BANDS)):
            chosen = mask & (place == i)
            n, seen = int(chosen.sum()), int(y[chosen].sum())
            lower, upper = BaseRate(n, seen).interval(level) if n else (np.nan, np.nan)
            table.append(
                {
                    "stratum": label, "low": low, "high": high, "rows": n,
                    "expected": float(p[chosen].sum()), "observed": seen,
                    "rate": seen / n if n else np.nan, "lower": 0.0 if n and not seen else lower,
                    "upper": 1.0 if n and seen == n else upper,
                }
            )  # fmt: skip
    return pd.DataFrame(table)


def _rows_of(forecasts: pd.DataFrame, model: str, horizon: int) -> pd.DataFrame:
    """Rows of one model at one horizon, once they have what a record needs, each once."""
    needed = ("horizon", "year", "outcome", "model", "probability")
    missing = [name for name in needed if name not in forecasts]
    keys = [name for name in st.KEYS if name in forecasts]
    if missing or not keys:
        lacks = missing or ["ccode_a and ccode_b, or ccode"]
        raise ArgumentError(f"`forecasts` lacks {', '.join(lacks)}; found {list(forecasts)}.")
    if model not in set(forecasts["model"]):
        raise UnknownNameError("model", model, sorted(map(str, forecasts["model"].unique())))
    rows = forecasts[(forecasts["model"] == model) & (forecasts["horizon"] == horizon)]
    if rows.empty:
        there = sorted(int(h) for h in forecasts["horizon"].unique())
        raise ArgumentError(f"`forecasts` has no rows at horizon {horizon}; it has {there}.")
    twice = rows.duplicated(["year", *keys])
    if twice.any():
        first = rows.loc[twice, ["year", *keys]].iloc[0].to_dict()
        raise ArgumentError(f"`forecasts` has {int(twice.sum())} rows twice, the first {first}.")
    # labels, whatever type a file gave them
    labels = {name: str for name in ("stratum", "region") if name in rows}
    return rows.astype(labels).reset_index(drop=True)

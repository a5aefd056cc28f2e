"""The table of scores of forecasts, one row for each score and slice; other tables are its pivots.

What is scored are the rows of a backtest: every model on the same rows in the same order. A slice
is all of them, a stratum, a decade …, with a kind and a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ArgumentError
from forecast.evaluation.bootstrap import paired_difference, score_intervals
from forecast.evaluation.calibration import decompose, expected_to_observed, murphy, recalibrate
from forecast.evaluation.scores import FloatArray, brier_rows, log_loss_rows, score_forecasts
from forecast.features.strata import LONG_PEACE

__all__ = [
    "EVERY", "KEYS", "REFERENCE", "SLICES", "Bootstrap", "Cell", "blocks_in", "decomposition",
    "difference_table", "murphy_table", "proper", "ratio", "ratio_lines", "recalibration",
    "records", "resampled", "score_table", "slices", "wide",
]  # fmt: skip

EVERY = "all"
"""Kind and name of the slice of all rows."""

KEYS = ("ccode", "ccode_a", "ccode_b")
"""Columns that name a row beside its year, where there are."""

REFERENCE = "climatology"
"""Model that the skill of a backtest is measured against."""

SLICES = ("relevance", "stratum", "decade", "region", "peace")
"""Kinds of slices: columns of the rows, and long peace."""

Mask = npt.NDArray[np.bool_]
Slices = Callable[[pd.DataFrame], Iterable[tuple[str, str, Mask]]]
Blocks = dict[str, npt.ArrayLike]


def blocks_in(rows: pd.DataFrame, mask: Mask) -> Blocks:
    """Blocks by which rows of a slice hang together: the year, and the pair or state."""
    keys = [name for name in KEYS if name in rows]
    unit = rows.groupby(keys, sort=False).ngroup().to_numpy()[mask]
    return {"year": rows["year"].to_numpy()[mask], "dyad" if "ccode_b" in rows else "state": unit}


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are resampled; `blocks` labels the rows of a slice by what hangs together."""

    seed: int
    resamples: int
    blocks: Callable[[pd.DataFrame, Mask], Blocks] = blocks_in


@dataclass(frozen=True, eq=False)
class Cell:
    """Forecasts of one model on one slice: outcomes `y`, probabilities `p`, the reference's."""

    horizon: int
    model: str
    kind: str
    rows: pd.DataFrame
    y: FloatArray
    p: FloatArray
    base: FloatArray | None
    level: float
    bootstrap: Bootstrap | None
    blocks: Blocks


Score = Callable[[Cell], Iterator[dict[str, Any]]]


def _line(
    score: str, estimate: float, ends: tuple[float, float] = (np.nan, np.nan), interval: str = ""
) -> dict[str, Any]:
    return {
        "score": score, "estimate": estimate, "lower": ends[0], "upper": ends[1],
        "interval": interval, "remark": "",
    }  # fmt: skip


def proper(cell: Cell) -> Iterator[dict[str, Any]]:
    """Proper and ranked scores, and skill (`forecast.evaluation.scores.score_forecasts`)."""
    for name, value in score_forecasts(cell.y, cell.p, reference=cell.base).items():
        if name not in ("rows", "events", "expected"):
            yield _line(name, value)


def ratio(cell: Cell) -> Iterator[dict[str, Any]]:
    """Expected over observed events, with its exact interval."""
    found = expected_to_observed(cell.y, cell.p, level=cell.level)
    yield _line("ratio", found.ratio, (found.lower, found.upper), found.kind)


def decomposition(cell: Cell) -> Iterator[dict[str, Any]]:
    """CORP decompositions of both proper scores."""
    for rule in ("brier", "log_loss"):
        for part, value in decompose(cell.y, cell.p, rule=rule).to_dict().items():
            if part != "rule":
                yield _line(f"{rule}_{part}", value)


def recalibration(cell: Cell) -> Iterator[dict[str, Any]]:
    """Recalibration intercept and slope; without a finite solution NaN, and why."""
    try:
        line = recalibrate(cell.y, cell.p, level=cell.level, clusters=cell.blocks)
    except ArgumentError as error:
        for name in ("intercept", "slope"):
            yield _line(name, np.nan) | {"remark": str(error)}
    else:
        yield _line("intercept", line.intercept, line.intercept_interval, line.kind)
        yield _line("slope", line.slope, line.slope_interval, line.kind)


def resampled(cell: Cell) -> Iterator[dict[str, Any]]:
    """Scores with the wider of their block-bootstrap intervals."""
    if cell.bootstrap is None:
        raise ArgumentError("Scores with intervals need a `bootstrap`.")
    found = score_intervals(
        cell.y,
        cell.p,
        blocks=cell.blocks,
        reference=cell.base,
        seed=cell.bootstrap.seed,
        level=cell.level,
        resamples=cell.bootstrap.resamples,
    )
    for name, s in found.items():
        kind = f"percentile of a block bootstrap by {s.block}" if s.block else ""
        yield _line(name, s.value, (s.lower, s.upper), kind) | {
            "block": s.block,
            "blocks": s.blocks,
        }


def score_table(
    forecasts: pd.DataFrame,
    *,
    by: Sequence[str] | Slices = SLICES,
    against: str | None = None,
    scores: Sequence[Score] = (proper, ratio, recalibration),
    models: Sequence[str] | None = None,
    level: float = 0.9,
    bootstrap: Bootstrap | None = None,
) -> pd.DataFrame:
    """Scores of forecasts, one row for each score, model and slice.

    Parameters
    ----------
    forecasts : pandas.DataFrame
        Row-level forecasts, as `forecast.evaluation.backtest.Backtest.forecasts` documents them.
    by : sequence of str, or callable
        Kinds of slices beside that of all rows, of `SLICES`; those that are no column, and slices
        without rows, are left out. Or a function from rows to kind, name and mask of each slice.
    against : str, optional
        Model that skill is measured against; without it there is none.
    scores : sequence of callable
        `proper`, `ratio`, `decomposition`, `recalibration`, `resampled`, or any function from a
        `Cell` to lines.
    models : sequence of str, optional
        Those that are scored; all by default.
    level : float
        Probability of every interval.
    bootstrap : Bootstrap, optional
        Needed by `resampled`; with it `recalibration` is robust to its blocks.

    Returns
    -------
    pandas.DataFrame
        ``horizon``, ``model``, ``kind``, ``group``, ``unit`` (what a row is), ``rows``, ``events``,
        ``expected``, ``level``, ``score``, ``estimate``, ``lower``, ``upper`` (NaN without an
        interval), ``interval`` (its kind), ``remark`` (why there is no estimate), and with a
        bootstrap ``block``, ``blocks``.
    """
    lines = []
    for horizon, rows, probability in _by_horizon(forecasts):
        unit = "dyad-years" if "ccode_b" in rows else "state-years"
        for kind, group, mask in by(rows) if callable(by) else slices(rows, by):
            y = rows.loc[mask, "outcome"].to_numpy()
            base = None if against is None else probability.loc[mask, against].to_numpy()
            blocks = bootstrap.blocks(rows, mask) if bootstrap is not None else {}
            for model in map(str, probability if models is None else models):
                p = probability.loc[mask, model].to_numpy()
                cell = Cell(horizon, model, kind, rows[mask], y, p, base, level, bootstrap, blocks)
                key = {
                    "horizon": horizon, "model": model, "kind": kind, "group": group, "unit": unit,
                    "rows": y.size, "events": int(y.sum()), "expected": float(p.sum()),
                    "level": level,
                }  # fmt: skip
                lines += [key | line for score in scores for line in score(cell)]
    return pd.DataFrame(lines)


def difference_table(
    forecasts: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    *,
    by: Sequence[str] | Slices,
    bootstrap: Bootstrap,
    scores: Sequence[str] = ("log_loss",),
    level: float,
) -> pd.DataFrame:
    """Differences of scores (``"log_loss"``, ``"brier"``) paired by row, laid out as `score_table`.

    `pairs` says which model is compared with which (``against``); a negative estimate says that
    the first is the better one. Pairs that a horizon does not have are left out there. All pairs
    of a slice share resamples; a slice without two blocks of any kind has no interval and is left
    out.
    """
    lines = []
    chosen = list(pairs)
    for horizon, rows, probability in _by_horizon(forecasts):
        here = [pair for pair in chosen if {*pair} <= {*probability}]
        y = rows["outcome"].to_numpy()
        for score in scores:
            per_row = {"log_loss": log_loss_rows, "brier": brier_rows}[score]
            loss = {n: per_row(y, probability[n]) for n in {n for pair in here for n in pair}}
            for kind, group, mask in by(rows) if callable(by) else slices(rows, by):
                blocks = bootstrap.blocks(rows, mask)
                if all(np.unique(np.asarray(labels)).size < 2 for labels in blocks.values()):
                    continue
                year = rows.loc[mask, "year"]
                for model, other in here:
                    found = paired_difference(
                        loss[model][mask],
                        loss[other][mask],
                        blocks=blocks,
                        seed=bootstrap.seed,
                        level=level,
                        resamples=bootstrap.resamples,
                    )
                    lines.append(
                        {
                            "horizon": horizon, "model": model, "against": other, "score": score,
                            "kind": kind, "group": group, "rows": found.rows,
                            "events": int(y[mask].sum()), "first_year": int(year.min()),
                            "last_year": int(year.max()), "estimate": found.mean,
                            "lower": found.lower, "upper": found.upper, "block": found.block,
                            "blocks": found.blocks[found.block], **found.ends(),
                            "interval": found.kind, "level": level,
                        }
                    )  # fmt: skip
    return pd.DataFrame(lines)


def slices(rows: pd.DataFrame, by: Sequence[str] = SLICES) -> Iterator[tuple[str, str, Mask]]:
    """Kind, name and mask of all rows, and of every slice of some kinds that has rows."""
    yield EVERY, EVERY, np.ones(len(rows), dtype=bool)
    for kind in by:
        if kind in rows:
            labels = rows[kind].to_numpy().astype(str)
            for label in np.unique(labels):
                yield kind, str(label), labels == label
        elif kind == "peace" and "peace_years" in rows:
            long = rows["peace_years"].to_numpy() > LONG_PEACE
            if long.any():
                yield "peace", f"> {LONG_PEACE} years", long


def _by_horizon(forecasts: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame, pd.DataFrame]]:
    """Per horizon: one row per target, and the probabilities with one column per model."""
    for horizon, part in forecasts.groupby("horizon", sort=True):
        models = [str(name) for name in dict.fromkeys(part["model"])]
        rows = part[part["model"] == models[0]].reset_index(drop=True)
        columns = {
            name: part.loc[part["model"] == name, "probability"].to_numpy() for name in models
        }
        yield int(str(horizon)), rows, pd.DataFrame(columns)


def wide(
    table: pd.DataFrame, keys: Sequence[str], *, ends: Sequence[str] = (), last: Sequence[str] = ()
) -> pd.DataFrame:
    """One row for each value of some columns of a table of scores, one column for each score.

    Scores in `ends` have ``<score>_lower`` and ``<score>_upper`` beside them; the columns in
    `last` (such as ``remark``) follow, as the last score of a row has them.
    """
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    rest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in table.to_dict("records"):
        key = tuple(row[k] for k in keys)
        line = lines.setdefault(key, {k: row[k] for k in keys})
        line[row["score"]] = row["estimate"]
        if row["score"] in ends:
            line |= {f"{row['score']}_{end}": row[end] for end in ("lower", "upper")}
        rest[key] = {k: row[k] for k in last}
    return pd.DataFrame([line | rest[key] for key, line in lines.items()])


def ratio_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Expected over observed, model by model: the rows of `ratio` of a table of scores."""
    found = table[table["score"] == "ratio"].rename(
        columns={"events": "observed", "estimate": "ratio"}
    )
    names = ["rows", "observed", "expected", "ratio", "lower", "upper", "level", "interval"]
    models = [part for _, part in found.groupby(["horizon", "model"], sort=False)]
    return pd.concat(models, ignore_index=True)[
        ["horizon", "model", "kind", "group", *names]
    ].astype({"observed": np.float64})


def murphy_table(forecasts: pd.DataFrame, *, against: str) -> pd.DataFrame:
    """Murphy diagram by horizon and model, with skill against the reference."""
    parts = []
    for horizon, rows, probability in _by_horizon(forecasts):
        base = probability[against]
        for model in map(str, probability):
            table = murphy(rows["outcome"].to_numpy(), probability[model], reference=base)
            table.insert(0, "model", model)
            table.insert(0, "horizon", horizon)
            parts.append(table)
    return pd.concat(parts, ignore_index=True)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values for JSON; NaN becomes None."""
    return [
        {str(k): None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()}
        for row in table.astype(object).to_dict(orient="records")
    ]

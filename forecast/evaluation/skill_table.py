"""The table of a backtest as a reader wants it: one line per method and period, and the gains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ArgumentError
from forecast.evaluation.bootstrap import paired_difference
from forecast.evaluation.calibration import recalibrate
from forecast.evaluation.forecasters import WITHOUT_ALLIANCES
from forecast.evaluation.plan import Period
from forecast.evaluation.recalibration import SUFFIX
from forecast.evaluation.record_tables import blocks_of
from forecast.evaluation.scores import (
    area_under_roc,
    average_precision,
    brier_score,
    log_loss,
    log_loss_rows,
    skill,
)
from forecast.evaluation.tables import records
from forecast.features.strata import LONG_PEACE, UNDER_WAY

if TYPE_CHECKING:
    from forecast.evaluation.backtest import Backtest

__all__ = ["SkillTable", "skill_table"]

_EVERY = "all test years"


@dataclass(frozen=True, eq=False)
class SkillTable:
    """Scores of every method on identical rows.

    Attributes
    ----------
    skill : pandas.DataFrame
        By horizon, period (and, where the panel has the rows of disputes that merely continue,
        the same period without them, as is the field's convention, and those of disputes under
        way alone) and model: ``rows``, ``onsets``, ``auc``, ``average_precision``,
        ``brier_skill``, ``log_loss``, ``log_loss_skill`` (both against the rolling climatology),
        ``log_loss_skill_constant`` (against the rate of the test rows themselves, which nobody
        knew), recalibration ``intercept`` and ``slope``, ``ratio`` (expected over observed),
        ``average_precision_long_peace`` and ``rate_long_peace`` (pairs at peace for more than ten
        years), ``years_inside`` (share of years whose total lies in its interval).
    ratios : pandas.DataFrame
        Expected over observed by horizon, model and decade.
    gains : pandas.DataFrame
        Paired differences of log loss per row by horizon and period, negative if ``model`` is
        better than ``against``, with the intervals by year and by pair, and the wider of them.
    """

    skill: pd.DataFrame
    ratios: pd.DataFrame
    gains: pd.DataFrame
    about: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        return {"about": self.about} | {
            name: records(getattr(self, name)) for name in ("skill", "ratios", "gains")
        }

    def to_text(self) -> str:
        """The table for a terminal or a text file."""
        lines = [f"{key}: {value}" for key, value in self.about.items()]
        for (horizon, period), part in self.skill.groupby(["horizon", "period"], sort=False):
            first = part.iloc[0]
            lines += [
                "",
                f"Horizon {horizon!s}, {period!s}: {first['rows']:,.0f} rows, "
                f"{first['onsets']:,.0f} onsets; at peace > {LONG_PEACE} years: rate "
                f"{first['rate_long_peace']:.4f}",
                _aligned(part[list(_COLUMNS)].rename(columns=_COLUMNS)),
            ]
        for horizon, part in self.ratios.groupby("horizon", sort=False):
            wide = part.pivot_table(index="model", columns="decade", values="ratio", sort=False)
            wide = wide.sort_index(axis=1).reset_index()
            wide.columns = [str(c) for c in wide.columns]
            lines += ["", f"Horizon {horizon!s}: expected / observed by decade", _aligned(wide)]
        if len(self.gains):
            shown = self.gains.assign(
                **{c: self.gains[c].map("{:+.2e}".format) for c in ("mean", "lower", "upper")}
            )
            columns = ["horizon", "period", "model", "against", "mean", "lower", "upper", "block"]
            lines += [
                "",
                "Difference of log loss per row (negative: the first is better), "
                f"{self.about['level']:.0%} block bootstrap, the wider of blocks by year and by "
                "pair",
                _aligned(shown[columns]),
            ]
        return "\n".join(lines) + "\n"

    def save(self, folder: str | Path) -> None:
        """Write `FILES` into a folder: the table as text and JSON, and its parts as CSV.

        Raises
        ------
        ArgumentError
            A file of such a name is there that this library did not write.
        """
        import json

        from forecast.files import write_files

        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        csv = {
            f"{name}.csv": getattr(self, name).to_csv(index=False, lineterminator="\n").encode()
            for name in _PARTS
        }
        files = {"table.txt": self.to_text().encode(), "table.json": text.encode(), **csv}
        write_files(Path(folder), files)


_PARTS = ("skill", "ratios", "gains")
#: What `SkillTable.save` writes.
FILES = ("table.txt", "table.json", *(f"{name}.csv" for name in _PARTS))

_COLUMNS = {
    "model": "model",
    "auc": "AUC",
    "average_precision": "AP",
    "brier_skill": "Brier skill",
    "log_loss": "log loss",
    "log_loss_skill": "skill",
    "log_loss_skill_constant": "(const.)",
    "slope": "slope",
    "ratio": "Σp/obs",
    "average_precision_long_peace": "AP peace>10y",
    "years_inside": "years inside",
}


def skill_table(
    result: Backtest, *, periods: Sequence[Period] = (), resamples: int = 1000
) -> SkillTable:
    """Scores of every method of a backtest by period.

    Parameters
    ----------
    result : Backtest
        Its row-level forecasts and yearly counts.
    periods : sequence of Period
        Spans of target years beside all of them; those without a scored year are left out.
    resamples : int
        Bootstrap resamples of the gains.

    Returns
    -------
    SkillTable
    """
    scores: list[dict[str, Any]] = []
    gains: list[dict[str, Any]] = []
    ratios: list[dict[str, Any]] = []
    for horizon, whole in result.forecasts.groupby("horizon", sort=True):
        h = int(str(horizon))
        for label, first, last, part in _parts(whole, periods):
            by_model = {str(m): rows for m, rows in part.groupby("model", sort=False)}
            base = by_model["climatology"]["probability"].to_numpy()
            for model, rows in by_model.items():
                counted = len(part) == int(whole["year"].between(first, last).sum())
                inside = _inside(result.counts, h, model, first, last) if counted else np.nan
                scores.append(
                    {"horizon": h, "period": label, "model": model}
                    | _scores(rows, base)
                    | {"years_inside": inside}
                )
            key = {"horizon": h, "period": label}
            losses = {
                model: log_loss_rows(rows["outcome"], rows["probability"])
                for model, rows in by_model.items()
            }
            blocks = _blocks(next(iter(by_model.values())))
            gains += [
                key | _gain(losses, blocks, *pair, result, resamples)
                for pair in _pairs(result.model, list(by_model))
                if blocks
            ]
        for (name, decade), rows in whole.groupby(["model", "decade"], sort=False):
            observed = float(rows["outcome"].sum())
            expected = float(rows["probability"].sum())
            ratios.append(
                {
                    "horizon": h,
                    "model": str(name),
                    "decade": int(str(decade)),
                    "observed": observed,
                    "expected": expected,
                    "ratio": expected / observed if observed else np.nan,
                }
            )
    settings = result.settings
    about: dict[str, Any] = {
        "model": result.model,
        "panel": settings["panel"]["fingerprint"],
        "test years": f"{result.forecasts['year'].min()}–{result.forecasts['year'].max()}",
        "rows left out": str(settings["rows_left_out"])
        + "".join(f", {n} by {name}" for name, n in settings["rows_left_out_by"].items()),
        "seed": settings["seed"],
        "level": result.level,
    }
    table = SkillTable(pd.DataFrame(scores), pd.DataFrame(ratios), pd.DataFrame(gains), about)
    if verdict := _verdict(table.gains, result.model):
        about["recalibration"] = verdict
    return table


def _verdict(gains: pd.DataFrame, model: str) -> str:
    """Whether recalibration of the model won out of sample, at the first horizon."""
    if gains.empty:
        return ""
    found = gains[(gains["model"] == model + SUFFIX) & (gains["against"] == model)]
    if found.empty:
        return ""
    one = found.iloc[0]
    words = "wins: keep it" if one["mean"] < 0 else "does not win: leave it out"
    return (
        f"{words} (log loss per row {one['mean']:+.1e}, {one['level']:.0%} interval "
        f"{one['lower']:+.1e} to {one['upper']:+.1e}, {one['period']})"
    )


def _parts(
    whole: pd.DataFrame, periods: Sequence[Period]
) -> Iterator[tuple[str, int, int, pd.DataFrame]]:
    """Label, first and last year and rows of each part of the table."""
    continues = whole.get("continues", pd.Series(data=False, index=whole.index)).to_numpy(bool)
    remote = np.zeros(len(whole), dtype=bool)
    if "relevance" in whole:
        remote = (whole["relevance"] == "remote").to_numpy()
    kinds: list[tuple[str, npt.NDArray[np.bool_]]] = [("", np.ones(len(whole), dtype=bool))]
    if remote.any() and not remote.all():
        kinds += [(", relevant pairs", ~remote), (", other pairs", remote)]
    for label, first, last in _spans(whole["year"], periods):
        span = whole["year"].between(first, last).to_numpy()
        for name, kind in kinds:
            yield f"{label}{name}", first, last, whole[span & kind]
            if (span & kind & continues).any():
                chosen = whole[span & kind & ~continues]
                yield f"{label}{name}, by the convention", first, last, chosen
    if continues.any():
        low, high = int(whole["year"].min()), int(whole["year"].max())
        under_way = whole[(whole["stratum"] == UNDER_WAY).to_numpy()]
        yield f"{_EVERY} ({low}–{high}), {UNDER_WAY}", low, high, under_way


def _spans(years: pd.Series, periods: Sequence[Period]) -> Iterator[tuple[str, int, int]]:
    """Label, first and last year of each span that has rows."""
    low, high = int(years.min()), int(years.max())
    yield f"{_EVERY} ({low}–{high})", low, high
    done = {(low, high)}
    for period in periods:
        last = high if period.last is None else period.last
        found = years[years.between(period.first, last)]
        span = (int(found.min()), int(found.max())) if len(found) else (low, high)
        if span not in done:
            done.add(span)
            yield f"{period.name} ({span[0]}–{span[1]})", *span


def _scores(rows: pd.DataFrame, base: np.ndarray[Any, Any]) -> dict[str, float]:
    y, p = rows["outcome"].to_numpy(), rows["probability"].to_numpy()
    loss, reference = log_loss(y, p).value, log_loss(y, base).value
    constant = log_loss(y, np.full(y.size, y.mean())).value
    found: dict[str, float] = {
        "rows": y.size,
        "onsets": float(y.sum()),
        "auc": area_under_roc(y, p),
        "average_precision": average_precision(y, p),
        "brier_skill": skill(brier_score(y, p), brier_score(y, base)),
        "log_loss": loss,
        "log_loss_skill": skill(loss, reference),
        "log_loss_skill_constant": skill(loss, constant),
        "ratio": float(p.sum() / y.sum()) if y.sum() else np.nan,
    }
    try:
        line = recalibrate(y, p)
    except ArgumentError:  # constant forecasts, or one class: there is no line
        found |= {"intercept": np.nan, "slope": np.nan}
    else:
        found |= {"intercept": line.intercept, "slope": line.slope}
    found |= {"average_precision_long_peace": np.nan, "rate_long_peace": np.nan}
    if "peace_years" in rows:
        quiet = (rows["peace_years"] > LONG_PEACE).to_numpy()
        if quiet.any():
            found["average_precision_long_peace"] = average_precision(y[quiet], p[quiet])
            found["rate_long_peace"] = float(y[quiet].mean())
    return found


def _inside(counts: pd.DataFrame, horizon: int, model: str, first: int, last: int) -> float:
    chosen = (counts["horizon"] == horizon) & (counts["model"] == model)
    chosen &= (counts["group"] == "all") & counts["year"].between(first, last)
    return float(counts.loc[chosen, "inside"].mean())


def _pairs(model: str, names: list[str]) -> Iterator[tuple[str, str]]:
    """What is compared with what: the model with every other, like with like."""
    for ending in ("", SUFFIX):
        if model + ending not in names:
            continue
        for other in names:
            if other.endswith(SUFFIX) == bool(ending) and other != model + ending:
                yield model + ending, other
    for name in (model, WITHOUT_ALLIANCES):
        if name + SUFFIX in names:
            yield name + SUFFIX, name
    # other models, each with itself without its alliance terms
    for name in names:
        base, ending = (name[: -len(SUFFIX)], SUFFIX) if name.endswith(SUFFIX) else (name, "")
        bare = f"{base}_{WITHOUT_ALLIANCES}{ending}"
        if bare in names:
            yield name, bare


def _blocks(rows: pd.DataFrame) -> dict[str, npt.ArrayLike]:
    """Labels of the blocks of rows, which are those of every method; empty with one of each."""
    year, unit = blocks_of(rows).values()
    several = max(np.unique(year).size, np.unique(unit).size) > 1
    return {"year": year, "pair": unit} if several else {}


def _gain(
    losses: dict[str, npt.NDArray[np.float64]],
    blocks: dict[str, npt.ArrayLike],
    one: str,
    other: str,
    result: Backtest,
    resamples: int,
) -> dict[str, Any]:
    found = paired_difference(
        losses[one],
        losses[other],
        blocks=blocks,
        seed=int(result.settings["seed"]),
        level=result.level,
        resamples=resamples,
    )
    return {
        "model": one,
        "against": other,
        "mean": found.mean,
        "lower": found.lower,
        "upper": found.upper,
        "block": found.block,
        **found.ends(),
        "level": found.level,
    }


def _aligned(table: pd.DataFrame) -> str:
    """Columns of equal width, text to the left."""
    cells = [
        ["–" if isinstance(v, float) and np.isnan(v) else _number(str(c), v) for v in table[c]]
        for c in table.columns
    ]
    widths = [
        max(len(str(c)), *(len(t) for t in column)) if column else len(str(c))
        for c, column in zip(table.columns, cells, strict=True)
    ]
    lines = ["  ".join(str(c).ljust(w) for c, w in zip(table.columns, widths, strict=True))]
    lines += [
        "  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True))
        for row in zip(*cells, strict=True)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _number(column: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.5f}" if column == "log loss" else f"{value:.3f}"

"""The table of a backtest as a reader wants it: one line per method and period, and the gains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.csv_text import as_csv
from forecast.evaluation import score_table as st
from forecast.evaluation.forecasters import WITHOUT_ALLIANCES
from forecast.evaluation.plan import Period
from forecast.evaluation.recalibration import SUFFIX
from forecast.evaluation.score_table import REFERENCE
from forecast.evaluation.scores import average_precision, log_loss, skill
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
            name: st.records(getattr(self, name)) for name in ("skill", "ratios", "gains")
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

        from forecast.folders import write_files

        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        csv = {f"{name}.csv": as_csv(getattr(self, name)) for name in _PARTS}
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
    settings, forecasts = result.settings, result.forecasts
    slices = _by_period(periods)
    table = st.score_table(
        forecasts,
        by=slices,
        against=REFERENCE,
        scores=(st.proper, st.recalibration, _beside(result.counts)),
    )
    skill = st.wide(table, ["horizon", "group", "model", "rows", "events", "expected"])
    observed = skill["events"].astype(np.float64)
    skill = skill.assign(onsets=observed, ratio=skill["expected"] / observed.where(observed > 0))
    decades = st.score_table(forecasts, by=("decade",), against=REFERENCE, scores=(st.proper,))
    ratios = decades[(decades["kind"] == "decade") & (decades["score"] == "log_loss")].assign(
        decade=lambda t: t["group"].astype(np.int64),
        observed=lambda t: t["events"].astype(np.float64),
        ratio=lambda t: t["expected"] / t["observed"].where(t["observed"] > 0),
    )
    gains = st.difference_table(
        forecasts,
        _pairs(result.model, list(dict.fromkeys(map(str, forecasts["model"])))),
        by=slices,
        bootstrap=st.Bootstrap(int(settings["seed"]), resamples, _years_and_pairs),
        level=result.level,
    )
    about: dict[str, Any] = {
        "model": result.model,
        "panel": settings["panel"]["fingerprint"],
        "test years": f"{forecasts['year'].min()}–{forecasts['year'].max()}",
        "rows left out": str(settings["rows_left_out"])
        + "".join(f", {n} by {name}" for name, n in settings["rows_left_out_by"].items()),
        "seed": settings["seed"],
        "level": result.level,
    }
    about_gain = ["horizon", "period", "model", "against", "mean", "lower", "upper", "block"]
    ends = [f"{end}_by_{block}" for block in ("year", "pair") for end in ("lower", "upper")]
    made = SkillTable(
        _named(skill, ["horizon", "period", "model", *_SCORES]),
        _named(ratios, ["horizon", "model", "decade", "observed", "expected", "ratio"]),
        _named(gains, [*about_gain, *(end for end in ends if end in gains), "level"]),
        about,
    )
    if verdict := _verdict(made.gains, result.model):
        about["recalibration"] = verdict
    return made


_SCORES = (
    "rows", "onsets", "auc", "average_precision", "brier_skill", "log_loss", "log_loss_skill",
    "log_loss_skill_constant", "ratio", "intercept", "slope", "average_precision_long_peace",
    "rate_long_peace", "years_inside",
)  # fmt: skip


def _named(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Some columns, by the names that the table of skill has for them."""
    if table.empty:
        return pd.DataFrame()
    names = {"group": "period", "estimate": "mean"}
    return table.rename(columns=names)[list(columns)].reset_index(drop=True)


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


def _by_period(periods: Sequence[Period]) -> st.Slices:
    """Slices of the table; those that hold all rows of their years have the kind ``"period"``."""

    def slices(whole: pd.DataFrame) -> Iterator[tuple[str, str, st.Mask]]:
        every = np.ones(len(whole), dtype=bool)
        continues = ~every
        if "continues" in whole:
            continues = whole["continues"].to_numpy(bool)
        remote = ~every
        if "relevance" in whole:
            remote = (whole["relevance"] == "remote").to_numpy()
        kinds = [("", every)]
        if remote.any() and not remote.all():
            kinds += [(", relevant pairs", ~remote), (", other pairs", remote)]
        for label, first, last in _spans(whole["year"], periods):
            span = whole["year"].between(first, last).to_numpy()
            for name, kind in kinds:
                part = span & kind
                if part.any():
                    full = part.sum() == span.sum()
                    yield "period" if full else "part", f"{label}{name}", part
                if (part & continues).any():
                    yield "part", f"{label}{name}, by the convention", part & ~continues
        if continues.any():
            under_way = (whole["stratum"] == UNDER_WAY).to_numpy()
            low, high = int(whole["year"].min()), int(whole["year"].max())
            full = under_way.all()
            yield "period" if full else "part", f"{_EVERY} ({low}–{high}), {UNDER_WAY}", under_way

    return slices


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


def _beside(counts: pd.DataFrame) -> Callable[[st.Cell], Iterator[dict[str, Any]]]:
    """Skill against the rate of the rows themselves, scores of long peace, and years inside."""

    def scores(cell: st.Cell) -> Iterator[dict[str, Any]]:
        y, p = cell.y, cell.p
        constant = log_loss(y, np.full(y.size, y.mean())).value
        found = {"log_loss_skill_constant": skill(log_loss(y, p).value, constant)}
        found |= dict.fromkeys(("average_precision_long_peace", "rate_long_peace"), np.nan)
        if "peace_years" in cell.rows:
            quiet = (cell.rows["peace_years"] > LONG_PEACE).to_numpy()
            if quiet.any():
                found["average_precision_long_peace"] = average_precision(y[quiet], p[quiet])
                found["rate_long_peace"] = float(y[quiet].mean())
        found["years_inside"] = np.nan
        if cell.kind == "period":
            first, last = cell.rows["year"].min(), cell.rows["year"].max()
            own = (counts["horizon"] == cell.horizon) & (counts["model"] == cell.model)
            own &= (counts["group"] == "all") & counts["year"].between(first, last)
            found["years_inside"] = float(counts.loc[own, "inside"].mean())
        for name, value in found.items():
            yield {"score": name, "estimate": value}

    return scores


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


def _years_and_pairs(rows: pd.DataFrame, mask: st.Mask) -> st.Blocks:
    year, unit = st.blocks_in(rows[mask], np.ones(int(mask.sum()), dtype=bool)).values()
    return {"year": year, "pair": unit}


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

"""A case year by year: fitted once, each year forecast from the year before it; and who begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.cases.before import LEAST_YEARS, reaching_back, sides_of, sides_words
from forecast.errors import CoverageError, DataError
from forecast.evaluation.backtest import backtest
from forecast.evaluation.origins import known_before
from forecast.evaluation.plan import BacktestPlan
from forecast.modeling.spec import default_model, load_model
from forecast.panel.build import load_panel
from forecast.panel.types import CHOICES, Population
from forecast.risk.initiation import DIRECTED

if TYPE_CHECKING:
    from forecast.cases.questions import Question
    from forecast.cases.records import Case
    from forecast.sources.tables import Tables

__all__ = ["yearly_rows"]


def yearly_rows(
    case: Case,
    question: Question,
    tables: Tables,
    draws: int,
    seed: int,
    level: float,
    population: Population = "politically_relevant",
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Forecasts of every year by one fit to the years before the question, and what happened.

    The onsets of the pairs asked about by the dyad-year model of the data, and by the model of
    initiation which of the two begins. Numbers of several pairs are expected counts.
    """
    first, last = question.first_year, question.last_year
    covered = tables.coverage["conflicts"]
    if covered.last < last or covered.first > first - LEAST_YEARS:
        raise CoverageError(
            f"Case {case.name!r}, {question.name}: needs conflicts from before"
            f" {first - LEAST_YEARS} to {last}; those of {tables.name} are of"
            f" {covered.first}–{covered.last}. data='historical' covers it (`forecast data get`)."
        )
    known = known_before(tables, last + 1)
    specs = [load_model(default_model(tables.name)).with_population(population),
             load_model(DIRECTED)]  # fmt: skip
    specs = [reaching_back(spec, covered.first + 1, first) for spec in specs]
    parts: list[pd.DataFrame] = []
    about: dict[str, Any] = {}
    for spec in specs:
        choices = {name: getattr(spec, name) for name in CHOICES}
        try:
            panel = load_panel(data=known, amend=None, **choices)
        except DataError:
            if not parts:
                raise
            continue  # data that do not say who began
        done = backtest(
            BacktestPlan(model=spec, origins=range(first, last + 1), refit=last - first + 1,
                         baselines=(), draws=draws, level=level, seed=seed),
            panel,
        )  # fmt: skip
        directed = spec.unit == "directed-dyad-year"
        found = done.forecasts[done.forecasts["model"] == spec.name]
        about = about or {
            "change": "", "undone": False, "edits": "", "acts_from": None,
            "data": tables.name, "model": " and ".join(spec.name for spec in specs),
            "fit": "", "fitted_first": int(panel.data["year"].min()), "fitted_last": first - 1,
            "rows": int((panel.data["year"] < first).sum()), "population": population,
            "known_to": last, "passed": bool(done.fits["passed"].all()),
        }  # fmt: skip
        a, b = found["ccode_a"].to_numpy(), found["ccode_b"].to_numpy()
        for sides, label in question.asked:
            one, other = sides_of(case, sides)
            ways = [(one, other)]
            words = [label or sides_words(case, sides, first)]
            if directed:
                if other is None or len(one) + len(other) > 2:
                    continue
                ways.append((other, one))
                words = [" against ".join(words[0].split("–")),
                         " against ".join(reversed(words[0].split("–")))]  # fmt: skip
            for (x, y), who in zip(ways, words, strict=True):
                ours = _between(a, b, x, y, directed=directed)
                parts.append(_by_year(found[ours], question.name, who, directed, level))
    return pd.concat(parts, ignore_index=True), about


def _between(a: Any, b: Any, one: tuple[int, ...], other: Any, *, directed: bool) -> Any:
    """Rows of pairs with a state of each side, the challenger first if they are directed."""
    x, y = np.isin(a, list(one)), np.isin(b, list(one))
    if other is None:
        return x ^ y
    forth = x & np.isin(b, list(other))
    return forth if directed else forth | (y & np.isin(a, list(other)))


def _by_year(
    found: pd.DataFrame, question: str, who: str, directed: bool, level: float
) -> pd.DataFrame:
    """One row per year: of one pair its probability, of several the number to be expected."""
    grouped = found.groupby("year")
    alone = bool(grouped.size().max() == 1)
    table = grouped.agg(
        pairs=("outcome", "size"), expected=("probability", "sum"), observed=("outcome", "sum"),
        lower=("lower", "sum"), upper=("upper", "sum"),
    ).reset_index()  # fmt: skip
    ends = {name: table[name] if alone else np.nan for name in ("lower", "upper")}
    return table.assign(
        question=question, who=who, asks="begins" if directed else "onset", level=level,
        probability=table["expected"] if alone else np.nan, happened=table["observed"] > 0, **ends,
    )  # fmt: skip

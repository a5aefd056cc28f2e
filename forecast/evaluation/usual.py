"""The usual plan of a backtest: of a model, its years and seed, and the rows that there are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from forecast.draws import check_years
from forecast.errors import ArgumentError
from forecast.evaluation.baselines import baseline
from forecast.evaluation.forecasters import WITHOUT_ALLIANCES
from forecast.evaluation.plan import DEFAULT_BASELINES, BacktestPlan
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.types import Panel

__all__ = ["plan_of"]


def plan_of(
    plan: BacktestPlan | ModelSpec | str | Path,
    years: tuple[int, int] | None,
    horizon: int | Iterable[int] | None,
    seed: int | None,
    panel: Panel | None,
) -> BacktestPlan:
    """The plan, or that of a model, with the usual baselines that it and its rows allow."""
    about = {"years": years, "horizon": horizon, "seed": seed}
    if isinstance(plan, BacktestPlan):
        if given := [name for name, value in about.items() if value is not None]:
            raise ArgumentError(f"The plan decides {', '.join(given)}; leave out one of the two.")
        return plan
    if missing := [name for name in ("years", "seed") if about[name] is None]:
        raise ArgumentError(f"A model without {' and '.join(missing)}: give both, or a plan.")
    first, last = check_years("years", years)
    ahead = (1,) if horizon is None else (horizon,) if isinstance(horizon, int) else horizon
    own: dict[str, Any] = {}
    if isinstance(plan, str | Path | ModelSpec):
        own["baselines"] = _possible(load_model(plan), panel)
    return BacktestPlan(
        model=plan, origins=range(first, last + 1), horizons=tuple(ahead), seed=seed, **own
    )


def _possible(spec: ModelSpec, panel: Panel | None) -> tuple[str, ...]:
    """Those of the usual baselines that the model and a panel without a world allow."""
    bare = spec.without()
    whole = panel is None or panel.world is not None
    there = set() if panel is None else set(map(str, panel.data.data_vars))
    return tuple(
        name
        for name in DEFAULT_BASELINES
        if (
            len(bare.entries) < len(spec.entries)
            if name == WITHOUT_ALLIANCES
            else whole or {column.name for column in baseline(name).columns()} <= there
        )
    )

"""What a backtest needs before its jobs: features of all years, known steps, an identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import Any, Literal

import numpy as np

from forecast.errors import ArgumentError, CoverageError
from forecast.evaluation.baselines import Forecaster
from forecast.evaluation.forecasters import ModelForecaster
from forecast.evaluation.origins import check_step, panel_at_horizon, with_strata
from forecast.evaluation.rolling import Setting
from forecast.features import FeatureRequest, compute_features
from forecast.panel.types import Panel

__all__ = ["CHECK", "fingerprint", "identity", "known_steps", "make_setting", "nuts_check"]

CHECK = " (NUTS)"
"""Ending of the name of the model's check by NUTS."""


def nuts_check(method: Forecaster, draws: int) -> ModelForecaster:
    """The model under test, fitted by NUTS."""
    if not isinstance(method, ModelForecaster):
        raise ArgumentError(f"nuts_at: {method.name!r} is no model that NUTS could fit.")
    return replace(method, method="nuts", draws=draws, label=f"{method.name}{CHECK}")


def identity(method: Forecaster) -> dict[str, Any]:
    """What tells a method from others of the same name."""
    if isinstance(method, ModelForecaster):
        own = {"model": method.spec.sha256, "method": method.method, "draws": method.draws}
        return {"name": method.name, **own}
    about = repr(method) if is_dataclass(method) else ""
    return {"name": method.name, "class": type(method).__qualname__, "about": about}


def fingerprint(panel: Panel) -> str:
    """Hash of the panel and the rows that it holds now."""
    from forecast.inference.fit import rows_fingerprint

    return rows_fingerprint(panel)


def known_steps(
    setting: Setting, origins: tuple[int, ...], horizons: tuple[int, ...]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Steps whose outcomes are known, and the others."""
    steps: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    for o in origins:
        for h in horizons:
            steps[check_step(setting.views[h][0], o, h, window=setting.window)].append((o, h))
    covered = {o for o, _ in steps[True]}
    for o in origins:
        if o not in covered:
            h = horizons[0]
            view = setting.views[h][0].data
            year = view["year"].to_numpy()[np.isfinite(view["outcome"].to_numpy())]
            raise CoverageError(
                f"Origin {o} at horizon {h} forecasts {o + h - 1}, for which no outcome is known "
                f"(years with outcomes: {year.min()}–{year.max()})."
            )
    return steps[True], steps[False]


def make_setting(
    methods: list[Forecaster],
    panel: Panel,
    horizons: tuple[int, ...],
    *,
    seed: int,
    level: float,
    window: int | None,
    multi_step: Literal["simulate", "direct"],
) -> Setting:
    """Features of all years, computed once, and what else the jobs read."""
    models = [i for i, m in enumerate(methods) if isinstance(m, ModelForecaster)]
    simulated = multi_step == "simulate" and bool(models) and max(horizons) > 1
    if simulated and panel.tables is None:
        raise ArgumentError(
            f"Horizon {max(horizons)} needs the world of the panel, and this panel was read with "
            "its features already gathered; only horizon 1 can be scored."
        )
    wanted = [method.columns() for method in methods]
    views = {}
    for h in sorted({1, *horizons} if simulated else horizons):
        # a simulation reads no features of a later year
        read = [() if simulated and h > 1 and i in models else w for i, w in enumerate(wanted)]
        views[h] = _prepare(panel_at_horizon(panel, h), methods, read)
    return Setting(
        methods=tuple(methods),
        views=views,
        seed=seed,
        level=level,
        window=window,
        multi_step=multi_step,
        tables=panel.tables if simulated else None,
        rule=methods[0].spec.under_way if isinstance(methods[0], ModelForecaster) else None,
    )


def _prepare(
    panel: Panel, methods: list[Forecaster], columns: Sequence[Sequence[FeatureRequest]]
) -> list[Panel]:
    """One panel per method, with its columns and those of the strata.

    Only what the jobs read goes with them to other processes: the world stays here unless a
    method reads it.
    """
    given = [str(n) for n, v in panel.data.data_vars.items() if "feature" not in v.attrs]
    panel = with_strata(panel)
    strata = [str(n) for n in panel.data.data_vars if str(n).startswith("stratum_")]
    views: list[Panel] = []
    for method, wanted in zip(methods, columns, strict=True):
        # a column that several want is computed once; one of the same name but of another kind
        # is made anew, for this method and those after it
        panel = compute_features(panel, wanted)
        names = dict.fromkeys((*given, *strata, *(r.name for r in wanted)))
        ours = type(method).__module__.startswith("forecast.")
        with_world = getattr(method, "needs_world", not ours)
        views.append(
            Panel(
                data=panel.data[list(names)].compute(),
                world=panel.world if with_world else None,
                tables=None,
                fingerprint=panel.fingerprint,
                **panel.choices,
            )
        )
    return views

"""Forecasts of militarised conflict from who is bound to defend whom.

Bayesian hierarchical models relate alliance features to the onset of interstate disputes. The
names below are the public interface; each takes and returns plain xarray, pandas and ArviZ
objects or small frozen dataclasses. Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# A function and the module that holds it share the names `cases`, `report` and `risk`: bound
# here, at once, the function is what `forecast.risk` means; the modules import nothing heavy.
from forecast.cases import case, cases
from forecast.report import report
from forecast.risk import risk

if TYPE_CHECKING:
    from forecast import plot
    from forecast.cases.hindcast import hindcast
    from forecast.evaluation.backtest import backtest
    from forecast.evaluation.checks import check
    from forecast.evaluation.compare import compare
    from forecast.evaluation.effects import effects
    from forecast.evaluation.mechanisms import mechanisms
    from forecast.evaluation.plan import BacktestPlan
    from forecast.features.attach import attach
    from forecast.inference.fit import fit
    from forecast.modeling.build import build
    from forecast.modeling.compose import model
    from forecast.modeling.spec import load_model
    from forecast.panel.build import load_panel
    from forecast.panel.from_frame import panel_from_frame
    from forecast.risk.explain import explain
    from forecast.risk.initiation import initiation
    from forecast.simulation.scenario import Scenario
    from forecast.simulation.simulate import simulate
    from forecast.sources.datasets import members
    from forecast.store import open_store

__version__ = "0.1.0"

__all__ = [
    "BacktestPlan",
    "Scenario",
    "attach",
    "backtest",
    "build",
    "case",
    "cases",
    "check",
    "compare",
    "effects",
    "explain",
    "fit",
    "hindcast",
    "initiation",
    "load_model",
    "load_panel",
    "mechanisms",
    "members",
    "model",
    "open_store",
    "panel_from_frame",
    "plot",
    "report",
    "risk",
    "simulate",
]

_WHERE = {
    "BacktestPlan": "forecast.evaluation.plan",
    "Scenario": "forecast.simulation.scenario",
    "attach": "forecast.features.attach",
    "backtest": "forecast.evaluation.backtest",
    "build": "forecast.modeling.build",
    "check": "forecast.evaluation.checks",
    "effects": "forecast.evaluation.effects",
    "compare": "forecast.evaluation.compare",
    "explain": "forecast.risk.explain",
    "fit": "forecast.inference.fit",
    "hindcast": "forecast.cases.hindcast",
    "initiation": "forecast.risk.initiation",
    "load_model": "forecast.modeling.spec",
    "load_panel": "forecast.panel.build",
    "mechanisms": "forecast.evaluation.mechanisms",
    "members": "forecast.sources.datasets",
    "model": "forecast.modeling.compose",
    "open_store": "forecast.store",
    "panel_from_frame": "forecast.panel.from_frame",
    "simulate": "forecast.simulation.simulate",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name == "plot":
        return import_module("forecast.plot")
    if name in _WHERE:
        value = getattr(import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'forecast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""The years ahead as alliances stand, simulated for all pairs and draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecast.errors import ArgumentError
from forecast.simulation.coefficients import Coefficients
from forecast.simulation.dynamics import Record
from forecast.simulation.ending import Endings
from forecast.simulation.engine import Paths, simulate_paths
from forecast.simulation.future import Future, prepare_future
from forecast.simulation.severity import Severity

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.sources.tables import Tables

__all__ = ["CAPABILITY_PATHS", "StatusQuo", "origin_of", "record_of", "status_quo", "tables_of"]

#: Paths of capability shares; posterior draw d uses path d modulo this number.
CAPABILITY_PATHS = 8


def origin_of(fit: Fit) -> int:
    """Last year of the record of conflicts that the fit has seen."""
    tables = tables_of(fit)
    return min(int(fit.panel.data["year"].max()), tables.coverage["conflicts"].last)


@dataclass(frozen=True, eq=False)
class StatusQuo:
    """The simulated status quo with all draws kept, and what it was simulated from."""

    paths: Paths
    future: Future
    record: Record
    endings: Endings
    severity: Severity
    seed: int


def status_quo(fit: Fit, *, horizon: int, draws: int | None, seed: int) -> StatusQuo:
    """Simulate the status quo, for risk queries."""
    origin, tables = origin_of(fit), tables_of(fit)
    future = prepare_future(
        fit, tables, rows=None, origin=origin, horizon=horizon, paths=CAPABILITY_PATHS, seed=seed
    )
    future = future.where(future.complete)
    record = record_of(fit, future)
    coefficients = Coefficients(fit, draws=draws, seed=seed)
    endings = Endings(tables, origin=origin, draws=coefficients.draws, seed=seed)
    paths = simulate_paths(fit, future, record, coefficients, endings, seed=seed)
    severity = Severity(tables, origin=origin, draws=coefficients.draws, seed=seed)
    return StatusQuo(paths, future, record, endings, severity, seed)


def tables_of(fit: Fit) -> Tables:
    """Tables that a fit's panel was made of: without them nothing can be carried forward."""
    if fit.panel.tables is None:
        raise ArgumentError(
            "The fit's panel was read from a file without its tables; alliances cannot be edited"
            " or carried forward. Make the panel with load_panel(data=…)."
        )
    return fit.panel.tables


def record_of(fit: Fit, future: Future) -> Record:
    """What is on record of the rows of the years ahead."""
    assert fit.panel.world is not None
    states = future.world["state"].to_numpy()
    return Record.of(
        fit.panel.world, future.rows, future.origin, states=states, tables=tables_of(fit)
    )

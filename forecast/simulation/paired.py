"""The status quo, and several scenarios against it, simulated with the same random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.draws import check_draws, check_level, check_seed, check_whole
from forecast.errors import ArgumentError
from forecast.memory import require_memory
from forecast.simulation.apply import apply_scenario
from forecast.simulation.comparison import (
    Support,
    add_support,
    edited_pairs,
    extrapolation_words,
    same_years,
    split,
    timing_words,
)
from forecast.simulation.dynamics import Record
from forecast.simulation.ending import Endings
from forecast.simulation.engine import Paths, simulate_paths
from forecast.simulation.future import Future, prepare_future
from forecast.simulation.levels import Level
from forecast.simulation.predictor import Coefficients
from forecast.simulation.scenario import Scenario
from forecast.simulation.severity import Severity
from forecast.simulation.summary import Summary
from forecast.sources.tables import amended_words

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.sources.tables import Tables

__all__ = [
    "CAPABILITY_PATHS",
    "CAUTION",
    "StatusQuo",
    "changed_world",
    "check_span",
    "origin_of",
    "record_of",
    "simulate_all",
    "status_quo",
    "tables_of",
]


#: Bytes of one draw of a pair and year of one simulated world, all arrays together.
_BYTES_OF_DRAW = 28
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
    require_room(fit, horizon=horizon, draws=draws, worlds=1)
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


def changed_world(fit: Fit, scenario: Scenario, now: StatusQuo) -> StatusQuo:
    """The same as `now` under a scenario, with its random numbers and all draws kept.

    An edit that makes a feature missing that the model may not miss is an `ArgumentError`.
    """
    origin, horizon, rows = now.future.origin, len(now.paths.annual), now.future.rows
    require_room(fit, horizon=horizon, draws=now.endings.draws, worlds=2)
    years = {"first_year": origin + 1, "last_year": origin + horizon}
    future = prepare_future(
        fit, apply_scenario(tables_of(fit), scenario, **years), rows=rows,
        origin=origin, horizon=horizon, paths=CAPABILITY_PATHS, seed=now.seed,
    )  # fmt: skip
    if missing := int((~future.complete).sum()):
        raise ArgumentError(f"{scenario.name!r} makes a feature missing of {missing} pairs.")
    edited = edited_pairs(now.future, future, now.record)
    coefficients = Coefficients(fit, draws=now.endings.draws, seed=now.seed)
    paths = simulate_paths(
        fit, future, now.record, coefficients, now.endings,
        seed=now.seed, same=(now.paths, same_years(edited)),
    )  # fmt: skip
    return replace(now, paths=paths, future=future)


def tables_of(fit: Fit) -> Tables:
    """Tables that a fit's panel was made of: without them nothing can be carried forward."""
    if fit.panel.tables is None:
        raise ArgumentError(
            "The fit's panel is of a frame, or of a file without its tables: no states, borders or"
            " alliances are known behind its rows that could be carried forward or edited. Risks"
            " and scenarios need a fit of load_panel(data=…); for rows like these ask the fit"
            " itself (checks, backtest, forecast.inference.predict)."
        )
    if own := fit.spec.own_terms:
        raise ArgumentError(
            f"Model {fit.spec.name!r} has terms of your own columns ({', '.join(own)}): nothing is"
            " known of them in the years ahead, so neither risks nor scenarios can be simulated."
            f" A fit of spec.without_terms({list(own)!r}, suffix='ours') can answer."
        )
    return fit.panel.tables


def record_of(fit: Fit, future: Future) -> Record:
    """What is on record of the rows of the years ahead."""
    assert fit.panel.world is not None
    states = future.world["state"].to_numpy()
    return Record.of(
        fit.panel.world, future.rows, future.origin, states=states, tables=tables_of(fit)
    )


CAUTION = (
    "Association, not causal effect: the model has learnt which alliance patterns went with more"
    " or fewer onsets, not what an alliance would do."
)


def require_room(
    fit: Fit, *, horizon: int, draws: int | None, worlds: int, paths: int = CAPABILITY_PATHS
) -> None:
    """Refuse what needs more memory than is free: so many worlds at a time, all draws of each."""
    year = fit.panel.data["year"].to_numpy()
    rows = int(np.count_nonzero(year == year.max()))
    count = fit.draws if draws is None else draws
    # By draw: risks and hazards, their sums and what of them is read; by path: the columns.
    by_draw, by_path = count * _BYTES_OF_DRAW, 4 * paths * len(fit.encoding.names)
    require_memory(
        worlds * horizon * rows * (by_draw + by_path),
        f"horizon={horizon}, draws={count:,}, capability_paths={paths:,} of {rows:,} pairs",
    )


def check_span(
    horizon: int, level: float, *, seed: int | None = None, draws: int | None = None
) -> None:
    """Refuse years ahead, a level, a seed or a number of draws that nothing can be asked with."""
    check_draws(draws)
    check_whole("horizon", horizon, 1, 20)
    check_level(level)
    if seed is not None:
        check_seed(seed)


def simulate_all(
    fit: Fit,
    scenarios: Sequence[Scenario],
    *,
    horizon: int = 5,
    draws: int | None = None,
    seed: int | None = None,
    level: float = 0.9,
    capability_paths: int = CAPABILITY_PATHS,
    now: StatusQuo | None = None,
    severity: Level = "onset",
) -> list[xr.Dataset]:
    """Simulate several scenarios, each on its own, against one status quo, which is simulated once.

    Arguments as of `simulate`; `now` is the status quo of the same fit, horizon, draws and seed, if
    it is simulated already. First the status quo alone, then each scenario with it.
    """
    check_span(horizon, level, seed=seed, draws=draws)
    check_whole("capability_paths", capability_paths, 1, 1000)
    seed = fit.seed if seed is None else seed
    # The status quo, a scenario, and what is read of both.
    worlds = 3 if scenarios else 1
    require_room(fit, horizon=horizon, draws=draws, worlds=worlds, paths=capability_paths)
    tables, origin = tables_of(fit), origin_of(fit)
    years = {"first_year": origin + 1, "last_year": origin + horizon}
    changed = [apply_scenario(tables, scenario, **years) for scenario in scenarios]
    options = {"origin": origin, "horizon": horizon, "paths": capability_paths, "seed": seed}
    ready = now is not None and len(now.paths.annual) == horizon
    futures = [now.future if ready and now else prepare_future(fit, tables, rows=None, **options)]
    futures += [prepare_future(fit, other, rows=futures[0].rows, **options) for other in changed]
    # An edit that makes a feature missing takes rows from all worlds.
    keep = np.logical_and.reduce([future.complete for future in futures])
    if not keep.all():
        futures = [future.where(keep) for future in futures]
    base = futures[0]
    coefficients = Coefficients(fit, draws=draws, seed=seed)
    endings = Endings(tables, origin=origin, draws=coefficients.draws, seed=seed)
    world = (record_of(fit, base), coefficients, endings)
    same = now is not None and base.rows.equals(now.paths.rows)
    known = now.paths if now is not None and same else None
    now_paths = known or simulate_paths(fit, base, *world, seed=seed)
    count, given = coefficients.draws, None
    if severity != "onset":
        found = (
            now.severity
            if now is not None and now.seed == seed and now.endings.draws == count
            else Severity(tables, origin=origin, draws=count, seed=seed)
        )
        found.require(severity)
        given = found.at_level(severity, base.rows, horizon)
    summary = Summary(fit, base, world[0], level, draws=count, seed=seed, severity=severity)
    pairing = _Pairing(fit, base, world, now_paths, seed, summary, given)
    results = pairing.results(scenarios, futures[1:])
    for result in results:
        result.attrs |= {
            "capability_paths": capability_paths,
            "rows_without_features": int((~keep).sum()),
        }
    return results


@dataclass(frozen=True, eq=False)
class _Pairing:
    """The simulated status quo, against which scenarios are read draw by draw."""

    fit: Fit
    base: Future
    world: tuple[Record, Coefficients, Endings]
    now_paths: Paths
    seed: int
    summary: Summary
    given: npt.NDArray[np.float32] | None  # chance of the level, given a dispute, if not of any

    def results(self, scenarios: Sequence[Scenario], futures: Sequence[Future]) -> list[xr.Dataset]:
        """The status quo alone, then each scenario with it."""
        reference = self._read(self.now_paths)
        estimates = self.summary.estimates(reference)
        unchanged = np.zeros(self.base.rows.sizes["row"], dtype=bool)
        alone = self.summary.dataset({"status_quo": estimates}, unchanged)
        alone.attrs |= {"scenario": "", "edits": []}
        support = Support(self.fit, self.world[0], self.base) if scenarios else None
        results = [alone]
        for scenario, future in zip(scenarios, futures, strict=True):
            assert support is not None
            result = self._compared(future, reference, estimates, support)
            result.attrs |= {
                "scenario": scenario.name,
                "edits": [edit.sentence() for edit in scenario.edits],
            }
            results.append(result)
        for result in results:
            result.attrs |= {
                "fit": self.fit.id,
                "seed": self.seed,
                "draws": self.world[1].draws,
                "caution": CAUTION,
                "amended": amended_words(tables_of(self.fit).vintage),
            }
        return results

    def _read(self, paths: Paths) -> dict[str, npt.NDArray[np.float32]]:
        return self.summary.read(
            paths if self.given is None else paths.at_level(self.given, seed=self.seed)
        )

    def _compared(
        self,
        future: Future,
        reference: dict[str, npt.NDArray[np.float32]],
        estimates: dict[str, npt.NDArray[np.float32]],
        support: Support,
    ) -> xr.Dataset:
        """One scenario beside the status quo, and where the difference comes from."""
        record = self.world[0]
        edited = edited_pairs(self.base, future, record)
        shared = (self.now_paths, same_years(edited))
        then = simulate_paths(self.fit, future, *self.world, seed=self.seed, same=shared)
        values = self._read(then)
        worlds = {
            "status_quo": estimates,
            "scenario": self.summary.estimates(values),
            "difference": self.summary.estimates({n: values[n] - reference[n] for n in reference}),
        }
        parts = split(
            self.fit,
            future,
            *self.world,
            now=self.now_paths,
            whole=values["cumulative_risk"] - reference["cumulative_risk"],
            edited=edited,
            given=self.given,
        )
        result = self.summary.dataset(worlds, parts.edited.any(axis=0))
        whole = worlds["difference"]["cumulative_risk"]
        result["difference_parts"] = self.summary.parts(parts, whole)
        add_support(result, support, self.base, future)
        first = parts.first_year(record.origin)
        result.attrs |= {
            "first_year": first,
            "timing": timing_words(first, int(result["year"][-1])),
            "extrapolation": extrapolation_words(result),
        }
        return result

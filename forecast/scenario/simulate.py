"""`simulate`: risks under a scenario, under the status quo, and their difference."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError
from forecast.files import write_atomically
from forecast.scenario.apply import apply_scenario
from forecast.scenario.coefficients import Coefficients
from forecast.scenario.dynamics import Record
from forecast.scenario.ending import Endings
from forecast.scenario.engine import Paths, simulate_paths
from forecast.scenario.future import Future, prepare_future
from forecast.scenario.levels import Level, as_severity
from forecast.scenario.scenario import Scenario
from forecast.scenario.severity import Severity
from forecast.scenario.split import edited_pairs, part_columns, same_years, split, timing_words
from forecast.scenario.summary import Summary
from forecast.scenario.support import Support, add_support, extrapolation_words
from forecast.sources.tables import amended_words

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.modeling.theory import Theory
    from forecast.scenario.rivals import Rival
    from forecast.sources.tables import Tables

__all__ = [
    "StatusQuo",
    "largest_changes",
    "origin_of",
    "save_result",
    "simulate",
    "simulate_all",
    "status_quo",
]


CAUTION = (
    "Association, not causal effect: the model has learnt which alliance patterns went with more"
    " or fewer onsets, not what an alliance would do."
)
_CAPABILITY_PATHS = 8


def origin_of(fit: Fit) -> int:
    """Last year of the record of conflicts that the fit has seen."""
    tables = _tables(fit)
    return min(int(fit.panel.data["year"].max()), tables.coverage["conflicts"].last)


def simulate(
    fit: Fit,
    scenario: Scenario | None = None,
    *,
    horizon: int = 5,
    draws: int | None = None,
    seed: int | None = None,
    level: float = 0.9,
    capability_paths: int = _CAPABILITY_PATHS,
    theories: Sequence[Theory | str | Path | Rival] | None = None,
    severity: Level = "onset",
) -> xr.Dataset:
    """Simulate the years after the record under a scenario and under the status quo.

    The whole alliance graph is recomputed with the scenario's edits; all dyads of the fit's
    population step forward year by year. Simulated onsets reset peace years and enter the
    histories of the dyad, its states and the system, and make allies' disputes; the era effect
    continues its random walk; capability shares are drawn forward. Scenario and status quo
    share every random number, so their difference is paired.

    Parameters
    ----------
    fit : Fit
        Fit of a dyad-year model (such as ``dyad_onset``).
    scenario : Scenario, optional
        Edits; without one only the status quo is simulated.
    horizon : int
        Years ahead, 1 to 20.
    draws : int, optional
        Number of posterior draws; all by default.
    seed : int, optional
        Seed of everything that is drawn here; the fit's own seed by default.
    level : float
        Probability of the intervals.
    capability_paths : int
        Number of capability paths; posterior draw d uses path d modulo this number.
    theories : sequence of Theory, str, Path or Rival, optional
        Answer under each of these theories too: names of shipped ones (``"deterrence"``), files,
        or what `forecast.scenario.rivals.rivals_of` has fitted. Each that is not fitted yet is
        fitted to the rows of the fit.
    severity : {"onset", "fatal", "deaths_25", "deaths_1000"}
        Level of the disputes that all risks and numbers are of, as in `forecast.risk`. How bad a
        dispute gets does not depend on alliances here (docs/method.md says why): a scenario moves
        a level by moving what begins.

    Returns
    -------
    xarray.Dataset
        Dimensions ``world`` (``status_quo``, ``scenario``, ``difference``), ``year`` (the
        horizon ends with it), ``dyad``, ``state``, ``region``, ``estimate`` (``mean``,
        ``lower``, ``upper``). Variables:

        ``annual_risk`` (world, estimate, year, dyad): probability that a dispute begins in the
        year, per undirected dyad-year. ``cumulative_risk``: probability that at least one
        begins by the end of the year. ``state_risk`` (world, estimate, year, state): that the
        state is a party to at least one by then. ``region_onsets`` (world, estimate, year,
        region) and ``world_onsets`` (world, estimate, year): number of dyadic onsets in the year;
        their intervals are predictive (they hold the chance of the events and, where the data
        declare it, that the record will see more or less than it did: `Recall`), the others hold
        the uncertainty of the parameters. All are of what is recorded by the rule of the data.
        With a scenario also ``difference_parts`` (source, estimate, year, dyad): what of the
        difference in ``cumulative_risk`` the pair's own alliances make (``own``: edited features in
        the simulated worlds of the status quo) and what comes through other pairs' simulated
        disputes (``contagion``: the rest). They add up draw by draw, so their means do.
        ``leaves_range`` (term, dyad): whether a feature of alliances leaves the range of the fit's
        rows with the edits, in any year; ``distance_percentile`` (world, dyad): how unusual the
        pair's alliances are in the last year (`forecast.scenario.support.Support`).

        Coordinates of ``dyad``: ``ccode_a``, ``ccode_b``, ``dyad_region``, ``status`` (at the end
        of the record: ``"at peace"``, ``"ended"`` or ``"under way"``), ``changed`` (the pair's own
        alliances differ between scenario and status quo: a feature, or who the allies of the two
        are; allies' simulated disputes do not count). Attributes name kind and level of the
        intervals, population, unit, seed, draws, data vintage, edits, the first year in which they
        can act (``first_year``, None if none of the horizon; ``timing``, in words: features are
        those of the year before), how many pairs leave the range of the fit (``extrapolation``)
        and the caution text.

        With `theories` a first dimension ``theory`` (the model's own priors, then each), with
        what the record says of each along it (`forecast.scenario.rivals.standing_table`);
        `forecast.scenario.rival_words` has it as a table and in words.

    Raises
    ------
    ArgumentError, UnknownNameError
        An edit that cannot be, or an argument out of range; theories without a scenario.
    SpecificationError
        A theory that names a term that the model has not.
    """
    scenarios = [] if scenario is None else [scenario]
    options: dict[str, Any] = {
        "horizon": horizon,
        "draws": draws,
        "seed": seed,
        "level": level,
        "capability_paths": capability_paths,
        "severity": as_severity(severity),
    }
    if theories is not None:
        from forecast.scenario.rivals import simulate_rivals

        if scenario is None:
            raise ArgumentError("theories: expected a scenario; they are of what alliances do.")
        return simulate_rivals(fit, scenarios, theories, **options)[0]
    return simulate_all(fit, scenarios, **options)[-1]


def simulate_all(
    fit: Fit,
    scenarios: Sequence[Scenario],
    *,
    horizon: int = 5,
    draws: int | None = None,
    seed: int | None = None,
    level: float = 0.9,
    capability_paths: int = _CAPABILITY_PATHS,
    now: StatusQuo | None = None,
    severity: Level = "onset",
) -> list[xr.Dataset]:
    """Simulate several scenarios against one status quo, which is simulated once.

    Parameters
    ----------
    fit, horizon, draws, seed, level, capability_paths, severity
        See `simulate`.
    scenarios : sequence of Scenario
        Edits, each on its own.
    now : StatusQuo, optional
        The status quo of the same fit, horizon, draws and seed, if it is simulated already.

    Returns
    -------
    list of xarray.Dataset
        The status quo alone, then each scenario with it, as from `simulate`.
    """
    if not 1 <= horizon <= 20:
        raise ArgumentError(f"horizon={horizon}: expected 1 to 20 years.")
    if not 0.0 < level < 1.0:
        raise ArgumentError(f"level={level}: expected a probability between 0 and 1, such as 0.9.")
    seed = fit.seed if seed is None else seed
    tables, origin = _tables(fit), origin_of(fit)
    years = {"first_year": origin + 1, "last_year": origin + horizon}
    changed = [apply_scenario(tables, scenario, **years) for scenario in scenarios]
    options = {"origin": origin, "horizon": horizon, "paths": capability_paths, "seed": seed}
    ready = now is not None and len(now.paths.annual) == horizon
    futures = [now.future if ready and now else prepare_future(fit, tables, rows=None, **options)]
    futures += [prepare_future(fit, other, rows=futures[0].rows, **options) for other in changed]
    keep = np.logical_and.reduce([future.complete for future in futures])
    if not keep.all():
        futures = [future.where(keep) for future in futures]
    base = futures[0]
    coefficients = Coefficients(fit, draws=draws, seed=seed)
    record = _record(fit, base)
    endings = Endings(tables, origin=origin, draws=coefficients.draws, seed=seed)
    world = (record, coefficients, endings)
    summary = Summary(
        fit, base, record, level, draws=coefficients.draws, seed=seed, severity=severity
    )
    given = None
    if severity != "onset":
        found = (
            now.severity
            if now is not None and now.seed == seed and now.endings.draws == coefficients.draws
            else Severity(tables, origin=origin, draws=coefficients.draws, seed=seed)
        )
        found.require(severity)
        given = found.at_level(severity, base.rows, horizon)

    def read(paths: Paths) -> dict[str, npt.NDArray[np.float32]]:
        return summary.read(paths if given is None else paths.at_level(given, seed=seed))

    # An edit that makes a feature missing takes rows from all worlds.
    same = now is not None and base.rows.equals(now.paths.rows)
    known = now.paths if now is not None and same else None
    now_paths = known or simulate_paths(fit, base, *world, seed=seed)
    reference = read(now_paths)
    about = {
        "fit": fit.id,
        "seed": seed,
        "draws": coefficients.draws,
        "capability_paths": capability_paths,
        "caution": CAUTION,
        "amended": amended_words(tables.vintage),
        "rows_without_features": int((~keep).sum()),
    }
    unchanged = np.zeros(base.rows.sizes["row"], dtype=bool)
    estimates = summary.estimates(reference)
    results = [summary.dataset({"status_quo": estimates}, unchanged)]
    results[0].attrs |= about | {"scenario": "", "edits": []}
    support = Support(fit, record, base) if scenarios else None
    for scenario, future in zip(scenarios, futures[1:], strict=True):
        edited = edited_pairs(base, future, record)
        shared = (now_paths, same_years(edited))
        then = simulate_paths(fit, future, *world, seed=seed, same=shared)
        values = read(then)
        worlds = {
            "status_quo": estimates,
            "scenario": summary.estimates(values),
            "difference": summary.estimates({n: values[n] - reference[n] for n in reference}),
        }
        parts = split(
            fit,
            future,
            *world,
            now=now_paths,
            whole=values["cumulative_risk"] - reference["cumulative_risk"],
            edited=edited,
            given=given,
        )
        result = summary.dataset(worlds, parts.edited.any(axis=0))
        result["difference_parts"] = summary.parts(parts, worlds["difference"]["cumulative_risk"])
        assert support is not None
        add_support(result, support, base, future)
        first = parts.first_year(record.origin)
        result.attrs |= about | {
            "scenario": scenario.name,
            "edits": [edit.sentence() for edit in scenario.edits],
            "first_year": first,
            "timing": timing_words(first, record.origin + horizon),
            "extrapolation": extrapolation_words(result),
        }
        results.append(result)
    return results


def largest_changes(result: xr.Dataset, *, top: int) -> pd.DataFrame:
    """Dyads whose cumulative risk differs most between scenario and status quo.

    Parameters
    ----------
    result : xarray.Dataset
        From `simulate` with a scenario.
    top : int
        Number of rows.

    Returns
    -------
    pandas.DataFrame
        By the size of the mean difference at the end of the horizon: both risks, the paired
        difference with its interval, its two parts with theirs (``own``, ``contagion``: see
        `simulate`), and whether the pair's own alliances were edited.
    """
    if "difference" not in result["world"]:
        raise ArgumentError("The result has no scenario; simulate one to see its changes.")
    final = result["cumulative_risk"].isel(year=-1)
    difference = final.sel(world="difference")
    order = np.argsort(-np.abs(difference.sel(estimate="mean").to_numpy()), kind="stable")[:top]
    chosen = final.isel(dyad=order)
    states = dict(zip(result["state"].to_numpy(), result["state_name"].to_numpy(), strict=True))
    parts = result["difference_parts"].isel(year=-1, dyad=order)
    return pd.DataFrame(
        {
            "state_a": [states[code] for code in chosen["ccode_a"].to_numpy()],
            "state_b": [states[code] for code in chosen["ccode_b"].to_numpy()],
            "last_year": int(final["year"]),
            **{
                name: chosen.sel(world=name, estimate="mean").to_numpy().astype(float)
                for name in ("status_quo", "scenario", "difference")
            },
            "lower": chosen.sel(world="difference", estimate="lower").to_numpy().astype(float),
            "upper": chosen.sel(world="difference", estimate="upper").to_numpy().astype(float),
            **part_columns(parts),
            "interval": f"{result.attrs['interval_level']:.0%} {result.attrs['interval_kind']}",
            "own_features_changed": chosen["changed"].to_numpy(),
        }
    )


def save_result(result: xr.Dataset, path: Path) -> None:
    """Write a result as NetCDF, whole or not at all."""
    plain = {
        key: value if isinstance(value, str | int | float) else json.dumps(value)
        for key, value in result.attrs.items()
    }
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "result.nc"
        result.assign_attrs(plain).to_netcdf(file, engine="h5netcdf")
        write_atomically(path, file.read_bytes())


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
    origin, tables = origin_of(fit), _tables(fit)
    future = prepare_future(
        fit, tables, rows=None, origin=origin, horizon=horizon, paths=_CAPABILITY_PATHS, seed=seed
    )
    future = future.where(future.complete)
    record = _record(fit, future)
    coefficients = Coefficients(fit, draws=draws, seed=seed)
    endings = Endings(tables, origin=origin, draws=coefficients.draws, seed=seed)
    paths = simulate_paths(fit, future, record, coefficients, endings, seed=seed)
    severity = Severity(tables, origin=origin, draws=coefficients.draws, seed=seed)
    return StatusQuo(paths, future, record, endings, severity, seed)


def _tables(fit: Fit) -> Tables:
    if fit.panel.tables is None:
        raise ArgumentError(
            "The fit's panel was read from a file without its tables; alliances cannot be edited"
            " or carried forward. Make the panel with load_panel(data=…)."
        )
    return fit.panel.tables


def _record(fit: Fit, future: Future) -> Record:
    assert fit.panel.world is not None
    states = future.world["state"].to_numpy()
    return Record.of(
        fit.panel.world, future.rows, future.origin, states=states, tables=_tables(fit)
    )

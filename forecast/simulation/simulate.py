"""`simulate`: risks under a scenario, under the status quo, and their difference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.disk import write_atomically
from forecast.draws import check_whole
from forecast.errors import ArgumentError
from forecast.simulation.comparison import part_columns
from forecast.simulation.levels import Level, as_severity
from forecast.simulation.paired import CAPABILITY_PATHS, check_span, simulate_all
from forecast.simulation.rivals import Rival, simulate_rivals
from forecast.simulation.scenario import Scenario, as_scenario

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.modeling.theory import Theory

__all__ = ["largest_changes", "save_result", "simulate"]


def simulate(
    fit: Fit,
    scenario: Scenario | None = None,
    *,
    horizon: int = 5,
    draws: int | None = None,
    seed: int | None = None,
    level: float = 0.9,
    capability_paths: int = CAPABILITY_PATHS,
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
        or what `forecast.simulation.rivals.rivals_of` has fitted. Each that is not fitted yet is
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
        pair's alliances are in the last year (`forecast.simulation.comparison.Support`).

        Coordinates of ``dyad``: ``ccode_a``, ``ccode_b``, ``dyad_region``, ``status`` (at the end
        of the record: ``"at peace"``, ``"ended"`` or ``"under way"``), ``changed`` (the pair's own
        alliances differ between scenario and status quo: a feature, or who the allies of the two
        are; allies' simulated disputes do not count). Attributes name kind and level of the
        intervals, population, unit, seed, draws, data vintage, edits, the first year in which they
        can act (``first_year``, None if none of the horizon; ``timing``, in words: features are
        those of the year before), how many pairs leave the range of the fit (``extrapolation``)
        and the caution text.

        With `theories` a first dimension ``theory`` (the model's own priors, then each), with
        what the record says of each along it (`forecast.simulation.rivals.standing_table`);
        `forecast.risk.rival_words` has it as a table and in words.

    Raises
    ------
    ArgumentError, UnknownNameError
        An edit that cannot be, or an argument out of range; theories without a scenario.
    SpecificationError
        A theory that names a term that the model has not.
    """
    from forecast.inference.fit import as_fit

    fit = as_fit(fit, "simulate(fit, scenario)")
    check_span(horizon, level, seed=seed, draws=draws)
    scenarios = [] if scenario is None else [as_scenario(scenario)]
    options: dict[str, Any] = {
        "horizon": horizon,
        "draws": draws,
        "seed": seed,
        "level": level,
        "capability_paths": capability_paths,
        "severity": as_severity(severity),
    }
    if theories is not None:
        if scenario is None:
            raise ArgumentError("theories: expected a scenario; they are of what alliances do.")
        return simulate_rivals(fit, scenarios, theories, **options)[0]
    return simulate_all(fit, scenarios, **options)[-1]


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
    check_whole("top", top, 1, 10**9)
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
    write_atomically(path, bytes(result.assign_attrs(plain).to_netcdf(engine="h5netcdf")))

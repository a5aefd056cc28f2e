"""Calibration of a sampler on simulated panels: ranks of the truth, coverage of intervals.

The truth (coefficients, scales, effects) is drawn from the prior, outcomes from the truth on the
rows of a fixed design, and the posterior from the outcomes. If prior, likelihood and sampler agree,
the rank of the truth among independent posterior draws is uniform (simulation-based calibration;
Talts et al. 2018, arXiv:1804.06788), and central intervals cover it as often as they say. Both
hold also among the simulations that are chosen by anything that the data alone decide, e.g. by
the gate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy.special import expit
from scipy.stats import binom

from forecast.errors import ArgumentError
from forecast.inference.diagnostics import chain_diagnostics
from forecast.inference.nuts import names_of
from forecast.inference.predict import design_predictor
from forecast.inference.sampling import sample_design
from forecast.modeling.design import Design
from forecast.parallel import run_tasks

__all__ = [
    "SimulatedCalibration",
    "parameters",
    "rank_band",
    "simulate_outcomes",
    "simulated_calibration",
]

FloatArray = npt.NDArray[np.float64]
Method = Literal["laplace", "nuts"]

_DIAGNOSTICS = ("pareto_k", "proposals", "min_ess_bulk", "max_rhat", "divergences")


# ---------------------------------------------------------------------------------------- truth


def parameters(design: Design) -> pd.DataFrame:
    """Name and kind of every parameter of a design, in the order used here.

    Returns
    -------
    pandas.DataFrame
        ``name``: ``beta[term]``, ``sigma_block``, ``effect_block[level]``; ``kind``:
        ``coefficient``, ``scale`` or ``effect_block``.
    """
    names = [f"beta[{term}]" for term in design.names]
    kinds = ["coefficient"] * len(names)
    names += [f"sigma_{block.name}" for block in design.blocks]
    kinds += ["scale"] * len(design.blocks)
    for block in design.blocks:
        names += [f"effect_{block.name}[{level}]" for level in block.levels.tolist()]
        kinds += [f"effect_{block.name}"] * block.levels.size
    return pd.DataFrame({"name": names, "kind": kinds})


def simulate_outcomes(design: Design, rng: np.random.Generator) -> tuple[Design, FloatArray]:
    """Outcomes of a truth drawn from the prior of a design, on its rows.

    Parameters
    ----------
    design : Design
        Columns, blocks and priors; its outcomes are not looked at.
    rng : numpy.random.Generator

    Returns
    -------
    simulated : Design
        The design with simulated outcomes.
    truth : numpy.ndarray, shape (parameters,)
        In the order of `parameters`.
    """
    beta = rng.normal(design.prior_mean, design.prior_sd)
    scales, effects = [], {}
    for block in design.blocks:
        scales.append(abs(rng.normal(0.0, block.scale_prior.scale)))
        steps = rng.normal(0.0, scales[-1], block.levels.size)
        effects[block.name] = block.effects(steps)
    p = expit(design_predictor(design, beta, effects))
    y = (rng.random(p.size) < p).astype(np.float64)
    return replace(design, y=y), np.concatenate([beta, scales, *effects.values()])


# ---------------------------------------------------------------------------------- simulations


@dataclass(frozen=True, eq=False)
class _Plan:
    """What all simulations share."""

    design: Design
    method: Method
    ranks: int
    levels: tuple[float, ...]
    draws: int
    chains: int
    tune: int


def simulated_calibration(
    design: Design,
    *,
    method: Method = "laplace",
    simulations: int = 200,
    first: int = 0,
    seed: int,
    ranks: int = 99,
    levels: tuple[float, ...] = (0.5, 0.8, 0.95),
    draws: int = 400,
    chains: int = 2,
    tune: int = 400,
    workers: int = 1,
    client: Any = None,
    on_result: Callable[[int, Any], None] | None = None,
) -> SimulatedCalibration:
    """Ranks of the truth and interval hits of every parameter, over simulated panels.

    Parameters
    ----------
    design : Design
        Rows, columns, blocks and priors.
    method : {"laplace", "nuts"}
        NUTS compiles the model once a worker; the outcomes are data of the compiled model.
    simulations : int
    first : int
        Number of the first simulation: a run can be done in pieces, see
        `SimulatedCalibration.joined`.
    seed : int
        Simulation i uses the i-th child of its seed sequence, wherever it runs.
    ranks : int
        The truth is ranked among that many draws, evenly thinned: ``ranks + 1`` values.
    levels : tuple of float
        Central intervals whose coverage is recorded.
    draws, chains, tune : int
        Of each fit; draws are per chain for NUTS. Laplace has one chain.
    workers, client
        See `forecast.parallel.run_tasks`.
    on_result : callable, optional
        Called with the number of a simulation and its result as it is finished.

    Returns
    -------
    SimulatedCalibration

    Raises
    ------
    ArgumentError
        Fewer draws than ranks, or levels that are not between 0 and 1.
    """
    total = draws * (chains if method == "nuts" else 1)
    if not 0 < ranks <= total:
        raise ArgumentError(f"ranks={ranks}, expected 1 to {total}, the number of draws.")
    for name, value, least in (("simulations", simulations, 1), ("first", first, 0)):
        if value < least:
            raise ArgumentError(f"{name}={value}, expected an integer of {least} or more.")
    if not levels or not all(0.0 < level < 1.0 for level in levels):
        raise ArgumentError(f"levels={levels}, expected shares between 0 and 1, e.g. (0.5, 0.95).")
    plan = _Plan(design, method, ranks, tuple(levels), draws, chains, tune)
    results = run_tasks(
        _simulate,
        [(seed, i) for i in range(first, first + simulations)],
        shared=plan,
        workers=workers,
        client=client,
        on_result=on_result,
    )
    table = parameters(design)
    every = {key: np.array([r[key] for r in results]) for key in results[0]}
    data = xr.Dataset(
        {
            "rank": (("simulation", "parameter"), every.pop("rank")),
            "inside": (("simulation", "parameter", "level"), every.pop("inside")),
        }
        | {key: ("simulation", value) for key, value in every.items()},
        coords={
            "simulation": np.arange(first, first + simulations),
            "parameter": table["name"].to_list(),
            "kind": ("parameter", table["kind"].to_list()),
            "level": list(levels),
        },
        attrs={"method": method, "ranks": ranks, "seed": seed, "rows": design.y.size},
    )
    return SimulatedCalibration(data)


def _simulate(plan: _Plan, seed: int, number: int) -> dict[str, Any]:
    """One simulation: truth, outcomes, fit, ranks."""
    begun = time.perf_counter()
    of_truth, of_fit = np.random.SeedSequence(seed, spawn_key=(number,)).spawn(2)
    design, truth = simulate_outcomes(plan.design, np.random.default_rng(of_truth))
    fit_seed = int(of_fit.generate_state(1)[0])
    if plan.method == "nuts":
        posterior, found = _nuts(plan, design, fit_seed)
    else:
        tree, found = sample_design(design, method="laplace", seed=fit_seed, draws=plan.draws)
        posterior = tree["posterior"].to_dataset()
    draws = _matrix(posterior, design)
    thin = draws[np.linspace(0, len(draws) - 1, plan.ranks).round().astype(int)]
    tails = np.array([[(1 - level) / 2, (1 + level) / 2] for level in plan.levels])
    bounds = np.quantile(draws, tails, axis=0)  # (levels, 2, parameters)
    inside = (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])
    numbers = {
        key: float("nan") if found.get(key) is None else float(found[key]) for key in _DIAGNOSTICS
    }
    return {
        "rank": (thin < truth).sum(axis=0).astype(np.int32),
        "inside": inside.T,
        "events": int(design.y.sum()),
        "seconds": time.perf_counter() - begun,
        **numbers,
    }


def _matrix(posterior: xr.Dataset, design: Design) -> FloatArray:
    """Draws (all chains, one after the other) of all parameters in the order of `parameters`."""
    names = ["beta", *(f"sigma_{block.name}" for block in design.blocks)]
    names += [f"effect_{block.name}" for block in design.blocks]
    arrays = [posterior[name].transpose("chain", "draw", ...).to_numpy() for name in names]
    total = arrays[0].shape[0] * arrays[0].shape[1]
    return np.concatenate([a.reshape(total, -1) for a in arrays], axis=1).astype(np.float64)


@lru_cache(maxsize=1)
def _compiled(plan: _Plan) -> Any:
    """The model of a plan with outcomes as data, compiled once a process."""
    import nutpie

    from forecast.modeling.build import build_from_design

    model = build_from_design(plan.design, outcome_as_data=True)
    return nutpie.compile_pymc_model(model, var_names=names_of(plan.design))


def _nuts(plan: _Plan, design: Design, seed: int) -> tuple[xr.Dataset, dict[str, Any]]:
    """Posterior by NUTS with the settings of `forecast.inference.nuts`, without compiling anew."""
    import nutpie

    trace = nutpie.sample(
        _compiled(plan).with_data(observed_outcome=design.y),
        draws=plan.draws,
        tune=plan.tune,
        chains=plan.chains,
        cores=1,
        seed=seed,
        target_accept=0.8,
        save_warmup=False,
        progress_bar=False,
    )
    found = trace["posterior"].to_dataset()
    rhat, bulk, _, _ = chain_diagnostics(found[names_of(design)])
    divergences = int(trace["sample_stats"]["diverging"].sum())
    return found, {"max_rhat": rhat, "min_ess_bulk": bulk, "divergences": divergences}


# -------------------------------------------------------------------------------------- results


@dataclass(frozen=True, eq=False)
class SimulatedCalibration:
    """Ranks and interval hits over simulated panels.

    Attributes
    ----------
    data : xarray.Dataset
        ``rank`` (simulation, parameter), ``inside`` (simulation, parameter, level); by
        simulation ``events``, ``seconds`` and what the method knows of ``pareto_k``,
        ``proposals``, ``min_ess_bulk``, ``max_rhat``, ``divergences``. Coordinate ``kind`` of
        each parameter.
    """

    data: xr.Dataset

    @staticmethod
    def joined(pieces: Sequence[SimulatedCalibration]) -> SimulatedCalibration:
        """The pieces of one run as a whole, in the order of their simulations.

        Raises
        ------
        ArgumentError
            Pieces of different runs, or a simulation that is in two of them.
        """
        if len({tuple(sorted(map(str, piece.data.attrs.items()))) for piece in pieces}) != 1:
            raise ArgumentError("The pieces are of different runs: method, seed or rows differ.")
        data = xr.concat(
            [piece.data for piece in pieces], dim="simulation", data_vars="minimal",
            coords="minimal", compat="override", join="exact",
        ).sortby("simulation")  # fmt: skip
        numbers = data["simulation"].to_numpy()
        if np.unique(numbers).size != numbers.size:
            raise ArgumentError("A simulation is in two of the pieces.")
        data.attrs = dict(pieces[0].data.attrs)
        return SimulatedCalibration(data)

    def where(self, simulations: npt.NDArray[np.bool_]) -> SimulatedCalibration:
        """Some of the simulations, chosen by what the data alone decide (e.g. Pareto k)."""
        return SimulatedCalibration(self.data.isel(simulation=np.flatnonzero(simulations)))

    def uniformity(self, *, effects: int = 3, probability: float = 0.95) -> pd.DataFrame:
        """Whether the ranks of each parameter stay in the simultaneous band of a uniform sample.

        Parameters
        ----------
        effects : int
            How many levels of each block are looked at; coefficients and scales all are.
        probability : float
            Of the band, for each parameter by itself.

        Returns
        -------
        pandas.DataFrame
            ``parameter``, ``mean rank`` (of 0 to ``ranks``), ``inside band``, and the coverage
            of each level.
        """
        ranks, n = int(self.data.attrs["ranks"]), self.data.sizes["simulation"]
        tail = rank_band(n, ranks, probability=probability)
        grid = np.arange(1, ranks + 1) / (ranks + 1)
        rows = []
        for name in self.looked_at(effects):
            one = self.data.sel(parameter=name)
            values = one["rank"].to_numpy()
            counts = (values[:, None] < np.arange(1, ranks + 1)).sum(axis=0)
            p = np.minimum(binom.cdf(counts, n, grid), binom.sf(counts - 1, n, grid)).min()
            row: dict[str, Any] = {"parameter": name, "mean rank": float(values.mean())}
            row["inside band"] = bool(p >= tail)
            shares = one["inside"].mean("simulation").to_numpy()
            levels = self.data["level"].to_numpy()
            rows.append(row | {f"{a:.0%}": float(s) for a, s in zip(levels, shares, strict=True)})
        return pd.DataFrame(rows)

    def looked_at(self, effects: int = 3) -> list[str]:
        """All coefficients and scales and the first few effects of each block."""
        names, seen = [], dict[str, int]()
        kinds = self.data["kind"].to_numpy().tolist()
        for name, kind in zip(self.data["parameter"].to_numpy().tolist(), kinds, strict=True):
            seen[kind] = seen.get(kind, 0) + 1
            if not kind.startswith("effect_") or seen[kind] <= effects:
                names.append(name)
        return names

    def coverage(self) -> pd.DataFrame:
        """Coverage of central intervals by kind of parameter.

        Returns
        -------
        pandas.DataFrame
            One row a kind and level: ``kind``, ``parameters`` (in one panel), ``level``,
            ``coverage``, ``band`` (half-width of the 95% binomial band around the level, as if
            parameters of a panel were independent), ``clustered`` (half-width of a 95% interval
            from the scatter between simulations, which they are).
        """
        data, rows = self.data, []
        n = data.sizes["simulation"]
        for kind in pd.unique(data["kind"].to_series()).tolist():
            some = data["inside"].isel(parameter=np.flatnonzero(data["kind"].to_numpy() == kind))
            for level in data["level"].to_numpy().tolist():
                each = some.sel(level=level).mean("parameter").to_numpy()
                total = n * some.sizes["parameter"]
                spread = each.std(ddof=1) / np.sqrt(n) if n > 1 else float("nan")
                rows.append(
                    {
                        "kind": kind,
                        "parameters": some.sizes["parameter"],
                        "level": level,
                        "coverage": float(each.mean()),
                        "band": 1.96 * float(np.sqrt(level * (1 - level) / total)),
                        "clustered": 1.96 * float(spread),
                    }
                )
        return pd.DataFrame(rows)


def rank_band(
    simulations: int, ranks: int, *, probability: float = 0.95, trials: int = 4000
) -> float:
    """Pointwise tail probability whose band holds an ECDF of uniform ranks with `probability`.

    By simulation (Säilynoja, Bürkner & Vehtari 2022, Statistics and Computing 32:32): the
    pointwise binomial quantiles at this tail are crossed somewhere by one sample in
    ``1 / (1 - probability)``.

    Parameters
    ----------
    simulations : int
        Size of the sample.
    ranks : int
        Ranks are 0 to `ranks`.
    probability : float
        That the whole ECDF stays inside.
    trials : int
        Simulated samples.

    Returns
    -------
    float
    """
    rng = np.random.default_rng(1)
    values = rng.integers(0, ranks + 1, (trials, simulations))
    counts = np.empty((trials, ranks), dtype=np.int64)
    for i, sample in enumerate(values):
        counts[i] = np.cumsum(np.bincount(sample, minlength=ranks + 1))[:ranks]
    grid = np.arange(1, ranks + 1) / (ranks + 1)
    below = binom.cdf(counts, simulations, grid)
    above = binom.sf(counts - 1, simulations, grid)
    return float(np.quantile(np.minimum(below, above).min(axis=1), 1 - probability))

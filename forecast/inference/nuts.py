"""No-U-turn sampling of the same model with PyMC and nutpie: the reference method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from forecast.errors import DataError
from forecast.inference.diagnostics import chain_diagnostics
from forecast.inference.latent import check_design
from forecast.modeling.design import Design

__all__ = ["sample_nuts"]


def sample_nuts(
    design: Design,
    *,
    seed: np.random.SeedSequence,
    draws: int,
    chains: int,
    tune: int,
    target_accept: float = 0.8,
    report: Callable[[str, float], None] | None = None,
) -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    """Posterior draws by NUTS (Hoffman & Gelman 2014, JMLR 15:1593).

    Parameters
    ----------
    design : Design
        Arrays of the model.
    seed : numpy.random.SeedSequence
        Seed of every chain and of the starting points.
    draws, tune : int
        Per chain.
    chains : int
        Number of chains.
    target_accept : float
        Acceptance probability to which the step size is adapted.
    report : callable, optional
        Called with what is being done and the share that is done (0 to 1).

    Returns
    -------
    posterior : xarray.Dataset
        ``beta`` (chain, draw, term), ``sigma_<block>`` (chain, draw), ``effect_<block>``
        (chain, draw, level_<block>).
    sample_stats : xarray.Dataset
        Of the sampler, after tuning.
    diagnostics : dict
        The fields of `Diagnostics` that NUTS has.

    Raises
    ------
    DataError
        An array that no sampler could use.
    """
    import nutpie

    from forecast.modeling.build import build_from_design

    check_design(design)
    tell = report or (lambda _what, _share: None)
    tell("compiling", 0.0)
    names = ["beta"]
    for block in design.blocks:
        names += [f"sigma_{block.name}", f"effect_{block.name}"]
    compiled = nutpie.compile_pymc_model(build_from_design(design), var_names=names)

    def progress(states: list[Any]) -> None:
        total = sum(state.total_draws for state in states)
        tell("sampling", sum(state.finished_draws for state in states) / max(total, 1))

    trace = nutpie.sample(
        compiled,
        draws=draws,
        tune=tune,
        chains=chains,
        seed=int(seed.generate_state(1, np.uint32)[0]),
        target_accept=target_accept,
        save_warmup=False,
        progress_bar=False,
        progress_callback=progress if report else None,
    )
    found = trace["posterior"].to_dataset()
    if not bool(np.isfinite(found["beta"]).all()):
        raise DataError("NUTS returned draws that are not finite: the design is badly scaled.")
    stats = trace["sample_stats"].to_dataset()
    posterior = xr.Dataset({name: found[name] for name in names})
    for name, labels in [("term", list(design.names))] + [
        (f"level_{block.name}", block.levels.tolist()) for block in design.blocks
    ]:
        posterior = posterior.assign_coords({name: labels})
    rhat, bulk, tail, worst = chain_diagnostics(posterior)
    energy = np.atleast_2d(stats["energy"].transpose("chain", "draw").to_numpy())
    ebfmi = np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1, ddof=1)
    tell("done", 1.0)
    return (
        posterior,
        stats,
        {
            "max_rhat": rhat,
            "min_ess_bulk": bulk,
            "min_ess_tail": tail,
            "divergences": int(stats["diverging"].sum()),
            "min_ebfmi": float(ebfmi.min()),
            "max_tree_depth": int(stats["depth"].max()),
            "pareto_k": None,
            "worst": worst,
        },
    )

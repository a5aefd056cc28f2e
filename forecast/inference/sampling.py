"""`sample_design`: design arrays in, a posterior with its diagnostics out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from forecast.errors import ArgumentError, UnknownNameError
from forecast.inference.laplace import Draws, Start, sample_laplace
from forecast.modeling.design import Design
from forecast.parallel import run_tasks

__all__ = ["Method", "Report", "check_options", "sample_design"]

Method = Literal["laplace", "nuts"]
Report = Callable[[str, float], None]
_METHODS = ("laplace", "nuts")


def sample_design(
    design: Design,
    *,
    method: Method = "laplace",
    seed: int,
    draws: int = 1000,
    chains: int = 4,
    tune: int = 1000,
    report: Report | None = None,
    start: Start | None = None,
    store: str | Path | None = None,
    workers: int = 1,
    client: Any = None,
) -> tuple[xr.DataTree, dict[str, Any]]:
    """Posterior of design arrays, for people who bring their own.

    Parameters
    ----------
    design : Design
        Arrays of the model.
    method, seed, draws, chains, tune
        See `fit`.
    report : callable, optional
        Called with what is being done and the share that is done (0 to 1).
    start : Start, optional
        Where the search for the mode begins (Laplace only).
    store, workers, client
        See `fit`.

    Returns
    -------
    posterior : xarray.DataTree
        See `Fit`.
    diagnostics : dict
        The fields of `Diagnostics` but time and memory.
    """
    check_options(
        method, seed=seed, draws=draws, chains=chains, tune=tune, store=store, workers=workers
    )
    stream = np.random.SeedSequence(seed)
    groups: dict[str, xr.Dataset] = {}
    if method == "nuts":
        from forecast.inference.nuts import sample_nuts

        posterior, stats, found = sample_nuts(
            design,
            seed=stream,
            draws=draws,
            chains=chains,
            tune=tune,
            report=report,
            store=store,
            workers=workers,
            client=client,
        )
    else:
        from threadpoolctl import threadpool_limits

        if client is not None:
            task = (stream, draws, start)
            (sample,) = run_tasks(_sample_laplace, [task], shared=design, client=client)
        else:
            # The matrices are small and the work is spread over threads already: BLAS threads on
            # top make a Cholesky of 300 x 300 ten to fifty times slower on a busy machine.
            with threadpool_limits(limits=1, user_api="blas"):
                sample = sample_laplace(
                    design, seed=stream, draws=draws, start=start, report=report
                )
        variables: dict[str, Any] = {"beta": (("chain", "draw", "term"), sample.beta[None])}
        coords: dict[str, Any] = {
            "chain": [0],
            "draw": np.arange(draws),
            "term": list(design.names),
        }
        for block in design.blocks:
            dim = f"level_{block.name}"
            coords[dim] = block.levels.tolist()
            variables[f"sigma_{block.name}"] = (("chain", "draw"), sample.scales[block.name][None])
            effect = sample.effects[block.name][None]
            variables[f"effect_{block.name}"] = (("chain", "draw", dim), effect)
        posterior = xr.Dataset(variables, coords)
        stats = xr.Dataset(
            attrs={
                "importance_ess": sample.importance_ess,
                "pareto_k": sample.pareto_k,
                "proposals": sample.proposals,
                "log_evidence": sample.log_evidence,
                "log_evidence_error": sample.log_evidence_error,
            }
        )
        found = {
            "max_rhat": None,
            "min_ess_bulk": sample.importance_ess,
            "min_ess_tail": sample.importance_ess,
            "divergences": None,
            "min_ebfmi": None,
            "max_tree_depth": None,
            "pareto_k": sample.pareto_k,
            "proposals": sample.proposals,
            "log_evidence": sample.log_evidence,
            "log_evidence_error": sample.log_evidence_error,
        }
        groups["outline"] = sample.outline.to_dataset()
    observed = xr.Dataset({"outcome": ("row", design.y.astype(np.int8))}, design.rows.coords)
    groups |= {"posterior": posterior, "sample_stats": stats, "observed_data": observed}
    return xr.DataTree.from_dict(groups), found


def _sample_laplace(
    design: Design,
    seed: np.random.SeedSequence,
    draws: int,
    start: Start | None,
) -> Draws:
    return sample_laplace(design, seed=seed, draws=draws, start=start)


def check_options(
    method: str,
    *,
    seed: int,
    draws: int,
    chains: int,
    tune: int,
    store: str | Path | None,
    workers: int,
) -> None:
    """Refuse options of `fit` and `sample_design` that cannot be used.

    Raises
    ------
    ArgumentError, UnknownNameError
        Names the option, what was found and what was expected.
    """
    if method not in _METHODS:
        raise UnknownNameError("method", method, _METHODS, f"Expected {' or '.join(_METHODS)}.")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"seed={seed!r}, expected an integer of 0 or more.")
    for name, value, least in (("draws", draws, 100), ("chains", chains, 1), ("tune", tune, 50)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ArgumentError(f"{name}={value!r}, expected an integer of {least} or more.")
    if method != "nuts":
        for name, given in (("store", store), ("workers", None if workers == 1 else workers)):
            if given is not None:
                raise ArgumentError(
                    f"{name}={given!r} with method={method!r}, expected method='nuts': a Laplace "
                    "fit is one task that is over before there is anything to keep or to divide."
                )

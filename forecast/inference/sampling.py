"""`sample_design`: design arrays in, a posterior with its diagnostics out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
import xarray as xr

from forecast.draws import check_seed, check_whole
from forecast.errors import ArgumentError, UnknownNameError
from forecast.inference.laplace import Draws, sample_laplace
from forecast.inference.warm_start import Start
from forecast.memory import require_memory
from forecast.modeling.design import Design
from forecast.parallel import run_tasks

__all__ = ["Method", "NutsOptions", "Tell", "checked_options", "sample_design"]

Method = Literal["laplace", "nuts"]
#: Told what is being done and the share that is done (0 to 1).
Tell = Callable[[str, float], None]
_METHODS = ("laplace", "nuts")
#: Numbers of a draw of a small model: what draws need, before more is known.
_LEAST_NUMBERS = 20


class NutsOptions(TypedDict, total=False):
    """What only NUTS is asked; see `fit`."""

    chains: int
    tune: int
    store: str | Path | None


_DEFAULTS: NutsOptions = {"chains": 4, "tune": 1000, "store": None}


def sample_design(
    design: Design,
    *,
    method: Method = "laplace",
    seed: int,
    draws: int = 1000,
    start: Start | None = None,
    report: Tell | None = None,
    workers: int = 1,
    client: Any = None,
    **nuts: Unpack[NutsOptions],
) -> tuple[xr.DataTree, dict[str, Any]]:
    """Posterior of design arrays, for people who bring their own.

    Parameters
    ----------
    design : Design
        Arrays of the model.
    method, seed, draws, workers, client
        See `fit`.
    start : Start, optional
        Where the search for the mode begins (Laplace only).
    report : callable, optional
        Called with what is being done and the share that is done (0 to 1).
    **nuts
        ``chains``, ``tune``, ``store``: see `fit`.

    Returns
    -------
    posterior : xarray.DataTree
        See `Fit`.
    diagnostics : dict
        The fields of `Diagnostics` but time and memory.
    """
    options = checked_options(nuts, method=method, seed=seed, draws=draws, workers=workers)
    numbers = len(design.names) + sum(len(block.levels) for block in design.blocks)
    _require_memory(draws, numbers, options, method)
    stream = np.random.SeedSequence(seed)
    groups: dict[str, xr.Dataset] = {}
    if method == "nuts":
        from forecast.inference.nuts import sample_nuts

        posterior, stats, found = sample_nuts(
            design, seed=stream, draws=draws, report=report, workers=workers, client=client,
            **options,
        )  # fmt: skip
    else:
        sample = _laplace(design, stream, draws, start, report, client)
        posterior = _posterior(design, sample)
        weights = {
            name: getattr(sample, name)
            for name in ("pareto_k", "proposals", "log_evidence", "log_evidence_error")
        }
        ess = sample.importance_ess
        stats = xr.Dataset(attrs={"importance_ess": ess} | weights)
        of_chains = dict.fromkeys(("max_rhat", "divergences", "min_ebfmi", "max_tree_depth"))
        found = of_chains | {"min_ess_bulk": ess, "min_ess_tail": ess} | weights
        groups["outline"] = sample.outline.to_dataset()
    observed = xr.Dataset({"outcome": ("row", design.y.astype(np.int8))}, design.rows.coords)
    groups |= {"posterior": posterior, "sample_stats": stats, "observed_data": observed}
    return xr.DataTree.from_dict(groups), found


def _require_memory(draws: int, numbers: int, options: NutsOptions, method: str) -> None:
    """Refuse more draws of so many numbers than memory holds, before they are made."""
    made = draws if method != "nuts" else options["chains"] * (draws + options["tune"])
    # As proposals (NUTS: as they come), joined, and as the posterior.
    require_memory(3 * 8 * made * numbers, f"draws={draws:,} of at least {numbers:,} numbers each")


def _laplace(
    design: Design,
    seed: np.random.SeedSequence,
    draws: int,
    start: Start | None,
    report: Tell | None,
    client: Any,
) -> Draws:
    from threadpoolctl import threadpool_limits

    if client is not None:
        (sample,) = run_tasks(_laplace_task, [(seed, draws, start)], shared=design, client=client)
        return sample  # type: ignore[no-any-return]
    # The matrices are small and the work is spread over threads already: BLAS threads on
    # top make a Cholesky of 300 x 300 ten to fifty times slower on a busy machine.
    with threadpool_limits(limits=1, user_api="blas"):
        return sample_laplace(design, seed=seed, draws=draws, start=start, report=report)


def _laplace_task(
    design: Design, seed: np.random.SeedSequence, draws: int, start: Start | None
) -> Draws:
    return sample_laplace(design, seed=seed, draws=draws, start=start)


def _posterior(design: Design, sample: Draws) -> xr.Dataset:
    """Draws of one chain, in the layout of `Fit.posterior`."""
    variables: dict[str, Any] = {"beta": (("chain", "draw", "term"), sample.beta[None])}
    coords: dict[str, Any] = {
        "chain": [0],
        "draw": np.arange(len(sample.beta)),
        "term": list(design.names),
    }
    for block in design.blocks:
        dim = f"level_{block.name}"
        coords[dim] = block.levels.tolist()
        variables[f"sigma_{block.name}"] = (("chain", "draw"), sample.scales[block.name][None])
        effect = sample.effects[block.name][None]
        variables[f"effect_{block.name}"] = (("chain", "draw", dim), effect)
    return xr.Dataset(variables, coords)


def checked_options(
    nuts: NutsOptions, *, method: str, seed: int, draws: int, workers: int
) -> NutsOptions:
    """Options of NUTS with their defaults; refuses those of `fit` that cannot be used.

    Raises `ArgumentError`, `UnknownNameError`: Names the option, what was found and what was
    expected.
    """
    for name in nuts:
        if name not in _DEFAULTS:
            known = ("method", "seed", "draws", "progress", "warm_start", "workers", "client")
            raise UnknownNameError("option of a fit", name, (*known, *_DEFAULTS))
    options: NutsOptions = {**_DEFAULTS, **nuts}
    if method not in _METHODS:
        raise UnknownNameError("method", method, _METHODS, f"Expected {' or '.join(_METHODS)}.")
    check_seed(seed)
    for name, least, most in (("draws", 100, 10**9), ("chains", 1, 1000), ("tune", 50, 10**6)):
        check_whole(name, {**options, "draws": draws}[name], least, most)
    _require_memory(draws, _LEAST_NUMBERS, options, method)
    if method != "nuts":
        asked = (("store", options["store"]), ("workers", None if workers == 1 else workers))
        for name, given in asked:
            if given is not None:
                raise ArgumentError(
                    f"{name}={given!r} with method={method!r}, expected method='nuts': a Laplace "
                    "fit is one task that is over before there is anything to keep or to divide."
                )
    return options

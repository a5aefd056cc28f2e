"""`update`: the posterior of a fit, given rows of later years as well.

What a year adds to two centuries is little, so the draws of the fit are nearly draws of the new
posterior: they are weighted by the likelihood of the new rows and resampled (sequential
importance sampling; Chopin 2002, Biometrika 89:539). States, dyads and steps that the fit did
not see are drawn from their population first, so that they are weighted like all others.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError, DataError
from forecast.inference.diagnostics import Diagnostics, peak_memory_mb
from forecast.inference.fit import Fit, fit_id, rows_fingerprint
from forecast.inference.laplace import resample, smooth_weights
from forecast.inference.predict import block_effects, linear_predictor, posterior_values
from forecast.modeling.blocks import BlockCode
from forecast.panel.types import Panel
from forecast.store import SCHEMA_VERSION

__all__ = ["update"]

FloatArray = npt.NDArray[np.float64]


def update(fit: Fit, panel: Panel, *, seed: int) -> Fit:
    """Posterior of a fit's model given the rows of its years and of later ones.

    Parameters
    ----------
    fit : Fit
        Posterior of the years so far, by any method. The more draws, the more years can be
        added before it must be fitted anew.
    panel : Panel
        The rows of the fit, unchanged, and later ones.
    seed : int
        Of the effects of new levels and of the resampling.

    Returns
    -------
    Fit
        One chain of as many draws. Its ``pareto_k`` is that of the weights, its effective sample
        size that of the old draws times the share that the weights leave of them: the gate
        refuses an update that asks too much of the draws.

    Raises
    ------
    ArgumentError
        No later rows; a model with treaty effects; a seed that is not a number from 0.
    DataError
        The rows of the years of the fit have changed.

    Notes
    -----
    Centres and scales of standardised columns, and the centre of the intercept's prior, stay
    those of the fit; a fit from the beginning would move them by what the new rows change.
    """
    started = time.perf_counter()
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"seed={seed!r}, expected an integer of 0 or more.")
    if fit.encoding.alliance is not None:
        raise ArgumentError(
            f"Model {fit.spec.name!r} has effects of treaties, whose regression changes with every "
            "year; fit it anew, with warm_start= to begin near the mode."
        )
    later = _later(fit, panel)
    rows = fit.encoding.apply(later)
    outcome = later.data["outcome"].to_numpy()[rows.kept]
    log_weights = _log_likelihood(linear_predictor(fit, rows, seed=seed).to_numpy(), outcome > 0.5)
    share, k = smooth_weights(log_weights)
    left = 1.0 / (float(np.sum(share**2)) * share.size)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x0DD]))
    chosen = resample(share, share.size, rng)

    values = posterior_values(fit, None)
    variables: dict[str, Any] = {
        "beta": (("chain", "draw", "term"), values("beta")[chosen][None]),
    }
    coords: dict[str, Any] = {
        "chain": [0],
        "draw": np.arange(chosen.size),
        "term": list(fit.encoding.names),
    }
    blocks: list[BlockCode] = []
    for code, block in zip(fit.encoding.blocks, rows.blocks, strict=True):
        known, fresh = block_effects(block, values, seed)
        wider, order = code.with_levels(block.unknown_levels)
        effects = known if fresh is None else np.hstack([known, fresh])
        dim = f"level_{code.name}"
        coords[dim] = list(wider.levels)
        variables[f"effect_{code.name}"] = (("chain", "draw", dim), effects[chosen][:, order][None])
        scale = values(f"sigma_{code.name}")[chosen]
        variables[f"sigma_{code.name}"] = (("chain", "draw"), scale[None])
        blocks.append(wider)
    d = fit.diagnostics
    parent = f"update of {fit.id}"
    identity = fit_id(
        fit.spec, rows_fingerprint(panel), "laplace", seed, chosen.size, SCHEMA_VERSION,
        warm_start=parent,
    )  # fmt: skip
    before = fit.posterior["observed_data"].to_dataset()
    added = xr.Dataset({"outcome": ("row", outcome.astype(np.int8))}, rows.rows.coords)
    stats = xr.Dataset(
        attrs={"importance_ess": left * d.min_ess_bulk, "pareto_k": k, "proposals": share.size}
    )
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(variables, coords),
            "sample_stats": stats,
            "observed_data": xr.concat([before, added], dim="row"),
        }
    )
    tree.attrs |= {"fit_id": identity, "model": fit.spec.name, "method": "laplace", "seed": seed}
    tree.attrs |= {"tune": fit.posterior.attrs["tune"], "warm_start": parent}
    year = rows.rows["year"].to_numpy()
    return replace(
        fit,
        id=identity,
        encoding=replace(
            fit.encoding,
            blocks=tuple(blocks),
            rows=fit.encoding.rows + int(outcome.size),
            years=(fit.encoding.years[0], int(year.max())),
        ),
        panel=panel,
        posterior=tree,
        diagnostics=Diagnostics(
            max_rhat=None, min_ess_bulk=left * d.min_ess_bulk, min_ess_tail=left * d.min_ess_tail,
            divergences=None, min_ebfmi=None, max_tree_depth=None, pareto_k=k,
            wall_seconds=time.perf_counter() - started, peak_memory_mb=peak_memory_mb(),
        ),
        method="laplace",
        seed=seed,
    )  # fmt: skip


def _later(fit: Fit, panel: Panel) -> Panel:
    """Rows after the years of the fit that its model fits; the rows before must be its own."""
    last = fit.encoding.years[1]
    year = panel.data["year"].to_numpy()
    kept = panel.with_data(panel.data.isel(row=year <= last))
    own = fit.panel.with_data(fit.panel.data.isel(row=fit.panel.data["year"].to_numpy() <= last))
    if not _same_rows(kept, own):
        raise DataError(
            f"The rows up to {last} are not those of the fit {fit.id[:12]}: the past has been "
            "revised, or the panel was made with other options. Fit anew instead of updating."
        )
    new = (year > last) & np.isfinite(panel.data["outcome"].to_numpy())
    for e in fit.spec.exclusions:
        new &= ~((year >= e.first) & (year <= e.last))
    if not new.any():
        raise ArgumentError(
            f"The panel has no row with a known outcome after {last}, the last year of the fit."
        )
    return panel.with_data(panel.data.isel(row=new))


def _same_rows(a: Panel, b: Panel) -> bool:
    """Whether units, years, known outcomes and the features that both hold are the same."""
    known = [p.data.isel(row=np.isfinite(p.data["outcome"].to_numpy())) for p in (a, b)]
    first, second = known
    if first.sizes["row"] != second.sizes["row"]:
        return False
    keys = [n for n in ("year", "ccode", "ccode_a", "ccode_b", "outcome") if n in first]
    features = [
        str(n) for n, v in first.data_vars.items() if "feature" in v.attrs and n in second.data_vars
    ]
    return all(
        np.array_equal(first[n].to_numpy(), second[n].to_numpy(), equal_nan=True)
        for n in (*keys, *features)
    )


def _log_likelihood(eta: npt.NDArray[np.float32], event: npt.NDArray[np.bool_]) -> FloatArray:
    """Bernoulli log likelihood of the rows under each draw, shape (draws,)."""
    signed = np.where(event, -eta, eta).astype(np.float64)
    return np.asarray(-np.logaddexp(0.0, signed).sum(axis=1))

"""Linear predictors and probabilities from draws of the posterior, or of the prior.

Known effects are as drawn, new ones come from their population. All that is predicted from draws
goes through `predictor`, but for two: the fit, whose kernels take it through the cache in pieces
(`forecast.inference.linear_map`), and the simulator, some of whose columns are other numbers in
every draw since simulated years feed back.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.arrays import BoolArray, FloatArray, IntArray
from forecast.draws import check_draws, generator, thinned
from forecast.errors import ArgumentError
from forecast.modeling.blocks import RowBlock
from forecast.modeling.design import Design
from forecast.modeling.encoding import EncodedRows
from forecast.modeling.priors import regularised
from forecast.panel.types import Panel

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = [
    "PriorDraws", "design_predictor", "linear_predictor", "memberships", "new_effect",
    "onset_statistics", "posterior_values", "predict", "predictor", "prior_draws",
    "prior_predictive",
]  # fmt: skip

_CHUNK = 4096  # rows of a posterior predictor at a time
#: Draws of a prior predictor that are held at a time: 25 x 100,000 rows are 20 MB.
_PRIOR_CHUNK = 25


def predictor(*parts: tuple[Any, npt.NDArray[Any]]) -> Any:
    """X beta + Σ_b Z_b f_b of rows and draws, shape (n, draws).

    Each part is a matrix of weights (n, m), dense or sparse, with draws of what it multiplies,
    (draws, m): columns with their coefficients, or memberships with the effects of a group.
    """
    (X, beta), *groups = parts
    eta = X @ beta.T
    for Z, f in groups:
        eta += Z @ f.T
    return eta


def design_predictor(
    design: Design, beta: npt.ArrayLike, effects: Mapping[str, npt.ArrayLike]
) -> FloatArray:
    """`predictor` of the rows of a design, (draws, n); or (n,) for one value of each parameter."""
    one = np.ndim(beta) == 1
    groups = [(b.matrix, np.atleast_2d(np.asarray(effects[b.name]))) for b in design.blocks]
    eta: FloatArray = predictor((design.X, np.atleast_2d(np.asarray(beta))), *groups).T
    return eta[0] if one else eta


def linear_predictor(
    fit: Fit,
    rows: Panel | EncodedRows | xr.Dataset,
    *,
    draws: int | None = None,
    seed: int | None = None,
) -> xr.DataArray:
    """Logit of the probability of each row under every posterior draw.

    Parameters
    ----------
    fit : Fit
        Posterior.
    rows : Panel, EncodedRows or xarray.Dataset
        Rows to predict; anything but `EncodedRows` is encoded as at the fit.
    draws : int, optional
        Number of posterior draws, evenly spaced over all of them; all by default.
    seed : int, optional
        Seed of the effects of new levels; that of the fit by default. A new level has the same
        draws in every call with the same seed and number of draws, and in the scenario engine.

    Returns
    -------
    xarray.DataArray, dims (draw, row), float32
        Coordinates of the rows. Attributes: ``rows_with_new_levels``, the number of rows by
        group of effects that used a level which the fit did not see; ``new_levels``, how many
        such levels; ``kept``, positions of the rows in what was given.

    Notes
    -----
    A new state, dyad or treaty is drawn from Normal(0, sigma) of its group, once per posterior
    draw and shared by all its rows. A year after the last step of the era walk continues it:
    one path per draw, f_{l+1} = f_l + Normal(0, sigma).
    """
    rows = rows if isinstance(rows, EncodedRows) else fit.encoding.apply(rows)
    posterior = fit.posterior["posterior"]
    if tuple(rows.names) != tuple(str(name) for name in posterior["term"].to_numpy()):
        raise ArgumentError(
            f"The rows have the columns {list(rows.names)}, the fit "
            f"{posterior['term'].to_numpy().tolist()}: they were encoded for another model."
        )
    values = posterior_values(fit, draws)
    seed = fit.seed if seed is None else seed
    beta = values("beta")
    groups = [part for block in rows.blocks for part in memberships(block, values, seed)]
    n = rows.X.shape[0]
    out = np.empty((beta.shape[0], n), dtype=np.float32)
    for first in range(0, n, _CHUNK):
        part = slice(first, min(first + _CHUNK, n))
        out[:, part] = predictor((rows.X[part], beta), *((Z[part], f) for Z, f in groups)).T
    return xr.DataArray(
        out,
        dims=("draw", "row"),
        coords={name: coord for name, coord in rows.rows.coords.items() if coord.dims == ("row",)},
        name="linear_predictor",
        attrs={
            "rows_with_new_levels": {
                block.name: int((block.unknown_weight > 0).sum()) for block in rows.blocks
            },
            "new_levels": {block.name: len(block.unknown_levels) for block in rows.blocks},
            "kept": rows.kept,
        },
    )


def predict(
    fit: Fit,
    rows: Panel | EncodedRows | xr.Dataset,
    *,
    draws: int | None = None,
    seed: int | None = None,
) -> xr.DataArray:
    """Probability of an onset in each row under every posterior draw.

    The mean over ``draw`` is the forecast; the spread is what is not known about parameters,
    new levels and the era to come, not the spread of the outcome.

    Parameters
    ----------
    fit, rows, draws, seed
        See `linear_predictor`.

    Returns
    -------
    xarray.DataArray, dims (draw, row), float32
        In [0, 1]; coordinates and attributes as of `linear_predictor`.
    """
    eta = linear_predictor(fit, rows, draws=draws, seed=seed)
    values = eta.to_numpy()
    # In place: the array may hold hundreds of megabytes.
    np.negative(values, out=values)
    with np.errstate(over="ignore"):
        np.exp(values, out=values)
    values += 1.0
    np.reciprocal(values, out=values)
    return eta.rename("probability")


def new_level(seed: int, block: str, label: str, draws: int) -> FloatArray:
    """Standard normal draws of a level that the fit did not see, shape (draws,).

    They depend on the seed and the label only, not on which other levels are new.
    """
    key = zlib.crc32(f"{block}|{label}".encode())
    return generator(seed, key).standard_normal(draws)


def new_effect(
    values: Callable[[str], FloatArray], seed: int, block: str, label: str
) -> FloatArray:
    """Draws of the effect, or step, of a level that the fit did not see, shape (draws,).

    Normal(0, sigma) of its group, or its horseshoe with a local scale of the level's own.
    """
    sigma, slab = values(f"sigma_{block}"), values(f"slab_{block}")
    z = new_level(seed, block, label, sigma.size)
    if np.isinf(slab).all():
        return z * sigma
    local = [new_level(seed, f"local_{i}_{block}", label, sigma.size) for i in range(2)]
    return np.asarray(z * regularised(sigma, np.abs(local[0] / local[1]), slab))


def posterior_values(fit: Fit, draws: int | None) -> Callable[[str], FloatArray]:
    """Reader of the draws of a variable of the posterior, (draws, …), evenly spaced; None for all.

    The slab of a group without a horseshoe is infinite.

    Raises `ArgumentError`: More draws than the fit has, or none.
    """
    posterior = fit.posterior["posterior"].to_dataset()
    check_draws(draws)
    if draws is not None and draws > fit.draws:
        raise ArgumentError(f"draws={draws}: the fit has {fit.draws}; expected 1-{fit.draws}.")
    chosen = thinned(fit.draws, draws)

    def values(name: str) -> FloatArray:
        if name.startswith("slab_") and name not in posterior:
            return np.full(chosen.size, np.inf)
        array = posterior[name].transpose("chain", "draw", ...).to_numpy()
        return np.asarray(array.reshape(fit.draws, *array.shape[2:])[chosen], dtype=np.float64)

    return values


def memberships(
    block: RowBlock, values: Callable[[str], FloatArray], seed: int
) -> list[tuple[Any, FloatArray]]:
    """Parts of `predictor` of a group: known effects, and new ones if the rows use any.

    `values` reads draws of the posterior, as `posterior_values` makes it.
    """
    known: FloatArray = values(f"effect_{block.name}")
    if not block.unknown_levels:
        return [(block.matrix, known)]
    fresh = np.column_stack(
        [new_effect(values, seed, block.name, label) for label in block.unknown_levels]
    )
    if block.structure == "random_walk":
        # Each walk goes on from where it was at its last step.
        draws, chains = len(known), block.chains
        last = known.reshape(draws, chains, -1)[:, :, -1:]
        ahead = last + np.cumsum(fresh.reshape(draws, chains, -1), axis=2)
        fresh = ahead.reshape(draws, -1)
    return [(block.matrix, known), (block.unknown, fresh)]


@dataclass(frozen=True, eq=False)
class PriorDraws:
    """Draws of every parameter from its prior."""

    beta: FloatArray  # (draws, p)
    sigma: dict[str, FloatArray]  # (draws,), by block
    effects: dict[str, FloatArray]  # (draws, m), by block


def prior_draws(design: Design, *, draws: int, seed: int | np.random.SeedSequence) -> PriorDraws:
    """Draws of coefficients, scales and effects of a design from their priors."""
    if draws < 1:
        raise ArgumentError(f"draws must be at least 1, found {draws}")
    rng = np.random.default_rng(seed)
    beta = rng.normal(design.prior_mean, design.prior_sd, size=(draws, len(design.names)))
    for j, tail in design.tails.items():
        z = tail.distribution.rvs(draws, random_state=rng)
        beta[:, j] = design.prior_mean[j] + design.prior_sd[j] * z
    sigma: dict[str, FloatArray] = {}
    effects: dict[str, FloatArray] = {}
    for block in design.blocks:
        scale = block.scale_prior.draw(rng, draws)
        z = rng.normal(size=(draws, len(block.levels)))
        each = block.scale_prior.local_scales(rng, scale, z.shape[1])
        sigma[block.name], effects[block.name] = scale, each * block.effects(z)
    return PriorDraws(beta, sigma, effects)


def prior_predictive(
    design: Design, *, draws: int = 200, seed: int | np.random.SeedSequence
) -> xr.Dataset:
    """Simulated outcomes of the rows of a design, summed up as onsets per year and per unit.

    The covariates are those observed: a simulated onset does not enter the next year's history.
    Given as `onset_statistics` with dimension ``draw``, and the same of the observed outcome under
    ``observed_<name>``.
    """
    if isinstance(seed, np.random.SeedSequence):
        seed = int(seed.generate_state(1, np.uint64)[0])
    parameters, outcomes = np.random.SeedSequence(seed).spawn(2)
    prior = prior_draws(design, draws=draws, seed=parameters)
    rng = np.random.default_rng(outcomes)
    parts: list[xr.Dataset] = []
    for start in range(0, draws, _PRIOR_CHUNK):
        chunk = slice(start, start + _PRIOR_CHUNK)
        effects = {name: values[chunk] for name, values in prior.effects.items()}
        eta = design_predictor(design, prior.beta[chunk], effects)
        # logistic noise: y = 1 exactly when a uniform draw is below 1 / (1 + exp(-eta))
        y = eta + rng.logistic(size=eta.shape) > 0.0
        parts.append(onset_statistics(y, design.rows))
    simulated = xr.concat(parts, dim="draw")
    observed = onset_statistics(design.y[None, :] > 0.5, design.rows).isel(draw=0)
    return simulated.assign({f"observed_{name}": value for name, value in observed.items()})


def onset_statistics(y: BoolArray, rows: xr.Dataset) -> xr.Dataset:
    """Onsets per year, and shares of dyads (or states) with none and with many.

    Of outcomes y (draws, n): ``onsets`` (draw, year), the number of rows with an onset; ``rate``
    (draw), onsets per row; ``share_without``, ``share_3_or_more``, ``share_5_or_more`` (draw),
    shares of the dyads (states, in a state-year design) that occur in the rows.
    """
    year, position = np.unique(rows["year"].to_numpy(), return_inverse=True)
    codes = [rows[name].to_numpy() for name in ("ccode", "ccode_a", "ccode_b") if name in rows]
    unit = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)[1].ravel()
    by_year = _sums(y, position, year.size)
    by_unit = _sums(y, unit, int(unit.max()) + 1)
    return xr.Dataset(
        {
            "onsets": (("draw", "year"), by_year),
            "rate": ("draw", y.mean(axis=1)),
            "share_without": ("draw", (by_unit == 0).mean(axis=1)),
            "share_3_or_more": ("draw", (by_unit >= 3).mean(axis=1)),
            "share_5_or_more": ("draw", (by_unit >= 5).mean(axis=1)),
        },
        coords={"year": year},
    )


def _sums(y: BoolArray, group: IntArray, size: int) -> IntArray:
    """Number of true values by draw and group, shape (draws, size)."""
    draw, row = np.nonzero(y)
    counts = np.bincount(draw * size + group[row], minlength=y.shape[0] * size)
    return counts.reshape(y.shape[0], size)

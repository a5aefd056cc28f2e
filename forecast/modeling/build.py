"""The same hierarchical logit as a `pymc.Model`, for people who want PyMC itself.

A variable of the model is the effect itself, so that draws in our posterior are draws of it. What a
sampler of PyMC moves is its value under a transformation, z = f / sigma (non-centred: most levels
have few onsets, where the centred form has a funnel).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import scipy.sparse as sp
from pymc.logprob.transforms import Transform
from pytensor.tensor.shape import specify_shape

from forecast.arrays import FloatArray, IntArray
from forecast.modeling.blocks import RowBlock
from forecast.modeling.design import Block, Design, encode, encode_as
from forecast.modeling.encoding import Encoding
from forecast.modeling.priors import regularised
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.from_frame import as_panel
from forecast.panel.types import Panel

__all__ = ["build", "build_from_design", "index_pairs"]


def build(
    model: ModelSpec | str | Path,
    panel: Panel | pd.DataFrame,
    *,
    encoding: Encoding | None = None,
    probability: bool = False,
) -> pm.Model:
    """PyMC model of a specification on a panel, with the variables of ``Fit.posterior``.

    ``pm.sample_posterior_predictive(fit.posterior, model=build(fit.spec, fit.panel))`` draws
    outcomes with the probabilities that `forecast.inference.predict` gives, for both methods;
    ``compute_log_likelihood``, ``compute_deterministics`` and ``compute_log_prior`` read the same
    posterior, and ``pm.sample`` makes one of that form.

    Parameters
    ----------
    model : ModelSpec, str or Path
        Model specification, or its name or path (see `load_model`).
    panel : Panel or pandas.DataFrame
        Rows; features that it lacks are computed from its world.
    encoding : Encoding, optional
        ``Fit.encoding``: needed for rows other than those of the fit, which are then encoded as
        at the fit. Without it the panel is encoded as `fit` would: standardised by itself, with
        the levels that it has. PyMC warns (``ImplicitFreezeWarning``) where these are not those
        of the posterior, and stops where their number differs.
    probability : bool
        Add the deterministic ``probability`` (row). ``pm.sample`` would keep it for every row
        and draw.

    Returns
    -------
    pymc.Model
        See `build_from_design`. With `encoding`, levels that the fit did not see are the
        variables ``new_<block>`` (new_level_<block>), which no posterior has: PyMC draws them
        from their population, Normal(0, sigma) or the walk continued, as `predict` does.
        Functions that only evaluate (``compute_…``) need draws of them:
        ``pm.sample_posterior_predictive(…, var_names=["new_<block>"])``. Where the outcome of
        a row is not known, ``outcome`` is not observed in any.

    Raises
    ------
    ArgumentError
        Specification and encoding are of different models; a row lies before the walks of the fit.
    """
    spec, panel = load_model(model), as_panel(panel, "build(model, panel)")
    if encoding is None:
        return build_from_design(encode(spec, panel)[0], probability=probability)
    design, new, known = encode_as(spec, encoding, panel)
    return build_from_design(design, new=new, observed=known, probability=probability)


def build_from_design(
    design: Design,
    *,
    new: Sequence[RowBlock] = (),
    observed: bool = True,
    outcome_as_data: bool = False,
    probability: bool = False,
) -> pm.Model:
    """PyMC model of design arrays: y ~ Bernoulli(logit^-1(X beta + sum_b Z_b f_b)).

    `new` are levels that the fit did not see, and how the rows use them; `observed` is whether the
    outcomes are known, `outcome_as_data` keeps them as ``pm.Data("observed_outcome")``, so that a
    compiled model can be given others; `probability` adds that deterministic (row).

    Variables are ``beta`` (term); for each block ``sigma_<block>`` and ``effect_<block>``
    (level_<block>), which samplers move as z = effect / sigma, or steps / sigma of a random walk
    (see above); ``new_<block>`` (new_level_<block>); ``outcome`` (row). A horseshoe has
    ``slab_<block>``, its c², and ``local_<block>`` (level_<block>), its λ, besides.
    """
    unseen = {block.name: block for block in new if block.unknown_levels}
    coords: dict[str, Any] = {"term": list(design.names), "row": np.arange(design.y.size)}
    for block in design.blocks:
        coords[f"level_{block.name}"] = block.levels.tolist()
        if block.name in unseen:
            coords[f"new_level_{block.name}"] = list(unseen[block.name].unknown_levels)
    with pm.Model(coords=coords) as model:
        beta = _coefficients(design)
        eta = pm.math.dot(design.X, beta)
        for block in design.blocks:
            sigma = _scale(block)
            dim = f"level_{block.name}"
            each = _local(block, sigma, f"local_{block.name}", dim)
            effect = _population(f"effect_{block.name}", dim, block, each, np.zeros(block.chains))
            # Draws of other levels would be read beyond their end.
            effect = specify_shape(effect, (block.levels.size,))
            eta = eta + _contribution(block.matrix, effect)
            if (more := unseen.get(block.name)) is not None:
                last = effect.reshape((block.chains, -1))[:, -1]
                dim = f"new_level_{block.name}"
                each = _local(block, sigma, f"new_local_{block.name}", dim)
                fresh = _population(f"new_{block.name}", dim, block, each, last)
                eta = eta + _contribution(more.unknown, fresh)
        if probability:
            pm.Deterministic("probability", pm.math.sigmoid(eta), dims="row")
        outcome: Any = design.y.astype(np.int8) if observed else None
        if outcome_as_data:
            outcome = pm.Data("observed_outcome", outcome, dims="row")
        pm.Bernoulli("outcome", logit_p=eta, observed=outcome, dims="row")
    return model


def _coefficients(design: Design) -> Any:
    """``beta`` (term): normal, but for entries with heavier tails."""
    mean, sd, tails = design.prior_mean, design.prior_sd, design.tails
    if not tails:
        return pm.Normal("beta", mu=mean, sigma=sd, dims="term")
    normal = np.array([j for j in range(mean.size) if j not in tails], dtype=np.int64)
    parts = [(normal, pm.Normal.dist(mean[normal], sd[normal]))] if normal.size else []
    for tail in dict.fromkeys(tails.values()):
        at = np.array([j for j, other in tails.items() if other == tail], dtype=np.int64)
        parts.append((
            at,
            pm.Laplace.dist(mean[at], sd[at])
            if tail.form == "laplace"
            else pm.StudentT.dist(nu=tail.df, mu=mean[at], sigma=sd[at]),
        ))  # fmt: skip
    order = np.argsort(np.concatenate([at for at, _ in parts]))

    def dist(_size: Any) -> Any:
        return pm.math.concatenate([part for _, part in parts])[order]

    def logp(value: Any) -> Any:
        return sum(pm.logp(part, value[at]).sum() for at, part in parts)

    return pm.CustomDist(
        "beta", dist=dist, logp=logp, signature="->(n)", class_name="Coefficients", dims="term"
    )


def _scale(block: Block) -> Any:
    """``sigma_<block>``."""
    name, prior = f"sigma_{block.name}", block.scale_prior
    match prior.form:
        case "half_normal":
            return pm.HalfNormal(name, sigma=prior.scale)
        case "half_t":
            return pm.HalfStudentT(name, nu=prior.df, sigma=prior.scale)
        case "exponential":
            return pm.Exponential(name, scale=prior.scale)
    half = 0.5 * prior.df
    pm.InverseGamma(f"slab_{block.name}", alpha=half, beta=half * prior.slab**2)
    return pm.HalfCauchy(name, beta=prior.scale)


def _local(block: Block, sigma: Any, name: str, dim: str) -> Any:
    """Scales of the effects of a block: sigma, or with a horseshoe one for each."""
    if block.scale_prior.form != "horseshoe":
        return sigma
    slab = pm.modelcontext(None)[f"slab_{block.name}"]
    return regularised(sigma, pm.HalfCauchy(name, beta=1.0, dims=dim), slab)


def index_pairs(matrix: sp.csr_array) -> tuple[IntArray, FloatArray] | None:
    """Levels and weights (n, k) of each row of weights (n, m); None if rows differ in k."""
    uses = np.diff(matrix.indptr)
    if uses.size == 0 or uses.min() != uses.max() or uses[0] == 0:
        return None
    shape = (matrix.shape[0], int(uses[0]))
    return matrix.indices.astype(np.int64).reshape(shape), matrix.data.reshape(shape)


def _contribution(matrix: sp.csr_array, effect: Any) -> Any:
    """``matrix @ effect`` as gathers when rows are regular, else as a weighted scatter-add.

    Both compile in half the time of PyTensor's sparse product, whose gradient is a sparse
    product with the transpose; theirs are a scatter and a gather.
    """
    pairs = index_pairs(matrix)
    if pairs is None:
        coo = matrix.tocoo()
        used = coo.data * effect[pt.as_tensor_variable(coo.col.astype(np.int64))]
        return pt.zeros(matrix.shape[0])[coo.row.astype(np.int64)].inc(used)
    indices, weights = pairs
    total: Any = 0.0
    for position in range(indices.shape[1]):
        gathered = effect[pt.as_tensor_variable(indices[:, position])]
        w = weights[:, position]
        total = total + (gathered if bool((w == 1.0).all()) else w * gathered)
    return total


class _Scaled(Transform):  # type: ignore[misc]
    """z = (f - mu) / sigma of a normal variable."""

    name = "z"
    ndim_supp = 0

    def forward(self, value: Any, *inputs: Any) -> Any:
        mu, sigma = inputs[2:]
        return (value - mu) / sigma

    def backward(self, value: Any, *inputs: Any) -> Any:
        mu, sigma = inputs[2:]
        return mu + sigma * value

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        return pt.full_like(value, pt.log(inputs[3]))


class _Steps(Transform):  # type: ignore[misc]
    """z = steps / sigma of walks that follow each other."""

    name = "z"
    ndim_supp = 1

    def __init__(self, chains: int) -> None:
        self.chains = chains

    def forward(self, value: Any, *inputs: Any) -> Any:
        sigma, start = inputs[1:3]
        return (_steps(value, start, self.chains) / sigma).ravel()

    def backward(self, value: Any, *inputs: Any) -> Any:
        sigma, start = inputs[1:3]
        return _walks(sigma * value.reshape((self.chains, -1)), start)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        return value.size * pt.log(inputs[1])


def _population(name: str, dim: str, block: Block, sigma: Any, start: Any) -> Any:
    """Variable `name` of effects of a block over `dim`, in the model in context.

    iid: f ~ Normal(0, sigma). random_walk: f_1 ~ Normal(start, sigma) for each of its chains, with
    `start` (chains,); not used if iid.
    """
    if block.structure == "iid":
        return pm.Normal(name, 0.0, sigma, dims=dim, transform=_Scaled())
    chains = block.chains

    def dist(sigma: Any, start: Any, length: Any, _size: Any) -> Any:
        return _walks(pm.Normal.dist(0.0, sigma, shape=(chains, length // chains)), start)

    def logp(value: Any, sigma: Any, start: Any, _length: Any) -> Any:
        return pm.logp(pm.Normal.dist(0.0, sigma), _steps(value, start, chains)).sum()

    return pm.CustomDist(
        name,
        sigma,
        start,
        # In the graph, so that PyMC notices draws that were made with other levels.
        pm.modelcontext(None).dim_lengths[dim],
        dist=dist,
        logp=logp,
        signature="(),(c),()->(n)",
        class_name="RandomWalks",
        dims=dim,
        transform=_Steps(chains),
    )


def _walks(steps: Any, start: Any) -> Any:
    """Walks one after the other, shape (chains * steps,), of steps (chains, steps)."""
    return (start[:, None] + pm.math.cumsum(steps, axis=1)).ravel()


def _steps(value: Any, start: Any, chains: int) -> Any:
    """Inverse of `_walks`."""
    walk = value.reshape((chains, -1))
    return walk - pm.math.concatenate([start[:, None], walk[:, :-1]], axis=1)

"""The same hierarchical logit as a `pymc.Model`, for people who want PyMC itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from forecast.arrays import FloatArray, IntArray
from forecast.modeling.blocks import RowBlock
from forecast.modeling.design import Design, encode, encode_as
from forecast.modeling.encoding import Encoding
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.types import Panel

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["build", "build_from_design", "index_pairs"]


def build(
    model: ModelSpec | str | Path,
    panel: Panel,
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
    panel : Panel
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
    spec = load_model(model)
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
    (see `forecast.modeling.effects`); ``new_<block>`` (new_level_<block>); ``outcome`` (row).
    """
    import pymc as pm
    from pytensor.tensor.shape import specify_shape

    from forecast.modeling.effects import population

    unseen = {block.name: block for block in new if block.unknown_levels}
    coords: dict[str, Any] = {"term": list(design.names), "row": np.arange(design.y.size)}
    for block in design.blocks:
        coords[f"level_{block.name}"] = block.levels.tolist()
        if block.name in unseen:
            coords[f"new_level_{block.name}"] = list(unseen[block.name].unknown_levels)
    with pm.Model(coords=coords) as model:
        beta = pm.Normal("beta", mu=design.prior_mean, sigma=design.prior_sd, dims="term")
        eta = pm.math.dot(design.X, beta)
        for block in design.blocks:
            sigma = pm.HalfNormal(f"sigma_{block.name}", sigma=block.scale_prior)
            effect = population(
                f"effect_{block.name}", f"level_{block.name}", block, sigma, np.zeros(block.chains)
            )
            # Draws of other levels would be read beyond their end.
            effect = specify_shape(effect, (block.levels.size,))
            eta = eta + _contribution(block.matrix, effect)
            if (more := unseen.get(block.name)) is not None:
                last = effect.reshape((block.chains, -1))[:, -1]
                fresh = population(
                    f"new_{block.name}", f"new_level_{block.name}", block, sigma, last
                )
                eta = eta + _contribution(more.unknown, fresh)
        if probability:
            pm.Deterministic("probability", pm.math.sigmoid(eta), dims="row")
        outcome: Any = design.y.astype(np.int8) if observed else None
        if outcome_as_data:
            outcome = pm.Data("observed_outcome", outcome, dims="row")
        pm.Bernoulli("outcome", logit_p=eta, observed=outcome, dims="row")
    return model


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
    import pytensor.tensor as pt

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

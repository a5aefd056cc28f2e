"""The same hierarchical logit as a `pymc.Model`, for people who want PyMC itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from forecast.modeling.design import Block, Design
from forecast.modeling.encode import encode
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.types import Panel

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["build", "build_from_design", "index_pairs"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def build(model: ModelSpec | str | Path, panel: Panel) -> pm.Model:
    """PyMC model of a specification on a panel.

    Parameters
    ----------
    model : ModelSpec, str or Path
        Model specification, or its name or path (see `load_model`).
    panel : Panel
        Rows; features that it lacks are computed from its world.

    Returns
    -------
    pymc.Model
        See `build_from_design`.
    """
    return build_from_design(encode(load_model(model), panel)[0])


def build_from_design(design: Design, *, outcome_as_data: bool = False) -> pm.Model:
    """PyMC model of design arrays: y ~ Bernoulli(logit^-1(X beta + sum_b Z_b f_b)).

    Parameters
    ----------
    design : Design
        Design arrays.
    outcome_as_data : bool
        Keep the outcomes as ``pm.Data("observed_outcome")``, so that a compiled model can be
        given others.

    Returns
    -------
    pymc.Model
        ``beta`` (term); for each block ``sigma_<block>``, the standardised ``z_<block>`` and
        the deterministic ``effect_<block>`` (level_<block>) = sigma z, or sigma cumsum(z) for a
        random walk (non-centred: most levels have few onsets, where the centred form has a
        funnel); ``outcome`` (row), observed.
    """
    import pymc as pm

    coords: dict[str, Any] = {"term": list(design.names), "row": np.arange(design.y.size)}
    coords |= {f"level_{block.name}": block.levels.tolist() for block in design.blocks}
    with pm.Model(coords=coords) as model:
        beta = pm.Normal("beta", mu=design.prior_mean, sigma=design.prior_sd, dims="term")
        eta = pm.math.dot(design.X, beta)
        for block in design.blocks:
            dim = f"level_{block.name}"
            sigma = pm.HalfNormal(f"sigma_{block.name}", sigma=block.scale_prior)
            z = pm.Normal(f"z_{block.name}", dims=dim)
            steps = _walks(z, block) if block.structure == "random_walk" else z
            effect = pm.Deterministic(f"effect_{block.name}", sigma * steps, dims=dim)
            eta = eta + _contribution(block.matrix, effect)
        observed: Any = design.y.astype(np.int8)
        if outcome_as_data:
            observed = pm.Data("observed_outcome", observed, dims="row")
        pm.Bernoulli("outcome", logit_p=eta, observed=observed, dims="row")
    return model


def index_pairs(matrix: sp.csr_array) -> tuple[IntArray, FloatArray] | None:
    """Levels and weights of each row when every row uses the same number of levels.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (n, m)
        Weights.

    Returns
    -------
    (indices, weights) or None
        Both of shape (n, k); None when rows differ in the number of levels they use.
    """
    uses = np.diff(matrix.indptr)
    if uses.size == 0 or uses.min() != uses.max() or uses[0] == 0:
        return None
    shape = (matrix.shape[0], int(uses[0]))
    return matrix.indices.astype(np.int64).reshape(shape), matrix.data.reshape(shape)


def _walks(z: Any, block: Block) -> Any:
    """Cumulative sums within each chain of a block of walks."""
    import pymc as pm

    if block.chains == 1:
        return pm.math.cumsum(z)
    return pm.math.cumsum(z.reshape((block.chains, -1)), axis=1).reshape((-1,))


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

"""Effects as PyMC variables: named and stored by their values, sampled as standard normal z.

A variable of the model is the effect itself, so that draws in our posterior are draws of it. What a
sampler of PyMC moves is its value under a transformation, z = f / sigma (non-centred: most levels
have few onsets, where the centred form has a funnel).
"""

from __future__ import annotations

from typing import Any

import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform

from forecast.modeling.design import Block

__all__ = ["population"]


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


def population(name: str, dim: str, block: Block, sigma: Any, start: Any) -> Any:
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

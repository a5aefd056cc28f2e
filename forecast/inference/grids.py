"""`Grids`: nodes by which the effects of a group block are integrated out for many draws at once.

Given odds e_i = exp(a_i) of the rows of a group, and a scale σ, what is wanted is

    L = ∫ Normal(d; 0, σ²) exp(y d) Π_i (1 + e_i exp(d))^(−1) dd

for y events. The integrand is analytic and vanishes at both ends, so that the trapezoidal rule
converges faster than any power of its spacing (Trefethen & Weideman 2014, SIAM Review 56:385), and
its nodes can be the same for all groups: no group has to be searched for its mode, and exp(d_k) is
taken once a draw. Half of the nodes are a rule of twice the spacing. Where the two differ by ρ,
the finer one is off by about ρ² of what is integrated; if that is too much the spacing is halved
(`forecast.inference.batch_kernels`).

At most nodes the product need not be taken over rows. With S_j = Σ_i e_i^j and t = exp(d)

    Σ_i log(1 + e_i t) = S_1 t − S_2 t² / 2 + S_3 t³ / 3 − S_4 t⁴ / 4 + S_5 t⁵ / 5 − R,
    0 ≤ R ≤ S_6 t⁶ / 6,

by Taylor's theorem for every t, so that a bound on S_6 says at which nodes that is enough.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Grids", "grids"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SingleArray = npt.NDArray[np.float32]

_REACH = 6.2  # standard deviations of the prior: 3e-10 is beyond
_FURTHER = 4.0  # more on the side to which events pull
_SPACING = 0.65  # of the effect, and of it in standard deviations: the finer one
_LEVELS = 5  # spacings tried, each half of the one before; the first is never enough
_WIDEST = 4.0  # scale beyond which there would be too many nodes
_CUT = 3e-10  # error of the integral of a group by the end of a series, by node
_CUT_ALWAYS = 3e-8  # the same, of the integrand


class Grids(NamedTuple):
    """Nodes of every batch of draws: levels one after the other, each between those before it.

    Attributes
    ----------
    usable : numpy.ndarray, shape (batches,)
        Whether the scales allow for nodes at all.
    first : numpy.ndarray, shape (batches, levels + 1)
        Where the nodes of each level begin, and end.
    quiet : numpy.ndarray, shape (batches, levels)
        How many of them, from the first, do without events.
    spacing : numpy.ndarray, shape (batches,)
        Of the first level, in standard deviations.
    largest : numpy.ndarray, shape (batches,)
        Largest t.
    density : numpy.ndarray, shape (nodes,)
        Standard normal.
    t : numpy.ndarray, shape (nodes, draws of a batch)
        exp(d_k); `single` is the same in single precision, `highest` (nodes,) the largest.
    below : numpy.ndarray, shape (nodes, 6, draws of a batch)
        Σ density t^j over the nodes of a level up to this one, j = 1..6.
    limit, strict : numpy.ndarray, shape (nodes,)
        Largest S_6 for which the series does: for a group without events, and for any.
    """

    usable: npt.NDArray[np.bool_]
    first: IntArray
    quiet: IntArray
    spacing: FloatArray
    largest: FloatArray
    density: FloatArray
    t: FloatArray
    single: SingleArray
    highest: FloatArray
    below: FloatArray
    limit: FloatArray
    strict: FloatArray


def grids(sigmas: FloatArray) -> Grids:
    """Nodes for batches of draws with scales of the group block.

    Parameters
    ----------
    sigmas : numpy.ndarray, shape (batches, draws of a batch)
        Those of one batch should be alike: the largest says how many nodes there are.
    """
    widest = sigmas.max(axis=1)
    usable = np.isfinite(widest) & (widest <= _WIDEST)
    spacing = 2.0 * np.minimum(_SPACING, _SPACING / np.maximum(widest, 1e-300))
    first = np.zeros((len(sigmas), _LEVELS + 1), dtype=np.int64)
    quiet = np.zeros((len(sigmas), _LEVELS), dtype=np.int64)
    z: list[FloatArray] = []
    of: list[int] = []
    end = 0
    for b, good in enumerate(usable.tolist()):
        first[b, 0] = end
        for level in range(_LEVELS if good else 0):
            step = spacing[b] * min(1.0, 2.0 ** (1 - level))
            nodes = np.arange(-_REACH + (step / 2 if level else 0.0), _REACH + _FURTHER, step)
            z.append(nodes)
            of.append(b)
            end += nodes.size
            first[b, level + 1] = end
            quiet[b, level] = int(np.searchsorted(nodes, _REACH, side="right"))
    place = np.repeat(of, [nodes.size for nodes in z]).astype(np.int64)
    at = np.concatenate([np.empty(0), *z])
    density = np.exp(-0.5 * at**2) / np.sqrt(2.0 * np.pi)
    t = np.exp(at[:, None] * sigmas[place])
    highest = np.max(t, axis=1, initial=0.0)
    below = density[:, None, None] * t[:, None] ** np.arange(1.0, 7.0)[:, None]
    for i, j in pairwise([*first[:, :-1].ravel().tolist(), end]):
        np.cumsum(below[i:j], axis=0, out=below[i:j])
    weight = density * spacing[place] / 2.0
    return Grids(
        usable,
        first,
        quiet,
        spacing,
        np.exp(np.where(usable, widest, 0.0) * (_REACH + _FURTHER)),
        density,
        t,
        t.astype(np.float32),
        highest,
        below,
        6.0 * np.maximum(_CUT / weight, _CUT_ALWAYS) / highest**6,
        6.0 * _CUT_ALWAYS / highest**6,
    )

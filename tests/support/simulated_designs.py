"""Designs simulated from the model itself, with the truth behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import xarray as xr

from forecast.modeling.design import Block, Design
from forecast.modeling.priors import ScalePrior

SCALES = {"state": 0.5, "dyad": 0.8, "era": 0.3, "slope": 0.3}


def indicator(levels: np.ndarray, size: int) -> sp.csr_array:
    """Rows that use each of their levels (n, k) with weight one."""
    levels = levels.reshape(len(levels), -1)
    n, k = levels.shape
    return sp.csr_array((np.ones(n * k), levels.ravel(), np.arange(n + 1) * k), shape=(n, size))


def block(name: str, matrix: sp.csr_array, scale: float, structure: Any = "iid") -> Block:
    labels = np.array([f"{name}{i}" for i in range(matrix.shape[1])])
    return Block(name, structure, labels, matrix, ScalePrior(scale))


def dyads(
    *, states: int, pairs: int, years: int, columns: int, rate: float, seed: int
) -> tuple[Design, dict[str, Any]]:
    """Undirected dyad-years with state, dyad, era and slope effects, and the truth."""
    rng = np.random.default_rng(seed)
    every = np.array([(a, b) for a in range(states) for b in range(a + 1, states)])
    pair = every[np.sort(rng.choice(len(every), pairs, replace=False))]
    d, t = np.repeat(np.arange(pairs), years), np.tile(np.arange(years), pairs)
    order = np.lexsort((d, t))
    d, t = d[order], t[order]
    n = d.size
    X = np.ones((n, columns))
    for j in range(1, columns):
        X[:, j] = 0.35 * rng.normal(size=pairs)[d] + 0.35 * rng.normal(size=n)
    period = t * 3 // years
    slopes = sp.csr_array((X[:, 1], (np.arange(n), period)), shape=(n, 3))
    blocks = (
        block("state", indicator(pair[d], states), 0.5),
        block("dyad", indicator(d, pairs), 1.0),
        block("era", indicator(t // 5, int(t.max()) // 5 + 1), 0.3, "random_walk"),
        block("slope", slopes, 0.25),
    )
    truth: dict[str, Any] = {"beta": np.r_[0.0, rng.normal(0, 0.5, columns - 1)]}
    eta = X @ truth["beta"]
    for b in blocks:
        step = rng.normal(0, SCALES[b.name], len(b.levels))
        truth[b.name] = np.cumsum(step) if b.structure == "random_walk" else step
        eta = eta + b.matrix @ truth[b.name]
    low, high = -20.0, 10.0
    for _ in range(60):
        truth["beta"][0] = (low + high) / 2
        above = (1 / (1 + np.exp(-eta - truth["beta"][0]))).mean() > rate
        low, high = (low, truth["beta"][0]) if above else (truth["beta"][0], high)
    eta = eta + truth["beta"][0]
    y = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(np.float64)
    mean, sd = np.zeros(columns), np.ones(columns)
    mean[0] = np.log(rate / (1 - rate))
    names = ("intercept", *(f"x{j}" for j in range(1, columns)))
    rows = xr.Dataset(coords={"year": ("row", 1950 + t)})
    return Design(y, X, names, mean, sd, blocks, rows), truth


def plain(y: list[float], X: Any = None, blocks: tuple[Block, ...] = ()) -> Design:
    """Design of an outcome, columns (an intercept by default) and blocks; priors Normal(0, 1)."""
    outcome = np.array(y, dtype=np.float64)
    columns = np.ones((outcome.size, 1)) if X is None else np.ascontiguousarray(X, dtype=float)
    p = columns.shape[1]
    names = ("intercept", *(f"x{j}" for j in range(1, p)))
    rows = xr.Dataset(coords={"year": ("row", np.full(outcome.size, 2000))})
    return Design(outcome, columns, names, np.zeros(p), np.ones(p), blocks, rows)

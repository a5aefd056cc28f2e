"""Design arrays: what a specification and a panel become before any sampler sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from forecast.errors import ArgumentError

__all__ = ["Block", "Design"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Block:
    """A group of effects that share one scale.

    Attributes
    ----------
    name : str
        Name, e.g. ``"state"``; the posterior holds ``effect_<name>`` and ``sigma_<name>``.
    structure : {"iid", "random_walk"}
        ``iid``: f_l ~ Normal(0, sigma). ``random_walk``: f_1 ~ Normal(0, sigma),
        f_l ~ Normal(f_{l-1}, sigma) in the order of `levels`, anew for each of the `chains`.
    levels : numpy.ndarray, shape (m,), str
        Labels of the effects.
    matrix : scipy.sparse.csr_array, shape (n, m)
        Weights with which each row uses the effects (multi-membership: several per row).
    scale_prior : float
        sigma ~ HalfNormal(scale_prior).
    chains : int
        Number of walks of equal length that follow each other in `levels`; 1 if iid.
    """

    name: str
    structure: Literal["iid", "random_walk"]
    levels: npt.NDArray[np.str_]
    matrix: sp.csr_array
    scale_prior: float
    chains: int = 1

    def __post_init__(self) -> None:
        if self.matrix.shape[1] != self.levels.size:
            raise ArgumentError(
                f"Block {self.name!r}: {self.levels.size} levels, but the matrix has "
                f"{self.matrix.shape[1]} columns"
            )
        if not self.scale_prior > 0:
            raise ArgumentError(
                f"Block {self.name!r}: scale_prior must be positive, found {self.scale_prior}"
            )
        if self.chains < 1 or self.levels.size % self.chains:
            raise ArgumentError(
                f"Block {self.name!r}: {self.levels.size} levels are not {self.chains} walks of "
                "equal length"
            )

    def increments(self, effects: FloatArray) -> FloatArray:
        """Independent Normal(0, sigma) variables behind the effects (last axis: the levels)."""
        if self.structure == "iid":
            return effects
        walks = effects.reshape(*effects.shape[:-1], self.chains, -1)
        steps = np.diff(walks, axis=-1, prepend=0.0)
        return np.asarray(steps.reshape(effects.shape))

    def effects(self, increments: FloatArray) -> FloatArray:
        """Inverse of `increments`."""
        if self.structure == "iid":
            return increments
        walks = increments.reshape(*increments.shape[:-1], self.chains, -1)
        return np.asarray(np.cumsum(walks, axis=-1).reshape(increments.shape))


@dataclass(frozen=True, eq=False)
class Design:
    """Arrays of the hierarchical logit: logit p = X beta + sum over blocks of Z_b f_b.

    Attributes
    ----------
    y : numpy.ndarray, shape (n,)
        Outcome, 0.0 or 1.0.
    X : numpy.ndarray, shape (n, p), C-contiguous
        Population-level columns; the first is the intercept (ones).
    names : tuple of str, length p
        Names of the columns; ``names[0] == "intercept"``.
    prior_mean, prior_sd : numpy.ndarray, shape (p,)
        beta_j ~ Normal(prior_mean_j, prior_sd_j).
    blocks : tuple of Block
        Groups of effects.
    rows : xarray.Dataset
        The coordinates of the rows (dimension ``row``).
    """

    y: FloatArray
    X: FloatArray
    names: tuple[str, ...]
    prior_mean: FloatArray
    prior_sd: FloatArray
    blocks: tuple[Block, ...]
    rows: xr.Dataset

    def __post_init__(self) -> None:
        n, p = self.X.shape
        lengths = {"names": len(self.names), "prior_mean": self.prior_mean.size}
        for what, length in (lengths | {"prior_sd": self.prior_sd.size}).items():
            if length != p:
                raise ArgumentError(f"Design: X has {p} columns, but {what} has length {length}")
        if self.y.shape != (n,) or not np.isin(self.y, (0.0, 1.0)).all():
            raise ArgumentError(f"Design: y must hold 0 or 1 for each of the {n} rows of X")
        if not np.isfinite(self.X).all():
            row, column = np.argwhere(~np.isfinite(self.X))[0]
            raise ArgumentError(f"Design: X is not finite in row {row}, {self.names[column]!r}")
        for block in self.blocks:
            if block.matrix.shape[0] != n:
                raise ArgumentError(
                    f"Design: X has {n} rows, but block {block.name!r} has {block.matrix.shape[0]}"
                )

    def chosen(self, rows: npt.NDArray[np.intp]) -> Design:
        """Some rows, in the given order; levels that none of them uses stay."""
        return replace(
            self,
            y=self.y[rows],
            X=np.ascontiguousarray(self.X[rows]),
            blocks=tuple(replace(b, matrix=sp.csr_array(b.matrix[rows])) for b in self.blocks),
            rows=self.rows.isel(row=rows),
        )

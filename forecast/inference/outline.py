"""`Outline`: scales and skewness of a posterior around its mode, and how skewness is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy.linalg as sl
import xarray as xr

from forecast.inference.conditional import Conditional
from forecast.inference.latent import Latent
from forecast.modeling.design import Design

__all__ = ["Measure", "Outline", "skewed"]

FloatArray = npt.NDArray[np.float64]

_ALIKE = 0.1  # more or fewer rows, of all, for which an outline still serves
_PAIRS = 6  # antithetic pairs of the Kullback–Leibler optimal mean
_SHIFT = 0.4  # of all predictors, about a standard deviation of one, to see how they bend
_MOST = 0.9  # parameter of the skewed coordinates
_NORMAL, _WEIGHT = np.polynomial.hermite_e.hermegauss(64)


@dataclass(frozen=True, eq=False)
class Outline:
    """What has to be found out about a posterior before it can be sampled, but for its mode.

    Attributes
    ----------
    covariance : numpy.ndarray, shape (blocks, blocks)
        About that of the log scales, from the curvature at their mode.
    scales : numpy.ndarray, shape (3,)
        Log scales of the group block: low, at the mode, high; one of zero without a group block.
    forces : numpy.ndarray, shape (3, size)
        Mean gradient of the log likelihood by ``w`` under its Gaussian approximation given such a
        scale, less that at the mode.
    thirds : numpy.ndarray, shape (size,)
        Third derivatives of the log likelihood by the whitened coordinates of ``w``.
    labels : numpy.ndarray of str, shape (size,)
        Names of the entries of ``w``.
    blocks : tuple of str
        Names of the blocks, in the order of `covariance`.
    rows : int
        Rows of the design in which it was found.
    """

    covariance: FloatArray
    scales: FloatArray
    forces: FloatArray
    thirds: FloatArray
    labels: npt.NDArray[np.str_]
    blocks: tuple[str, ...]
    rows: int

    def force(self, scale: float) -> FloatArray:
        """Force at a log scale of the group block, linear between the three, (size,)."""
        place = float(np.interp(scale, self.scales, np.arange(self.scales.size)))
        low = int(place)
        high, share = min(low + 1, self.scales.size - 1), place - low
        return np.asarray((1.0 - share) * self.forces[low] + share * self.forces[high])

    def spans(self, scale: float) -> bool:
        """Whether a log scale of the group block is closer to the middle than to either end."""
        return self.scales.size == 1 or int(np.argmin(np.abs(self.scales - scale))) == 1

    def moved_to(self, design: Design) -> Outline | None:
        """The same for another design, without skewness in what is new; None if that is too much.

        That is if the blocks are others or the number of rows is not within a tenth.
        """
        if (
            self.blocks != tuple(block.name for block in design.blocks)
            or abs(design.y.size / self.rows - 1.0) > _ALIKE
        ):
            return None
        labels = Latent.labels_of(design)
        place = {label: i for i, label in enumerate(self.labels.tolist())}
        found = np.array([place.get(label, -1) for label in labels.tolist()])
        return replace(
            self,
            forces=np.where(found < 0, 0.0, self.forces[:, found]),
            thirds=np.where(found < 0, 0.0, self.thirds[found]),
            labels=labels,
        )

    def to_dataset(self) -> xr.Dataset:
        """The outline as a group of a posterior."""
        return xr.Dataset(
            {
                "covariance": (("block", "block_"), self.covariance),
                "scale": ("anchor", self.scales),
                "force": (("anchor", "latent"), self.forces),
                "third": ("latent", self.thirds),
            },
            {"block": list(self.blocks), "latent": self.labels.tolist()},
            {"rows": self.rows},
        )

    @classmethod
    def from_dataset(cls, data: xr.Dataset) -> Self:
        """Inverse of `to_dataset`."""
        return cls(
            covariance=data["covariance"].to_numpy(),
            scales=data["scale"].to_numpy(),
            forces=data["force"].to_numpy(),
            thirds=data["third"].to_numpy(),
            labels=data["latent"].to_numpy().astype(np.str_),
            blocks=tuple(data["block"].to_numpy().astype(np.str_).tolist()),
            rows=int(data.attrs["rows"]),
        )


class Measure:
    """Measures skewness at a conditional mode and at others nearby.

    Means under a Gaussian are over antithetic pairs, on which the linear part cancels. Most of
    what is left is quadratic in the predictor of a row, and the mean of that is known: it is
    taken from the pairs as a control variate.

    Parameters
    ----------
    latent : Latent
    at : Conditional
        The control variate is of this mode; the others see the same pairs.
    modes : numpy.ndarray, shape (levels,)
        Where to start the search for each conditional mode of the group block.
    rng : numpy.random.Generator
    """

    def __init__(
        self, latent: Latent, at: Conditional, modes: FloatArray, rng: np.random.Generator
    ) -> None:
        self._latent, self._modes = latent, modes
        self._normals = rng.standard_normal((_PAIRS, latent.size))
        sigma = float(np.exp(latent.group_scale(at.theta)))
        low, high = (
            latent.moments(at.mode, sigma, modes.copy(), quick=True, shift=shift).residual
            for shift in (-_SHIFT, _SHIFT)
        )
        bend = (low + high - 2.0 * at.moments.residual.astype(np.float64)) / _SHIFT**2
        U = sl.cholesky(at.information + latent.prior_precision(at.theta), check_finite=False)
        spread, self.thirds = latent.rows.powers(sl.lapack.dtrtri(U)[0].T, bend)
        seen, _ = latent.rows.powers(self._steps(at), bend)
        self._missed = latent.rows.transpose(0.5 * bend * (spread - seen / _PAIRS))

    def _steps(self, at: Conditional) -> FloatArray:
        """One of each pair, from the Gaussian at a mode, (pairs, size)."""
        return np.asarray(self._normals @ np.linalg.cholesky(at.covariance).T)

    def force(self, at: Conditional) -> FloatArray:
        """That of `Outline` at one mode."""
        latent = self._latent
        sigma = float(np.exp(latent.group_scale(at.theta)))
        difference = np.zeros_like(at.moments.residual)
        for u in self._steps(at):
            for step in (u, -u):
                moments = latent.moments(at.mode + step, sigma, self._modes.copy(), quick=True)
                difference += moments.residual - at.moments.residual
        return self._missed + latent.rows.transpose(difference) / (2 * _PAIRS)


def skewed(x: FloatArray, thirds: FloatArray, nu: float) -> tuple[FloatArray, FloatArray]:
    """Student t variables made skewed, with the logarithm of the derivative.

    z = (x cosh ε + √(1 + x²) sinh ε − m) / s, the sinh–arcsinh transformation (Jones & Pewsey
    2009, Biometrika 96:761), with m and s such that mean and variance stay those of x, and ε such
    that a standard normal x gets the third moment of a density proportional to
    exp(−z²/2 + third z³/6) to first order.

    Parameters
    ----------
    x : numpy.ndarray, shape (draws, size)
    thirds : numpy.ndarray, shape (size,)
    nu : float
        Degrees of freedom of x.
    """
    epsilon, moment = _skewed_thirds()
    epsilon = np.interp(thirds, moment, epsilon)
    ch, sh = np.cosh(epsilon), np.sinh(epsilon)
    variance = 1.0 if np.isinf(nu) else nu / (nu - 2.0)
    root = np.sqrt(1.0 + x**2)
    center = _mean_root(nu)
    m = center * sh
    s = np.sqrt(ch**2 + sh**2 * (1.0 + variance - center**2) / variance)
    return (x * ch + root * sh - m) / s, np.log((ch + x / root * sh) / s)


@cache
def _skewed_thirds() -> tuple[FloatArray, FloatArray]:
    """Parameters, and the third moments that they give a standard normal variable."""
    epsilon = np.linspace(-_MOST, _MOST, 181)
    S = _NORMAL * np.cosh(epsilon)[:, None] + np.sqrt(1 + _NORMAL**2) * np.sinh(epsilon)[:, None]
    weight = _WEIGHT / _WEIGHT.sum()
    S -= (S @ weight)[:, None]
    return epsilon, (S**3 @ weight) / (S**2 @ weight) ** 1.5


@cache
def _mean_root(nu: float) -> float:
    """E √(1 + x²) of a Student t variable."""
    from scipy.integrate import quad
    from scipy.stats import t

    return float(quad(lambda x: 2.0 * np.sqrt(1.0 + x * x) * t.pdf(x, nu), 0.0, np.inf)[0])

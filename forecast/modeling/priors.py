"""Priors as numbers: densities, derivatives and draws of scales, and tails of coefficients.

A coefficient with a Student-t or a Laplace prior is normal given a scale of its own, whose prior
is written here beside those of the scales of groups: β | v ~ Normal(mean, v). With it the latent
vector is Gaussian given all log scales, whatever the prior (Andrews and Mallows 1974, JRSS B 36:99;
West 1987, Biometrika 74:646), and nested Laplace needs no other machinery.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import gammaln

from forecast.arrays import FloatArray

__all__ = ["ScalePrior", "Tail", "regularised"]

_ScaleForm = Literal[
    "half_normal", "half_t", "exponential", "horseshoe", "rayleigh", "root_inverse_gamma"
]


@dataclass(frozen=True)
class ScalePrior:
    """Prior of a scale σ > 0, read by θ = log σ; r = σ / scale.

    ``half_normal``; ``half_t`` with `df`; ``exponential`` (mean `scale`). ``rayleigh`` and
    ``root_inverse_gamma``, σ² ~ InverseGamma(df/2, df scale²/2), are the scales behind a Laplace
    and a Student-t coefficient. ``horseshoe``: σ ~ half-Cauchy(scale), and the effects of the
    group have local scales too, none beyond about `slab` (Piironen and Vehtari 2017, EJS 11:5018):
    f_l ~ Normal(0, s_l), s_l² = c² σ² λ_l² / (c² + σ² λ_l²), λ_l ~ half-Cauchy(1),
    c² ~ InverseGamma(df/2, df slab²/2).
    """

    scale: float
    form: _ScaleForm = "half_normal"
    df: float = np.inf
    slab: float = np.inf

    def __str__(self) -> str:
        name = "".join(part.title() for part in self.form.split("_"))
        more = [f"df={self.df:g}"] if self.form == "half_t" else []
        more += [f"slab={self.slab:g}"] if self.form == "horseshoe" else []
        return f"{name}({', '.join([f'{self.scale:g}', *more])})"

    @property
    def _nu(self) -> float:
        return 1.0 if self.form == "horseshoe" else self.df

    def log_density(self, theta: FloatArray) -> FloatArray:
        """Log density of θ: that of σ and the Jacobian of the logarithm."""
        s, nu = self.scale, self._nu
        match self.form:
            case "half_normal":
                constant = 0.5 * np.log(2 / np.pi) - np.log(s)
                return np.asarray(constant - 0.5 * np.exp(2 * theta) / s**2 + theta)
            case "half_t" | "horseshoe":
                constant = np.log(2) + gammaln((nu + 1) / 2) - gammaln(nu / 2)
                constant -= 0.5 * np.log(nu * np.pi) + np.log(s)
                square = np.exp(2 * theta) / (nu * s**2)
                return np.asarray(constant - 0.5 * (nu + 1) * np.log1p(square) + theta)
            case "exponential":
                return np.asarray(-np.log(s) - np.exp(theta) / s + theta)
            case "rayleigh":
                return np.asarray(-2 * np.log(s) - 0.5 * np.exp(2 * theta) / s**2 + 2 * theta)
        a, b = nu / 2, nu * s**2 / 2
        return np.asarray(np.log(2) + a * np.log(b) - gammaln(a) - nu * theta
                          - b * np.exp(-2 * theta))  # fmt: skip

    def pull(self, theta: float) -> tuple[float, float]:
        """One less the derivative of `log_density`, and the derivative of that."""
        square, nu = float(np.exp(2 * theta)) / self.scale**2, self._nu
        match self.form:
            case "half_normal":
                return square, 2.0 * square
            case "half_t" | "horseshoe":
                share = square / (nu + square)
                return (nu + 1) * share, 2.0 * (nu + 1) * share * (1.0 - share)
            case "exponential":
                return float(np.sqrt(square)), float(np.sqrt(square))
            case "rayleigh":
                return square - 1.0, 2.0 * square
        return 1.0 + nu - nu / square, 2.0 * nu / square

    @property
    def start(self) -> float:
        """Where a search for the mode begins: a scale that the prior holds likely."""
        own = {"rayleigh": np.sqrt(2.0), "root_inverse_gamma": 1.0}
        return float(own.get(self.form, 0.6)) * self.scale

    @property
    def mean_square(self) -> float:
        """E σ², infinite where there is none."""
        match self.form:
            case "half_normal":
                return self.scale**2
            case "exponential" | "rayleigh":
                return 2.0 * self.scale**2
        return self.scale**2 * self._nu / (self._nu - 2.0) if self._nu > 2.0 else np.inf

    def draw(self, rng: np.random.Generator, draws: int) -> FloatArray:
        """Draws of σ, (draws,)."""
        match self.form:
            case "half_normal":
                return np.asarray(np.abs(rng.normal(0.0, self.scale, size=draws)))
            case "exponential":
                return np.asarray(rng.exponential(self.scale, size=draws))
        return self.scale * np.abs(rng.standard_t(self._nu, size=draws))

    def upper(self, sigma: FloatArray) -> FloatArray:
        """Probability of a scale above `sigma`, without loss of digits far out."""
        r = sigma / self.scale
        match self.form:
            case "half_normal":
                return np.asarray(2.0 * stats.norm.sf(r))
            case "exponential":
                return np.asarray(np.exp(-r))
        return np.asarray(2.0 * stats.t.sf(r, self._nu))

    def local_scales(self, rng: np.random.Generator, sigma: FloatArray, levels: int) -> FloatArray:
        """Scales of effects of a group drawn from the prior, (draws, levels); `sigma` (draws,)."""
        if self.form != "horseshoe":
            return np.repeat(sigma[:, None], levels, axis=1)
        slab = self.slab * np.sqrt(0.5 * self.df / rng.gamma(0.5 * self.df, size=sigma.size))
        local = np.abs(rng.standard_cauchy((sigma.size, levels)))
        return np.asarray(regularised(sigma[:, None], local, slab[:, None] ** 2))


def regularised(sigma: Any, local: Any, slab: Any) -> Any:
    """Scales of a horseshoe's effects of its scale σ, λ and the squared slab c²."""
    wide = sigma * local
    return wide / (1.0 + wide**2 / slab) ** 0.5


@dataclass(frozen=True)
class Tail:
    """How a coefficient's prior differs from Normal(mean, scale): heavier tails."""

    form: Literal["student_t", "laplace"]
    df: float = np.inf

    def mixing(self, scale: float) -> ScalePrior:
        """Prior of the standard deviation given which the coefficient is normal."""
        if self.form == "laplace":
            return ScalePrior(scale, "rayleigh")
        return ScalePrior(scale, "root_inverse_gamma", self.df)

    @property
    def variance(self) -> float:
        """Of the prior, at scale 1."""
        return self.mixing(1.0).mean_square

    @property
    def distribution(self) -> Any:
        """Standard distribution of scipy."""
        return stats.laplace() if self.form == "laplace" else stats.t(self.df)

    def normal_score(self, z: npt.ArrayLike) -> FloatArray:
        """Standard normal value with the same probability below it as standardised `z` has."""
        z = np.asarray(z, dtype=np.float64)
        beyond = np.maximum(self.distribution.sf(np.abs(z)), 1e-300)
        return np.asarray(np.sign(z) * stats.norm.isf(beyond))

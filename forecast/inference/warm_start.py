"""`WarmStart`: what a fit leaves to a later one of the same model, so that it need not search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from forecast.inference.laplace import Start
from forecast.inference.latent import Latent
from forecast.modeling.design import Block, Design

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["WarmStart"]

FloatArray = npt.NDArray[np.float64]

_LEAST = 1e-6  # variance of a log scale that a posterior may have in any direction


@dataclass(frozen=True, eq=False)
class WarmStart:
    """Posterior means of a fit, and the covariance of its log scales.

    Small, so that it can be kept on disk and sent to other processes.

    Attributes
    ----------
    id : str
        Id of the fit.
    means : mapping of str to numpy.ndarray
        Variable of the posterior to its mean.
    names : mapping of str to numpy.ndarray of str
        Names of the entries of ``beta`` and of each group of effects, by dimension.
    scales : tuple of str
        Groups of effects, in the order of `covariance`.
    covariance : numpy.ndarray, shape (groups, groups)
        Posterior covariance of the logarithms of their scales.
    """

    id: str
    means: Mapping[str, FloatArray]
    names: Mapping[str, npt.NDArray[np.str_]]
    scales: tuple[str, ...]
    covariance: FloatArray

    @classmethod
    def of(cls, fit: Fit) -> Self:
        """What a fit leaves."""
        posterior = fit.posterior["posterior"].to_dataset()
        mean = posterior.mean(("chain", "draw"))
        scales = tuple(
            str(n).removeprefix("sigma_") for n in posterior if str(n).startswith("sigma_")
        )
        logs = [np.log(posterior[f"sigma_{name}"].to_numpy().ravel()) for name in scales]
        return cls(
            id=fit.id,
            means={str(n): v.to_numpy().astype(np.float64) for n, v in mean.data_vars.items()},
            names={
                str(v.dims[0]): v[v.dims[0]].to_numpy().astype(np.str_)
                for v in mean.data_vars.values()
                if v.dims
            },
            scales=scales,
            covariance=np.atleast_2d(np.cov(logs)) if logs else np.empty((0, 0)),
        )

    def begin(self, design: Design) -> Start:
        """Where the search begins for a design, e.g. of one more year.

        A coefficient or an effect that the fit did not have is put at its prior mean, a new step
        of a walk at the step before it.
        """
        beta = dict(zip(self.names["term"].tolist(), self.means["beta"], strict=True))
        group = Latent.group_of(design)
        w = [
            np.array([beta.get(n, m) for n, m in zip(design.names, design.prior_mean, strict=True)])
        ]
        w += [self._effects(block) for b, block in enumerate(design.blocks) if b != group]
        names = [block.name for block in design.blocks]
        scales = [
            float(self.means[f"sigma_{block.name}"])
            if block.name in self.scales
            else 0.6 * block.scale_prior
            for block in design.blocks
        ]
        covariance = None
        if set(names) <= set(self.scales):
            at = [self.scales.index(name) for name in names]
            spread = self.covariance[np.ix_(at, at)]
            # Of a fit that has not converged it may be anything.
            if np.isfinite(spread).all() and np.linalg.eigvalsh(spread).min(initial=1) > _LEAST:
                covariance = spread
        return Start(np.log(scales), np.concatenate(w), covariance)

    def _effects(self, block: Block) -> FloatArray:
        """Mean effects of the levels of a block."""
        if block.name not in self.scales:
            return np.zeros(len(block.levels))
        values = self.means[f"effect_{block.name}"]
        found = dict(zip(self.names[f"level_{block.name}"].tolist(), values, strict=True))
        last = float(values[-1]) if block.structure == "random_walk" else 0.0
        return np.array([found.get(level, last) for level in block.levels.tolist()])

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays that `from_arrays` reads back."""
        means = {f"mean:{name}": value for name, value in self.means.items()}
        names = {f"names:{dim}": value for dim, value in self.names.items()}
        return {
            "id": np.array(self.id),
            "scales": np.array(self.scales, dtype=np.str_),
            "covariance": self.covariance,
            **means,
            **names,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Inverse of `to_arrays`."""

        def part(prefix: str) -> dict[str, npt.NDArray[Any]]:
            return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}

        return cls(
            id=str(arrays["id"]),
            means=part("mean:"),
            names=part("names:"),
            scales=tuple(arrays["scales"].tolist()),
            covariance=arrays["covariance"],
        )

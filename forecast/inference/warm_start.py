"""`WarmStart`: what a fit leaves to a later one of the same model, so that it need not search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from forecast.inference.laplace import Start
from forecast.inference.latent import Latent
from forecast.inference.outline import Outline
from forecast.modeling.design import Block, Design

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["WarmStart"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WarmStart:
    """Posterior means of a fit, and the outline of its posterior.

    Small, so that it can be kept on disk and sent to other processes.

    Attributes
    ----------
    id : str
        Id of the fit.
    means : mapping of str to numpy.ndarray
        Variable of the posterior to its mean.
    names : mapping of str to numpy.ndarray of str
        Names of the entries of ``beta`` and of each group of effects, by dimension.
    outline : Outline, optional
        What the fit had to find out about the posterior around its mode; NUTS leaves none.
    """

    id: str
    means: Mapping[str, FloatArray]
    names: Mapping[str, npt.NDArray[np.str_]]
    outline: Outline | None

    @classmethod
    def of(cls, fit: Fit) -> Self:
        """What a fit leaves."""
        posterior = fit.posterior["posterior"].to_dataset()
        mean = posterior.mean(("chain", "draw"))
        return cls(
            id=fit.id,
            means={str(n): v.to_numpy().astype(np.float64) for n, v in mean.data_vars.items()},
            names={
                str(v.dims[0]): v[v.dims[0]].to_numpy().astype(np.str_)
                for v in mean.data_vars.values()
                if v.dims
            },
            outline=Outline.from_dataset(fit.posterior["outline"].to_dataset())
            if "outline" in fit.posterior
            else None,
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
        scales = [
            float(self.means.get(f"sigma_{block.name}", 0.6 * block.scale_prior))
            for block in design.blocks
        ]
        outline = None if self.outline is None else self.outline.moved_to(design)
        return Start(np.log(scales), np.concatenate(w), outline)

    def _effects(self, block: Block) -> FloatArray:
        """Mean effects of the levels of a block."""
        if f"effect_{block.name}" not in self.means:
            return np.zeros(len(block.levels))
        values = self.means[f"effect_{block.name}"]
        found = dict(zip(self.names[f"level_{block.name}"].tolist(), values, strict=True))
        last = float(values[-1]) if block.structure == "random_walk" else 0.0
        return np.array([found.get(level, last) for level in block.levels.tolist()])

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays that `from_arrays` reads back."""
        means = {f"mean:{name}": value for name, value in self.means.items()}
        names = {f"names:{dim}": value for dim, value in self.names.items()}
        outline: dict[str, npt.NDArray[Any]] = {}
        if self.outline is not None:
            data = asdict(self.outline)
            outline = {f"outline:{name}": np.array(value) for name, value in data.items()}
        return {"id": np.array(self.id), **means, **names, **outline}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Inverse of `to_arrays`."""

        def part(prefix: str) -> dict[str, npt.NDArray[Any]]:
            return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}

        outline: dict[str, Any] = part("outline:")
        if outline:
            outline |= {"blocks": tuple(outline["blocks"].tolist()), "rows": int(outline["rows"])}
        return cls(
            id=str(arrays["id"]),
            means=part("mean:"),
            names=part("names:"),
            outline=Outline(**outline) if outline else None,
        )

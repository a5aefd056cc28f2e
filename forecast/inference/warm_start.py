"""`WarmStart`: what a fit leaves to a later one of the same model, so that it need not search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.arrays import FloatArray
from forecast.inference.latent import Latent
from forecast.modeling.design import Block, Design

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["Outline", "Start", "WarmStart"]


_ALIKE = 0.1  # more or fewer rows, of all, for which an outline still serves


@dataclass(frozen=True, eq=False)
class Outline:
    """What has to be found out about a posterior before it can be sampled, but for its mode."""

    covariance: FloatArray  # about that of the log scales, from the curvature at their mode
    scales: FloatArray  # log scales of the group block: low, at the mode, high; or one of zero
    #: Mean gradient of the log likelihood by ``w`` under its Gaussian approximation given such a
    #: scale, less that at the mode, (scales, size).
    forces: FloatArray
    #: Third derivatives of the log likelihood by the whitened coordinates of ``w``, (size,).
    thirds: FloatArray
    labels: npt.NDArray[np.str_]  # names of the entries of ``w``
    blocks: tuple[str, ...]  # names of the log scales, in the order of `covariance`
    rows: int  # of the design in which it was found

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
        if self.blocks != Latent.scales_of(design) or abs(design.y.size / self.rows - 1.0) > _ALIKE:
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


@dataclass(frozen=True, eq=False)
class Start:
    """Where the search for the mode begins."""

    theta: FloatArray  # log scales, (scales,); see `Latent.scales_of`
    w: FloatArray  # coefficients and effects of the kept blocks; see `forecast.inference.latent`
    outline: Outline | None = None  # of a posterior like the one that is wanted, or to be found


@dataclass(frozen=True, eq=False)
class WarmStart:
    """Posterior means of a fit, and the outline of its posterior.

    Small, so that it can be kept on disk and sent to other processes.
    """

    id: str  # of the fit
    means: Mapping[str, FloatArray]  # of each variable of the posterior
    #: Names of the entries of ``beta`` and of each group of effects, by dimension.
    names: Mapping[str, npt.NDArray[np.str_]]
    #: What the fit had to find out about the posterior around its mode; NUTS leaves none.
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
            float(self.means.get(f"sigma_{block.name}", block.scale_prior.start))
            for block in design.blocks
        ]
        for j, tail in design.tails.items():
            away = beta.get(design.names[j], design.prior_mean[j]) - design.prior_mean[j]
            scales.append(max(tail.mixing(float(design.prior_sd[j])).start, abs(float(away))))
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

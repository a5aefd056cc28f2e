"""A fit as ArviZ wants it: every group of its workflow, by row or by blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.arrays import BoolArray, FloatArray, IntArray
from forecast.draws import Stream, check_seed, check_whole, generator, thinned
from forecast.errors import ArgumentError, UnknownNameError, shown
from forecast.inference.predict import PriorDraws, prior_draws
from forecast.inference.row_likelihood import (
    PosteriorDraws,
    RowPredictor,
    bernoulli,
    chunks,
    integrated,
    log_prior,
    own_block,
    posterior_draws,
)
from forecast.memory import require_memory
from forecast.modeling.design import Block, Design, encode, fitted_rows
from forecast.panel.columns import row_names
from forecast.panel.types import Panel

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["GROUPS", "LARGE", "Blocks", "FitRows", "datatree", "log_likelihood"]

#: Groups of rows times draws: made when they are asked for.
LARGE = ("log_likelihood", "posterior_predictive", "prior_predictive")
GROUPS = (
    "posterior", "sample_stats", "observed_data", "constant_data", "prior", "log_prior", *LARGE,
)  # fmt: skip
_CELLS = 1_000_000  # rows × draws held at once, a few times: 4 MB an array
_BY = "_by"  # column of a panel's rows in which labels of blocks travel


@dataclass(frozen=True, eq=False)
class Blocks:
    """Which rows of a design are taken together: `name` of them, such as ``pair``."""

    name: str
    index: IntArray  # block of each row, 0 … size - 1, (n,)
    coords: dict[str, Any]  # labels of the blocks, and of which state and year they are
    single: bool = False  # every row is a block of its own, in order

    @property
    def size(self) -> int:
        """Number of blocks."""
        return len(self.coords[self.name])

    @cached_property
    def order(self) -> IntArray:
        """Rows, block by block."""
        return np.argsort(self.index, kind="stable")

    def own(self, design: Design) -> Block | None:
        """Group of effects of which each block has one that no other block uses."""
        return None if self.single else own_block(design, self.index[self.order], self.order)


class FitRows:
    """The rows that a fit was made on, their design, and how they are taken together.

    `by` is ``"row"``, ``"pair"`` (or ``"state"``), ``"year"``, ``"decade"``, a column of the panel,
    or a label for each of its rows.
    """

    def __init__(self, fit: Fit, by: str | npt.ArrayLike = "row") -> None:
        panel = fit.panel
        if not isinstance(by, str):
            labels = np.asarray(by)
            if labels.shape != (n := panel.data.sizes["row"],):
                raise ArgumentError(
                    f"by={shown(by)}: expected a name or one label for each of the {n:,} rows of "
                    f"the panel, found shape {labels.shape}."
                )
            panel = panel.with_data(panel.data.assign({_BY: ("row", labels)}))
        self.panel: Panel = fitted_rows(fit.spec, panel)[0]
        self.design: Design = encode(fit.spec, self.panel)[0]
        self.blocks = self._blocks(by)

    def _blocks(self, by: str | npt.ArrayLike) -> Blocks:
        rows, data = self.design.rows, self.panel.data
        year = rows["year"].to_numpy()
        sides = [n for n in ("ccode", "ccode_a", "ccode_b") if n in rows.coords]
        unit = {1: "state", 2: "pair"}.get(len(sides), "")
        if isinstance(by, str) and by == "row":
            return self._each()
        if isinstance(by, str) and by == unit:
            return self._units(unit, sides)
        if not isinstance(by, str):
            name, labels = "block", data[_BY].to_numpy()
        elif by == "decade":
            name, labels = by, year // 10 * 10
        elif by in data.variables and data[by].dims == ("row",):
            name, labels = by, data[by].to_numpy()
        else:
            known = ("row", *([unit] if unit else []), "year", "decade", *map(str, data.variables))
            raise UnknownNameError("by", by, known, "Or a label for each row of the panel.")
        labels = labels.astype(str) if labels.dtype.kind in "OU" else labels
        found, index = np.unique(labels, return_inverse=True)
        return Blocks(name, index.astype(np.int64), {name: found})

    def _each(self) -> Blocks:
        rows = self.design.rows
        names = row_names(self.panel, rows)
        parts = ["–".join(map(str, sides)) for sides in zip(*names.values(), strict=True)]
        years = rows["year"].to_numpy().tolist()
        parts = parts or [""] * len(years)
        if "conflict_id" in rows.coords:
            parts = [f"{c} {p}" for c, p in zip(rows["conflict_id"].to_numpy(), parts, strict=True)]
        labels = pd.Index([f"{p} {y}".strip() for p, y in zip(parts, years, strict=True)])
        if labels.has_duplicates:  # such as months of a year, or names that two states share
            labels = pd.Index([f"{label} #{i}" for i, label in enumerate(labels)])
        coords = {str(name): coord for name, coord in rows.coords.items()}
        coords |= {name: ("row", values) for name, values in names.items()}
        return Blocks("row", np.arange(len(years)), coords | {"row": labels}, single=True)

    def _units(self, name: str, sides: list[str]) -> Blocks:
        """Pairs, whichever way round, or states; under the names of their last year."""
        rows = self.design.rows
        codes = np.sort(np.stack([rows[side].to_numpy() for side in sides], axis=1), axis=1)
        found, index = np.unique(codes, axis=0, return_inverse=True)
        index = index.ravel().astype(np.int64)
        last = np.zeros(len(found), dtype=np.int64)
        np.maximum.at(last, index, rows["year"].to_numpy())
        one = xr.Dataset(coords={side: ("row", found[:, i]) for i, side in enumerate(sides)})
        names = row_names(self.panel, one.assign_coords(year=("row", last)))
        labels = pd.Index(["–".join(map(str, each)) for each in zip(*names.values(), strict=True)])
        if labels.has_duplicates:
            labels = pd.Index(
                [
                    f"{label} {tuple(code)}"
                    for label, code in zip(labels, found.tolist(), strict=True)
                ]
            )
        of_states = {side: (name, found[:, i]) for i, side in enumerate(sides)}
        of_states |= {n: (name, values) for n, values in names.items() if n != name}
        return Blocks(name, index, {name: labels, **of_states})


def log_likelihood(
    design: Design, draws: PosteriorDraws, blocks: Blocks
) -> tuple[npt.NDArray[np.float32], dict[str, str]]:
    """Log likelihood of each block under each draw, (draws, blocks), and what it means in words.

    Where each block has an effect of its own, that is integrated out, so that what is left out is
    forecast as a block that was never seen.
    """
    own = blocks.own(design)
    out = np.zeros((draws.draws, blocks.size), dtype=np.float32)
    for rows, at, eta, rest in _passes(design, draws, blocks, own):
        y = design.y[rows]
        if own is None:
            _add(out, bernoulli(eta, y)[1], at)
            continue
        bounds = np.append(np.flatnonzero(np.diff(at, prepend=-1)), at.size)
        values = np.ascontiguousarray(rest.T, dtype=np.float64)
        out[:, at[0] : at[-1] + 1] = integrated(values, y, bounds, draws.sigma[own.name])
    return out, {"left_out": blocks.name, "integrated": "" if own is None else own.name,
                 "meaning": _meaning(blocks, own)}  # fmt: skip


def _meaning(blocks: Blocks, own: Block | None) -> str:
    if blocks.single:
        return (
            "Of each row, given all effects as drawn: leaving one out forecasts it from all other "
            "rows, those of the same pair before and after it among them."
        )
    if own is not None:
        return (
            f"Of all rows of a {blocks.name} together, its own effect (sigma_{own.name}) "
            f"integrated out: leaving it out forecasts a {blocks.name} that was never seen, from "
            "its features, the effects that it shares, and the population of its own."
        )
    return (
        f"Summed over the rows of a {blocks.name}, all effects as drawn. An effect that few other "
        "rows inform follows the rows that are left out: where Pareto k is over its limit, fit "
        f"without that {blocks.name} (or backtest) instead."
    )


def _passes(
    design: Design, draws: PosteriorDraws | PriorDraws, blocks: Blocks, own: Block | None = None
) -> Iterator[tuple[IntArray, IntArray, npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Chunks of rows: which, their blocks, ascending, and the predictors of `RowPredictor`.

    Of whole blocks where they have an effect of their own.
    """
    order = blocks.order
    index = blocks.index[order]
    begin = np.flatnonzero(np.diff(index, prepend=-1)) if own else np.arange(index.size)
    start = np.append(begin, index.size)
    predict = RowPredictor(design, draws, own)
    for first, last in chunks(start, len(draws.beta), _CELLS):
        part = slice(start[first], start[last])
        eta, rest = predict(order[part])
        yield order[part], index[part], eta, rest


def _add(out: npt.NDArray[Any], values: npt.NDArray[Any], at: IntArray) -> None:
    """Add sums over blocks of (draws, rows) to (draws, blocks); rows in the order of blocks."""
    first, last = int(at[0]), int(at[-1])
    if last - first + 1 == at.size:
        out[:, first : last + 1] += values
        return
    cuts = np.flatnonzero(np.diff(at, prepend=-1))
    wide = np.float64 if out.dtype.kind == "f" else out.dtype
    out[:, first : last + 1] += np.add.reduceat(values, cuts, axis=1, dtype=wide).astype(out.dtype)


def _replicated(
    design: Design, draws: PosteriorDraws | PriorDraws, blocks: Blocks, *key: int
) -> npt.NDArray[Any]:
    """Outcomes drawn anew: 0 or 1 of each row, or onsets of each block, (draws, blocks)."""
    kind = np.int8 if blocks.single else np.int32
    out = np.zeros((len(draws.beta), blocks.size), dtype=kind)
    for k, (rows, at, eta, _) in enumerate(_passes(design, draws, blocks)):
        p = bernoulli(eta, design.y[rows])[0]
        drawn: BoolArray = generator(*key, k).random(p.shape, dtype=np.float32) < p
        _add(out, drawn.T.astype(kind), at)
    return out


def datatree(
    fit: Fit,
    groups: str | Sequence[str] | None,
    *,
    by: str | npt.ArrayLike,
    draws: int | None,
    seed: int | None,
) -> xr.DataTree:
    """`Fit.to_datatree`."""
    wanted = _checked(groups)
    seed = fit.seed if seed is None else seed
    check_seed(seed)
    maker = _Groups(_thinned(fit, draws), FitRows(fit, by), seed)
    blocks, number = maker.rows.blocks, maker.draws
    asked = [name for name in wanted if name in LARGE]
    bytes_of = {n: 1 if blocks.single and n != "log_likelihood" else 4 for n in asked}
    require_memory(
        sum(bytes_of.values()) * number * blocks.size,
        f"{', '.join(asked)} of {blocks.size:,} {blocks.name}s under {number:,} draws "
        "(draws=… takes fewer, by='pair' or by='year' takes rows together)",
    )
    tree = xr.DataTree.from_dict({name: getattr(maker, name)() for name in wanted})
    tree.attrs |= fit.posterior.attrs | {"by": blocks.name}
    return tree


def _checked(groups: str | Sequence[str] | None) -> list[str]:
    if groups is None:
        return [name for name in GROUPS if name not in LARGE]
    given = GROUPS if groups == "all" else [groups] if isinstance(groups, str) else list(groups)
    for name in given:
        if name not in GROUPS:
            raise UnknownNameError("group", name, GROUPS, 'Or "all".')
    # nothing of ArviZ works without the first, and most of it compares with the third
    always = ("posterior", "sample_stats", "observed_data")
    return [name for name in GROUPS if name in given or name in always]


def _thinned(fit: Fit, draws: int | None) -> Fit:
    """The fit with at most so many draws, evenly spaced in each chain."""
    sizes = fit.posterior["posterior"].sizes
    chains, each = sizes["chain"], sizes["draw"]
    if draws is None:
        return fit
    check_whole("draws", draws, chains, chains * each)
    places = thinned(each, draws // chains)
    kept = {
        name: data.isel(draw=places) if "draw" in data.dims else data
        for name in ("posterior", "sample_stats")
        for data in [fit.posterior[name].to_dataset()]
    }
    return replace(fit, posterior=xr.DataTree.from_dict(kept))


class _Groups:
    """Each group, made when it is asked for."""

    def __init__(self, fit: Fit, rows: FitRows, seed: int) -> None:
        self.fit, self.rows, self.seed = fit, rows, seed
        kept = fit.posterior["posterior"].to_dataset()
        self.sample = {"chain": kept["chain"], "draw": kept["draw"]}
        self.shape = (kept.sizes["chain"], kept.sizes["draw"])
        self.draws = self.shape[0] * self.shape[1]

    @cached_property
    def _posterior(self) -> PosteriorDraws:
        return posterior_draws(self.fit, self.rows.design)

    @cached_property
    def _prior(self) -> PriorDraws:
        stream = np.random.SeedSequence([self.seed, Stream.PRIOR])
        return prior_draws(self.rows.design, draws=self.draws, seed=stream)

    def _of_blocks(self, values: npt.NDArray[Any], about: dict[str, str] | None) -> xr.Dataset:
        blocks = self.rows.blocks
        outcome = (("chain", "draw", blocks.name), values.reshape(*self.shape, -1), about)
        return xr.Dataset({"outcome": outcome}, blocks.coords | self.sample)

    def posterior(self) -> xr.Dataset:
        return self.fit.posterior["posterior"].to_dataset()

    def sample_stats(self) -> xr.Dataset:
        return self.fit.posterior["sample_stats"].to_dataset()

    def observed_data(self) -> xr.Dataset:
        blocks, y = self.rows.blocks, self.rows.design.y
        count = np.bincount(blocks.index, weights=y, minlength=blocks.size)
        kind = np.int8 if blocks.single else np.int32
        return xr.Dataset({"outcome": (blocks.name, count.astype(kind))}, blocks.coords)

    def constant_data(self) -> xr.Dataset:
        """What a row is told by, on its own scale; of blocks, how many rows they have."""
        blocks, data = self.rows.blocks, self.rows.panel.data
        if not blocks.single:
            return xr.Dataset({"rows": (blocks.name, np.bincount(blocks.index))}, blocks.coords)
        names = [entry.name for entry in self.fit.spec.entries]
        columns = {n: ("row", data[n].to_numpy().astype(np.float32)) for n in names}
        return xr.Dataset(columns, blocks.coords)

    def prior(self) -> xr.Dataset:
        """As many draws of the prior as of the posterior, in its layout."""
        draws, like, shape = self._prior, self.posterior(), self.shape
        found: dict[str, FloatArray] = {"beta": draws.beta}
        found |= {f"sigma_{name}": values for name, values in draws.sigma.items()}
        found |= {f"effect_{name}": values for name, values in draws.effects.items()}
        variables = {
            n: (like[n].transpose("chain", "draw", ...).dims, v.reshape(*shape, *v.shape[1:]))
            for n, v in found.items()
        }
        return xr.Dataset(variables, like.coords)

    def log_prior(self) -> xr.Dataset:
        """Of coefficients and scales; that of effects given their scale is part of the model."""
        found = log_prior(self.rows.design, self._posterior)
        dims = ("chain", "draw", "term")
        variables = {
            name: (dims[: v.ndim + 1], v.reshape(*self.shape, *v.shape[1:]))
            for name, v in found.items()
        }
        return xr.Dataset(variables, self.sample | {"term": self.posterior()["term"]})

    def log_likelihood(self) -> xr.Dataset:
        values, about = log_likelihood(self.rows.design, self._posterior, self.rows.blocks)
        return self._of_blocks(values, about).assign_attrs(about)

    def posterior_predictive(self) -> xr.Dataset:
        key = (self.seed, Stream.REPLICATES)
        drawn = _replicated(self.rows.design, self._posterior, self.rows.blocks, *key)
        return self._of_blocks(drawn, None)

    def prior_predictive(self) -> xr.Dataset:
        key = (self.seed, Stream.PRIOR)
        return self._of_blocks(
            _replicated(self.rows.design, self._prior, self.rows.blocks, *key), None
        )

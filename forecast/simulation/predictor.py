"""Log-odds of rows and draws: coefficients by year, columns that a simulation changes."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.inference.predict import memberships, new_level, posterior_values, predictor
from forecast.simulation import kernels
from forecast.simulation.dynamics import is_simulated
from forecast.simulation.lookup import Rows, Values, status_values

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.modeling.blocks import BlockCode, RowBlock
    from forecast.modeling.covariates import ColumnCode, ProductCode
    from forecast.modeling.encoding import Encoding

__all__ = ["Coefficients", "Frame", "live_products", "simulated_terms"]

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]

#: Groups whose effect on a pair differs between years.
_OF_YEARS = frozenset({"era", "year"})


class Coefficients:
    """Draws of the coefficients and effects of a fit: D evenly spaced ones, or all.

    Levels that the fit did not see (a new dyad, a walk step after the last) are drawn from their
    population distribution, once per level and posterior draw: the same numbers in every year and
    in every scenario of one seed.
    """

    def __init__(self, fit: Fit, *, draws: int | None, seed: int) -> None:
        self._values = cache(posterior_values(fit, draws))
        self._fit = fit
        self._seed = seed
        self._lasting: tuple[bytes, dict[str, Float32Array]] = (b"", {})
        self.beta: Float64Array = self._values("beta")
        self.draws = self.beta.shape[0]

    def at(self, year: int) -> Float64Array:
        """Coefficients in force in `year`; (D, p).

        Common mean plus the deviations of the era and of the step of a walk; those of strata,
        which differ between rows, are `strata`.
        """
        beta = self.beta.copy()
        names = self._fit.encoding.names
        for code in self._fit.encoding.blocks:
            if not code.is_slope or code.by:
                continue
            for column in code.columns:
                if code.structure == "random_walk":
                    deviation = self._walk(code, column, int(code.step_of([year])[0]))
                else:
                    era = code.eras[int(code.era_of([year])[0])][0]
                    deviation = self._level(code, f"{column}|{era}")
                beta[:, names.index(column)] += deviation
        return beta

    def strata(self) -> dict[str, dict[int, Float64Array]]:
        """Deviations of the coefficients by group of slopes and stratum, each (D, p)."""
        names = self._fit.encoding.names
        found: dict[str, dict[int, Float64Array]] = {}
        for code in self._fit.encoding.blocks:
            if not code.by:
                continue
            found[code.name] = {}
            for number in range(1 << len(code.by)):
                deviation = np.zeros_like(self.beta)
                for column in code.columns:
                    label = f"{column}|{code.part_label(number)}"
                    deviation[:, names.index(column)] = self._level(code, label)
                found[code.name][number] = deviation
        return found

    def _level(self, code: BlockCode, label: str) -> Float64Array:
        """Effect of one level, as drawn or, if the fit did not see it, new; (D,)."""
        if label in code.levels:
            return self._values(f"effect_{code.name}")[:, code.levels.index(label)]
        return self._new(code.name, label)

    def _walk(self, code: BlockCode, column: str, step: int) -> Float64Array:
        """A walking slope in a step, which may lie after the last of the fit; (D,)."""
        last = int(code.levels[-1].rpartition("|")[2])
        value = self._level(code, f"{column}|{min(step, last)}")
        for ahead in range(last + code.step, step + 1, code.step):
            value = value + self._new(code.name, f"{column}|{ahead}")
        return value

    def effects(self, rows: xr.Dataset) -> dict[str, Float32Array]:
        """Effect of each group but the slopes on rows of one year; (rows, D) by group.

        Those of states and pairs are the same in every year and world, and are made once.
        """
        pairs = b"".join(rows[name].to_numpy().tobytes() for name in ("ccode_a", "ccode_b"))
        known, lasting = self._lasting  # read at once: another thread may ask about other pairs
        if pairs != known:
            lasting = {}
            self._lasting = pairs, lasting
        found = dict(lasting)
        for code, block in self._blocks(rows, without=found):
            groups = memberships(block, self._values, self._seed)
            found[code.name] = predictor(*groups).astype(np.float32)
            if code.name not in _OF_YEARS:
                lasting[code.name] = found[code.name]
        return found

    def _blocks(
        self, rows: xr.Dataset, without: Container[str] = ()
    ) -> Iterator[tuple[BlockCode, RowBlock]]:
        """Every group but the slopes, whose weights need no design columns."""
        names = self._fit.encoding.names
        empty = np.zeros((rows.sizes["row"], len(names)))
        for code in self._fit.encoding.blocks:
            if not code.is_slope and code.name not in without:
                yield code, code.apply(rows, empty, names)

    def new_levels(self, rows: xr.Dataset) -> dict[str, npt.NDArray[np.bool_]]:
        """Rows that use a level which the fit did not see, by group; years to come always are."""
        return {
            code.name: block.unknown_weight > 0
            for code, block in self._blocks(rows)
            if code.name != "year"
        }

    def _new(self, block: str, label: str) -> Float64Array:
        """Fresh draws of one level from Normal(0, sigma_block), shape (D,)."""
        return new_level(self._seed, block, label, self.draws) * self._values(f"sigma_{block}")


#: By group of slopes that vary by stratum: deviations of all coefficients in each stratum, (D, p).
Strata = Mapping[str, Mapping[int, Float64Array]]
_CELLS = 500_000  # rows × draws whose columns are made at a time


def simulated_terms(encoding: Encoding) -> list[ColumnCode]:
    """Terms whose values a simulation carries forward draw by draw."""
    return [code for code in encoding.terms if is_simulated(code)]


def live_products(encoding: Encoding) -> list[ProductCode]:
    """Interactions with at least one simulated term; the others are fixed columns."""
    live = {code.name for code in simulated_terms(encoding)}
    return [product for product in encoding.interactions if live & set(product.of)]


@dataclass(eq=False)
class Frame:
    """Rows of one year: fixed design columns and values of the simulated terms.

    `X` (paths, R, p): fixed columns; zero in those of simulated terms and of interactions with one.
    `path` (D,): path of each draw. `values`: of every simulated term.
    """

    encoding: Encoding
    X: npt.NDArray[np.floating]
    path: IntArray
    values: Mapping[str, Values]
    _columns: dict[str, Float32Array] = field(default_factory=dict)

    def rows(self, at: Rows) -> Frame:
        """The same of some rows."""
        values = {name: value.rows(at) for name, value in self.values.items()}
        return Frame(self.encoding, self.X[:, at], self.path, values)

    def at_peace(self, years: int) -> Frame:
        """The same if no pair had a dispute under way, and so many years of peace behind it."""
        count = self.X.shape[1]
        own = {
            code.name: values
            for code in simulated_terms(self.encoding)
            if (values := status_values(code, years, count)) is not None
        }
        return Frame(self.encoding, self.X, self.path, {**self.values, **own})

    def log_odds(self, beta: Float64Array, strata: Strata) -> Float32Array:
        """Log-odds without the effects of groups, (R, D).

        `beta` (D, p) are the coefficients of the year, `strata` deviations as
        `Coefficients.strata`.
        """
        numbers = {name: self._strata(self.encoding.block(name)) for name in strata}
        # A stratum that no draw changes is another set of coefficients for some rows.
        fixed = [name for name, number in numbers.items() if number.shape[1] == 1]
        moving = [name for name in strata if name not in fixed]
        common = beta
        for name in moving:  # nearly all cells are of one stratum: the others are put right below
            common = common + strata[name][_most(numbers[name])]
        key = np.stack([numbers[name][:, 0] for name in fixed] or [np.zeros(self.X.shape[1], int)])
        if (key == key[:, :1]).all():
            total = self._linear(_moved(common, strata, dict(zip(fixed, key[:, 0], strict=False))))
        else:
            total = np.empty((self.X.shape[1], len(self.path)), dtype=np.float32)
            for part in np.unique(key, axis=1).T:
                at = np.flatnonzero((key == part[:, None]).all(axis=0))
                own = _moved(common, strata, dict(zip(fixed, part, strict=True)))
                total[at] = self.rows(at)._linear(own)
        for name in moving:
            most = _most(numbers[name])
            for stratum, deviation in strata[name].items():
                held = numbers[name] == stratum
                at = np.flatnonzero(held.any(axis=1)) if stratum != most else np.empty(0, int)
                if at.size:
                    moved = self.rows(at)._linear(deviation - strata[name][most])
                    total[at] += np.where(held[at], moved, np.float32(0))
        return total

    def column(self, name: str) -> Float32Array:
        """One design column, (R, D or 1)."""
        if name not in self._columns:
            self._columns[name] = self._column(name)
        return self._columns[name]

    def design(self) -> Float64Array:
        """All design columns if there is one path and one draw, (R, p)."""
        X = np.asarray(self.X[0], dtype=np.float64).copy()
        for code in simulated_terms(self.encoding):
            X[:, self.encoding.term_slices[code.name]] = code(self.values[code.name].array()[:, 0])
        for product in live_products(self.encoding):
            X[:, self.encoding.term_slices[product.name]] = product(X, self.encoding.names)
        return X

    def _column(self, name: str) -> Float32Array:
        for code in simulated_terms(self.encoding):
            if name in code.names:
                value, j = self.values[code.name], code.names.index(name)
                found = code(value.raw)[..., j].astype(np.float32)
                return found if value.index is None else np.asarray(found[value.index])
        j = self.encoding.names.index(name)
        if len(self.X) == 1:
            return np.asarray(self.X[0, :, j : j + 1], dtype=np.float32)
        return np.ascontiguousarray(self.X[:, :, j].T[:, self.path], dtype=np.float32)

    def _linear(self, beta: Float64Array) -> Float32Array:
        count, draws = self.X.shape[1], len(self.path)
        out = np.zeros((count, draws), dtype=np.float32)
        narrow = beta.astype(np.float32)
        fixed = narrow[:, self._fixed_columns].any()
        for k, X in enumerate(self.X) if fixed else ():
            chosen = slice(None) if len(self.X) == 1 else self.path == k
            out[:, chosen] = np.asarray(X, dtype=np.float32) @ narrow[chosen].T
        for code in simulated_terms(self.encoding):
            at = self.encoding.term_slices[code.name]
            if np.any(beta[:, at]):
                self._add_term(out, code, beta[:, at])
        for product in live_products(self.encoding):
            at = self.encoding.term_slices[product.name]
            for j, (left, right) in enumerate(zip(product.left, product.right, strict=True)):
                if np.any(narrow[:, at[j]]):
                    kernels.add_product(
                        out, self.column(left), self.column(right),
                        product.center[j], np.ascontiguousarray(narrow[:, at[j]]),
                    )  # fmt: skip
        return out

    def _add_term(self, out: Float32Array, code: ColumnCode, beta: Float64Array) -> None:
        value = self.values[code.name]
        if value.index is not None:
            table = np.ascontiguousarray(code(value.raw) @ beta.T, dtype=np.float32)
            kernels.add_lookup(out, value.index, table)
            return
        step = max(1, _CELLS // value.raw.shape[1])
        for first in range(0, len(out), step):
            part = slice(first, first + step)
            columns = code(value.raw[part])
            for j in range(columns.shape[-1]):
                out[part] += columns[..., j].astype(np.float32) * beta[:, j].astype(np.float32)

    @property
    def _fixed_columns(self) -> npt.NDArray[np.bool_]:
        """Which columns of X are not zero because they are simulated, (p,)."""
        held = np.ones(self.X.shape[2], dtype=bool)
        live: list[ColumnCode | ProductCode] = [*simulated_terms(self.encoding)]
        for code in [*live, *live_products(self.encoding)]:
            held[self.encoding.term_slices[code.name]] = False
        return held

    def _strata(self, code: BlockCode) -> IntArray:
        """Stratum of each row and draw, (R, D or 1)."""
        held = np.broadcast_arrays(*(self.column(name) for name in code.by))
        return code.strata_of(np.stack(held, axis=-1), code.by)


def _most(number: IntArray) -> int:
    """The stratum of most cells."""
    return int(np.bincount(number.ravel()).argmax())


def _moved(beta: Float64Array, strata: Strata, at: Mapping[str, int]) -> Float64Array:
    """Coefficients of one combination of strata."""
    for name, stratum in at.items():
        beta = beta + strata[name][int(stratum)]
    return beta

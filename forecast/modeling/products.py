"""Interactions: products of the design columns of two terms, fitted once and applied unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from forecast.errors import SpecificationError
from forecast.modeling.columns import ColumnCode
from forecast.modeling.terms import Interaction

__all__ = ["ProductCode", "fit_product"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ProductCode:
    """How an interaction becomes design columns: centred products of standardised columns.

    The coefficient of a product is by how much the coefficient of one term grows when the other
    goes up by one unit of its column: from 0 to 1, or by two standard deviations.

    Attributes
    ----------
    name : str
        The interaction.
    of : tuple of str
        The two terms.
    names : tuple of str, length k
        Names of the design columns: `name`, or one for each column of a smooth.
    left, right : tuple of str, length k
        Columns of the first and of the second term that are multiplied.
    center : tuple of float, length k
        Mean of each product in the rows of the fit.
    """

    name: str
    of: tuple[str, str]
    names: tuple[str, ...]
    left: tuple[str, ...]
    right: tuple[str, ...]
    center: tuple[float, ...]

    def __call__(self, X: npt.NDArray[Any], names: Sequence[str]) -> FloatArray:
        """Design columns from those of the terms.

        Parameters
        ----------
        X : numpy.ndarray, shape (..., p)
            Columns of the terms.
        names : sequence of str, length p
            Their names.

        Returns
        -------
        numpy.ndarray, shape (..., k)
        """
        place = {name: at for at, name in enumerate(names)}
        left = X[..., [place[name] for name in self.left]]
        right = X[..., [place[name] for name in self.right]]
        out: FloatArray = left * right - np.asarray(self.center)
        return out

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`, also after JSON turned tuples into lists."""
        values: dict[str, Any] = {f.name: content[f.name] for f in fields(cls)}
        made: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**made)


def fit_product(
    interaction: Interaction,
    terms: Sequence[ColumnCode],
    X: FloatArray,
    names: Sequence[str],
) -> tuple[ProductCode | None, list[str]]:
    """Code of an interaction, and a remark if it had to be left out (None).

    Parameters
    ----------
    interaction : Interaction
        From the specification.
    terms : sequence of ColumnCode
        All terms and smooths of the fit.
    X : numpy.ndarray, shape (n, p)
        Their columns in the rows of the fit.
    names : sequence of str, length p
        Names of the columns.

    Raises
    ------
    SpecificationError
        The product is a combination of the two terms (no row has both, say), or one of them has
        no column, and the interaction does not say ``if_constant = "drop"``.
    """
    first, second = (next(t for t in terms if t.name == name) for name in interaction.of)
    pairs = [(a, b) for a in first.value_names for b in second.value_names]
    where = f"Interaction {interaction.name!r} of {first.name!r} and {second.name!r}"
    bare = ProductCode(
        name=interaction.name,
        of=interaction.of,
        names=tuple(_label(interaction.name, a, b) for a, b in pairs),
        left=tuple(a for a, _ in pairs),
        right=tuple(b for _, b in pairs),
        center=(0.0,) * len(pairs),
    )
    product = bare(X, names)
    place = [list(names).index(name) for name in (*first.value_names, *second.value_names)]
    if pairs and _adds_something(product, X[:, place]):
        return replace(bare, center=tuple(float(v) for v in product.mean(axis=0))), []
    if interaction.if_constant == "drop":
        return None, [f"{interaction.name}: nothing beyond its two terms in this sample, left out"]
    raise SpecificationError(
        f"{where} says nothing beyond the two in this sample: no row (or every row) has both, or "
        'one of them is constant. Remove it or set if_constant = "drop"'
    )


def _adds_something(product: FloatArray, parts: FloatArray) -> bool:
    """Whether every product has something that no combination of the two terms has."""
    base = np.column_stack([np.ones(len(parts)), parts])
    solution = np.linalg.lstsq(base, product, rcond=None)[0]
    rest = ((product - base @ solution) ** 2).sum(axis=0)
    whole = ((product - product.mean(axis=0)) ** 2).sum(axis=0)
    return bool((rest > 1e-9 * whole).all() and (whole > 0).all())


def _label(name: str, *columns: str) -> str:
    """``name``, or ``name[knot]`` for the column of a smooth."""
    knots = [column[column.index("[") :] for column in columns if "[" in column]
    return name + "".join(knots)

"""From features to rows: the one place where the lag is applied.

A state-level value of each side, or a directed value each way, becomes one number per row as
the request's `side` says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError, DataError, UnknownNameError
from forecast.features.registry import Feature, get_feature
from forecast.panel.types import Panel

__all__ = ["FeatureRequest", "Side", "compute_features", "feature_arrays"]

Side = Literal["a", "b", "sum", "mean", "min", "max", "absdiff", "none"]
Unit = Literal["state-year", "dyad-year", "directed-dyad-year"]
Float64Array = npt.NDArray[np.float64]

#: How the values of the two sides become one. NaN on either side is NaN.
_COMBINE: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "a": lambda a, b: a,
    "b": lambda a, b: b,
    "sum": lambda a, b: a + b,
    "mean": lambda a, b: (a + b) / 2,
    "min": np.minimum,
    "max": np.maximum,
    "absdiff": lambda a, b: np.abs(a - b),
}


@dataclass(frozen=True)
class FeatureRequest:
    """A column to compute.

    Attributes
    ----------
    name : str
        Name of the column.
    feature : str
        Registered feature.
    options : dict
        Options of the feature, e.g. ``{"window": 10}``.
    side : {"a", "b", "sum", "mean", "min", "max", "absdiff", "none"}
        How the two sides' values become one for a dyad row. ``a`` and ``b`` are the row's
        ``ccode_a`` and ``ccode_b`` (in a directed panel challenger and target). ``none`` for a
        symmetric dyad feature, a system feature and any state-year row.

    Raises
    ------
    UnknownNameError
        Unknown feature, option or side; names the nearest.
    ArgumentError
        A side that the feature's level does not allow.
    """

    name: str
    feature: str
    options: Mapping[str, Any] = field(default_factory=dict)
    side: Side = "none"

    def __post_init__(self) -> None:
        if self.side not in get_args(Side):
            raise UnknownNameError(
                f"side of column {self.name!r}:",
                self.side,
                [side for side in get_args(Side) if len(side) > 1],
                f"Sides: {', '.join(get_args(Side))}.",
            )
        spec = self.spec
        spec.check_options(self.options)
        if self.side != "none" and spec.level in ("system", "dyad"):
            raise ArgumentError(
                f"column {self.name!r}: feature {spec.name!r} has one value per "
                f"{'year' if spec.level == 'system' else 'pair'}; side must be 'none', "
                f"found {self.side!r}"
            )
        if self.side == "none" and spec.level == "directed":
            raise ArgumentError(
                f"column {self.name!r}: feature {spec.name!r} is directed (one value for each "
                "side); side must be one of a, b, sum, mean, min, max, absdiff"
            )

    @property
    def spec(self) -> Feature:
        """The registered feature."""
        return get_feature(self.feature)

    @property
    def key(self) -> str:
        """Feature and options as canonical JSON: equal keys share one array."""
        return json.dumps([self.feature, dict(self.options)], sort_keys=True)

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes of the column that say how it was made."""
        return {
            "feature": self.feature,
            "options": json.dumps(dict(self.options), sort_keys=True),
            "side": self.side,
            "unit": self.spec.unit,
            "formula": self.spec.formula,
        }


def feature_arrays(
    world: xr.Dataset, requests: Sequence[FeatureRequest], *, unit: Unit = "dyad-year"
) -> dict[str, xr.DataArray]:
    """Unlagged arrays of the requested columns, the two sides combined.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    requests : sequence of FeatureRequest
        Columns.
    unit : {"dyad-year", "directed-dyad-year", "state-year"}
        Unit of the rows.

    Returns
    -------
    dict of str to xarray.DataArray
        For dyads (year, state, other), `state` being side a; for state-years (year, state).
        Value at year s = state of affairs in s.
    """
    shape = ("year", "state") if unit == "state-year" else ("year", "state", "other")
    computed: dict[str, xr.DataArray] = {}
    columns: dict[str, xr.DataArray] = {}
    for request in requests:
        _check_unit(request, unit)
        if request.key not in computed:
            computed[request.key] = request.spec(world, **request.options)
        raw = computed[request.key]
        level, values = request.spec.level, raw.to_numpy()
        if level == "system":
            combined = np.broadcast_to(
                values.reshape((-1,) + (1,) * (len(shape) - 1)),
                tuple(world.sizes[dim] for dim in shape),
            )
        elif request.side == "none":
            combined = values
        elif level == "state":
            combined = _COMBINE[request.side](
                *np.broadcast_arrays(values[:, :, None], values[:, None, :])
            )
        else:
            combined = _COMBINE[request.side](values, values.transpose(0, 2, 1))
        columns[request.name] = xr.DataArray(
            combined, dims=shape, coords={d: world[d] for d in shape}, attrs=request.attrs
        )
    return columns


def compute_features(panel: Panel, requests: Sequence[FeatureRequest]) -> Panel:
    """Panel with one float64 variable per request, gathered `panel.lag` years before each row.

    Parameters
    ----------
    panel : Panel
        Rows and the world they come from.
    requests : sequence of FeatureRequest
        Columns. A column that is there already is kept, unless it records that it was made from
        another feature, options or side and can be made anew.

    Returns
    -------
    Panel
        Missing values are NaN; they include rows whose lagged year the world does not hold and
        rows of a state that enters the system in the year of the row (it had no state of affairs
        the year before; only its dispute history, which is none, is known). The attributes of a
        column say how it was made, and which years (of the state of affairs) it ``covers``.

    Raises
    ------
    ArgumentError
        Two different requests for one column, or a side that does not suit the panel's unit.
    DataError
        A column is missing and the panel has no world to compute it from, or a row names a
        state that the world does not have.
    """
    _check_distinct(requests)
    wanted = [r for r in requests if not _is_there(panel, r)]
    if not wanted:
        return panel
    if panel.world is None:
        raise DataError(
            f"column {wanted[0].name!r} (feature {wanted[0].feature!r}) is not in the panel, and "
            "a panel read from a file has no alliances to compute it from; "
            f"columns found: {', '.join(map(str, panel.data.data_vars))}"
        )
    rows = _Positions.of(panel)
    computed: dict[str, xr.DataArray] = {}
    columns: dict[str, tuple[str, Float64Array, dict[str, str]]] = {}
    for request in wanted:
        _check_unit(request, panel.unit)
        if request.key not in computed:
            computed[request.key] = request.spec(panel.world, **request.options)
        values = rows.gather(computed[request.key].to_numpy(), request)
        attrs = {**request.attrs, "covers": _covers(computed[request.key])}
        columns[request.name] = ("row", values, attrs)
    return panel.with_data(panel.data.assign(columns))


@dataclass(frozen=True, eq=False)
class _Positions:
    """Where each row's lagged year and states are in the dense arrays."""

    year: npt.NDArray[np.intp]
    known: npt.NDArray[np.bool_]
    sides: tuple[npt.NDArray[np.intp], ...]

    @classmethod
    def of(cls, panel: Panel) -> _Positions:
        assert panel.world is not None
        years = panel.world["year"].to_numpy()
        lagged = panel.data["year"].to_numpy() - panel.lag
        position = np.searchsorted(years, lagged).clip(max=len(years) - 1)
        names = ("ccode",) if panel.unit == "state-year" else ("ccode_a", "ccode_b")
        codes = panel.world["state"].to_numpy()
        sides = []
        for name in names:
            wanted = panel.data[name].to_numpy()
            found = np.searchsorted(codes, wanted).clip(max=len(codes) - 1)
            if (absent := codes[found] != wanted).any():
                raise DataError(
                    f"column {name!r}, row {int(np.flatnonzero(absent)[0])}: state "
                    f"{int(wanted[absent][0])} is not in the world of {years[0]}–{years[-1]}"
                )
            sides.append(found)
        return cls(year=position, known=years[position] == lagged, sides=tuple(sides))

    def gather(self, values: np.ndarray, request: FeatureRequest) -> Float64Array:
        level, side = request.spec.level, request.side
        if level == "system":
            column = values[self.year]
        elif level == "state" and side == "none":
            column = values[self.year, self.sides[0]]
        elif level == "state":
            column = _COMBINE[side](*(values[self.year, at] for at in self.sides))
        else:
            a, b = self.sides
            column = values[self.year, a, b]
            if side != "none":
                column = _COMBINE[side](column, values[self.year, b, a])
        return np.where(self.known, column, np.nan).astype(np.float64)


def _covers(values: xr.DataArray) -> str:
    """First and last year with any value, e.g. "1951-2025": what a message about gaps can say."""
    known = ~np.isnan(values.to_numpy()).reshape(values.sizes["year"], -1).all(axis=1)
    years = values["year"].to_numpy()[known]
    return f"{years[0]}-{years[-1]}" if years.size else "no year"


def _check_unit(request: FeatureRequest, unit: str) -> None:
    level = request.spec.level
    if unit == "state-year":
        if level in ("dyad", "directed"):
            raise ArgumentError(
                f"column {request.name!r}: feature {request.feature!r} is about pairs of states "
                "and has no value in a state-year panel"
            )
        if request.side != "none":
            raise ArgumentError(
                f"column {request.name!r}: a state-year row has one side; side must be 'none', "
                f"found {request.side!r}"
            )
    elif level == "state" and request.side == "none":
        raise ArgumentError(
            f"column {request.name!r}: feature {request.feature!r} has one value for each side "
            "of a dyad; side must be one of a, b, sum, mean, min, max, absdiff"
        )


def _check_distinct(requests: Sequence[FeatureRequest]) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for request in requests:
        made = (request.key, request.side)
        if seen.setdefault(request.name, made) != made:
            raise ArgumentError(f"column {request.name!r} is requested twice, differently")


def _is_there(panel: Panel, request: FeatureRequest) -> bool:
    if request.name not in panel.data.data_vars:
        return False
    recorded = panel.data[request.name].attrs
    same = all(recorded.get(k, v) == v for k, v in request.attrs.items())
    if same or panel.world is not None:
        return same
    raise ArgumentError(
        f"column {request.name!r} was made with feature {recorded.get('feature')!r}, options "
        f"{recorded.get('options')} and side {recorded.get('side')!r}; it cannot be made anew "
        "from a panel read from a file"
    )

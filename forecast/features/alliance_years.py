"""Columns of alliance-years: what a treaty is, and what its members are, a lag before each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, DataError
from forecast.features.registry import ordered
from forecast.features.shared import sharing
from forecast.features.treaty import treaty_features
from forecast.panel.types import Panel

if TYPE_CHECKING:
    from forecast.features.gather import FeatureRequest

__all__ = ["member_columns", "with_treaty_features"]

#: How the values of the members become one; NaN if one of them has none.
_OVER_MEMBERS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "sum": lambda value, member: np.where(member, value, 0.0).sum(axis=1),
    "mean": lambda value, member: np.where(member, value, 0.0).sum(axis=1) / member.sum(axis=1),
    "min": lambda value, member: np.where(member, value, np.inf).min(axis=1),
    "max": lambda value, member: np.where(member, value, -np.inf).max(axis=1),
}


def member_columns(
    panel: Panel, requests: Sequence[FeatureRequest]
) -> dict[str, npt.NDArray[np.float64]]:
    """One column per request: a system feature, or a state feature over the treaty's members.

    Parameters
    ----------
    panel : Panel
        Alliance-years with their world.
    requests : sequence of FeatureRequest
        The side of a state feature says how the members' values become one: ``sum``, ``mean``,
        ``min`` or ``max``.

    Returns
    -------
    dict of str to numpy.ndarray, shape (row,), float64
        NaN where the treaty did not bind two states in the lagged year, or a member has no value.

    Raises
    ------
    ArgumentError
        A feature of pairs, or a side that picks one of two.
    """
    for request in requests:
        _check(request)
    world, year, treaty, known = _positions(panel)
    member = np.zeros((len(year), world.sizes["state"]), dtype=bool)
    member[known] = world["treaty_member"].to_numpy()[year[known], treaty[known]]
    bound = known & (member.sum(axis=1) >= 2)
    computed: dict[str, np.ndarray] = {}
    columns = {}
    with sharing():
        for request in requests:
            if request.key not in computed:
                computed[request.key] = request.spec.plain(world, **request.options)
            dense = computed[request.key]
            column = np.full(len(year), np.nan)
            if request.spec.level == "system":
                column[known] = dense[year[known]]
            else:
                combine = _OVER_MEMBERS[request.side]
                column[bound] = combine(dense[year[bound]].astype(np.float64), member[bound])
                column[~np.isfinite(column)] = np.nan
            columns[request.name] = column
    return columns


def _check(request: FeatureRequest) -> None:
    level = request.spec.level
    if level in ("dyad", "directed"):
        raise ArgumentError(
            f"column {request.name!r}: feature {request.feature!r} is about pairs of states and "
            "has no value in an alliance-year panel; expected a feature of states or of the system"
        )
    if level == "state" and request.side not in _OVER_MEMBERS:
        raise ArgumentError(
            f"column {request.name!r}: in an alliance-year panel the values of all members become "
            f"one; side must be one of {', '.join(_OVER_MEMBERS)}, found {request.side!r}"
        )


def with_treaty_features(panel: Panel, *, window: int = 5) -> Panel:
    """The panel with the features of each row's treaty, `panel.lag` years before.

    Parameters
    ----------
    panel : Panel
        Alliance-years with their world.
    window : int
        Years to look back for ``treaty_expansion``.

    Returns
    -------
    Panel
        One float64 variable for each of `treaty_features`, named ``treaty_expansion``,
        ``treaty_depth``, ``treaty_size`` and so on; NaN in the first year of a treaty.

    Raises
    ------
    ArgumentError
        A panel of another unit.
    DataError
        A panel without its world.
    """
    if panel.unit != "alliance-year":
        raise ArgumentError(
            f"Features of treaties are for unit='alliance-year'; found {panel.unit!r}."
        )
    world, year, treaty, known = _positions(panel)
    table = treaty_features(world, window=window)
    columns = {}
    for name in map(str, table.data_vars):
        if name == "in_force":
            continue
        column = np.full(len(year), np.nan)
        column[known] = table[name].to_numpy()[year[known], treaty[known]]
        columns[f"treaty_{name}"] = ("row", column)
    return panel.with_data(panel.data.assign(columns))


def _positions(
    panel: Panel,
) -> tuple[xr.Dataset, npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """World; for each row the positions of its lagged year and treaty, and if they are there."""
    if panel.world is None:
        raise DataError("A panel read from a file has no alliances to compute features from.")
    world = ordered(panel.world)
    year = panel.data["year"].to_numpy() - panel.lag - int(world["year"][0])
    treaty = pd.Index(world["treaty"].to_numpy()).get_indexer(panel.data["alliance_id"].to_numpy())
    if (treaty < 0).any():
        lost = panel.data["alliance_id"].to_numpy()[treaty < 0][0]
        raise DataError(f"column 'alliance_id': treaty {lost!r} is not in the world of the panel.")
    known = (year >= 0) & (year < world.sizes["year"])
    known[known] &= world["obligation_covered"].to_numpy()[year[known]]
    return world, year, treaty, known

"""Alliance-years: what a treaty is, and what its members are, a lag before each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, DataError
from forecast.features import arrays, successions
from forecast.features.commitment import pact_concentration
from forecast.features.registry import ordered
from forecast.features.shared import sharing
from forecast.panel.types import Panel
from forecast.sources.tables import OBLIGATIONS

if TYPE_CHECKING:
    from forecast.features.gather import FeatureRequest

__all__ = ["member_columns", "treaty_features", "with_treaty_features"]

#: How the values of the members become one; NaN if one of them has none.
_OVER_MEMBERS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "sum": lambda value, member: np.where(member, value, 0.0).sum(axis=1),
    "mean": lambda value, member: np.where(member, value, 0.0).sum(axis=1) / member.sum(axis=1),
    "min": lambda value, member: np.where(member, value, np.inf).min(axis=1),
    "max": lambda value, member: np.where(member, value, -np.inf).max(axis=1),
}


def treaty_features(world: xr.Dataset, *, window: int = 5) -> xr.Dataset:
    """Features of every treaty in every year in which at least two states are bound by it.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    window : int
        Years to look back for `expansion`.

    Returns
    -------
    xarray.Dataset, dims (year, treaty)
        Float32, NaN in years that are not covered or when the treaty has fewer than two members
        (`in_force` False):

        - ``expansion`` (states): members that were not members `window` years before, or at its
          formation if that is later; relabelled successors are not new. NaN when the window
          reaches before coverage, unless the treaty was formed within coverage.
        - ``depth`` (items, 0–5): integrated command, coordination, basing, aid, organisation.
        - ``latent_depth`` (standard deviations): the trait behind those and further provisions,
          see `forecast.panel.treaties`; NaN where they are not coded.
        - ``size`` (log states): log of the number of members.
        - ``concentration`` (index, 0–1): Herfindahl index of the members' capability; NaN when a
          member's capability is missing.
        - ``conditions`` (flags, 0–6), ``settlement`` (0/1).
        - one 0/1 variable per obligation class (``defense`` … ``consultation``): whether some
          member owes it.
        - ``in_force`` (bool): at least two members.
    """
    arrays.positive("window", window)
    world = ordered(world)
    dims = ("year", "treaty")
    years, start = world["year"].to_numpy(), world["treaty_start"].to_numpy()
    covered = world["obligation_covered"].to_numpy()
    member = world["treaty_member"].to_numpy()
    member = successions.count_once(member, world, pairs=False)
    pledge = world["treaty_pledge"].to_numpy()
    index, live = pact_concentration(world)
    size = member.sum(axis=2)

    added, known = _members_added(world, member, start, window)
    shape = live.shape
    columns: dict[str, np.ndarray] = {
        "expansion": np.where(known, added, np.nan),
        "depth": np.broadcast_to(world["treaty_depth"].to_numpy(), shape),
        "latent_depth": np.broadcast_to(world["treaty_latent_depth"].to_numpy(), shape),
        "size": np.log(np.maximum(size, 1)),
        "concentration": np.where(world["capability_covered"].to_numpy()[:, None], index, np.nan),
        "conditions": np.broadcast_to(world["treaty_conditions"].to_numpy(), shape),
        "settlement": np.broadcast_to(world["treaty_settlement"].to_numpy(), shape),
    }
    for at, name in enumerate(OBLIGATIONS):
        mask = world.get(f"{name}_covered", world["obligation_covered"]).to_numpy()[:, None]
        columns[name] = np.where(mask, pledge[..., at].any(axis=2), np.nan)
    in_force = live & covered[:, None]
    data: dict[str, tuple[tuple[str, str], np.ndarray]] = {
        name: (dims, np.where(in_force, values, np.nan).astype(np.float32))
        for name, values in columns.items()
    }
    data["in_force"] = (dims, in_force)
    return xr.Dataset(data, coords={"year": years, "treaty": world["treaty"].to_numpy()})


def _members_added(
    world: xr.Dataset, member: np.ndarray, start: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Members gained since max(s − window, formation), and where that is known; (year, treaty)."""
    years = world["year"].to_numpy()
    codes = world["state"].to_numpy()
    position = {int(code): at for at, code in enumerate(codes)}
    base_year = np.maximum(years[:, None] - window, start[None, :])
    base = base_year - years[0]
    inside = (base >= 0) & (base <= np.arange(len(years))[:, None])
    base = base.clip(0, len(years) - 1)
    treaty = np.arange(len(start))
    before = member[base, treaty[None, :]]
    for change in successions.SUCCESSIONS:
        old, new = position.get(change.predecessor), position.get(change.successor)
        if old is None or new is None:
            continue
        spans = (base_year < change.year) & (years[:, None] >= change.year)
        before[..., new] |= before[..., old] & spans
    known = inside & world["obligation_covered"].to_numpy()[base]
    return (member & ~before).sum(axis=2), known


def member_columns(
    panel: Panel, requests: Sequence[FeatureRequest]
) -> dict[str, npt.NDArray[np.float64]]:
    """One column per request: a system feature, or a state feature over the treaty's members.

    The side of a state feature says how the members' values become one. NaN where the treaty did
    not bind two states in the lagged year, or a member has no value.
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

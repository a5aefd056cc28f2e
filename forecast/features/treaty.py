"""Features of treaties, for the alliance-level regression of `state_onset`."""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.features import successions, windows
from forecast.features.commitment import pact_concentration
from forecast.features.registry import ordered
from forecast.sources.tables import OBLIGATIONS

__all__ = ["treaty_features"]


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
    windows.positive("window", window)
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

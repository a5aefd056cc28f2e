"""History of disputes as arrays over years: peace years, counts and decayed sums of past onsets.

Plain array functions over the dense world, used for panels, features and simulated futures. The
first axis is the year, the last two are the two states (or the last one, for a state's own
count); axes between, such as posterior draws, are carried along.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError

__all__ = ["decayed_count", "peace_years", "state_peace_years", "total_count", "windowed_count"]

Array = TypeVar("Array", npt.NDArray[np.generic], xr.DataArray)
BoolArray = npt.NDArray[np.bool_]


def _values(array: xr.DataArray | npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return array.to_numpy() if isinstance(array, xr.DataArray) else np.asarray(array)


def _like[Array: (npt.NDArray[np.generic], xr.DataArray)](
    template: Array, values: npt.NDArray[np.generic], name: str
) -> Array:
    if isinstance(template, xr.DataArray):
        return template.copy(data=values).rename(name).drop_attrs()
    return values


def _started(
    member: npt.NDArray[np.generic], entry_year: npt.NDArray[np.generic] | None
) -> npt.NDArray[np.int32]:
    """Index of the first year of each running membership spell, (year, state); -1 outside."""
    inside = np.asarray(member, dtype=bool)
    start = np.full(inside.shape, -1, dtype=np.int32)
    for t in range(len(inside)):
        begins = inside[t].copy()
        if t > 0:
            begins &= ~inside[t - 1]
            if entry_year is not None:
                # Exit and return within two consecutive years leave no gap in `member`.
                begins |= inside[t] & (entry_year[t] > entry_year[t - 1])
            start[t] = np.where(inside[t] & ~begins, start[t - 1], -1)
        start[t][begins] = t
    return start


def _presence(start: npt.NDArray[np.int32], t: int, since: int, *, pair: bool) -> BoolArray:
    """Who (which pairs) are there in year t, in spells that began by year `since`."""
    there = (start[t] >= 0) & (start[t] <= since)
    return np.asarray(np.logical_and.outer(there, there)) if pair else there


def _restart(
    values: npt.NDArray[np.int16] | npt.NDArray[np.float32],
    fresh: npt.NDArray[np.intp],
    new: npt.NDArray[np.generic] | int,
    *,
    pair: bool,
) -> None:
    """Write `new` for the states that enter and, of pairs, in whatever involves one of them."""
    for at in ((..., fresh), (..., fresh, slice(None))) if pair else ((..., fresh),):
        values[at] = new[at] if isinstance(new, np.ndarray) else new


def _check(values: npt.NDArray[np.generic], member: npt.NDArray[np.generic], what: str) -> None:
    states = member.shape[1] if member.ndim == 2 else None
    if values.ndim < 2 or states is None or values.shape[0] != member.shape[0]:
        raise ArgumentError(
            f"{what} has shape {values.shape} and member {member.shape}; expected "
            "(year, …, state, other) or (year, state), and (year, state)."
        )
    if values.shape[-1] != states:
        raise ArgumentError(
            f"{what} has {values.shape[-1]} states and member {states}; expected the same."
        )


def peace_years[Array: (npt.NDArray[np.generic], xr.DataArray)](
    dispute: Array,
    member: xr.DataArray | npt.NDArray[np.bool_],
    *,
    entry_year: xr.DataArray | npt.NDArray[np.int16] | None = None,
) -> Array:
    """Completed years since the pair's last dispute-year, or since the later entry of the two.

    `dispute` (year, ..., state, other): whether a dispute was active on some day of the year.
    `member` (year, state); `entry_year` (year, state), the first year of the running spell, catches
    a state that leaves and returns without a whole year outside.

    int16; the value at year s is peace as known at the end of s: 0 in a dispute-year, in the first
    common year, and where the two are not both members. Years before the first of the array are
    unknown, so a count that reaches back to it is a lower bound.
    """
    active, inside = _values(dispute), _values(member)
    _check(active, inside, "dispute")
    start = _started(inside, None if entry_year is None else _values(entry_year))
    out = np.empty(active.shape, dtype=np.int16)
    last = np.full(active.shape[1:], -1, dtype=np.int16)
    for t in range(len(active)):
        _restart(last, np.flatnonzero(start[t] == t), t, pair=True)
        np.copyto(last, t, where=active[t].astype(bool, copy=False))
        np.multiply(t - last, _presence(start, t, t, pair=True), out=out[t])
    return _like(dispute, out, "peace_years")


def state_peace_years(
    active: npt.NDArray[np.bool_],
    member: npt.NDArray[np.bool_],
    *,
    entry_year: xr.DataArray | npt.NDArray[np.int16] | None = None,
) -> npt.NDArray[np.int16]:
    """Completed years (year, state) since each state's last dispute-year, or since its entry.

    `active` (year, state): whether the state had a dispute with anybody on some day of the year.
    The rest as `peace_years`.
    """
    _check(active, member, "active")
    start = _started(member, None if entry_year is None else _values(entry_year))
    out = np.empty(active.shape, dtype=np.int16)
    last = np.full(active.shape[1:], -1, dtype=np.int16)
    for t in range(len(active)):
        last[(start[t] == t) | active[t]] = t
        np.multiply(t - last, start[t] >= 0, out=out[t])
    return out


def total_count[Array: (npt.NDArray[np.generic], xr.DataArray)](
    onset: Array,
    *,
    member: xr.DataArray | npt.NDArray[np.bool_] | None = None,
    entry_year: xr.DataArray | npt.NDArray[np.int16] | None = None,
) -> Array:
    """Number of onset-years so far, that of the year itself included, int16.

    `onset` (year, ..., state, other) or (year, state); counted once a year if bool. With `member`
    (year, state) the count restarts when a state enters the system anew and is 0 outside.
    """
    return _count(onset, None, member, entry_year, "total_count")


def windowed_count[Array: (npt.NDArray[np.generic], xr.DataArray)](
    onset: Array,
    window: int,
    *,
    member: xr.DataArray | npt.NDArray[np.bool_] | None = None,
    entry_year: xr.DataArray | npt.NDArray[np.int16] | None = None,
) -> Array:
    """Number of onset-years in the last `window` years, the year itself included; as `total_count`.

    In the first years of the array the window is shorter.
    """
    if window < 1:
        raise ArgumentError(f"window={window}: expected a number of years of at least 1.")
    return _count(onset, window, member, entry_year, "windowed_count")


def decayed_count[Array: (npt.NDArray[np.generic], xr.DataArray)](
    onset: Array,
    half_life: float,
    *,
    member: xr.DataArray | npt.NDArray[np.bool_] | None = None,
    entry_year: xr.DataArray | npt.NDArray[np.int16] | None = None,
) -> Array:
    """Onsets so far, each weighted by 2^(−age / half_life); one of the year itself counts 1.

    float32, bounded by 1 / (1 − 2^(−1 / half_life)) for bool onsets; the rest as `total_count`.
    """
    if not 0 < half_life < np.inf:
        raise ArgumentError(f"half_life={half_life}: expected a number of years greater than 0.")
    events = _values(onset)
    start, pair = _spells(events, member, entry_year)
    keep = np.float32(0.5 ** (1.0 / half_life))
    out = np.empty(events.shape, dtype=np.float32)
    running = np.zeros(events.shape[1:], dtype=np.float32)
    for t, began in enumerate(events):
        running *= keep
        running += began
        if start is not None:
            _restart(running, np.flatnonzero(start[t] == t), began, pair=pair)
            running *= _presence(start, t, t, pair=pair)
        out[t] = running
    return _like(onset, out, "decayed_count")


def _spells(
    events: npt.NDArray[np.generic],
    member: xr.DataArray | npt.NDArray[np.bool_] | None,
    entry_year: xr.DataArray | npt.NDArray[np.int16] | None,
) -> tuple[npt.NDArray[np.int32] | None, bool]:
    """When each spell of membership began, if there are any, and whether events are of pairs."""
    if member is None:
        return None, False
    inside = _values(member)
    _check(events, inside, "onset")
    start = _started(inside, None if entry_year is None else _values(entry_year))
    return start, events.ndim >= 3 and events.shape[-2] == inside.shape[1]


def _count[Array: (npt.NDArray[np.generic], xr.DataArray)](
    onset: Array,
    window: int | None,
    member: xr.DataArray | npt.NDArray[np.bool_] | None,
    entry_year: xr.DataArray | npt.NDArray[np.int16] | None,
    name: str,
) -> Array:
    events = _values(onset)
    start, pair = _spells(events, member, entry_year)
    out = np.empty(events.shape, dtype=np.int16)
    running = np.zeros(events.shape[1:], dtype=np.int16)
    for t, began in enumerate(events):
        np.add(running, began, out=running, casting="unsafe")
        if window is not None and t >= window:
            leaving = events[t - window]
            if start is not None:
                # What leaves the window was counted only if the spell had begun by then.
                leaving = leaving * _presence(start, t, t - window, pair=pair)
            np.subtract(running, leaving, out=running, casting="unsafe")
        if start is not None:
            _restart(running, np.flatnonzero(start[t] == t), began, pair=pair)
            np.multiply(running, _presence(start, t, t, pair=pair), out=running)
        out[t] = running
    return _like(onset, out, name)

"""Reliability: how often a state came when it was bound to, and security discounted by it.

A call is a conflict in which an ally that a state was bound to defend was attacked from outside
the pact; it is honoured when the state joins the fight against an opponent of that ally
(`forecast.panel.treaties` has the rules). The record of a state in s holds the calls of conflicts
that began by the end of s, and what it had done about them by then:

    ρ_i = (a + honoured_i) / (a + b + invoked_i),

the mean of a Beta(a, b) prior updated with the record. With a = b = 1 a state that was never
called upon has 1/2, near the share of wars in which allies came in Berkemeier & Fuhrmann 2018
(Leeds, Long & Mitchell 2000 find three quarters in 1816–1944: a = 3, b = 1).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features import arrays
from forecast.features.arrays import Weights
from forecast.features.dependency import Security
from forecast.features.needs import as_at_origin
from forecast.features.registry import feature, get_feature
from forecast.features.shared import shared
from forecast.features.successions import SUCCESSIONS
from forecast.sources.schemas import LEVELS

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SOURCE = "Leeds, Long & Mitchell 2000; Crescenzi et al. 2012; Berkemeier & Fuhrmann 2018"
_feature = partial(
    feature,
    family="reliability",
    source=SOURCE,
    needs=("obligation", "conflict", "member"),
    simulate=as_at_origin("who attacks, and who then comes, is not simulated"),
)


@shared
def record(
    world: xr.Dataset, level: str = "war", window: int | None = None
) -> tuple[IntArray, IntArray]:
    """Calls of the last `window` years (s included; None: all), and those honoured by the end of s.

    Both (year, state). A conflict is one call, however many allies it was about. The record of a
    relabelled state is its successor's too.
    """
    if level not in LEVELS:
        raise UnknownNameError("level of conflict", level, LEVELS, f"One of {', '.join(LEVELS)}.")
    chosen = world["call_level"].to_numpy() >= LEVELS.index(level)
    conflict, bound, begun, came = (
        world[f"call_{name}"].to_numpy()[chosen].astype(np.int64)
        for name in ("conflict", "bound", "year", "honoured_year")
    )
    never = np.iinfo(np.int64).max
    came[came == 0] = never
    # One row for each conflict and bound state: when it began, and when the state first came.
    pair, row = np.unique(np.stack([conflict, bound]), axis=1, return_inverse=True)
    first, joined = np.full(pair.shape[1], never), np.full(pair.shape[1], never)
    np.minimum.at(first, row.reshape(-1), begun)
    np.minimum.at(joined, row.reshape(-1), came)
    joined = np.maximum(first, joined)
    bound, last = pair[1], np.full(first.shape, never)
    if window is not None:
        last = first + window - 1
    entries = [(bound, first, joined, last)]
    for change in SUCCESSIONS:
        own = bound == change.predecessor
        code = np.full(own.sum(), change.successor)
        since, came = (np.maximum(years[own], change.year) for years in (first, joined))
        entries.append((code, since, came, last[own]))
    code, since, came, until = (np.concatenate(part) for part in zip(*entries, strict=True))
    return _running(world, code, since, until), _running(world, code, came, until)


def _running(world: xr.Dataset, code: IntArray, since: IntArray, until: IntArray) -> IntArray:
    """Number of entries of each state that hold in each year, (year, state)."""
    years, states = world["year"].to_numpy(), world["state"].to_numpy()
    change = np.zeros((len(years) + 1, len(states)), dtype=np.int64)
    at = np.searchsorted(states, code).clip(max=len(states) - 1)
    begin = np.clip(since, years[0], years[-1] + 1) - years[0]
    end = np.clip(until, years[0] - 1, years[-1]) - years[0] + 1
    counts = (states[at] == code) & (begin < end)
    np.add.at(change, (begin[counts], at[counts]), 1)
    np.add.at(change, (end[counts], at[counts]), -1)
    return np.asarray(np.cumsum(change[:-1], axis=0))


def expected(
    world: xr.Dataset, *, a: float, b: float, level: str, window: int | None
) -> Float64Array:
    """ρ of every state, (year, state)."""
    for name, value in (("a", a), ("b", b)):
        if not value > 0:
            raise ArgumentError(f"{name} must be greater than 0; found {value!r}")
    if window is not None:
        arrays.positive("window", window)
    if not world.attrs.get("initiators_coded", 1):
        # Without attackers there are no calls: the prior alone is not a record.
        return np.full((world.sizes["year"], world.sizes["state"]), np.nan)
    invoked, honoured = record(world, level, window)
    return np.asarray((a + honoured) / (a + b + invoked))


@_feature(
    level="state",
    unit="share",
    formula="ρ_i = (a + honoured) / (a + b + invoked): calls on i's defence obligations in wars so "
    "far",
)
def reliability(
    world: xr.Dataset,
    *,
    a: float = 1.0,
    b: float = 1.0,
    level: str = "war",
    window: int | None = None,
) -> np.ndarray:
    """Expected chance that the state honours its next call, given its own record.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    a, b : float
        Of the Beta prior; greater than 0.
    level : {"threat", "display_of_force", "use_of_force", "clash", "war"}
        Conflicts of at least this level between the ally and its attacker are calls.
    window : int, optional
        Only calls of this many last years, s included; by default all covered ones.
    """
    return expected(world, a=a, b=b, level=level, window=window)


@_feature(
    level="state",
    unit="share",
    sign="-",
    formula="mean over k∈D(i) of ρ_k = (a + honoured) / (a + b + invoked); missing without allies",
)
def ally_reliability(
    world: xr.Dataset,
    *,
    a: float = 1.0,
    b: float = 1.0,
    level: str = "war",
    window: int | None = None,
) -> np.ndarray:
    """Mean reliability of the states that are bound to defend the state.

    Parameters as in `reliability`.
    """
    chance = expected(world, a=a, b=b, level=level, window=window)
    bound = arrays.defenders(world) > 0
    return arrays.over(arrays.sum_over(bound, chance), bound.sum(axis=2))


def _discounted(name: str, of: str, formula: str) -> None:
    """Register a measure of `dependency.Security` with ρ_k c_k as what an ally is worth."""
    plain = get_feature(of)

    def discounted(
        world: xr.Dataset,
        *,
        weights: Weights = "defense",
        a: float = 1.0,
        b: float = 1.0,
        level: str = "war",
        window: int | None = None,
    ) -> np.ndarray:
        own = arrays.capability(world)
        worth = expected(world, a=a, b=b, level=level, window=window) * own
        return np.asarray(getattr(Security(arrays.defenders(world, weights), worth, own), of)())

    discounted.__name__ = discounted.__qualname__ = name
    discounted.__doc__ = (
        f"`{of}` with each ally's capability discounted by its reliability.\n\n"
        f"Parameters as in `{of}` and `reliability`."
    )
    _feature(
        level=plain.level,
        unit=plain.unit,
        sign=plain.sign,
        formula=formula,
        source=f"{SOURCE}; `{of}`",
        needs=plain.needs | {"conflict"},
    )(discounted)


_SUM = "E = Σ_{k∈D(i)} w_k ρ_k c_k"
_discounted("reliable_external_share", "external_share", f"E / (E + c_i), {_SUM}")
_discounted("reliable_patron_share", "patron_share", f"max_k w_k ρ_k c_k / (E + c_i), {_SUM}")
_discounted(
    "reliable_concentration",
    "ally_concentration",
    f"Σ_k (w_k ρ_k c_k / E)², {_SUM}; missing without allies",
)
_discounted(
    "reliable_patron_loss",
    "patron_withdrawal_loss",
    f"log((E + c_i) / (E − max_k w_k ρ_k c_k + c_i)), {_SUM}",
)

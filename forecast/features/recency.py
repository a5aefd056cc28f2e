"""Recent conflict whose memory fades: decayed histories, quiet years, disputes of third states.

An onset u years ago counts 2^(−u/h): no edge at which it is forgotten at once, as a window has,
and no gap where a window reaches before coverage. Like all history these features change with
simulated conflicts and are never pre-treatment; ages of states are.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.errors import ArgumentError
from forecast.features import arrays, successions, windows
from forecast.features.history import peace_years
from forecast.features.registry import feature
from forecast.features.shared import shared
from forecast.features.successions import continued
from forecast.panel import history

__all__ = [
    "disputes_decayed",
    "disputes_with_allies",
    "long_peace",
    "neighbour_disputes",
    "other_disputes_decayed",
    "rival_disputes",
    "state_age",
    "state_disputes_decayed",
    "state_peace_years",
    "system_disputes_decayed",
]

FADING = "Crescenzi & Enterline 2001 on fading memory; Hegre et al. 2001"
DIFFUSION = "Most & Starr 1980; Siverson & Starr 1991; Buhaug & Gleditsch 2008 on diffusion"


@feature(
    family="history",
    level="dyad",
    unit="decayed onsets",
    bounds=(0, None),
    sign="+",
    formula="Σ_{u≤s} 2^(−(s−u)/h) · onsets between i and j in u, since coverage or the later entry",
    source=FADING,
    needs=("conflict",),
    pre_treatment=False,
    whole_record=True,
)
def disputes_decayed(world: xr.Dataset, *, half_life: float = 8.0) -> np.ndarray:
    """Disputes that began between the two, fading with the half-life; one of s counts 1."""
    return _decayed_onsets(world, half_life)


@feature(
    family="history",
    level="state",
    unit="decayed conflicts",
    bounds=(0, None),
    sign="+",
    formula="Σ_{u≤s} 2^(−(s−u)/h) · distinct conflicts that i came into in u",
    source=FADING,
    needs=("conflict",),
    pre_treatment=False,
    whole_record=True,
)
def state_disputes_decayed(world: xr.Dataset, *, half_life: float = 10.0) -> np.ndarray:
    """Distinct conflicts of the state, each fading with the half-life; one of s counts 1."""
    world = continued(world)
    return windows.decayed_count(world, world["dispute_onset_count"].to_numpy(), half_life)


@feature(
    family="history",
    level="directed",
    unit="decayed conflicts",
    bounds=(0, None),
    sign="+",
    formula="decayed conflicts of i as in `state_disputes_decayed`, less its decayed onsets with j",
    source=FADING + "; Bremer 1992",
    needs=("conflict",),
    pre_treatment=False,
    whole_record=True,
)
def other_disputes_decayed(world: xr.Dataset, *, half_life: float = 10.0) -> np.ndarray:
    """Fading conflicts of the state with anybody but the other of the pair.

    What the pair itself did is `disputes_decayed`; together they are the state's own record. A
    conflict fought with several states counts once for a state, so that with a common conflict
    the difference may understate; it is never below 0.
    """
    level, own = _activity(world, half_life)
    return np.asarray(np.maximum(level[:, :, None] - own, 0))


@feature(
    family="history",
    level="system",
    unit="dyadic onsets per 100 states and year",
    bounds=(0, None),
    sign="+",
    formula="100 · Σ_u 2^(−(s−u)/h) dyadic onsets in u / Σ_u 2^(−(s−u)/h) states in u",
    source=FADING + "; Hegre et al. 2013 (global conflict as context)",
    needs=("conflict",),
    pre_treatment=False,
    whole_record=True,
)
def system_disputes_decayed(world: xr.Dataset, *, half_life: float = 2.0) -> np.ndarray:
    """Dyadic onsets of the whole system per 100 state-years, recent years weighing more.

    Per state, so that the growth of the system is not read as more conflict.
    """
    half_life = windows.half_life_years(half_life)
    onsets = windows.dispute_onsets(world).sum(axis=(1, 2)) / 2
    states = world["member"].to_numpy().sum(axis=1)
    total, exposure = (
        history.decayed_count(windows.covered_events(world, v)[:, None], half_life)[:, 0].astype(
            float
        )
        for v in (onsets, states)
    )
    return windows.where_known(100 * total / np.where(exposure > 0, exposure, 1), exposure > 0)


@feature(
    family="history",
    level="state",
    unit="years",
    bounds=(0, None),
    sign="-",
    formula="years at peace with everybody at the end of s: since i's last dispute or its entry",
    source="Beck, Katz & Tucker 1998, for states",
    needs=("conflict",),
    pre_treatment=False,
    whole_record=True,
)
def state_peace_years(world: xr.Dataset) -> np.ndarray:
    """Completed years without a dispute of the state with anybody; 0 in a dispute year."""
    world = continued(world)
    active = world["dispute"].to_numpy().any(axis=2)
    member = windows.known_members(world)
    return history.state_peace_years(active, member, entry_year=world["entry_year"])


@feature(
    family="history",
    level="dyad",
    unit="0/1",
    bounds=(0, 1),
    sign="-",
    formula="1 if `peace_years` > y",
    source="Bennett 1998 on the end of rivalries; Goertz & Diehl 1993",
    needs=("conflict",),
    pre_treatment=False,
    whole_record=True,
)
def long_peace(world: xr.Dataset, *, years: int = 10) -> np.ndarray:
    """Whether the two have been at peace for more than `years` years: the stratum 'quiet'.

    A pair that has been in the system together for no more than `years` years is not.
    """
    if isinstance(years, bool) or not isinstance(years, (int, np.integer)) or years < 0:
        raise ArgumentError(f"years must be a whole number of at least 0; found {years!r}")
    return np.asarray(peace_years(world)) > years


@feature(
    family="power",
    level="state",
    unit="years",
    bounds=(0, None),
    sign="free",
    formula="s − first year of i's running spell in the system (a relabelled state's: of its "
    "predecessor); at most the cap",
    source="Maoz 1989 on new states; COW State System Membership",
    needs=("member",),
    pre_treatment=True,
    whole_record=True,
)
def state_age(world: xr.Dataset, *, cap: int = 100) -> np.ndarray:
    """Years that the state has been in the system; with ``side="min"`` the age of the dyad."""
    cap = windows.positive("cap", cap)
    years = world["year"].to_numpy()[:, None]
    return np.clip(years - successions.entry_year(world), 0, cap)


def _of_third_states(tie: np.ndarray, level: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Σ_{k≠j} tie_ik (level_k − own_ik): what tied states k went through apart from i and j.

    Parameters
    ----------
    tie : numpy.ndarray, shape (year, state, other), bool or float
        Symmetric.
    level : numpy.ndarray, shape (year, state)
        Activity of each state.
    own : numpy.ndarray, shape (year, state, other)
        Its part that is with each other state; symmetric.

    Returns
    -------
    numpy.ndarray, shape (year, state, other)
        Directed: of the third states tied to `state`, seen against `other`. Their disputes with
        `other` count (a neighbour's fight with the opponent is what spreads), those with `state`
        itself do not (they are its own record).
    """
    tie = np.asarray(tie, dtype=np.float32)
    each = tie * np.maximum(level[:, None, :] - own, 0)
    # A float sum less one of its parts may end just below zero.
    return np.asarray(np.maximum(each.sum(axis=2, keepdims=True) - each, 0))


@feature(
    family="history",
    level="directed",
    unit="decayed conflicts",
    bounds=(0, None),
    sign="+",
    formula="Σ over k ≠ j with a land border with i of k's decayed conflicts, those with i left "
    "out",
    source=DIFFUSION,
    needs=("conflict", "contiguity", "member"),
    pre_treatment=False,
    whole_record=True,
)
def neighbour_disputes(world: xr.Dataset, *, half_life: float = 3.0) -> np.ndarray:
    """Recent conflicts of the state's land neighbours other than the opponent."""
    border = successions.count_once(world["contiguity"].to_numpy() == 1, world)
    return _of_third_states(border, *_activity(world, half_life))


@feature(
    family="history",
    level="directed",
    unit="decayed conflicts",
    bounds=(0, None),
    sign="free",
    formula="Σ over rivals k ≠ j of i of k's decayed conflicts, those with i left out",
    source=DIFFUSION + "; rivals as in `rivalry`",
    needs=("conflict", "member"),
    pre_treatment=False,
    whole_record=True,
)
def rival_disputes(
    world: xr.Dataset,
    *,
    half_life: float = 3.0,
    rivals: str = "auto",
    rival_window: int = 20,
    rival_onsets: int = 2,
) -> np.ndarray:
    """Recent conflicts of the state's rivals other than the opponent.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    half_life : float
        Years in which the weight of a conflict halves.
    rivals, rival_window, rival_onsets
        See `forecast.features.windows.rivals`.
    """
    rival, known = windows.rivals(world, rivals, window=rival_window, minimum=rival_onsets)
    rival = successions.count_once(rival, world)
    return windows.where_known(_of_third_states(rival, *_activity(world, half_life)), known)


@feature(
    family="deterrence",
    level="directed",
    unit="decayed onsets",
    bounds=(0, None),
    sign="+",
    formula="Σ_{k≠i} A_jk · decayed onsets of i with k; A: a defence pact either way",
    source="Snyder 1984 and Siverson & Starr 1991 on conflict that spreads along alliances",
    needs=("conflict", "obligation", "member"),
    pre_treatment=False,
    whole_record=True,
)
def disputes_with_allies(world: xr.Dataset, *, half_life: float = 3.0) -> np.ndarray:
    """Recent disputes of the state with the allies of the other: `side="sum"` takes both ways.

    The count, and its memory, behind `ally_in_dispute_with_opponent`.
    """
    own = _decayed_onsets(world, half_life)
    ally = successions.count_once(arrays.allied(world), world).astype(np.float32)
    # The diagonal of both is zero: neither i itself nor j is among the allies k.
    return np.asarray(np.matmul(own, ally.transpose(0, 2, 1)))


def _activity(world: xr.Dataset, half_life: float) -> tuple[np.ndarray, np.ndarray]:
    """Decayed conflicts of each state, and decayed onsets of each pair."""
    own = continued(world)
    level = windows.decayed_count(own, own["dispute_onset_count"].to_numpy(), half_life)
    return level, _decayed_onsets(world, half_life)


@shared
def _decayed_onsets(world: xr.Dataset, half_life: float) -> np.ndarray:
    """Decayed onsets of each pair, (year, state, other): behind several features."""
    world = continued(world)
    return windows.decayed_count(world, windows.dispute_onsets(world), half_life)

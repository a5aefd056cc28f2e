"""Rivalry, and the balance of friends and enemies around a pair.

Rivals are those of `forecast.features.windows.rivals`: Thompson & Dreyer's strategic rivalries in
the years that the data set has them for, repeated disputes in the others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import UnknownNameError
from forecast.features import arrays, successions, windows
from forecast.features.registry import feature
from forecast.features.shared import shared
from forecast.panel.history import windowed_count

__all__ = ["rival_count", "rivalry", "structural_balance"]

BoolArray = npt.NDArray[np.bool_]
SOURCE = "Thompson & Dreyer 2012; Diehl & Goertz 2000 for rivals by disputes"

#: Third states that `structural_balance` counts, by their relation to the two.
TRIADS = ("ally_enemy", "enemy_enemy", "ally_ally")


@feature(
    family="history",
    level="dyad",
    unit="0/1",
    bounds=(0, 1),
    sign="+",
    formula="1 if strategic rivals in s; in years without that table, if ≥ m dispute onsets in w "
    "years",
    source=SOURCE,
    needs=("conflict", "member"),
    pre_treatment=False,
)
def rivalry(
    world: xr.Dataset, *, rivals: str = "auto", rival_window: int = 20, rival_onsets: int = 2
) -> np.ndarray:
    """Whether the two are rivals.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    rivals : {"auto", "strategic", "disputes"}
        See `forecast.features.windows.rivals`.
    rival_window, rival_onsets : int
        Years and number of onset-years of a rivalry by disputes.
    """
    rival, known = windows.rivals(world, rivals, window=rival_window, minimum=rival_onsets)
    return windows.where_known(rival, known)


@feature(
    family="history",
    level="state",
    unit="states",
    bounds=(0, None),
    sign="+",
    formula="number of rivals of i, as in `rivalry`",
    source=SOURCE,
    needs=("conflict", "member"),
    pre_treatment=False,
)
def rival_count(
    world: xr.Dataset, *, rivals: str = "auto", rival_window: int = 20, rival_onsets: int = 2
) -> np.ndarray:
    """Number of the state's rivals; a relabelled rival is one."""
    rival, known = windows.rivals(world, rivals, window=rival_window, minimum=rival_onsets)
    return windows.where_known(successions.count_once(rival, world).sum(axis=2), known)


@shared
def signed_edges(
    world: xr.Dataset, window: int, rivals: str
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Friends and enemies, symmetric (year, state, other), and the known years.

    Enemies had an active dispute, or were strategic rivals, in the last `window` years (s
    included). Friends have a defence pact in s and are not enemies: a pair that is both, as
    Greece and Turkey were, is no safe friend.
    """
    if rivals not in windows.RIVALS:
        raise UnknownNameError("rivals:", rivals, windows.RIVALS)
    past = successions.continued(world)
    covered = world["conflict_covered"].to_numpy()
    hostile = past["dispute"].to_numpy() & covered[:, None, None]
    known = 2 * windows.covered_years(covered, window) >= window
    if rivals != "disputes":
        listed = windows.strategic(past)
        hostile = listed if rivals == "strategic" else hostile | listed
        if rivals == "strategic":
            known = world["rivalry_covered"].to_numpy() if "rivalry" in world else known & False
    recent = windowed_count(
        hostile,
        window,
        member=past["member"].to_numpy(),
        entry_year=past["entry_year"].to_numpy(),
    )
    enemy = successions.count_once(recent > 0, world)
    friend = successions.count_once(arrays.allied(world), world) & ~enemy
    return friend, enemy, known


@feature(
    family="structure",
    level="dyad",
    unit="states",
    bounds=(0, None),
    sign="+",
    formula="|{k: A_ik E_jk or E_ik A_jk}| (mixed), |{k: E_ik E_jk}| or |{k: A_ik A_jk}|; E: "
    "dispute or rivalry in the last w years, A: defence pact and not E",
    source="Heider 1946; Cartwright & Harary 1956; Maoz et al. 2007 on imbalances and conflict",
    needs=("obligation", "conflict", "member"),
    pre_treatment=False,
)
def structural_balance(
    world: xr.Dataset, *, which: str = "ally_enemy", window: int = 5, rivals: str = "auto"
) -> np.ndarray:
    """Number of third states that are friend or enemy of the two in a certain way.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    which : {"ally_enemy", "enemy_enemy", "ally_ally"}
        Third states that are an ally of one and an enemy of the other (triads that are balanced
        only if the two are enemies; expected sign +), enemies of both, or allies of both (triads
        that are balanced only if the two are friends; expected sign −).
    window : int
        Years for which a dispute or rivalry makes enemies, s included.
    rivals : {"auto", "strategic", "disputes"}
        ``disputes``: enemies by disputes alone; ``strategic``: by the table of rivalries alone
        (missing past it); ``auto``: by disputes and, in the years that it covers, the table.

    Returns
    -------
    numpy.ndarray, shape (year, state, other)
        Symmetric; missing where less than half of the window is covered.
    """
    if which not in TRIADS:
        raise UnknownNameError("which triads:", which, TRIADS, f"One of {', '.join(TRIADS)}.")
    friend, enemy, known = signed_edges(world, windows.positive("window", window), rivals)
    first = (enemy if which == "enemy_enemy" else friend).astype(np.float32)
    second = (friend if which == "ally_ally" else enemy).astype(np.float32)
    number = np.matmul(first, second.transpose(0, 2, 1))
    if which == "ally_enemy":  # friend and enemy exclude each other: no state is counted twice
        number = number + number.transpose(0, 2, 1)
    return windows.where_known(number, known)

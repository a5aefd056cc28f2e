"""Rivals, and the third states around a pair: what they went through, whose friends they are.

Rivals are Thompson & Dreyer's strategic rivalries in the years that the data set has them for,
repeated disputes in the others.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import UnknownNameError
from forecast.features import arrays, successions
from forecast.features.history import activity
from forecast.features.needs import Moves, as_at_origin, flagged
from forecast.features.registry import feature
from forecast.features.shared import shared
from forecast.panel.history import windowed_count

BoolArray = npt.NDArray[np.bool_]
SOURCE = "Thompson & Dreyer 2012; Diehl & Goertz 2000 for rivals by disputes"
DIFFUSION = "Most & Starr 1980; Siverson & Starr 1991; Buhaug & Gleditsch 2008 on diffusion"
#: Why features of rivals stand still: by default they follow the list.
LISTED = as_at_origin("a list of rivalries says nothing about years to come")
_feature = partial(feature, family="history", needs=("conflict", "member"), simulate=LISTED)

#: Where rivals come from: see `rival_pairs`.
RIVALS: tuple[str, ...] = ("auto", "strategic", "disputes")

#: Third states that `structural_balance` counts, by their relation to the two.
TRIADS = ("ally_enemy", "enemy_enemy", "ally_ally")


@shared
def rival_pairs(
    world: xr.Dataset, source: str = "auto", *, window: int = 20, minimum: int = 2
) -> tuple[BoolArray, BoolArray]:
    """Pairs of rivals in each year, symmetric (year, state, other), and the known years.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    source : {"auto", "strategic", "disputes"}
        ``strategic``: Thompson & Dreyer's list, for the years that the data set's table of
        rivalries covers. ``disputes``: pairs with at least `minimum` disputes that began in the
        last `window` years (s included), a stand-in and a rough one: of its pair-years
        1955–2010 in the embedded data 46% are in their list, and it finds 37% of theirs.
        ``auto``: the list in the years that it covers, the stand-in in the others.
    window, minimum : int
        Of the stand-in. Near the start of coverage the window holds fewer years; it is used from
        the year in which half of it is covered, and the count is not scaled up (two disputes are
        two disputes).
    """
    _check_source(source)
    world = successions.continued(world)
    window = arrays.positive("rival_window", window)
    minimum = arrays.positive("rival_onsets", minimum)
    listed = np.zeros(world.sizes["year"], dtype=bool)
    if source != "disputes" and "rivalry" in world:
        listed = world["rivalry_covered"].to_numpy()
    if source == "strategic" or listed.all():
        return strategic(world), listed
    onsets = arrays.dispute_onsets(world)
    rival, known = arrays.counted(world, onsets, window) >= minimum, arrays.half(world, window)
    if listed.any():
        rival[listed] = strategic(world)[listed]
    return rival, np.asarray(known | listed)


def _check_source(source: str) -> None:
    if source not in RIVALS:
        raise UnknownNameError("rivals:", source, RIVALS, f"One of {', '.join(RIVALS)}.")


def strategic(world: xr.Dataset) -> BoolArray:
    """Pairs in the table of rivalries, (year, state, other); none without that table."""
    if "rivalry" in world:
        return np.asarray(world["rivalry"].to_numpy())
    n = world.sizes["state"]
    return np.zeros((world.sizes["year"], n, n), dtype=bool)


def rivals_once(
    world: xr.Dataset, source: str, window: int, minimum: int
) -> tuple[BoolArray, BoolArray]:
    """As `rival_pairs`, a relabelled rival told once."""
    rival, known = rival_pairs(world, source, window=window, minimum=minimum)
    return successions.count_once(rival, world), known


@_feature(
    level="dyad",
    unit="0/1",
    sign="+",
    formula="1 if strategic rivals in s; in years without that table, if ≥ m dispute onsets in w "
    "years",
    source=SOURCE,
    simulate=Moves(
        "with simulated conflicts of the pair if rivals='disputes'; else as at the origin: a list "
        "of rivalries says nothing about years to come",
        lambda past, rivals, rival_window, rival_onsets: flagged(
            past.onsets(rival_window, shorter=True) >= rival_onsets
        ),
        when=lambda options: options["rivals"] == "disputes",
    ),
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
        See `forecast.features.rivalry.rival_pairs`.
    rival_window, rival_onsets : int
        Years and number of onset-years of a rivalry by disputes.
    """
    return arrays.where_known(
        *rival_pairs(world, rivals, window=rival_window, minimum=rival_onsets)
    )


@_feature(
    level="state",
    unit="states",
    sign="+",
    formula="number of rivals of i, as in `rivalry`",
    source=SOURCE,
)
def rival_count(
    world: xr.Dataset, *, rivals: str = "auto", rival_window: int = 20, rival_onsets: int = 2
) -> np.ndarray:
    """Number of the state's rivals; a relabelled rival is one."""
    rival, known = rivals_once(world, rivals, rival_window, rival_onsets)
    return arrays.where_known(rival.sum(axis=2), known)


@_feature(
    level="directed",
    unit="decayed conflicts",
    sign="+",
    formula="Σ over k ≠ j with a land border with i of k's decayed conflicts, those with i left "
    "out",
    source=DIFFUSION,
    needs=("conflict", "contiguity", "member"),
    whole_record=True,
    simulate=as_at_origin("what neighbours go through is taken to go on as it was"),
)
def neighbour_disputes(world: xr.Dataset, *, half_life: float = 3.0) -> np.ndarray:
    """Recent conflicts of the state's land neighbours other than the opponent."""
    border = successions.count_once(world["contiguity"].to_numpy() == 1, world)
    return _of_third_states(border, *activity(world, half_life))


@_feature(
    level="directed",
    unit="decayed conflicts",
    formula="Σ over rivals k ≠ j of i of k's decayed conflicts, those with i left out",
    source=DIFFUSION + "; rivals as in `rivalry`",
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
    """Recent conflicts of the state's rivals other than the opponent; rivals as in `rivalry`."""
    rival, known = rivals_once(world, rivals, rival_window, rival_onsets)
    return arrays.where_known(_of_third_states(rival, *activity(world, half_life)), known)


def _of_third_states(tie: np.ndarray, level: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Σ_{k≠j} tie_ik (level_k − own_ik): what tied states k went through apart from i and j.

    Of ties (symmetric), activity of each state and its part that is with each other state: directed
    (year, state, other), of the third states tied to `state`, seen against `other`. Their disputes
    with `other` count (a neighbour's fight with the opponent is what spreads), those with `state`
    itself do not (they are its own record).
    """
    tie = np.asarray(tie, dtype=np.float32)
    each = tie * np.maximum(level[:, None, :] - own, 0)
    # A float sum less one of its parts may end just below zero.
    return np.asarray(np.maximum(each.sum(axis=2, keepdims=True) - each, 0))


@shared
def signed_edges(
    world: xr.Dataset, window: int, rivals: str
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Friends and enemies, symmetric (year, state, other), and the known years.

    Enemies had an active dispute, or were strategic rivals, in the last `window` years (s
    included). Friends have a defence pact in s and are not enemies: a pair that is both, as
    Greece and Turkey were, is no safe friend.
    """
    _check_source(rivals)
    past = successions.continued(world)
    covered = world["conflict_covered"].to_numpy()
    hostile = past["dispute"].to_numpy() & covered[:, None, None]
    known = arrays.half(world, window)
    if rivals != "disputes":
        listed = strategic(past)
        hostile = listed if rivals == "strategic" else hostile | listed
        if rivals == "strategic":
            known = world["rivalry_covered"].to_numpy() if "rivalry" in world else known & False
    recent = windowed_count(
        hostile, window, member=past["member"].to_numpy(), entry_year=past["entry_year"].to_numpy()
    )
    enemy = successions.count_once(recent > 0, world)
    friend = successions.count_once(arrays.allied(world), world) & ~enemy
    return friend, enemy, known


@_feature(
    family="structure",
    level="dyad",
    unit="states",
    sign="+",
    formula="|{k: A_ik E_jk or E_ik A_jk}| (mixed), |{k: E_ik E_jk}| or |{k: A_ik A_jk}|; E: "
    "dispute or rivalry in the last w years, A: defence pact and not E",
    source="Heider 1946; Cartwright & Harary 1956; Maoz et al. 2007 on imbalances and conflict",
    needs=("obligation", "conflict", "member"),
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
    friend, enemy, known = signed_edges(world, arrays.positive("window", window), rivals)
    first = (enemy if which == "enemy_enemy" else friend).astype(np.float32)
    second = (friend if which == "ally_ally" else enemy).astype(np.float32)
    number = np.matmul(first, second.transpose(0, 2, 1))
    if which == "ally_enemy":  # friend and enemy exclude each other: no state is counted twice
        number = number + number.transpose(0, 2, 1)
    return arrays.where_known(number, known)

"""Who owes what to whom, what each treaty is, how deep, and who came when it was called upon.

Depth is one latent trait behind the peacetime provisions that treaties have or lack, by a
two-parameter logistic model, P(y_pm = 1) = 1 / (1 + exp(−(a_m θ_p + b_m))), θ_p ~ Normal(0, 1):
the depth θ_p of treaty p makes every provision m more likely, each to its own degree. Benson &
Clinton 2016 and Alley 2021 measure depth so, with the provisions that ATOP codes.

A call is one entry for each conflict, target and state that was bound to defend it (Leeds, Long &
Mitchell 2000 test alliances so in wars). Whether it was honoured is read off the same conflict: the
bound state fights one of the target's opponents in it and was not in it from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.panel.window import BoolArray, IntArray, Variable, Window, coverage_window
from forecast.sources.schemas import LEVELS
from forecast.sources.spells import day_year, span_days, span_years
from forecast.sources.tables import OBLIGATIONS

__all__ = [
    "DESIGN_ITEMS",
    "alliance_calls",
    "calls",
    "latent_depth",
    "obligations",
    "treaties",
    "treaty_design",
]

_DEPTH = ("integrated_command", "military_coordination", "basing", "military_aid", "organization")
_CONDITIONS = (
    "cond_adversary",
    "cond_location",
    "cond_conflict",
    "cond_number",
    "cond_demands",
    "cond_nonprovocation",
)
#: Ids of COW's alliances. COW codes neither institutions nor conditions nor settlement of disputes;
#: the table of alliances has no missing flags, so that its zeros there are no observations.
_UNCODED = "cow-"


def obligations(window: Window, member: BoolArray) -> dict[str, Variable]:
    """``obligations``: `state` owes it to `other` under some treaty that binds both on one day.

    Several treaties between one pair are combined (any of them).

    Only members of the system owe and are owed.
    """
    members = window.tables.members
    n = len(window.states)
    owed = np.zeros((len(window.years), n, n, len(OBLIGATIONS)), dtype=bool)
    at, here = window.positions(members["ccode"].to_numpy())
    first, last = span_days(members)
    pledge = members[list(OBLIGATIONS)].to_numpy(dtype=bool)
    owing, owed_to = _pairs(members.groupby("alliance_id").indices.values())
    different = here[owing] & here[owed_to] & (at[owing] != at[owed_to])
    owing, owed_to = owing[different], owed_to[different]
    # Both are bound only while their spells run together.
    begin = np.maximum(first[owing], first[owed_to])
    finish = np.minimum(last[owing], last[owed_to])
    together = begin <= finish
    owing, owed_to = owing[together], owed_to[together]
    row, t = window.expand("members", day_year(begin[together]), day_year(finish[together]))
    i, j = at[owing[row]], at[owed_to[row]]
    both = member[t, i] & member[t, j]
    row, t, i, j = row[both], t[both], i[both], j[both]
    for k in range(len(OBLIGATIONS)):
        held = pledge[owing[row], k]
        owed[t[held], i[held], j[held], k] = True
    return {"obligations": (("year", "state", "other", "obligation"), owed)}


def _pairs(groups: Iterable[npt.ArrayLike]) -> tuple[IntArray, IntArray]:
    """All ordered pairs of member spells within a treaty."""
    rows_of = [np.asarray(rows, dtype=np.int64) for rows in groups]
    left = [np.repeat(rows, len(rows)) for rows in rows_of]
    right = [np.tile(rows, len(rows)) for rows in rows_of]
    if not left:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty
    return np.concatenate(left), np.concatenate(right)


def treaties(window: Window, member: BoolArray) -> dict[str, Variable]:
    """``treaty_member``, ``treaty_pledge`` (of members of the system) and what each treaty is."""
    members, table = window.tables.members, window.tables.alliances
    ids = table["alliance_id"].to_numpy(dtype=np.str_)
    shape = (len(window.years), len(ids), len(window.states))
    belongs = np.zeros(shape, dtype=bool)
    pledged = np.zeros((*shape, len(OBLIGATIONS)), dtype=bool)
    order = np.argsort(ids)
    treaty = order[np.searchsorted(ids[order], members["alliance_id"].to_numpy(dtype=np.str_))]
    row, t = window.expand("members", *span_years(members))
    at, here = window.positions(members["ccode"].to_numpy()[row])
    here &= member[t, at]
    row, t, at = row[here], t[here], at[here]
    belongs[t, treaty[row], at] = True
    pledge = members[list(OBLIGATIONS)].to_numpy(dtype=bool)
    for k in range(len(OBLIGATIONS)):
        held = pledge[row, k]
        pledged[t[held], treaty[row[held]], at[held], k] = True
    start, end = span_years(table)
    one = ("treaty",)
    uncoded = np.char.startswith(ids, _UNCODED)

    def known(columns: list[str]) -> npt.NDArray[np.float32]:
        number = table[columns].sum(axis=1).to_numpy(dtype=np.float32)
        return np.where(uncoded, np.float32(np.nan), number)

    return {
        "treaty_member": (("year", "treaty", "state"), belongs),
        "treaty_pledge": (("year", "treaty", "state", "obligation"), pledged),
        "treaty_depth": (one, known(list(_DEPTH))),
        "treaty_conditions": (one, known(list(_CONDITIONS))),
        "treaty_settlement": (one, known(["peaceful_settlement"])),
        "treaty_wartime": (one, table["wartime"].to_numpy(dtype=bool)),
        "treaty_multilateral": (one, (table["kind"] == "multilateral").to_numpy(dtype=bool)),
        "treaty_start": (one, start.astype(np.int16)),
        "treaty_end": (one, end.astype(np.int16)),
        "treaty_short_name": (one, table["short_name"].to_numpy(dtype=np.str_)),
    }


Float64Array = npt.NDArray[np.float64]

#: Provisions in the order of the `item` dimension. The first five are in every data set, the
#: others in its table `treaty_design`, if it has one.
DESIGN_ITEMS: tuple[str, ...] = (
    "integrated_command",
    "military_coordination",
    "basing",
    "military_aid",
    "organization",
    "subordination",
    "contribution",
    "companion_agreements",
)
_ALWAYS = 5

#: Grid over θ: the Normal(0, 1) prior has 1e−8 of its mass outside it.
_GRID = np.linspace(-5.5, 5.5, 111)
_PRIOR = np.exp(-0.5 * _GRID**2) / np.exp(-0.5 * _GRID**2).sum()
#: Weak priors of a and b (mean, standard deviation). That of a fixes which end is deep, and
#: keeps an item that separates the treaties perfectly from an infinite slope.
_SLOPE, _INTERCEPT = (1.0, 1.0), (0.0, 3.0)
_FEWEST_ITEMS = 3


def treaty_design(window: Window) -> dict[str, Variable]:
    """``treaty_design`` and ``treaty_latent_depth`` of all treaties of the data set.

    ``treaty_design`` (treaty, item) float32: 1 if the treaty has the provision, 0 if not, NaN if
    that is not coded. ``treaty_latent_depth`` (treaty) float32: see `latent_depth`.
    """
    treaties = window.tables.alliances
    coded = pd.DataFrame({name: treaties[name].to_numpy() for name in DESIGN_ITEMS[:_ALWAYS]})
    coded = coded.astype(float).reindex(columns=DESIGN_ITEMS)
    if (table := window.tables.extra.get("treaty_design")) is not None:
        more = table.set_index("alliance_id").reindex(treaties["alliance_id"])
        for name in DESIGN_ITEMS[_ALWAYS:]:
            coded[name] = more[name].to_numpy(dtype=np.float64, na_value=np.nan)
    items = coded.to_numpy(dtype=np.float64)
    return {
        "treaty_design": (("treaty", "item"), items.astype(np.float32)),
        "treaty_latent_depth": (("treaty",), latent_depth(items).astype(np.float32)),
    }


def latent_depth(items: Float64Array, *, tolerance: float = 1e-6) -> Float64Array:
    """Expected depth of each treaty under the two-parameter logistic model.

    The parameters of the items are their posterior mode (EM over a grid of θ, Bock & Aitkin
    1981, with weak normal priors), so the values are the same every time. A provision that is
    not coded for a treaty says nothing about it; one that all treaties have, or none, says
    nothing at all.

    `items` (treaty, item) is 0, 1 or NaN; the result (treaty,) the posterior mean of θ,
    standardised to mean 0 and standard deviation 1 over the treaties; NaN for a treaty without any
    coded provision, and for all where fewer than three provisions tell treaties apart (one factor
    is not identified then). EM stops when no parameter changes by more than `tolerance`.
    """
    some = ~np.isnan(items).all(axis=1)
    known = items[some]
    varies = np.array([np.unique(x[~np.isnan(x)]).size == 2 for x in known.T], dtype=bool)
    out = np.full(len(items), np.nan)
    if varies.sum() < _FEWEST_ITEMS:
        return out
    # Treaties with the same provisions have the same depth: count the patterns.
    patterns, which, number = np.unique(
        known[:, varies], axis=0, return_inverse=True, return_counts=True, equal_nan=True
    )
    has, lacks = (np.nan_to_num(patterns == value) for value in (1.0, 0.0))
    has, lacks = has.astype(np.float64), lacks.astype(np.float64)
    slope = np.full(has.shape[1], _SLOPE[0])
    share = (has * number[:, None]).sum(axis=0) / ((has + lacks) * number[:, None]).sum(axis=0)
    intercept = np.log(share / (1 - share))
    for _ in range(2000):
        posterior = _posterior(has, lacks, slope, intercept)
        weight = posterior * number[:, None]
        new = _fit_items(has.T @ weight, lacks.T @ weight, slope, intercept)
        change = max(np.abs(new[0] - slope).max(), np.abs(new[1] - intercept).max())
        slope, intercept = new
        if change < tolerance:
            break
    theta = (_posterior(has, lacks, slope, intercept) @ _GRID)[which.reshape(-1)]
    spread = theta.std()
    out[some] = (theta - theta.mean()) / spread if spread > 0 else np.nan
    return out


def _log_chances(slope: Float64Array, intercept: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Log-probabilities of having and of lacking each item, (item, grid)."""
    linear = slope[:, None] * _GRID + intercept[:, None]
    return -np.logaddexp(0, -linear), -np.logaddexp(0, linear)


def _posterior(
    has: Float64Array, lacks: Float64Array, slope: Float64Array, intercept: Float64Array
) -> Float64Array:
    """Probability of each point of the grid given a pattern, (pattern, grid)."""
    yes, no = _log_chances(slope, intercept)
    logs = has @ yes + lacks @ no
    found = np.exp(logs - logs.max(axis=1, keepdims=True)) * _PRIOR
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _fit_items(
    yes: Float64Array, no: Float64Array, slope: Float64Array, intercept: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """One Newton step from the mode of the last round; all items at once.

    `yes` and `no` (item, grid) are the expected numbers of treaties with and without the item at
    each depth.
    """
    total = yes + no
    chance = np.exp(_log_chances(slope, intercept)[0])
    error, curve = yes - total * chance, total * chance * (1 - chance)
    (mean_a, sd_a), (mean_b, sd_b) = _SLOPE, _INTERCEPT
    grad_a = error @ _GRID - (slope - mean_a) / sd_a**2
    grad_b = error.sum(axis=1) - (intercept - mean_b) / sd_b**2
    aa = curve @ _GRID**2 + sd_a**-2
    ab, bb = curve @ _GRID, curve.sum(axis=1) + sd_b**-2
    determinant = aa * bb - ab**2
    step_a = (bb * grad_a - ab * grad_b) / determinant
    step_b = (aa * grad_b - ab * grad_a) / determinant
    # A long step of Newton's may overshoot where the curve is flat.
    return slope + np.clip(step_a, -1, 1), intercept + np.clip(step_b, -1, 1)


def calls(window: Window) -> dict[str, Variable]:
    """The calls on alliances as arrays over `call`, of all covered years up to the window's last.

    All int: ``call_year``, in which the conflict began; ``call_honoured_year``, in which the bound
    state joined it, 0 if it never did; ``call_conflict``, a number for each conflict;
    ``call_bound`` and ``call_target``, COW numbers; ``call_level``, position in
    `forecast.sources.schemas.LEVELS` of the highest level between the target and those who attacked
    it.
    """
    tables = window.tables
    first, last = coverage_window(tables.coverage, ("conflicts", "alliances", "members"))
    found = alliance_calls(tables.conflicts, tables.members)
    found = found[found["year"].between(first, min(last, window.last))]
    honoured = found["honoured_year"].where(found["honoured_year"] <= window.last, 0)
    return {
        "call_year": (("call",), found["year"].to_numpy(dtype=np.int16)),
        "call_honoured_year": (("call",), honoured.to_numpy(dtype=np.int16)),
        "call_conflict": (("call",), found["conflict"].to_numpy(dtype=np.int32)),
        "call_bound": (("call",), found["bound"].to_numpy(dtype=np.int16)),
        "call_target": (("call",), found["target"].to_numpy(dtype=np.int16)),
        "call_level": (("call",), found["level"].to_numpy(dtype=np.int8)),
    }


def alliance_calls(conflicts: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Who was called upon in which conflict, and when it came.

    A target is an originator of a conflict that another originator initiated, alone. Its attacker
    is outside the pact: not a member of the treaty on the first day of the conflict (if only the
    year is known, the first of January). Bound is a member that owed defence under the treaty
    since before that day: pacts that were made because of the conflict do not count. A state that
    is an originator of the conflict itself has other reasons to fight and is not called upon.

    Columns ``conflict`` (number of the conflict), ``target``, ``bound`` (COW numbers), ``year``,
    ``honoured_year`` (0: never), ``level``; one row for each conflict, target and bound state, in
    this order.
    """
    sides = _sides(conflicts)
    spells = _member_spells(members)
    joined = sides.loc[~sides["originator"], ["conflict", "state", "opponent", "year"]]
    attacks = sides.loc[
        sides["attacked"], ["conflict", "state", "opponent", "day", "year", "level"]
    ]
    attacks = attacks.rename(columns={"state": "target"}).reset_index(names="attack")

    party = spells.drop(columns="defense").rename(columns={"state": "target"})
    pacts = _in_force(attacks.merge(party, on="target"))
    inside = pacts.merge(spells.rename(columns={"state": "opponent"}), on=["treaty", "opponent"])
    inside = _in_force(inside)[["attack", "treaty"]].drop_duplicates()
    pacts = pacts.merge(inside, on=["attack", "treaty"], how="left", indicator=True)
    pacts = pacts[pacts["_merge"] == "left_only"].drop(columns="_merge")

    owing = spells.loc[spells["defense"], ["treaty", "state", "first", "last"]]
    found = _in_force(pacts.merge(owing.rename(columns={"state": "bound"}), on="treaty"))
    first_day = sides.loc[sides["originator"], ["conflict", "state"]].drop_duplicates()
    found = found.merge(
        first_day.rename(columns={"state": "bound"}),
        on=["conflict", "bound"],
        how="left",
        indicator=True,
    )
    found = found[(found["_merge"] == "left_only") & (found["bound"] != found["target"])]
    key = ["conflict", "target", "bound"]
    found = found.groupby(key, as_index=False).agg(year=("year", "min"), level=("level", "max"))

    against = sides[["conflict", "state", "opponent"]].rename(columns={"state": "target"})
    came = found[key].merge(against, on=["conflict", "target"])
    came = came.merge(
        joined.rename(columns={"state": "bound", "year": "honoured_year"}),
        on=["conflict", "bound", "opponent"],
    )
    came = came.groupby(key, as_index=False).agg(honoured_year=("honoured_year", "min"))
    found = found.merge(came, on=key, how="left")
    found["honoured_year"] = found["honoured_year"].fillna(0).astype(np.int64)
    return found[[*key, "year", "honoured_year", "level"]]


def _sides(conflicts: pd.DataFrame) -> pd.DataFrame:
    """Each dyad of each conflict, seen from either side."""
    days, _ = span_days(conflicts)
    common = {
        "conflict": pd.factorize(conflicts["conflict_id"])[0].astype(np.int64),
        "day": days,
        "year": day_year(days),
        "level": conflicts["level"].map({name: k for k, name in enumerate(LEVELS)}).to_numpy(),
    }
    initiator = conflicts["initiator"].to_numpy(dtype=np.str_)
    first_day = {
        side: (conflicts[f"role_{side}"] == "originator").to_numpy(dtype=bool) for side in "ab"
    }
    rows = [
        pd.DataFrame(
            {
                **common,
                "state": conflicts[f"ccode_{me}"].to_numpy(dtype=np.int64),
                "opponent": conflicts[f"ccode_{you}"].to_numpy(dtype=np.int64),
                "originator": first_day[me],
                "attacked": first_day["a"] & first_day["b"] & (initiator == you),
            }
        )
        for me, you in (("a", "b"), ("b", "a"))
    ]
    return pd.concat(rows, ignore_index=True)


def _member_spells(members: pd.DataFrame) -> pd.DataFrame:
    first, last = span_days(members)
    return pd.DataFrame(
        {
            "treaty": pd.factorize(members["alliance_id"])[0],
            "state": members["ccode"].to_numpy(dtype=np.int64),
            "first": first,
            "last": last,
            "defense": members["defense"].to_numpy(dtype=bool),
        }
    )


def _in_force(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose spell began before the day and still runs on it, without the spell."""
    here = (rows["first"] < rows["day"]) & (rows["last"] >= rows["day"])
    return rows[here].drop(columns=["first", "last"])

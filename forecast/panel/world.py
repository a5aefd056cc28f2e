"""The world as dense arrays: who exists, who borders whom, who owes what to whom, who fought.

A status holds in a year if it held on any day of it. A pair holds what it holds on the same day:
Germany (255) and the Federal Republic (260) share the year 1990 but never NATO.

Dimensions ``year``, ``state`` and ``other`` (COW numbers of all states that are members at any time
in the window, ascending), ``obligation``, ``treaty``. Variables:

``member``, ``major`` (year, state) bool; ``together`` (year, state, other) bool, two different
states that were members on one day of the year; ``entry_year`` (year, state) int16, first year of
the running membership spell, 0 outside; ``birth_year`` (state) int16, first year of the first spell
listed; ``region``, ``abbrev``, ``name`` (state) str, of the latest spell.

``contiguity`` (year, state, other) int8, 1 (land) to 5 (400 miles of water), 0 = none.

``capability`` (year, state) float64, share 0–1, NaN missing; ``capability_floored`` bool.

``obligations`` (year, state, other, obligation) bool: `state` owes it to `other`. (xarray keeps the
singular for the dimension.)

``treaty_member`` (year, treaty, state), ``treaty_pledge`` (year, treaty, state, obligation) bool;
``treaty_depth`` (0–5), ``treaty_conditions`` (0–6), ``treaty_settlement`` (0/1) float32, NaN where
the source does not code them; ``treaty_wartime``, ``treaty_multilateral`` bool; ``treaty_start``,
``treaty_end`` int16 (9999 = in force); ``treaty_short_name`` str; ``treaty_design`` (treaty, item)
and ``treaty_latent_depth`` float32: see `forecast.panel.treaties`.

``call_year``, ``call_honoured_year``, ``call_conflict``, ``call_bound``, ``call_target``,
``call_level`` (call) int: when states that were owed defence were attacked, who was bound and who
came; see `forecast.panel.treaties.calls`.

``onset``, ``dispute``, ``open``, ``at_risk``, ``initiated``, ``initiator_unknown``,
``onset_unknown`` (year, state, other) bool and ``dispute_onset_count`` (year, state) int16: see
`forecast.panel.events.conflict_variables`.

``member_covered``, ``obligation_covered``, ``conflict_covered``, ``capability_covered``,
``contiguity_covered``, ``carried_forward`` (year) bool, and one of each obligation class
(``neutrality_covered``: a source may cover one for less). Where a mask is False the variables are
empty because nothing is known, not because nothing was there. ``amended`` (year) bool: the
alliances of the year rest on changes that this library added to those of the source.

Of the extra tables that the data set has: ``rivalry``, ``polyarchy``, ``polity``, ``us_troops``,
``imports``, ``exports``, ``trade_flow``, ``joint_igos``, ``distance_km``, and always their masks,
such as ``rivalry_covered``: see `forecast.panel.statuses.extra_variables`.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import xarray as xr

from forecast.errors import ArgumentError
from forecast.panel.events import Outcome, Succession, conflict_variables, initiators_coded
from forecast.panel.statuses import capability, contiguity, extra_variables, membership
from forecast.panel.treaties import DESIGN_ITEMS, calls, obligations, treaties, treaty_design
from forecast.panel.window import Window
from forecast.sources.tables import OBLIGATIONS, TABLES, Tables

__all__ = ["build_world"]


def build_world(
    tables: Tables,
    *,
    first_year: int | None = None,
    last_year: int | None = None,
    carry_forward: bool = False,
    outcome: Outcome = "onset",
    succession: Succession = "continue",
) -> xr.Dataset:
    """Dense arrays over (year, state, other) from which panels and features are computed.

    `first_year` and `last_year` are included; by default the years that any table covers. With
    `carry_forward` years past the coverage of states, powers, contiguity, alliances and
    capabilities repeat what was in force on the last covered day (marked in ``carried_forward``),
    conflicts never; without it those years are empty and not covered. `outcome` says which
    conflicts count as an onset, `succession` what features make of the history of a state that
    goes on under another number.
    """
    if outcome not in get_args(Outcome):
        raise ArgumentError(f"outcome={outcome!r}: expected one of {', '.join(get_args(Outcome))}.")
    covers = tables.coverage
    first = min(covers[t].first for t in TABLES) if first_year is None else first_year
    last = max(covers[t].last for t in TABLES) if last_year is None else last_year
    if first > last:
        raise ArgumentError(f"first_year={first} is after last_year={last}; expected a window.")
    window = Window(tables, first=first, last=last, carry_forward=carry_forward)
    who = membership(window)
    member = who["member"][1].astype(np.bool_, copy=False)
    together = who["together"][1].astype(np.bool_, copy=False)
    variables = {
        **who,
        **contiguity(window, together),
        **capability(window, member),
        **obligations(window, member),
        **treaties(window, member),
        **treaty_design(window),
        **calls(window),
        **conflict_variables(window, together, outcome),
        **window.masks(),
        **extra_variables(window, member, together),
    }
    coords = {
        "year": window.years,
        "state": window.states,
        "other": window.states,
        "obligation": np.array(OBLIGATIONS),
        "treaty": tables.alliances["alliance_id"].to_numpy(dtype=np.str_),
        "item": np.array(DESIGN_ITEMS),
    }
    attrs = {
        "outcome": outcome,
        "succession": succession,
        "data": tables.name,
        "fingerprint": tables.fingerprint,
        "initiators_coded": int(initiators_coded(tables.conflicts)),
    }
    return xr.Dataset(variables, coords=coords, attrs=attrs)

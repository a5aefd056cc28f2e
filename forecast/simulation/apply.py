"""A scenario's edits applied to the tables: checked one by one, the record left as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date, timedelta

import pandas as pd

from forecast.errors import ArgumentError, DataError
from forecast.simulation.scenario import Edit, Scenario
from forecast.sources.codes import find_alliance, resolve_states
from forecast.sources.tables import OBLIGATIONS, Tables

__all__ = ["apply_scenario"]


def apply_scenario(
    tables: Tables, scenario: Scenario, *, first_year: int, last_year: int
) -> Tables:
    """A copy of the tables with the scenario's edits in `alliances` and `members`.

    Edits are applied in order. An `ArgumentError` names one that cannot be: joining twice, leaving
    what one is not in, a date outside the forecast period `first_year` to `last_year`, an alliance
    that has ended, a new one with a taken name; an `UnknownNameError` the nearest name of a state
    or alliance.
    """
    alliances = tables.alliances.copy()
    members = tables.members.copy()
    for number, edit in enumerate(scenario.edits, start=1):
        place = f"Scenario {scenario.name!r}, edit {number} ({edit.sentence()})"
        when = date.fromisoformat(edit.when)
        if not first_year <= when.year <= last_year:
            raise ArgumentError(
                f"{place}: takes effect in {when.year}, outside the forecast period"
                f" {first_year}–{last_year}. The data end with {first_year - 1}; a scenario"
                " changes the future, not the record."
            )
        codes = resolve_states(tables, edit.states, year=first_year - 1)
        for at, state in enumerate(edit.states):
            if codes[at] in codes[:at]:
                raise ArgumentError(f"{place}: {state!r} is named twice.")
        if edit.action == "form":
            alliances, members = _form(alliances, members, edit, codes, place)
            continue
        alliance_id = _find_alliance(alliances, edit.alliance, when, place)
        if edit.action == "join":
            members = _join(members, alliance_id, codes, edit, place)
        elif edit.action == "leave":
            _need_states(codes, place)
            members = _end_spells(members, alliance_id, codes, when, place)
        elif edit.action == "dissolve":
            everyone = _current(members, alliance_id, when)["ccode"].tolist()
            members = _end_spells(members, alliance_id, everyone, when, place)
            ended = alliances["alliance_id"] == alliance_id
            alliances.loc[ended, "end"] = pd.Timestamp(when - timedelta(days=1))
        else:
            chosen = codes or _current(members, alliance_id, when)["ccode"].tolist()
            members = _end_spells(members, alliance_id, chosen, when, place)
            members = _add_spells(members, alliance_id, chosen, when, edit.obligations or ())
    content = json.dumps(scenario.to_dict(), sort_keys=True)
    fingerprint = hashlib.sha256(f"{tables.fingerprint}|{content}".encode()).hexdigest()
    return tables.with_tables(fingerprint=fingerprint, alliances=alliances, members=members)


def _find_alliance(alliances: pd.DataFrame, name: str, when: date, place: str) -> str:
    row = find_alliance(alliances, name, place + ".")
    if pd.notna(row["end"]) and row["end"] < pd.Timestamp(when):
        raise ArgumentError(f"{place}: {name!r} ended on {row['end'].date()}.")
    return str(row["alliance_id"])


def _current(members: pd.DataFrame, alliance_id: str, when: date) -> pd.DataFrame:
    """Spells of the alliance that hold on the day `when` or begin later."""
    return members[
        (members["alliance_id"] == alliance_id)
        & (members["end"].isna() | (members["end"] >= pd.Timestamp(when)))
    ]


def _need_states(codes: list[int], place: str) -> None:
    if not codes:
        raise ArgumentError(f"{place}: no state is named; expected at least one.")


def _add_spells(
    members: pd.DataFrame,
    alliance_id: str,
    codes: Sequence[int],
    when: date,
    obligations: Sequence[str],
) -> pd.DataFrame:
    added = pd.DataFrame(
        {
            "alliance_id": alliance_id,
            "ccode": list(codes),
            "start": pd.Timestamp(when),
            "end": pd.NaT,
            **{name: int(name in obligations) for name in OBLIGATIONS},
        }
    )
    added = added.reindex(columns=members.columns).astype(members.dtypes.to_dict())
    joined = pd.concat([members, added], ignore_index=True)
    return joined.sort_values(["alliance_id", "ccode", "start"], ignore_index=True)


def _join(
    members: pd.DataFrame, alliance_id: str, codes: list[int], edit: Edit, place: str
) -> pd.DataFrame:
    _need_states(codes, place)
    when = date.fromisoformat(edit.when)
    current = _current(members, alliance_id, when)
    inside = set(current["ccode"])
    for code, state in zip(codes, edit.states, strict=True):
        if code in inside:
            raise ArgumentError(f"{place}: {state!r} is already a member.")
    obligations = edit.obligations
    if obligations is None:
        owed = current[list(OBLIGATIONS)].mean() > 0.5
        obligations = tuple(name for name in OBLIGATIONS if owed[name])
    return _add_spells(members, alliance_id, codes, when, obligations)


def _end_spells(
    members: pd.DataFrame, alliance_id: str, codes: Sequence[int], when: date, place: str
) -> pd.DataFrame:
    current = _current(members, alliance_id, when)
    members = members.copy()
    day = pd.Timestamp(when)
    for code in codes:
        spells = current[current["ccode"] == code]
        if spells.empty:
            raise ArgumentError(f"{place}: COW state {code} is not a member on {when}.")
        begun = spells.index[spells["start"] < day]
        members.loc[begun, "end"] = day - pd.Timedelta(days=1)
        members = members.drop(index=spells.index[spells["start"] >= day])
    return members.reset_index(drop=True)


def _form(
    alliances: pd.DataFrame, members: pd.DataFrame, edit: Edit, codes: list[int], place: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    if len(codes) < 2:
        raise ArgumentError(f"{place}: an alliance needs at least two states, found {len(codes)}.")
    taken = {*alliances["short_name"].str.casefold(), *alliances["alliance_id"].str.casefold()}
    if edit.alliance.casefold() in taken:
        raise ArgumentError(f"{place}: the name {edit.alliance!r} is taken; choose another.")
    alliance_id = "scenario-" + "-".join(edit.alliance.casefold().split())
    if alliance_id in taken:
        raise DataError(f"{place}: the id {alliance_id!r} is taken; choose another name.")
    when = date.fromisoformat(edit.when)
    flags = {
        column: 0
        for column in alliances.columns
        if column.startswith("cond_") or pd.api.types.is_numeric_dtype(alliances[column])
    }
    row = pd.DataFrame(
        [
            {
                **flags,
                "alliance_id": alliance_id,
                "name": edit.alliance,
                "short_name": edit.alliance,
                "start": pd.Timestamp(when),
                "end": pd.NaT,
                "kind": "bilateral" if len(codes) == 2 else "multilateral",
                "source": "scenario",
            }
        ]
    ).reindex(columns=alliances.columns)
    alliances = pd.concat([alliances, row.astype(alliances.dtypes.to_dict())], ignore_index=True)
    return alliances, _add_spells(members, alliance_id, codes, when, edit.obligations or ())

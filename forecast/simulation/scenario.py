"""`Scenario`: a named list of dated edits to the alliance graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BeforeValidator,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from forecast.cards import Card, Carded
from forecast.documents import Document, Table, explain, read_toml
from forecast.draws import is_whole
from forecast.errors import ArgumentError, UnknownNameError, shown, wrong_type
from forecast.paths import data_folder
from forecast.sources.tables import OBLIGATIONS

__all__ = ["Edit", "Scenario", "applicable", "as_scenario", "stock_scenarios"]

#: What the members of a new pact owe each other unless said otherwise.
_MUTUAL_DEFENCE = ("defense", "consultation")

State = str | int
When = int | str | date

#: Characters of a scenario's name: the files of a report are called by it.
_LONGEST_NAME = 100


def _name(name: Any) -> str:
    text = name if isinstance(name, str) else ""
    if not text.strip() or len(text) > _LONGEST_NAME or not text.isprintable():
        raise ArgumentError(
            f"The name of a scenario is {shown(name)}; expected 1 to {_LONGEST_NAME} characters"
            " that can be printed (files are called by it)."
        )
    return text


def _iso(when: Any) -> str:
    try:
        if is_whole(when):
            when = date(int(when), 1, 1)
        if isinstance(when, date | str):
            iso = date.fromisoformat(str(when)).isoformat()
            if iso >= "1000":
                return iso
    except (ValueError, OverflowError):
        pass
    raise ArgumentError(
        f"`when` is {shown(when)}; expected a year (2027) or an ISO date ('2027-05-01')."
    )


def _states(states: Any) -> tuple[State, ...]:
    if isinstance(states, str | int | np.integer) and not isinstance(states, bool):
        states = (states,)
    if isinstance(states, Mapping) or not isinstance(states, Iterable):
        raise ArgumentError(f"`states` is {shown(states)}; expected a state or a list of states.")
    return tuple(int(s) if isinstance(s, np.integer) else s for s in states)


def _obligations(obligations: Any) -> tuple[str, ...]:
    chosen = (obligations,) if isinstance(obligations, str) else obligations
    if isinstance(chosen, Mapping) or not isinstance(chosen, Iterable):
        raise ArgumentError(
            f"`obligations` is {shown(obligations)}; expected some of {', '.join(OBLIGATIONS)}."
        )
    chosen = tuple(chosen)
    for name in chosen:
        if name not in OBLIGATIONS:
            raise UnknownNameError("obligation", name, OBLIGATIONS)
    return tuple(name for name in OBLIGATIONS if name in chosen)


def _owed(obligations: Any) -> tuple[str, ...] | None:
    try:
        return None if obligations is None else _obligations(obligations)
    except UnknownNameError as error:  # no ValueError, which pydantic takes for its own
        raise ArgumentError(str(error)) from None


class Edit(Table):
    """One dated change of the alliance graph.

    Attributes
    ----------
    action : {"join", "leave", "form", "dissolve", "amend"}
        What happens.
    alliance : str
        Short name or id of the alliance (for ``form``: the name of the new one).
    states : tuple of str or int
        Who joins, leaves, founds or is amended; empty for ``dissolve``.
    when : str
        ISO date on which the change takes effect; for ``leave`` and ``dissolve`` the first
        day on which the pact no longer binds.
    obligations : tuple of str, or None
        What each of `states` owes the other members (``join``, ``form``, ``amend``); None with
        ``join``: what most members owe on that day.
    """

    action: Literal["join", "leave", "form", "dissolve", "amend"]
    alliance: Annotated[StrictStr, Field(min_length=1, max_length=200)]
    states: Annotated[tuple[StrictStr | StrictInt, ...], BeforeValidator(_states)] = ()
    when: Annotated[str, BeforeValidator(_iso)]
    obligations: Annotated[tuple[str, ...] | None, BeforeValidator(_owed)] = None

    @model_validator(mode="before")
    @classmethod
    def _pledged(cls, content: Any) -> Any:
        """What is owed: the usual under a new pact; of an amendment it must be said."""
        if isinstance(content, Mapping) and content.get("obligations") is None:
            if content.get("action") == "amend":
                raise ValueError("an 'amend' needs the key 'obligations'")
            if content.get("action") == "form":
                return {**content, "obligations": _MUTUAL_DEFENCE}
        return content

    @property
    def first_year(self) -> int:
        """First year whose risks the edit can move: features are those of the year before.

        In a year with a day on which a pact binds it is in force, so what ends later than on
        1 January is seen a year later still.
        """
        ends = self.action in ("leave", "dissolve") and not self.when.endswith("-01-01")
        return int(self.when[:4]) + 1 + ends

    def sentence(self) -> str:
        """The edit in words."""
        who = ", ".join(str(state) for state in self.states)
        owes = f" owing {', '.join(self.obligations)}" if self.obligations else ""
        return {
            "join": f"{who} join {self.alliance}{owes}",
            "leave": f"{who} leave {self.alliance}",
            "form": f"{who} form {self.alliance}{owes}",
            "dissolve": f"{self.alliance} is dissolved",
            "amend": f"obligations of {who or 'all members'} under {self.alliance} become"
            f" {', '.join(self.obligations or ()) or 'none'}",
        }[self.action] + f" on {self.when}"


@dataclass(frozen=True, repr=False)
class Scenario(Carded):
    """A named list of edits to the alliance graph; every method returns a new scenario.

    Edits are checked when the scenario is applied to a data set (by `simulate`), since only
    then is it known who is a member of what.

    Parameters
    ----------
    name : str
        Name, used in tables and the report.
    edits : tuple of Edit
        The edits, in the order in which they are applied.

    Examples
    --------
    >>> Scenario("Ukraine joins").join("NATO", ["UKR"], 2027).edits[0].sentence()
    'UKR join NATO on 2027-01-01'
    """

    name: str
    edits: tuple[Edit, ...] = ()

    def __post_init__(self) -> None:
        _name(self.name)

    def _add(self, **fields: Any) -> Scenario:
        try:
            return replace(self, edits=(*self.edits, Edit(**fields)))
        except ValidationError as error:
            raise ArgumentError(explain(error, fields, Edit, f"Scenario {self.name!r}")) from None

    def join(
        self,
        alliance: str,
        states: Sequence[State] | State,
        when: When,
        *,
        obligations: Sequence[str] | str | None = None,
    ) -> Scenario:
        """Add `states` to an alliance from `when` on.

        They owe `obligations` to the members; by default what most members owe on that day.
        """
        return self._add(
            action="join",
            alliance=alliance,
            states=_states(states),
            when=_iso(when),
            obligations=None if obligations is None else _obligations(obligations),
        )

    def leave(self, alliance: str, states: Sequence[State] | State, when: When) -> Scenario:
        """Take `states` out of an alliance: `when` is the first day outside it."""
        return self._add(action="leave", alliance=alliance, states=_states(states), when=_iso(when))

    def form(
        self,
        alliance: str,
        states: Sequence[State],
        when: When,
        *,
        obligations: Sequence[str] | str = _MUTUAL_DEFENCE,
    ) -> Scenario:
        """Found a new alliance among `states`, each owing `obligations` to the others."""
        return self._add(
            action="form",
            alliance=alliance,
            states=_states(states),
            when=_iso(when),
            obligations=_obligations(obligations),
        )

    def dissolve(self, alliance: str, when: When) -> Scenario:
        """End an alliance: `when` is the first day on which it binds nobody."""
        return self._add(action="dissolve", alliance=alliance, when=_iso(when))

    def amend(
        self,
        alliance: str,
        when: When,
        *,
        obligations: Sequence[str] | str,
        states: Sequence[State] | State = (),
    ) -> Scenario:
        """Change what `states` (all members when empty) owe under an alliance from `when` on."""
        return self._add(
            action="amend",
            alliance=alliance,
            states=_states(states),
            when=_iso(when),
            obligations=_obligations(obligations),
        )

    @property
    def first_year(self) -> int | None:
        """First year whose risks every edit can move; None without edits."""
        return max((edit.first_year for edit in self.edits), default=None)

    def card(self) -> Card:
        """The edits in words, and when they can act."""
        facts = [(str(i), edit.sentence()) for i, edit in enumerate(self.edits, start=1)]
        note = (
            "No edits yet: .join, .leave, .form, .dissolve, .amend add one."
            if not self.edits
            else f"All can move risks from {self.first_year} on: features are those of the year "
            "before. Checked when it is simulated."
        )
        return Card(f"Scenario {self.name!r}", facts, note=note)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary; `from_dict` reads it back."""
        return {
            "name": self.name,
            "edit": [edit.model_dump(mode="json", exclude_defaults=True) for edit in self.edits],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, where: str = "scenario") -> Scenario:
        """Scenario from a dictionary with the keys ``name`` and ``edit`` (a list of tables).

        Raises
        ------
        SpecificationError
            Unknown or missing key (names the nearest valid one), or a value that cannot be.
        """
        found = _File.from_dict(content, source=where)
        return cls(found.name, found.edits)

    @classmethod
    def from_toml(cls, path: str | Path) -> Scenario:
        """Scenario from a TOML file: ``name = "…"`` and one ``[[edit]]`` table per change."""
        return cls.from_dict(read_toml(Path(path), "scenario file"), where=str(path))


class _File(Document):
    """A scenario as a file has it."""

    name: Annotated[str, BeforeValidator(_name)]
    edits: tuple[Edit, ...] = Field(default=(), alias="edit")


def stock_scenarios() -> list[Scenario]:
    """The scenarios that come with the data set, in order of their file names."""
    return [
        Scenario.from_toml(path) for path in sorted((data_folder() / "scenarios").glob("*.toml"))
    ]


def as_scenario(given: object) -> Scenario:
    """A scenario as it is; anything else is an ArgumentError."""
    if isinstance(given, Scenario):
        return given
    raise wrong_type(
        "scenario",
        given,
        "a Scenario, such as forecast.Scenario('name').leave('NATO', ['USA'], 2027).",
    )


def applicable(
    scenarios: Sequence[Scenario], *, first_year: int, last_year: int
) -> tuple[list[Scenario], list[Scenario]]:
    """Scenarios whose every edit takes effect in the years of the forecast, and the others.

    The stock scenarios, say, are about the years after the embedded data.
    """

    def inside(scenario: Scenario) -> bool:
        return all(first_year <= int(edit.when[:4]) <= last_year for edit in scenario.edits)

    can = [scenario for scenario in scenarios if inside(scenario)]
    return can, [scenario for scenario in scenarios if not inside(scenario)]

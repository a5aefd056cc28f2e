"""`Scenario`: a named list of dated edits to the alliance graph."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecast.errors import (
    ArgumentError,
    MissingFileError,
    SpecificationError,
    UnknownNameError,
    nearest,
)
from forecast.paths import data_folder
from forecast.sources.tables import OBLIGATIONS

__all__ = ["Edit", "Scenario", "applicable", "stock_scenarios"]

#: What the members of a new pact owe each other unless said otherwise.
_MUTUAL_DEFENCE = ("defense", "consultation")

State = str | int
When = int | str | date


class Edit(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["join", "leave", "form", "dissolve", "amend"]
    alliance: str = Field(min_length=1)
    states: tuple[State, ...] = ()
    when: str
    obligations: tuple[str, ...] | None = None

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


def _iso(when: When) -> str:
    if isinstance(when, bool) or not isinstance(when, int | str | date):
        raise ArgumentError(f"`when` is {when!r}; expected a year (2027) or a date ('2027-05-01').")
    if isinstance(when, int):
        if not 1000 <= when <= 9999:
            raise ArgumentError(f"`when` is {when}; expected a four-digit year such as 2027.")
        return f"{when:04d}-01-01"
    try:
        return date.fromisoformat(str(when)).isoformat()
    except ValueError as error:
        raise ArgumentError(
            f"`when` is {when!r}; expected a year (2027) or an ISO date ('2027-05-01')."
        ) from error


def _states(states: Sequence[State] | State) -> tuple[State, ...]:
    if isinstance(states, str | int):
        return (states,)
    return tuple(states)


def _obligations(obligations: Sequence[str] | str) -> tuple[str, ...]:
    chosen = (obligations,) if isinstance(obligations, str) else tuple(obligations)
    for name in chosen:
        if name not in OBLIGATIONS:
            raise UnknownNameError("obligation", name, OBLIGATIONS)
    return tuple(name for name in OBLIGATIONS if name in chosen)


def _known(content: Mapping[Any, Any], names: Iterable[str], where: str, expected: str) -> None:
    """Raise if a key of a file is not among those that are known."""
    for key in content:
        if key not in names:
            hint = nearest(str(key), names)
            raise SpecificationError(
                f"{where}: unknown key {key!r}; expected {expected}."
                + (f" Did you mean {hint!r}?" if hint else "")
            )


@dataclass(frozen=True)
class Scenario:
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
        if not self.name.strip():
            raise ArgumentError("A scenario needs a name; found an empty one.")

    def _add(self, **fields: Any) -> Scenario:
        return replace(self, edits=(*self.edits, Edit(**fields)))

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
        _known(content, ("name", "edit"), where, "'name' and 'edit'")
        if not isinstance(content.get("name"), str):
            raise SpecificationError(f"{where}: key 'name' is missing or not text.")
        scenario = cls(content["name"])
        for number, raw in enumerate(content.get("edit", []), start=1):
            place = f"{where}, edit {number}"
            if not isinstance(raw, Mapping):
                raise SpecificationError(f"{place}: expected a table, found {raw!r}.")
            _known(raw, Edit.model_fields, place, ", ".join(Edit.model_fields))
            fields = dict(raw)
            try:
                if "when" in fields:
                    fields["when"] = _iso(fields["when"])
                if "states" in fields:
                    fields["states"] = _states(fields["states"])
                if fields.get("action") == "form":
                    fields.setdefault("obligations", _MUTUAL_DEFENCE)
                if fields.get("obligations") is not None:
                    fields["obligations"] = _obligations(fields["obligations"])
                elif fields.get("action") == "amend":
                    raise ArgumentError("an 'amend' needs the key 'obligations'.")
                edit = Edit(**fields)
            except ValidationError as error:
                first = error.errors()[0]
                key = ".".join(str(part) for part in first["loc"])
                raise SpecificationError(
                    f"{place}: key {key!r}: {first['msg']}; found {first.get('input')!r}."
                ) from error
            except (ArgumentError, UnknownNameError) as error:
                raise SpecificationError(f"{place}: {error}") from error
            scenario = replace(scenario, edits=(*scenario.edits, edit))
        return scenario

    @classmethod
    def from_toml(cls, path: str | Path) -> Scenario:
        """Scenario from a TOML file: ``name = "…"`` and one ``[[edit]]`` table per change."""
        path = Path(path)
        if not path.is_file():
            raise MissingFileError(f"Scenario file {path} does not exist.")
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SpecificationError(f"{path}: not valid TOML: {error}") from error
        return cls.from_dict(content, where=str(path))


def stock_scenarios() -> list[Scenario]:
    """The scenarios that come with the data set, in order of their file names."""
    return [
        Scenario.from_toml(path) for path in sorted((data_folder() / "scenarios").glob("*.toml"))
    ]


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

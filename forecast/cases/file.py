"""Reading the file of the named cases."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any

from pydantic import TypeAdapter, ValidationError

from forecast.cases.records import Case, Expectation, Fact
from forecast.errors import SpecificationError, UnknownNameError
from forecast.paths import data_folder

__all__ = ["read_cases"]

_FILE = "cases.toml"


@cache
def read_cases() -> dict[str, Case]:
    """All cases of the file by name."""
    content = tomllib.loads((data_folder() / _FILE).read_text(encoding="utf-8"))
    states = content["states"]
    found: dict[str, Case] = {}
    for raw in content["case"]:
        where = f"{_FILE}, case {raw.get('name')!r}"
        events = tuple(_checked(Fact, fact, f"{where}, fact") for fact in raw.pop("fact"))
        expectations = tuple(
            _checked(Expectation, one, f"{where}, expectation")
            for rule in raw.pop("expectation")
            for one in _expanded(rule)
        )
        named = dict.fromkeys(raw["states"])
        for fact in events:
            named.update(dict.fromkeys([*fact.states, *filter(None, [fact.against])]))
        for one in expectations:
            named.update(dict.fromkeys(filter(None, [one.state, one.other])))
        for state in named:
            if state not in states:
                raise UnknownNameError(f"state in {where}:", state, states)
        made = _checked(
            Case,
            {
                **raw,
                "events": events,
                "expectations": expectations,
                "ccodes": {state: states[state]["ccode"] for state in named},
                "names": {state: states[state]["name"] for state in named},
            },
            where,
        )
        if made.name in found:
            raise SpecificationError(f"{where}: there are two cases of this name.")
        found[made.name] = made
    return found


def _expanded(rule: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One expectation per state and year of a rule of the file."""
    rest = {key: value for key, value in rule.items() if key not in ("states", "years")}
    conditions = [key for key in ("equals", "above", "below", "missing") if key in rest]
    if len(conditions) != 1:
        raise SpecificationError(
            f"{_FILE}, expectation of {rule.get('feature')!r}: found {conditions or 'no condition'}"
            ", expected exactly one of equals, above, below, missing."
        )
    for state, year in product(rule["states"], rule["years"]):
        yield {**rest, "state": state, "year": year}


def _checked[T](kind: type[T], content: Mapping[str, Any], where: str) -> T:
    """`content` as an instance of `kind`, its types checked."""
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SpecificationError(
            f"{where}, key {key!r}: {first['msg']}; found {first['input']!r}."
        ) from None

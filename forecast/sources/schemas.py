"""One pandera schema per table; `forecast.sources.checking` reads and checks tables under them.

`data/datapackage.json` states the same rules for other tools; a test keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from forecast.sources.cells import LAST_YEAR
from forecast.sources.tables import OBLIGATIONS

__all__ = ["KEYS", "LEVELS", "OVERLAP_KEYS", "REGIONS", "SCHEMAS"]

REGIONS: tuple[str, ...] = (
    "Americas", "Europe", "Sub-Saharan Africa", "Middle East and North Africa", "Asia", "Oceania",
)  # fmt: skip
_FLAGS = ("observed", "interpolated", "extrapolated", "estimated")
_PRECISIONS = ("day", "month", "year")
#: Levels of hostility, rising. "clash" is used by the embedded data only: both sides fought.
LEVELS: tuple[str, ...] = ("threat", "display_of_force", "use_of_force", "clash", "war")
_OUTCOMES = (
    "victory_a", "victory_b", "yield_a", "yield_b", "stalemate", "compromise", "released",
    "ongoing", "unclear",
)  # fmt: skip
_SETTLEMENTS = ("negotiated", "imposed", "none", "unclear")
_KINDS = ("land", "air", "naval", "coast_guard", "seizure")
_EVIDENCE = ("official", "reported", "estimate", "none_reported")
_DEPTH = ("integrated_command", "military_coordination", "basing", "military_aid", "organization")
_CONDITIONS = (
    "cond_adversary", "cond_location", "cond_conflict", "cond_number", "cond_demands",
    "cond_nonprovocation",
)  # fmt: skip

#: Primary key of each table.
KEYS: Mapping[str, tuple[str, ...]] = {
    "states": ("ccode", "start"),
    "powers": ("ccode", "start"),
    "contiguity": ("ccode_a", "ccode_b", "start"),
    "capabilities": ("ccode", "year"),
    "alliances": ("alliance_id",),
    "members": ("alliance_id", "ccode", "start"),
    "conflicts": ("conflict_id", "ccode_a", "ccode_b"),
    "rivalries": ("rivalry_id", "ccode_a", "ccode_b", "start"),
    "regimes": ("ccode", "year"),
    "polity": ("ccode", "year"),
    "troops": ("ccode", "year"),
    "trade": ("ccode", "year"),
    "dyadic_trade": ("ccode_a", "ccode_b", "year"),
    "igos": ("ccode_a", "ccode_b", "year"),
    "distances": ("ccode_a", "ccode_b", "year"),
    "treaty_design": ("alliance_id",),
    "material_capabilities": ("ccode", "year"),
    "disputes": ("conflict_id",),
    "participants": ("conflict_id", "ccode", "start"),
    "obligation_years": ("ccode_owing", "ccode_owed", "year"),
}

#: Columns within which the spells of a table may not overlap.
OVERLAP_KEYS: Mapping[str, tuple[str, ...]] = {
    "states": ("ccode",),
    "powers": ("ccode",),
    "contiguity": ("ccode_a", "ccode_b"),
    "members": ("alliance_id", "ccode"),
}

_STR = pd.StringDtype(na_value=np.nan)


def _ccode() -> pa.Column:
    return pa.Column(int, pa.Check.in_range(2, 999), description="COW state number")


def _flag() -> pa.Column:
    return pa.Column(int, pa.Check.isin([0, 1]))


def _enum(values: Sequence[str], *, optional: bool = False) -> pa.Column:
    """One of some words; an optional column may be absent, and a cell of it empty."""
    return pa.Column(_STR, pa.Check.isin(list(values)), nullable=optional, required=not optional)


def _text(*, nullable: bool = False, pattern: str | None = None) -> pa.Column:
    checks = [] if pattern is None else [pa.Check.str_matches(f"^(?:{pattern})$")]
    return pa.Column(_STR, checks, nullable=nullable)


def _year() -> pa.Column:
    return pa.Column(int, pa.Check.in_range(1800, LAST_YEAR))


def _number(low: float, high: float | None = None) -> pa.Column:
    """A number that may be missing."""
    check = pa.Check.ge(low) if high is None else pa.Check.in_range(low, high)
    return pa.Column(float, check, nullable=True)


def _date(*, nullable: bool = False) -> pa.Column:
    return pa.Column("datetime64[s]", nullable=nullable)


def _schema(name: str, columns: dict[str, pa.Column], **options: Any) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, name=name, strict=True, ordered=True, **options)


def _state_year(name: str, **values: pa.Column) -> pa.DataFrameSchema:
    return _schema(name, {"ccode": _ccode(), "year": _year(), **values})


def _pair_year(name: str, **values: pa.Column) -> pa.DataFrameSchema:
    return _schema(name, {**_pair(), "year": _year(), **values}, checks=_PAIR_ORDER)


def _pair() -> dict[str, pa.Column]:
    return {"ccode_a": _ccode(), "ccode_b": _ccode()}


def _spell() -> dict[str, pa.Column]:
    return {"start": _date(), "end": _date(nullable=True)}


def _precisions() -> dict[str, pa.Column]:
    return {"start_precision": _enum(_PRECISIONS), "end_precision": _enum(_PRECISIONS)}


def _level(*others: str) -> pa.Column:
    return pa.Column(_STR, pa.Check.isin([*others, *LEVELS]), nullable=True)


def _deaths_class() -> pa.Column:
    return pa.Column(pd.Int64Dtype(), pa.Check.in_range(0, 6), nullable=True)


def _known_flag() -> pa.Column:
    """0/1, missing where not coded."""
    return pa.Column(pd.Int64Dtype(), pa.Check.isin([0, 1]), nullable=True)


_PAIR_ORDER = pa.Check(lambda frame: frame["ccode_a"] < frame["ccode_b"], name="ccode_a < ccode_b")
_ROLES = ("originator", "joiner")
_COMPONENTS = ("milex", "milper", "irst", "pec", "tpop", "upop")

_TABLES: tuple[pa.DataFrameSchema, ...] = (
    _schema(
        "states",
        {
            "ccode": _ccode(),
            "abbrev": _text(pattern="[A-Z]{3}"),
            "name": _text(),
            "iso3": _text(nullable=True, pattern="[A-Z]{3}"),
            "region": _enum(REGIONS),
            **_spell(),
        },
    ),
    _schema("powers", {"ccode": _ccode(), **_spell()}),
    _schema(
        "contiguity",
        {
            **_pair(),
            "type": pa.Column(int, pa.Check.in_range(1, 5)),
            **_spell(),
            "note": _text(nullable=True),
        },
        checks=_PAIR_ORDER,
    ),
    _state_year(
        "capabilities",
        population=_number(1),
        gdp=_number(1),
        population_flag=pa.Column(_STR, pa.Check.isin(list(_FLAGS)), nullable=True),
        gdp_flag=pa.Column(_STR, pa.Check.isin(list(_FLAGS)), nullable=True),
    ),
    _schema(
        "alliances",
        {
            "alliance_id": _text(pattern="[a-z0-9]+(?:-[a-z0-9]+)*"),
            "name": _text(),
            "short_name": pa.Column(_STR, unique=True),
            **_spell(),
            "kind": _enum(("bilateral", "multilateral")),
            "wartime": _flag(),
            **{name: _flag() for name in (*_DEPTH, "peaceful_settlement", *_CONDITIONS)},
            "source": _text(),
        },
    ),
    _schema(
        "members",
        {
            "alliance_id": _text(),
            "ccode": _ccode(),
            **_spell(),
            **{name: _flag() for name in OBLIGATIONS},
        },
    ),
    _schema(
        "conflicts",
        {
            "conflict_id": _text(),
            "name": _text(),
            **_pair(),
            **_spell(),
            **_precisions(),
            "level": _enum(LEVELS),
            "deaths_class": _deaths_class(),
            "initiator": _enum(("a", "b", "both", "unclear")),
            "role_a": _enum(_ROLES),
            "role_b": _enum(_ROLES),
            "outcome": _enum(_OUTCOMES),
            "settlement": _enum(_SETTLEMENTS),
            "kind": _enum(_KINDS, optional=True),
            "evidence": _enum(_EVIDENCE, optional=True),
            "source": _text(),
        },
        checks=_PAIR_ORDER,
    ),
    _schema(
        "rivalries",
        {"rivalry_id": _text(), **_pair(), **_spell(), "kind": _text(nullable=True)},
        checks=_PAIR_ORDER,
    ),
    _state_year("regimes", polyarchy=_number(0, 1)),
    # A measure of its own, with years of its own: never mixed with that of `regimes`.
    _state_year("polity", polity=_number(-10, 10)),
    # us_troops: active-duty personnel of the United States in the state, persons.
    _state_year("troops", us_troops=_number(0)),
    _state_year("trade", imports=_number(0), exports=_number(0)),
    # imports_a: what a imports from b, million current US dollars.
    _pair_year("dyadic_trade", imports_a=_number(0), imports_b=_number(0)),
    _pair_year("igos", joint_igos=pa.Column(int, pa.Check.ge(0))),
    _pair_year("distances", km=_number(0)),
    # Peacetime provisions that the embedded data do not code.
    _schema(
        "treaty_design",
        {
            "alliance_id": _text(),
            "subordination": _known_flag(),
            "contribution": _known_flag(),
            "companion_agreements": _known_flag(),
        },
    ),
    _state_year(
        "material_capabilities",
        **{name: _number(0) for name in _COMPONENTS},
        cinc=_number(0, 1),
    ),
    _schema(
        "disputes",
        {
            "conflict_id": _text(),
            "name": _text(nullable=True),
            **_spell(),
            **_precisions(),
            "level": _level(),
            "deaths_class": _deaths_class(),
            "outcome": _enum(_OUTCOMES),
            "settlement": _enum(_SETTLEMENTS),
            "reciprocated": _known_flag(),
        },
    ),
    _schema(
        "participants",
        {
            "conflict_id": _text(),
            "ccode": _ccode(),
            "side": _enum(("a", "b")),
            "role": _enum(_ROLES),
            **_spell(),
            **_precisions(),
            "level": _level("none"),
            "deaths_class": _deaths_class(),
            "deaths": _number(0),
        },
    ),
    # One row per ordered pair and year: what the first owes the second.
    _schema(
        "obligation_years",
        {
            "ccode_owing": _ccode(),
            "ccode_owed": _ccode(),
            "year": _year(),
            **{name: _flag() for name in OBLIGATIONS},
        },
    ),
)
#: The schema of each table, by name.
SCHEMAS: Mapping[str, pa.DataFrameSchema] = {str(schema.name): schema for schema in _TABLES}

"""One pandera schema per table; `forecast.sources.checking` reads and checks tables under them.

`data/datapackage.json` states the same rules for other tools; a test keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from forecast.sources.tables import OBLIGATIONS

__all__ = ["KEYS", "LEVELS", "OVERLAP_KEYS", "REGIONS", "SCHEMAS"]

REGIONS: tuple[str, ...] = (
    "Americas",
    "Europe",
    "Sub-Saharan Africa",
    "Middle East and North Africa",
    "Asia",
    "Oceania",
)
_FLAGS = ("observed", "interpolated", "extrapolated", "estimated")
_PRECISIONS = ("day", "month", "year")
#: Levels of hostility, rising. "clash" is used by the embedded data only: both sides fought.
LEVELS: tuple[str, ...] = ("threat", "display_of_force", "use_of_force", "clash", "war")
_OUTCOMES = (
    "victory_a",
    "victory_b",
    "yield_a",
    "yield_b",
    "stalemate",
    "compromise",
    "released",
    "ongoing",
    "unclear",
)
_SETTLEMENTS = ("negotiated", "imposed", "none", "unclear")
_KINDS = ("land", "air", "naval", "coast_guard", "seizure")
_EVIDENCE = ("official", "reported", "estimate", "none_reported")
_DEPTH = (
    "integrated_command",
    "military_coordination",
    "basing",
    "military_aid",
    "organization",
)
_CONDITIONS = (
    "cond_adversary",
    "cond_location",
    "cond_conflict",
    "cond_number",
    "cond_demands",
    "cond_nonprovocation",
)

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
    return pa.Column(int, pa.Check.in_range(1800, 2100))


def _number(low: float, high: float | None = None) -> pa.Column:
    """A number that may be missing."""
    check = pa.Check.ge(low) if high is None else pa.Check.in_range(low, high)
    return pa.Column(float, check, nullable=True)


def _date(*, nullable: bool = False) -> pa.Column:
    return pa.Column("datetime64[s]", nullable=nullable)


def _schema(name: str, columns: dict[str, pa.Column], **options: Any) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(
        columns, name=name, strict=True, ordered=True, unique=list(KEYS[name]), **options
    )


_PAIR_ORDER = pa.Check(lambda frame: frame["ccode_a"] < frame["ccode_b"], name="ccode_a < ccode_b")

#: The schema of each table, by name.
SCHEMAS: Mapping[str, pa.DataFrameSchema] = {
    "states": _schema(
        "states",
        {
            "ccode": _ccode(),
            "abbrev": _text(pattern="[A-Z]{3}"),
            "name": _text(),
            "iso3": _text(nullable=True, pattern="[A-Z]{3}"),
            "region": _enum(REGIONS),
            "start": _date(),
            "end": _date(nullable=True),
        },
    ),
    "powers": _schema("powers", {"ccode": _ccode(), "start": _date(), "end": _date(nullable=True)}),
    "contiguity": _schema(
        "contiguity",
        {
            "ccode_a": _ccode(),
            "ccode_b": _ccode(),
            "type": pa.Column(int, pa.Check.in_range(1, 5)),
            "start": _date(),
            "end": _date(nullable=True),
            "note": _text(nullable=True),
        },
        checks=_PAIR_ORDER,
    ),
    "capabilities": _schema(
        "capabilities",
        {
            "ccode": _ccode(),
            "year": pa.Column(int, pa.Check.in_range(1800, 2100)),
            "population": pa.Column(float, pa.Check.ge(1), nullable=True),
            "gdp": pa.Column(float, pa.Check.ge(1), nullable=True),
            "population_flag": pa.Column(_STR, pa.Check.isin(list(_FLAGS)), nullable=True),
            "gdp_flag": pa.Column(_STR, pa.Check.isin(list(_FLAGS)), nullable=True),
        },
    ),
    "alliances": _schema(
        "alliances",
        {
            "alliance_id": _text(pattern="[a-z0-9]+(?:-[a-z0-9]+)*"),
            "name": _text(),
            "short_name": pa.Column(_STR, unique=True),
            "start": _date(),
            "end": _date(nullable=True),
            "kind": _enum(("bilateral", "multilateral")),
            "wartime": _flag(),
            **{name: _flag() for name in _DEPTH},
            "peaceful_settlement": _flag(),
            **{name: _flag() for name in _CONDITIONS},
            "source": _text(),
        },
    ),
    "members": _schema(
        "members",
        {
            "alliance_id": _text(),
            "ccode": _ccode(),
            "start": _date(),
            "end": _date(nullable=True),
            **{name: _flag() for name in OBLIGATIONS},
        },
    ),
    "conflicts": _schema(
        "conflicts",
        {
            "conflict_id": _text(),
            "name": _text(),
            "ccode_a": _ccode(),
            "ccode_b": _ccode(),
            "start": _date(),
            "end": _date(nullable=True),
            "start_precision": _enum(_PRECISIONS),
            "end_precision": _enum(_PRECISIONS),
            "level": _enum(LEVELS),
            "deaths_class": pa.Column(pd.Int64Dtype(), pa.Check.in_range(0, 6), nullable=True),
            "initiator": _enum(("a", "b", "both", "unclear")),
            "role_a": _enum(("originator", "joiner")),
            "role_b": _enum(("originator", "joiner")),
            "outcome": _enum(_OUTCOMES),
            "settlement": _enum(_SETTLEMENTS),
            "kind": _enum(_KINDS, optional=True),
            "evidence": _enum(_EVIDENCE, optional=True),
            "source": _text(),
        },
        checks=_PAIR_ORDER,
    ),
    "rivalries": _schema(
        "rivalries",
        {
            "rivalry_id": _text(),
            "ccode_a": _ccode(),
            "ccode_b": _ccode(),
            "start": _date(),
            "end": _date(nullable=True),
            "kind": _text(nullable=True),
        },
        checks=_PAIR_ORDER,
    ),
    "regimes": _schema(
        "regimes",
        {"ccode": _ccode(), "year": _year(), "polyarchy": _number(0, 1)},
    ),
    # A measure of its own, with years of its own: never mixed with that of `regimes`.
    "polity": _schema(
        "polity",
        {"ccode": _ccode(), "year": _year(), "polity": _number(-10, 10)},
    ),
    # us_troops: active-duty personnel of the United States in the state, persons.
    "troops": _schema(
        "troops",
        {"ccode": _ccode(), "year": _year(), "us_troops": _number(0)},
    ),
    "trade": _schema(
        "trade",
        {"ccode": _ccode(), "year": _year(), "imports": _number(0), "exports": _number(0)},
    ),
    # imports_a: what a imports from b, million current US dollars.
    "dyadic_trade": _schema(
        "dyadic_trade",
        {
            "ccode_a": _ccode(),
            "ccode_b": _ccode(),
            "year": _year(),
            "imports_a": _number(0),
            "imports_b": _number(0),
        },
        checks=_PAIR_ORDER,
    ),
    "igos": _schema(
        "igos",
        {
            "ccode_a": _ccode(),
            "ccode_b": _ccode(),
            "year": _year(),
            "joint_igos": pa.Column(int, pa.Check.ge(0)),
        },
        checks=_PAIR_ORDER,
    ),
    "distances": _schema(
        "distances",
        {"ccode_a": _ccode(), "ccode_b": _ccode(), "year": _year(), "km": _number(0)},
        checks=_PAIR_ORDER,
    ),
    # Peacetime provisions that the embedded data do not code; 0/1, missing where not coded.
    "treaty_design": _schema(
        "treaty_design",
        {
            "alliance_id": _text(),
            **{
                name: pa.Column(pd.Int64Dtype(), pa.Check.isin([0, 1]), nullable=True)
                for name in ("subordination", "contribution", "companion_agreements")
            },
        },
    ),
    "material_capabilities": _schema(
        "material_capabilities",
        {
            "ccode": _ccode(),
            "year": _year(),
            **{name: _number(0) for name in ("milex", "milper", "irst", "pec", "tpop", "upop")},
            "cinc": _number(0, 1),
        },
    ),
    "disputes": _schema(
        "disputes",
        {
            "conflict_id": _text(),
            "name": _text(nullable=True),
            "start": _date(),
            "end": _date(nullable=True),
            "start_precision": _enum(_PRECISIONS),
            "end_precision": _enum(_PRECISIONS),
            "level": pa.Column(_STR, pa.Check.isin(list(LEVELS)), nullable=True),
            "deaths_class": pa.Column(pd.Int64Dtype(), pa.Check.in_range(0, 6), nullable=True),
            "outcome": _enum(_OUTCOMES),
            "settlement": _enum(_SETTLEMENTS),
            "reciprocated": pa.Column(pd.Int64Dtype(), pa.Check.isin([0, 1]), nullable=True),
        },
    ),
    "participants": _schema(
        "participants",
        {
            "conflict_id": _text(),
            "ccode": _ccode(),
            "side": _enum(("a", "b")),
            "role": _enum(("originator", "joiner")),
            "start": _date(),
            "end": _date(nullable=True),
            "start_precision": _enum(_PRECISIONS),
            "end_precision": _enum(_PRECISIONS),
            "level": pa.Column(_STR, pa.Check.isin(["none", *LEVELS]), nullable=True),
            "deaths_class": pa.Column(pd.Int64Dtype(), pa.Check.in_range(0, 6), nullable=True),
            "deaths": _number(0),
        },
    ),
    # One row per ordered pair and year: what the first owes the second.
    "obligation_years": _schema(
        "obligation_years",
        {
            "ccode_owing": _ccode(),
            "ccode_owed": _ccode(),
            "year": _year(),
            **{name: _flag() for name in OBLIGATIONS},
        },
    ),
}

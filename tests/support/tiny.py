"""The tiny world: hand-made, so that every number in a test can be checked by eye.

====  ====  ==============  ========================================================
code  name  region          membership
====  ====  ==============  ========================================================
  10  Arvo  Europe          1950-01-01 -
  20  Bela  Europe          1950-01-01 -
  30  Cora  Asia            1995-07-01 -            (enters; first capability in 1997)
  40  Dara  Asia            1950-01-01 - 2003-06-30 (leaves for good)
  50  Eron  Americas        1950-01-01 -            (the only major power)
  60  Fyra  Oceania         1950-01-01 - 1998-12-31, 2001-01-01 - (leaves and returns)
====  ====  ==============  ========================================================

Everything is covered from 1990 to 2010.
"""

from __future__ import annotations

import pandas as pd

from forecast.sources.tables import OBLIGATIONS, TABLES, Coverage


def _dates(frame: pd.DataFrame) -> pd.DataFrame:
    for column in ("start", "end"):
        frame[column] = frame[column].to_numpy(dtype="datetime64[s]")
    return frame


def _states() -> pd.DataFrame:
    rows = [
        (10, "ARV", "Arvo", "ARV", "Europe", "1950-01-01", None),
        (20, "BEL", "Bela", "BLA", "Europe", "1950-01-01", None),
        (30, "COR", "Cora", "CRA", "Asia", "1995-07-01", None),
        (40, "DAR", "Dara", None, "Asia", "1950-01-01", "2003-06-30"),
        (50, "ERO", "Eron", "ERN", "Americas", "1950-01-01", None),
        (60, "FYR", "Fyra", "FYA", "Oceania", "1950-01-01", "1998-12-31"),
        (60, "FYR", "Fyra", "FYA", "Oceania", "2001-01-01", None),
    ]
    names = ["ccode", "abbrev", "name", "iso3", "region", "start", "end"]
    return _dates(pd.DataFrame(rows, columns=names))


def _powers() -> pd.DataFrame:
    return _dates(pd.DataFrame({"ccode": [50], "start": ["1950-01-01"], "end": [None]}))


def _contiguity() -> pd.DataFrame:
    rows = [
        (10, 20, 1, "1950-01-01", None, None),
        (20, 30, 1, "1995-07-01", None, None),
        (30, 40, 4, "1995-07-01", "1999-12-31", "island lost in 2000"),
        (30, 40, 2, "2000-01-01", "2003-06-30", None),
        (40, 60, 5, "1950-01-01", "1998-12-31", None),
        (40, 60, 5, "2001-01-01", "2003-06-30", None),
    ]
    names = ["ccode_a", "ccode_b", "type", "start", "end", "note"]
    frame = _dates(pd.DataFrame(rows, columns=names))
    return frame.astype({"note": "str"})


def _capabilities() -> pd.DataFrame:
    """Shares are constant within the year: population and GDP in the same proportions."""
    size = {10: 10.0, 20: 20.0, 30: 10.0, 40: 20.0, 50: 100.0, 60: 1e-5}
    rows = []
    for ccode, value in size.items():
        for year in range(1990, 2011):
            if ccode == 30 and year < 1997:
                continue
            rows.append((ccode, year, value * 1e6, value * 1e10, "observed", "observed"))
    names = ["ccode", "year", "population", "gdp", "population_flag", "gdp_flag"]
    return pd.DataFrame(rows, columns=names)


_DEPTH = ("integrated_command", "military_coordination", "basing", "military_aid", "organization")
_CONDITIONS = (
    "cond_adversary",
    "cond_location",
    "cond_conflict",
    "cond_number",
    "cond_demands",
    "cond_nonprovocation",
)


def _alliances() -> pd.DataFrame:
    rows = [
        ("bela-fyra", "Bela-Fyra Treaty", "Bela-Fyra", "1996-05-01", None, "bilateral"),
        ("eron-dara", "Guarantee of Dara", "Guarantee", "1992-02-01", "2003-06-30", "bilateral"),
        ("north-pact", "Treaty of the North", "North Pact", "1985-04-04", None, "multilateral"),
    ]
    names = ["alliance_id", "name", "short_name", "start", "end", "kind"]
    frame = _dates(pd.DataFrame(rows, columns=names))
    frame["wartime"] = 0
    on = {"north-pact": {*_DEPTH, "cond_location"}, "eron-dara": {"basing", "cond_adversary"}}
    for column in (*_DEPTH, "peaceful_settlement", *_CONDITIONS):
        frame[column] = [int(column in on.get(i, ())) for i in frame["alliance_id"]]
    frame.loc[frame["alliance_id"] == "bela-fyra", "peaceful_settlement"] = 1
    frame["source"] = "made by hand"
    return frame


def _members() -> pd.DataFrame:
    both = (1, 0, 0, 1, 1)
    rows = [
        ("bela-fyra", 20, "1996-05-01", None, 0, 0, 0, 1, 1),
        ("bela-fyra", 60, "1996-05-01", "1998-12-31", 0, 0, 0, 1, 1),
        ("bela-fyra", 60, "2001-01-01", None, 0, 0, 0, 1, 1),
        # One-sided: Eron owes Dara defence, Dara owes Eron consultation only.
        ("eron-dara", 40, "1992-02-01", "2003-06-30", 0, 0, 0, 0, 1),
        ("eron-dara", 50, "1992-02-01", "2003-06-30", 1, 0, 0, 0, 1),
        ("north-pact", 10, "1985-04-04", None, *both),
        ("north-pact", 20, "1985-04-04", "2006-06-30", *both),
        ("north-pact", 30, "2000-03-01", None, *both),
        ("north-pact", 50, "1985-04-04", None, *both),
    ]
    return _dates(
        pd.DataFrame(rows, columns=["alliance_id", "ccode", "start", "end", *OBLIGATIONS])
    )


def _conflicts() -> pd.DataFrame:
    rows = [
        # id, a, b, start, end, level, deaths, initiator, role_a, role_b
        ("c01", 10, 20, "1990-03-01", "1990-04-01", "clash", 0, "a", "originator", "originator"),
        ("c02", 10, 20, "1994-11-01", "1996-02-01", "war", 6, "b", "originator", "originator"),
        ("c03", 20, 30, "1997-05-01", "1997-05-09", "clash", 1, "a", "originator", "originator"),
        # One war of three dyads: 50 joins 40's side.
        ("c04", 30, 40, "1999-08-01", "2000-10-01", "war", 6, "b", "originator", "originator"),
        ("c04", 30, 50, "1999-09-01", "2000-10-01", "war", 4, "unclear", "originator", "joiner"),
        ("c05", 40, 60, "1998-12-01", "1998-12-20", "clash", 0, "both", "originator", "originator"),
        # Two episodes of one dyad in one year.
        ("c06", 10, 50, "2001-01-10", "2001-01-12", "clash", 0, "b", "originator", "originator"),
        (
            "c07",
            10,
            50,
            "2001-11-01",
            "2001-12-01",
            "use_of_force",
            2,
            "b",
            "originator",
            "originator",
        ),
        # Neither contiguous nor with a major power: outside the politically relevant dyads.
        ("c08", 10, 60, "2002-06-01", "2002-07-01", "clash", None, "a", "originator", "originator"),
        ("c09", 40, 60, "2003-01-01", "2003-06-30", "clash", 0, "a", "originator", "originator"),
        (
            "c10",
            20,
            30,
            "2005-04-01",
            "2007-04-01",
            "use_of_force",
            3,
            "a",
            "originator",
            "originator",
        ),
        # A new onset while c10 goes on: 2006 stays a row, 2007 does not.
        ("c11", 20, 30, "2006-04-01", "2006-05-01", "clash", 0, "b", "originator", "originator"),
        ("c12", 20, 50, "2010-12-01", None, "clash", 0, "unclear", "originator", "originator"),
    ]
    frame = pd.DataFrame(
        [
            {
                "conflict_id": i,
                "name": f"Conflict {i}",
                "ccode_a": a,
                "ccode_b": b,
                "start": start,
                "end": end,
                "start_precision": "day",
                "end_precision": "day",
                "level": level,
                "deaths_class": deaths,
                "initiator": initiator,
                "role_a": role_a,
                "role_b": role_b,
                "outcome": "ongoing" if end is None else "stalemate",
                "settlement": "none",
                "source": "made by hand",
            }
            for i, a, b, start, end, level, deaths, initiator, role_a, role_b in rows
        ]
    )
    return _dates(frame).astype({"deaths_class": "Int64"})


def make_tiny_frames() -> dict[str, pd.DataFrame]:
    """The seven tables of the tiny world, fresh copies that a test may damage."""
    return {
        "states": _states(),
        "powers": _powers(),
        "contiguity": _contiguity(),
        "capabilities": _capabilities(),
        "alliances": _alliances(),
        "members": _members(),
        "conflicts": _conflicts(),
    }


def make_coverage(first: int = 1990, last: int = 2010) -> dict[str, Coverage]:
    """The same coverage for every table."""
    one = Coverage(first=first, last=last, source="tiny", version="1", licence="CC0-1.0")
    return dict.fromkeys(TABLES, one)

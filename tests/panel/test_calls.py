"""Calls on alliances: each rule by hand, and everything against plain loops."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny import make_coverage

from forecast.panel.treaties import alliance_calls
from forecast.panel.world import build_world
from forecast.sources.embedded import tables_from_frames
from forecast.sources.schemas import LEVELS


def dates(values):
    return np.array(values, dtype="datetime64[s]")


def conflicts(*rows):
    """Rows (id, a, b, start, level, initiator, role a, role b); o and j for the roles."""
    frame = pd.DataFrame(
        rows,
        columns=["conflict_id", "ccode_a", "ccode_b", "start", "level", "initiator", "ra", "rb"],
    )
    role = {"o": "originator", "j": "joiner"}
    frame["role_a"], frame["role_b"] = frame.pop("ra").map(role), frame.pop("rb").map(role)
    frame["start"] = dates(frame["start"])
    frame["end"] = dates(["NaT"] * len(frame))
    return frame


def members(*rows):
    """Rows (treaty, state, start, end or None, owes defence)."""
    frame = pd.DataFrame(rows, columns=["alliance_id", "ccode", "start", "end", "defense"])
    for column in ("start", "end"):
        frame[column] = dates(frame[column].fillna("NaT").tolist())
    return frame


#: 1 and 2 must defend each other and 3; 3 owes nothing.
PACT = members(
    ("t", 1, "1950-01-01", None, 1),
    ("t", 2, "1950-01-01", None, 1),
    ("t", 3, "1950-01-01", "1970-06-30", 0),
)


def called(fights, pact=PACT):
    found = alliance_calls(fights, pact)
    columns = ["target", "bound", "year", "honoured_year"]
    return sorted(map(tuple, found[columns].to_numpy().tolist()))


def test_an_ally_that_comes_and_one_that_does_not():
    # 9 attacks 3; 1 joins against 9 a year later; 2 stays away.
    fights = conflicts(
        ("w", 3, 9, "1960-05-01", "war", "b", "o", "o"),
        ("w", 1, 9, "1961-01-01", "war", "unclear", "j", "o"),
    )
    assert called(fights) == [(3, 1, 1960, 1961), (3, 2, 1960, 0)]
    found = alliance_calls(fights, PACT)
    assert (found["level"] == LEVELS.index("war")).all()


def test_joining_counts_against_any_opponent_of_the_target():
    # 8 joins 9's side against 3, and 1 fights only 8.
    fights = conflicts(
        ("w", 3, 9, "1960-05-01", "war", "b", "o", "o"),
        ("w", 3, 8, "1960-06-01", "war", "unclear", "o", "j"),
        ("w", 1, 8, "1960-07-01", "war", "unclear", "j", "j"),
        ("w", 2, 7, "1960-07-01", "war", "unclear", "j", "j"),  # 7 is nobody's enemy
    )
    assert called(fights) == [(3, 1, 1960, 1960), (3, 2, 1960, 0)]


def test_joining_the_attacker_or_another_conflict_is_not_coming():
    fights = conflicts(
        ("w", 3, 9, "1960-05-01", "war", "b", "o", "o"),
        ("w", 1, 3, "1960-06-01", "war", "unclear", "j", "o"),
        ("x", 2, 9, "1960-06-01", "war", "unclear", "j", "o"),
    )
    assert called(fights) == [(3, 1, 1960, 0), (3, 2, 1960, 0)]


@pytest.mark.parametrize(
    "fight",
    [
        ("w", 3, 9, "1960-05-01", "war", "a", "o", "o"),  # 3 attacks
        ("w", 3, 9, "1960-05-01", "war", "both", "o", "o"),
        ("w", 3, 9, "1960-05-01", "war", "unclear", "o", "o"),
        ("w", 3, 9, "1960-05-01", "war", "b", "j", "o"),  # 3 came into it later
        ("w", 3, 9, "1950-01-01", "war", "b", "o", "o"),  # signed on the day of the attack
        ("w", 3, 9, "1949-01-01", "war", "b", "o", "o"),
        ("w", 3, 9, "1970-07-01", "war", "b", "o", "o"),  # 3 has left
        ("w", 7, 9, "1960-05-01", "war", "b", "o", "o"),  # nobody's ally
        ("w", 2, 3, "1960-05-01", "war", "a", "o", "o"),  # inside the pact
    ],
)
def test_no_call(fight):
    assert called(conflicts(fight)) == []


def test_last_day_of_membership_counts():
    fights = conflicts(("w", 3, 9, "1970-06-30", "war", "b", "o", "o"))
    assert called(fights) == [(3, 1, 1970, 0), (3, 2, 1970, 0)]


def test_a_state_that_owes_nothing_is_not_called_but_one_inside_another_pact_is():
    fights = conflicts(("w", 1, 9, "1960-05-01", "war", "b", "o", "o"))
    assert called(fights) == [(1, 2, 1960, 0)]
    # 3 attacks 1: inside the pact of the three, outside the one of 1 and 4.
    other = members(("u", 1, "1950-01-01", None, 0), ("u", 4, "1950-01-01", None, 1))
    fights = conflicts(("w", 1, 3, "1960-05-01", "war", "b", "o", "o"))
    assert called(fights, pd.concat([PACT, other], ignore_index=True)) == [(1, 4, 1960, 0)]


def test_a_state_that_is_attacked_itself_is_not_called():
    fights = conflicts(
        ("w", 1, 9, "1960-05-01", "war", "b", "o", "o"),
        ("w", 3, 9, "1960-05-01", "war", "b", "o", "o"),
    )
    assert called(fights) == [(1, 2, 1960, 0), (3, 2, 1960, 0)]


def test_several_attackers_are_one_call_at_the_highest_level():
    fights = conflicts(
        ("w", 1, 8, "1961-05-01", "war", "b", "o", "o"),
        ("w", 1, 9, "1960-05-01", "threat", "b", "o", "o"),
    )
    found = alliance_calls(fights, PACT)
    assert found.to_dict("records") == [
        {"conflict": 0, "target": 1, "bound": 2, "year": 1960, "honoured_year": 0, "level": 4}
    ]


def test_nothing_at_all():
    one = conflicts(("w", 1, 9, "1960-05-01", "war", "b", "o", "o"))
    assert alliance_calls(one.iloc[:0], PACT).empty
    assert alliance_calls(one, PACT.iloc[:0]).empty


STATES = (1, 2, 3, 4, 5)
days = st.integers(0, 3000).map(lambda n: np.datetime64("1950-01-01") + np.timedelta64(n, "D"))


@st.composite
def histories(draw):
    rows, pairs = [], [(a, b) for a in STATES for b in STATES if a < b]
    for number in range(draw(st.integers(1, 4))):
        for a, b in draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=5, unique=True)):
            rows.append(
                (
                    f"c{number}",
                    a,
                    b,
                    str(draw(days)),
                    draw(st.sampled_from(LEVELS)),
                    draw(st.sampled_from(["a", "b", "both", "unclear"])),
                    draw(st.sampled_from("oj")),
                    draw(st.sampled_from("oj")),
                )
            )
    spells = []
    for treaty in "tu":
        for state in STATES:
            if draw(st.booleans()):
                start, end = sorted([draw(days), draw(days)])
                spells.append((treaty, state, str(start), str(end), draw(st.integers(0, 1))))
    return conflicts(*rows), members(*spells or [("t", 1, "1950-01-01", None, 1)])


@given(histories())
@settings(max_examples=60, deadline=None)
def test_against_loops(history):
    fights, pact = history
    rows = [
        (r.conflict_id, *side)
        for r in fights.itertuples()
        for side in (
            (r.ccode_a, r.ccode_b, r.start, r.level, r.role_a, r.role_b, r.initiator == "b"),
            (r.ccode_b, r.ccode_a, r.start, r.level, r.role_b, r.role_a, r.initiator == "a"),
        )
    ]

    def inside(treaty, state, day, owing=False):
        return any(
            m.alliance_id == treaty
            and m.ccode == state
            and m.start < day
            and (pd.isna(m.end) or m.end >= day)
            and (m.defense or not owing)
            for m in pact.itertuples()
        )

    expected = {}
    for c, k, m, day, level, mine, theirs, struck in rows:
        if not (struck and mine == theirs == "originator"):
            continue
        for i in STATES:
            if i == k or any(r[0] == c and r[1] == i and r[5] == "originator" for r in rows):
                continue
            bound = any(
                inside(t, k, day) and not inside(t, m, day) and inside(t, i, day, owing=True)
                for t in "tu"
            )
            if not bound:
                continue
            enemies = {r[2] for r in rows if r[0] == c and r[1] == k}
            joined = [
                r[3].year
                for r in rows
                if r[0] == c and r[1] == i and r[2] in enemies and r[5] == "joiner"
            ]
            year, highest, _ = expected.get((c, k, i), (9999, 0, 0))
            expected[c, k, i] = (
                min(year, day.year),
                max(highest, LEVELS.index(level)),
                min(joined, default=0),
            )
    found = alliance_calls(fights, pact)
    ids = list(dict.fromkeys(fights["conflict_id"]))
    got = {
        (ids[r.conflict], r.target, r.bound): (r.year, r.level, r.honoured_year)
        for r in found.itertuples()
    }
    assert got == expected and len(found) == len(got)


def test_world_holds_the_calls_up_to_its_last_year(tiny_frames, tiny_coverage, tiny_world):
    """30 attacks 40, which 50 has guaranteed; 50 comes in the same year."""
    assert tiny_world.sizes["call"] == 0  # there 40 attacks 30
    tiny_frames["conflicts"].loc[3, "initiator"] = "a"
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    world = build_world(tables, first_year=2005)  # later than the call: the record is there
    found = {
        name: world[f"call_{name}"].to_numpy().tolist() for name in ("bound", "target", "year")
    }
    assert found == {"bound": [50], "target": [40], "year": [1999]}
    assert world["call_honoured_year"].to_numpy().tolist() == [1999]
    assert world["call_level"].to_numpy().tolist() == [LEVELS.index("war")]
    assert build_world(tables, last_year=1998).sizes["call"] == 0
    # What happened after the last year of the world is not in it.
    tiny_frames["conflicts"].loc[4, "start"] = np.datetime64("2000-01-02", "s")
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    assert build_world(tables, last_year=1999)["call_honoured_year"].to_numpy().tolist() == [0]
    assert build_world(tables)["call_honoured_year"].to_numpy().tolist() == [2000]


def test_calls_of_uncovered_years_are_not_counted(tiny_frames):
    tiny_frames["conflicts"].loc[3, "initiator"] = "a"
    coverage = make_coverage()
    late = replace(coverage["members"], first=2000)
    frames = tables_from_frames(tiny_frames, coverage=coverage, name="x")
    tables = replace(frames, coverage={**coverage, "members": late})
    assert build_world(tables).sizes["call"] == 0


def test_wars_that_everybody_knows(tables):
    world = build_world(tables)
    found = pd.DataFrame({n: world[f"call_{n}"].to_numpy() for n in ("year", "bound", "target")})
    came = world["call_honoured_year"].to_numpy() > 0
    war = world["call_level"].to_numpy() == LEVELS.index("war")
    # The Falklands: Britain was attacked, and no ally in NATO came.
    falklands = war & (found["year"] == 1982) & (found["target"] == 200)
    assert falklands.sum() >= 10 and not came[falklands].any()
    # A pact within which both fought is not called: Greece and Turkey are both in NATO.
    cyprus = war & (found["year"] == 1974)
    assert not (found.loc[cyprus, "target"] == 640).any()

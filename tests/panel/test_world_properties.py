"""Obligations and pairs of random small worlds against a plain loop over days."""

import itertools

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny import make_coverage, make_tiny_frames

from forecast.panel.world import build_world
from forecast.sources.embedded import tables_from_frames
from forecast.sources.tables import OBLIGATIONS

FIRST, LAST = 1990, 1993
DAYS = pd.date_range(f"{FIRST}-01-01", f"{LAST}-12-31", freq="D", unit="s")
STATES = (10, 20, 30)


def spell(bounds):
    """A spell on the calendar; None as end is open."""
    first, last, is_open = bounds
    first, last = min(first, last), max(first, last)
    return DAYS[first], pd.NaT if is_open else DAYS[last]


bounds = st.tuples(st.integers(0, len(DAYS) - 1), st.integers(0, len(DAYS) - 1), st.booleans())


@st.composite
def worlds(draw):
    """Frames of three states and up to three treaties among them."""
    frames = make_tiny_frames()
    states = frames["states"].iloc[:3].copy()
    alive = [spell(draw(bounds)) for _ in STATES]
    states["start"] = pd.Series([a for a, _ in alive], dtype="datetime64[s]")
    states["end"] = pd.Series([b for _, b in alive], dtype="datetime64[s]")
    frames["states"] = states
    for name in ("powers", "contiguity", "capabilities", "conflicts"):
        frames[name] = frames[name].iloc[:0]
    rows = []
    for treaty in frames["alliances"]["alliance_id"]:
        for code, (born, gone) in zip(STATES, alive, strict=True):
            start, end = spell(draw(bounds))
            # Members that never were states would be refused: those spells are left out.
            end_day = DAYS[-1] if pd.isna(end) else end
            gone_day = DAYS[-1] if pd.isna(gone) else gone
            if start <= gone_day and born <= end_day:
                owed = draw(st.tuples(*[st.integers(0, 1)] * len(OBLIGATIONS)))
                rows.append((treaty, code, start, end, *owed))
    members = pd.DataFrame(rows, columns=["alliance_id", "ccode", "start", "end", *OBLIGATIONS])
    members = members.astype({"start": "datetime64[s]", "end": "datetime64[s]"})
    sizes = members.groupby("alliance_id")["ccode"].nunique()
    kept = sizes.index[sizes > 1]
    frames["members"] = members[members["alliance_id"].isin(kept)].astype(
        {"alliance_id": "str", "ccode": "int64", **dict.fromkeys(OBLIGATIONS, "int64")}
    )
    alliances = frames["alliances"][frames["alliances"]["alliance_id"].isin(kept)].copy()
    alliances["start"] = np.datetime64("1985-01-01", "s")
    alliances["end"] = np.full(len(alliances), np.datetime64("NaT", "s"), dtype="datetime64[s]")
    frames["alliances"] = alliances
    return frames


def on_days(row):
    """Days of the calendar on which a spell holds, bool."""
    end = DAYS[-1] if pd.isna(row.end) else row.end
    return np.asarray((row.start <= DAYS) & (end >= DAYS))


@settings(max_examples=20, deadline=None)
@given(worlds())
def test_against_a_calendar_of_days(frames):
    tables = tables_from_frames(frames, coverage=make_coverage(FIRST, LAST), name="random")
    world = build_world(tables)
    year_of = DAYS.year.to_numpy()
    alive = {row.ccode: on_days(row) for row in frames["states"].itertuples()}
    bound = [(row, on_days(row)) for row in frames["members"].itertuples()]
    here = set(world["state"].to_numpy().tolist())
    assert here == set(STATES)
    for i, j in itertools.permutations(STATES, 2):
        both = alive[i] & alive[j]
        expected = np.unique(year_of[both]).tolist()
        together = world["together"].sel(state=i, other=j)
        assert world["year"].to_numpy()[together.to_numpy()].tolist() == expected
        for name in OBLIGATIONS:
            held = np.zeros(len(DAYS), dtype=bool)
            for (mine, mine_on), (other, other_on) in itertools.product(bound, bound):
                if (
                    mine.alliance_id == other.alliance_id
                    and (mine.ccode, other.ccode) == (i, j)
                    and getattr(mine, name)
                ):
                    held |= mine_on & other_on & both
            owed = world["obligations"].sel(state=i, other=j, obligation=name)
            years = world["year"].to_numpy()[owed.to_numpy()].tolist()
            assert years == np.unique(year_of[held]).tolist()

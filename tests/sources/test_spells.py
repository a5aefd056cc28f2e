"""The algebra of spells, by hand and against a brute-force calendar."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.sources.spells import (
    OPEN_DAY,
    OPEN_YEAR,
    clip_spells,
    ends_before_start,
    expand_years,
    merge_memberships,
    outside,
    overlapping,
    span_days,
    span_years,
    uncovered,
)

HORIZON = 60  # days of the brute-force calendar
EPOCH = np.datetime64("2000-01-01", "s")


def spells(*rows, key="k"):
    """Frame of (key, start, end) with dates as text."""
    frame = pd.DataFrame(rows, columns=[key, "start", "end"])
    for column in ("start", "end"):
        frame[column] = frame[column].to_numpy(dtype="datetime64[s]")
    return frame


def test_years_of_a_spell_are_those_it_touches():
    frame = spells(("a", "1949-12-31", "1951-01-01"), ("a", "1962-05-05", None))
    first, last = span_years(frame)
    assert first.tolist() == [1949, 1962]
    assert last.tolist() == [1951, OPEN_YEAR]


def test_days_before_1970_and_far_away():
    first, last = span_days(spells(("a", "1816-01-01", "1969-12-31"), ("a", "1970-01-02", None)))
    assert first.tolist() == [-56248, 1]
    assert last.tolist() == [-1, OPEN_DAY]


def test_expand_years_clips_to_the_window():
    row, year = expand_years(
        np.array([1900, 1950, 2020]), np.array([1947, OPEN_YEAR, 2019]), window=(1946, 1951)
    )
    assert row.tolist() == [0, 0, 1, 1]
    assert year.tolist() == [1946, 1947, 1950, 1951]


def test_expand_years_of_nothing():
    row, year = expand_years(np.empty(0, int), np.empty(0, int), window=(1946, 1950))
    assert row.size == year.size == 0


def test_end_before_start():
    frame = spells(("a", "2000-01-02", "2000-01-01"), ("a", "2000-01-01", "2000-01-01"))
    assert ends_before_start(frame).tolist() == [True, False]


def test_spells_that_touch_do_not_overlap():
    frame = spells(("a", "2000-01-01", "2000-01-31"), ("a", "2000-02-01", None))
    assert overlapping(frame, on=["k"]).tolist() == []


def test_a_shared_day_is_an_overlap():
    frame = spells(("a", "2000-01-31", None), ("a", "2000-01-01", "2000-01-31"))
    assert overlapping(frame, on=["k"]).tolist() == [[1, 0]]


def test_other_keys_do_not_overlap():
    frame = spells(("a", "2000-01-01", None), ("b", "2000-01-01", None))
    assert overlapping(frame, on=["k"]).tolist() == []


def test_overlap_with_an_earlier_long_spell_behind_a_short_one():
    frame = spells(
        ("a", "2000-01-01", None), ("a", "2000-01-02", "2000-01-03"), ("a", "2001-01-01", None)
    )
    assert overlapping(frame, on=["k"]).tolist() == [[0, 1], [0, 2]]


def test_clip_cuts_a_spell_in_two():
    states = spells((60, "1950-01-01", "1998-12-31"), (60, "2001-01-01", None))
    treaty = spells((60, "1996-05-01", None))
    cut = clip_spells(treaty, states, on=["k"])
    assert cut["start"].dt.date.astype(str).tolist() == ["1996-05-01", "2001-01-01"]
    assert cut["end"].iloc[0] == pd.Timestamp("1998-12-31")
    assert pd.isna(cut["end"].iloc[1])
    assert cut.index.tolist() == [0, 0]
    assert cut["start"].dtype == "datetime64[s]"


def test_clip_of_a_key_that_is_not_there_is_empty():
    assert clip_spells(spells((1, "2000-01-01", None)), spells((2, "2000-01-01", None)),
                       on=["k"]).empty  # fmt: skip


def test_adjacent_containers_count_as_one():
    outer = spells(("a", "2000-01-01", "2000-01-31"), ("a", "2000-02-01", "2000-02-29"))
    inner = spells(("a", "2000-01-15", "2000-02-15"), ("a", "2000-02-15", "2000-03-01"))
    assert uncovered(inner, outer, on=["k"]).tolist() == [False, True]
    assert outside(inner, outer, on=["k"]).tolist() == [False, False]


def test_outside():
    inner = spells(("a", "2000-02-01", None), ("b", "2000-01-01", None))
    outer = spells(("a", "2000-01-01", "2000-01-31"))
    assert outside(inner, outer, on=["k"]).tolist() == [True, True]


@pytest.mark.parametrize("function", [outside, uncovered])
def test_no_inner_spells(function):
    outer = spells(("a", "2000-01-01", None))
    assert function(outer.iloc[:0], outer, on=["k"]).tolist() == []


def states(*rows):
    """Table of states of (number, start, end, name)."""
    frame = spells(*(row[:3] for row in rows), key="ccode")
    return frame.assign(name=pd.array([row[3] for row in rows], dtype="str"))


def test_memberships_that_touch_are_merged_under_both_names():
    frame = states(
        (9, "2010-01-01", None, "C"),
        (9, "2000-01-01", "2005-06-03", "A"),
        (8, "1990-01-01", None, "Other"),
        (9, "2005-06-03", "2009-12-31", "B"),
        (7, "1999-01-01", "1999-12-31", "Old"),
    )
    merged = merge_memberships(frame)
    assert merged["ccode"].tolist() == [7, 8, 9]
    assert merged["name"].tolist() == ["Old", "Other", "C/B/A"]
    assert merged["start"].astype(str).tolist() == ["1999-01-01", "1990-01-01", "2000-01-01"]
    assert merged["end"].isna().tolist() == [False, True, True]
    pd.testing.assert_series_equal(merged.dtypes, frame.dtypes)


@pytest.mark.parametrize(
    ("end", "start"),
    [("2000-01-01", "2000-01-03"), ("2000-01-02", "2000-01-01"), (None, "2000-01-01")],
)
def test_memberships_with_a_gap_or_in_conflict_stay_two(end, start):
    frame = states((9, "1999-01-01", end, "A"), (9, start, "2001-01-01", "A"))
    assert merge_memberships(frame) is frame


# Against a calendar of HORIZON days, where a set of days can be written out.

bounds = st.tuples(st.integers(0, HORIZON), st.integers(0, HORIZON), st.booleans())
entries = st.lists(st.tuples(st.sampled_from("ab"), bounds), max_size=8)


def build(entries):
    rows = []
    for key, (x, y, is_open) in entries:
        first, last = min(x, y), max(x, y)
        end = np.datetime64("NaT", "s") if is_open else EPOCH + np.timedelta64(last, "D")
        rows.append((key, EPOCH + np.timedelta64(first, "D"), end))
    frame = pd.DataFrame(rows, columns=["k", "start", "end"])
    return frame.astype({"start": "datetime64[s]", "end": "datetime64[s]"})


def days_of(frame):
    """Days of each spell inside the calendar (an open end runs one day past it)."""
    first, last = span_days(frame)
    base = EPOCH.astype("datetime64[D]").astype(int)
    return [
        set(range(a - base, min(b - base, HORIZON + 1) + 1))
        for a, b in zip(first, last, strict=True)
    ]


@given(entries)
def test_overlaps_are_found_exactly(entries):
    frame = build(entries)
    days, keys = days_of(frame), frame["k"].tolist()
    true = {
        frozenset((i, j))
        for i in range(len(days))
        for j in range(i)
        if keys[i] == keys[j] and days[i] & days[j]
    }
    found = {frozenset(pair) for pair in overlapping(frame, on=["k"]).tolist()}
    assert found <= true
    assert bool(found) == bool(true)
    # Every spell that overlaps an earlier one is named as the later of a pair.
    assert {i for pair in true for i in pair} == set() or found


@given(entries, entries)
def test_clip_keeps_exactly_the_common_days(inner, outer):
    left, right = build(inner), build(outer)
    cut = clip_spells(left, right, on=["k"])
    right_days = {
        key: set().union(*(d for d, k in zip(days_of(right), right["k"], strict=True) if k == key))
        for key in "ab"
    }
    kept: dict[int, list[set]] = {i: [] for i in range(len(left))}
    for i, days in zip(cut.index, days_of(cut), strict=True):
        kept[i].append(days)
    for i, (key, days) in enumerate(zip(left["k"], days_of(left), strict=True)):
        expected = days & right_days[key]
        assert set().union(*kept[i]) == expected
        assert sum(map(len, kept[i])) == len(expected), "parts of a spell share a day"


@given(entries, entries)
def test_containment_agrees_with_the_calendar(inner, outer):
    left, right = build(inner), build(outer)
    right_days = {
        key: set().union(*(d for d, k in zip(days_of(right), right["k"], strict=True) if k == key))
        for key in "ab"
    }
    apart, partly = outside(left, right, on=["k"]), uncovered(left, right, on=["k"])
    for i, (key, days) in enumerate(zip(left["k"], days_of(left), strict=True)):
        assert apart[i] == (not days & right_days[key])
        assert partly[i] == (not days <= right_days[key])


@given(entries)
def test_clipping_at_oneself_changes_no_day_and_is_idempotent(entries):
    frame = build(entries)
    once = clip_spells(frame, frame, on=["k"])
    twice = clip_spells(once, frame, on=["k"])
    pd.testing.assert_frame_equal(once, twice)
    assert not uncovered(frame, frame, on=["k"]).any()


@given(
    st.lists(st.tuples(st.integers(1900, 1960), st.integers(0, 70)), max_size=10),
    st.integers(1920, 1950),
    st.integers(0, 30),
)
def test_expand_years_is_the_set_of_years(spans, low, width):
    first = np.array([a for a, _ in spans], dtype=np.int64)
    last = np.array([a + n for a, n in spans], dtype=np.int64)
    row, year = expand_years(first, last, window=(low, low + width))
    expected = [
        (i, y)
        for i, (a, b) in enumerate(zip(first, last, strict=True))
        for y in range(max(a, low), min(b, low + width) + 1)
    ]
    assert list(zip(row.tolist(), year.tolist(), strict=True)) == expected

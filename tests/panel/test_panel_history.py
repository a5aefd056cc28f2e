"""Peace years and counts of past onsets, by hand and against a plain loop."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.errors import ArgumentError
from forecast.panel.history import peace_years, total_count, windowed_count


def test_peace_years_of_the_tiny_world(tiny_world):
    peace = peace_years(tiny_world["dispute"], tiny_world["member"],
                        entry_year=tiny_world["entry_year"])  # fmt: skip
    pair = peace.sel(state=10, other=20).to_series()
    assert pair.loc[1990:1998].tolist() == [0, 1, 2, 3, 0, 0, 0, 1, 2]
    # Cora enters in 1995, and the clock with it; Dara leaves in 2003.
    pair = peace.sel(state=30, other=40).to_series()
    assert pair.loc[1994:2005].tolist() == [0, 0, 1, 2, 3, 0, 0, 1, 2, 3, 0, 0]
    # Fyra is away 1999-2000: the clock starts again in 2001.
    pair = peace.sel(state=50, other=60).to_series()
    assert pair.loc[1990:2003].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 2]
    assert peace.dtype == np.int16
    assert peace.dims == ("year", "state", "other")
    assert peace.name == "peace_years"


def test_counts_of_the_tiny_world(tiny_world):
    total = total_count(tiny_world["onset"], member=tiny_world["member"])
    assert total.sel(state=10, other=20).to_series().loc[[1989 + 1, 1993, 1994, 2010]].tolist() == [
        1, 1, 2, 2,
    ]  # fmt: skip
    recent = windowed_count(tiny_world["onset"], 3, member=tiny_world["member"])
    pair = recent.sel(state=20, other=30).to_series()
    assert pair.loc[1996:2009].tolist() == [0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 2, 2, 1, 0]


def test_counts_restart_when_a_state_returns(tiny_world):
    # Dara and Fyra fought in 1998, Fyra left and returned in 2001, and they fought in 2003.
    total = total_count(tiny_world["onset"], member=tiny_world["member"])
    assert total.sel(state=40, other=60).to_series().loc[1998:2005].tolist() == [
        1, 0, 0, 0, 0, 1, 0, 0,
    ]  # fmt: skip
    without = total_count(tiny_world["onset"])
    assert without.sel(state=40, other=60, year=2003) == 2


def test_counts_of_a_state(tiny_world):
    recent = windowed_count(tiny_world["dispute_onset_count"], 2, member=tiny_world["member"])
    assert recent.dims == ("year", "state")
    assert recent.sel(state=10).to_series().loc[2000:2004].tolist() == [0, 2, 3, 1, 0]
    assert recent.sel(state=60).to_series().loc[1998:2002].tolist() == [1, 0, 0, 0, 1]


def test_a_state_that_leaves_and_returns_within_a_year():
    member = np.ones((4, 2), dtype=bool)
    entry = np.array([[1900, 1900], [1900, 1900], [1902, 1900], [1902, 1900]], dtype=np.int16)
    dispute = np.zeros((4, 2, 2), dtype=bool)
    assert peace_years(dispute, member)[:, 0, 1].tolist() == [0, 1, 2, 3]
    assert peace_years(dispute, member, entry_year=entry)[:, 0, 1].tolist() == [0, 1, 0, 1]


def test_plain_arrays_give_plain_arrays(tiny_world):
    plain = peace_years(tiny_world["dispute"].to_numpy(), tiny_world["member"].to_numpy())
    assert isinstance(plain, np.ndarray)
    labelled = peace_years(tiny_world["dispute"], tiny_world["member"])
    assert (plain == labelled.to_numpy()).all()
    assert isinstance(labelled, xr.DataArray)


def test_input_is_not_changed(tiny_world):
    before = tiny_world["dispute"].to_numpy().copy()
    peace_years(tiny_world["dispute"], tiny_world["member"])
    assert (tiny_world["dispute"].to_numpy() == before).all()


def test_draws_between_year_and_states_are_carried_along(tiny_world):
    one = tiny_world["dispute"].to_numpy()
    draws = np.stack([one, np.zeros_like(one)], axis=1)
    member = tiny_world["member"].to_numpy()
    peace = peace_years(draws, member)
    assert (peace[:, 0] == peace_years(one, member)).all()
    assert (peace[:, 1] == peace_years(np.zeros_like(one), member)).all()
    count = windowed_count(draws, 5, member=member)
    assert (count[:, 0] == windowed_count(one, 5, member=member)).all()
    assert not count[:, 1].any()


def test_bad_arguments(tiny_world):
    with pytest.raises(ArgumentError, match="window=0: expected a number of years"):
        windowed_count(tiny_world["onset"], 0)
    member = tiny_world["member"].to_numpy()
    with pytest.raises(ArgumentError, match="has shape"):
        peace_years(tiny_world["dispute"].to_numpy()[1:], member)
    with pytest.raises(ArgumentError, match="has 5 states and member 6"):
        peace_years(tiny_world["dispute"].to_numpy()[..., :5], member)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 6))
def test_against_a_plain_loop(data, window):
    years, n = data.draw(st.integers(1, 9)), data.draw(st.integers(2, 4))
    bits = st.lists(st.booleans(), min_size=years * n, max_size=years * n)
    member = np.array(data.draw(bits)).reshape(years, n)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    event = rng.uniform(size=(years, n, n)) < 0.3
    event = event | event.transpose(0, 2, 1)
    event &= member[:, :, None] & member[:, None, :]
    peace = peace_years(event, member)
    total = total_count(event, member=member)
    recent = windowed_count(event, window, member=member)
    for i in range(n):
        for j in range(n):
            since = counted = None
            history: list[bool] = []
            for t in range(years):
                if not (member[t, i] and member[t, j]):
                    since, history, counted = None, [], 0
                else:
                    since = 0 if since is None or event[t, i, j] else since + 1
                    history.append(bool(event[t, i, j]))
                    counted = sum(history)
                assert peace[t, i, j] == (since or 0)
                assert total[t, i, j] == counted
                assert recent[t, i, j] == sum(history[-window:])

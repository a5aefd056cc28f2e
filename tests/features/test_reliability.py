"""Records of honoured calls, and security discounted by them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feature_worlds import DEFENSE, Story, Treaty, random_world, value

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features import get_feature
from forecast.features.reliability import record
from forecast.sources.schemas import LEVELS

seeds = st.integers(0, 10**9)
WAR, FORCE = LEVELS.index("war"), LEVELS.index("use_of_force")

#: 2 owes 200 and 220 defence. Its calls: honoured in the next year, not honoured, two targets of
#: one war, and a small one; the last is after the world's years.
RECORD = Story(
    (1990, 2005),
    {2: 0.4, 200: 0.2, 220: 0.1, 365: 0.3},
    [
        Treaty("a", {2: DEFENSE, 200: DEFENSE}, 1980),
        Treaty("b", {2: DEFENSE, 220: ()}, 1980),
        Treaty("c", {365: DEFENSE, 220: ()}, 2000),
    ],
    calls=[
        (1985, 0, 2, 200, WAR, 0),
        (1992, 1, 2, 200, WAR, 1993),
        (1998, 2, 2, 200, WAR, 0),
        (1998, 2, 2, 220, WAR, 2000),
        (2001, 3, 2, 220, FORCE, 0),
        (2010, 4, 2, 220, WAR, 2010),
        (1999, 5, 200, 2, WAR, 1999),
    ],
)


def series(name, *codes, **options):
    found = get_feature(name)(RECORD.world(), **options)
    return found.sel(dict(zip(found.dims[1:], codes, strict=True))).to_series()


def test_the_record_grows_with_the_years():
    found = series("reliability", 2)
    assert found[1990] == pytest.approx(1 / 3)  # one call before the window, not honoured
    assert found[1992] == pytest.approx(1 / 4)  # called, not there yet
    assert found[1993] == pytest.approx(2 / 4)  # and there it is
    assert found[1998] == found[1999] == pytest.approx(2 / 5)  # one war, two targets: one call
    assert found[2000] == found[2005] == pytest.approx(3 / 5)
    assert (series("reliability", 365) == 0.5).all()  # never called: the prior


def test_level_prior_and_window():
    lower = series("reliability", 2, level="use_of_force")
    assert lower[2001] == pytest.approx(3 / 6)
    assert series("reliability", 2, a=3, b=1)[1990] == pytest.approx(3 / 5)
    ten = series("reliability", 2, window=10)
    assert ten[1994] == pytest.approx(2 / 4)  # 1985 … 1994
    assert ten[1995] == pytest.approx(2 / 3)  # 1985 is out
    assert ten[2002] == pytest.approx(2 / 3)  # and 1992 with what was done about it


def test_reliability_of_the_allies():
    found = series("ally_reliability", 220)
    assert found[1990] == pytest.approx(1 / 3)
    assert found[2000] == pytest.approx((3 / 5 + 1 / 2) / 2)
    assert series("ally_reliability", 365).isna().all()  # no allies: missing, not the prior
    assert series("ally_reliability", 2)[2005] == pytest.approx(2 / 3)


def test_discounted_dependency():
    # 220 in 2005: 2 with 0.4 · 3/5, 365 with 0.3 · 1/2; its own 0.1.
    world = RECORD.world()
    amount = (0.24, 0.15)
    expected = {
        "reliable_external_share": sum(amount) / (sum(amount) + 0.1),
        "reliable_patron_share": 0.24 / (sum(amount) + 0.1),
        "reliable_concentration": (0.24**2 + 0.15**2) / sum(amount) ** 2,
        "reliable_patron_loss": np.log((sum(amount) + 0.1) / (0.15 + 0.1)),
    }
    for name, result in expected.items():
        assert value(world, name, 2005, 220) == pytest.approx(result, rel=1e-6), name
        # A state without allies: no dependency.
        alone = value(world, name, 2005, 365)
        assert np.isnan(alone) if name == "reliable_concentration" else alone == 0


def test_a_relabelled_state_keeps_its_record():
    story = Story(
        (1985, 1995),
        {255: (0.3, 1990, 9999), 260: (0.3, 1900, 1990)},
        calls=[(1986, 0, 260, 2, WAR, 1986), (1992, 1, 255, 2, WAR, 0)],
    )
    found = get_feature("reliability")(story.world()).to_pandas()
    assert found[260][1989] == pytest.approx(2 / 3)
    assert found[255][1990] == found[255][1991] == pytest.approx(2 / 3)
    assert found[255][1992] == pytest.approx(2 / 4)
    # Also where the predecessor is not among the states any more.
    late = story.world().sel(year=slice(1991, None), state=[255], other=[255])
    assert float(get_feature("reliability")(late)[0, 0]) == pytest.approx(2 / 3)


PAIRS = {
    "reliable_external_share": "external_share",
    "reliable_patron_share": "patron_share",
    "reliable_concentration": "ally_concentration",
    "reliable_patron_loss": "patron_withdrawal_loss",
}


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_perfect_reliability_changes_nothing_and_doubt_makes_less(seed):
    world = random_world(seed, gaps=False)
    for discounted, plain in PAIRS.items():
        sure = get_feature(discounted)(world, a=1e9, b=1e-9).to_numpy()
        np.testing.assert_allclose(sure, get_feature(plain)(world), rtol=1e-5, atol=1e-6)
    less = get_feature("reliable_external_share")(world).to_numpy()
    full = get_feature("external_share")(world).to_numpy()
    known = ~np.isnan(less)
    assert (less[known] <= full[known] + 1e-6).all()


@given(seed=seeds, window=st.sampled_from([None, 1, 4, 10]), level=st.sampled_from(LEVELS))
@settings(max_examples=25, deadline=None)
def test_record_against_a_list(seed, window, level):
    world = random_world(seed)
    calls = [
        tuple(int(world[f"call_{n}"][k]) for n in ("conflict", "bound", "year", "honoured_year"))
        for k in range(world.sizes["call"])
        if int(world["call_level"][k]) >= LEVELS.index(level)
    ]
    heirs = {260: (255, 1990), 678: (679, 1990), 680: (679, 1990)}
    invoked, honoured = record(world, level, window)
    assert (honoured <= invoked).all()
    for s, year in enumerate(world["year"].to_numpy()):
        for i, code in enumerate(world["state"].to_numpy()):
            n = h = 0
            who = {int(code)} | {p for p, (q, y) in heirs.items() if q == code and year >= y}
            for conflict, bound in {c[:2] for c in calls if c[1] in who}:
                mine = [c for c in calls if c[:2] == (conflict, bound)]
                begun = min(c[2] for c in mine)
                if begun <= year and (window is None or year < begun + window):
                    n += 1
                    h += any(0 < c[3] <= year for c in mine)
            assert (invoked[s, i], honoured[s, i]) == (n, h)


def test_later_calls_do_not_matter():
    world = RECORD.world()
    early = world.isel(call=np.flatnonzero(world["call_year"].to_numpy() <= 1995))
    for name in ("reliability", "ally_reliability", "reliable_external_share"):
        both = (get_feature(name)(w).sel(year=slice(None, 1995)).to_numpy() for w in (world, early))
        np.testing.assert_array_equal(*both)


def test_bad_options():
    world = RECORD.world()
    reliability = get_feature("reliability")
    with pytest.raises(ArgumentError, match="a must be greater than 0; found 0"):
        reliability(world, a=0)
    with pytest.raises(ArgumentError, match="b must be greater than 0"):
        reliability(world, b=float("nan"))
    with pytest.raises(UnknownNameError, match="Did you mean 'war'"):
        reliability(world, level="wars")
    with pytest.raises(ArgumentError, match="window must be a whole number"):
        reliability(world, window=0)

"""Era by era, a feature has the values that it has on the whole world at once."""

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from support.feature_worlds import random_world

from forecast.features import FeatureRequest, compute_features, gather
from forecast.features.positions import eras, excerpt
from forecast.features.registry import ordered, registered_features
from forecast.features.shared import shared, sharing
from forecast.panel.build import load_panel
from forecast.panel.types import Panel
from forecast.panel.world import build_world

PAIRS = "directed-dyad-year"


def requests_of_all() -> list[FeatureRequest]:
    sides = {"state": ("a", "max"), "directed": ("a", "b", "absdiff")}
    return [
        FeatureRequest(f"{f.name}.{side}", f.name, {}, side)
        for f in registered_features()
        for side in sides.get(f.level, ("none",))
    ]


def at_once(panel: Panel, request: FeatureRequest) -> np.ndarray:
    """The column read off the dense array of the whole world, cell by cell."""
    world, data = panel.world, panel.data
    dense = request.spec(world, **request.options).to_numpy().astype(np.float64)
    year = data["year"].to_numpy() - panel.lag - int(world["year"][0])
    codes = world["state"].to_numpy()
    a, b = (np.searchsorted(codes, data[name].to_numpy()) for name in ("ccode_a", "ccode_b"))
    known = (year >= 0) & (year < world.sizes["year"])
    t = np.where(known, year, 0)
    if request.spec.level == "system":
        sides = (dense[t], dense[t])
    elif request.spec.level == "state":
        sides = (dense[t, a], dense[t, b])
    else:
        sides = (dense[t, a, b], dense[t, b, a])
    combine = {
        "none": lambda x, y: x,
        "a": lambda x, y: x,
        "b": lambda x, y: y,
        "max": np.maximum,
        "absdiff": lambda x, y: np.abs(x - y),
    }
    return np.where(known, combine[request.side](*sides), np.nan)


def assert_same(panel: Panel, *, threads: int | None = None) -> None:
    requests = requests_of_all()
    found = compute_features(panel, requests, threads=threads).data
    for request in requests:
        np.testing.assert_allclose(
            found[request.name].to_numpy(),
            at_once(panel, request),
            rtol=2e-6,
            atol=1e-6,
            err_msg=request.name,
        )


def every_row(world: xr.Dataset) -> Panel:
    """All ordered pairs, members or not, in all years and one more before and after."""
    codes = world["state"].to_numpy()
    years = np.arange(int(world["year"][0]), int(world["year"][-1]) + 3)
    t, a, b = np.nonzero(np.ones((len(years), 1, 1), bool) & ~np.eye(len(codes), dtype=bool))
    rows = {"year": years[t], "ccode_a": codes[a], "ccode_b": codes[b]}
    data = xr.Dataset(
        {"outcome": ("row", np.zeros(len(t)))}, {k: ("row", v) for k, v in rows.items()}
    )
    return Panel(data, world, None, PAIRS, "all", "onset", 1, "")


@pytest.mark.parametrize("seed", range(6))
def test_every_feature_on_random_worlds(seed, monkeypatch):
    """Eras of one to three years: every look-back is cut as short as it may be."""
    rng = np.random.default_rng(seed)

    def short(needed, member, lookback):
        stop = len(needed)
        if lookback is None:
            return [slice(0, stop)]
        cuts = [0]
        while cuts[-1] < stop:
            cuts.append(min(cuts[-1] + int(rng.integers(1, 4)), stop))
        return [slice(*pair) for pair in pairwise(cuts)]

    monkeypatch.setattr(gather, "eras", short)
    assert_same(every_row(random_world(seed, years=30, first=1975)), threads=1)


def test_every_feature_on_real_data(tables):
    world = build_world(tables, first_year=1984)
    panel = load_panel(data=tables, population="politically_relevant", years=(1986, 2024))
    member = world["member"].to_numpy()
    assert len(eras(np.ones(len(member), bool), member, 0)) > 1
    data = panel.data.isel(row=slice(0, None, 7))  # eras are those of all years all the same
    assert_same(Panel(data, world, tables, PAIRS, "all", "onset", 1, ""))


def test_rows_in_any_order(tables):
    panel = load_panel(data=tables, population="politically_relevant", years=(1985, 1995))
    mixed = np.random.default_rng(1).permutation(panel.data.sizes["row"])
    requests = [
        FeatureRequest("pact", "pact_in_dyad"),
        FeatureRequest("grew", "own_expansion", {}, "max"),
        FeatureRequest("peace", "peace_years"),
    ]
    tidy = compute_features(panel, requests).data
    found = compute_features(panel.with_data(panel.data.isel(row=mixed)), requests).data
    xr.testing.assert_identical(found, tidy.isel(row=mixed))


def test_eras_cover_what_is_needed_and_no_more():
    rng = np.random.default_rng(0)
    member = np.arange(60) * 2 <= np.arange(120)[:, None] + 10
    for lookback in (0, 5, 40):
        needed = rng.random(120) < 0.2
        found = eras(needed, member, lookback)
        inside = np.zeros(120, int)
        for era in found:
            inside[era] += 1
        assert (inside[needed] == 1).all() and inside.max() == 1
        assert all(needed[era].any() for era in found)
    assert eras(np.zeros(120, bool), member, 0) == []
    assert eras(needed, member, None) == [slice(0, int(np.flatnonzero(needed)[-1]) + 1)]


def test_a_growing_system_is_cut_into_eras():
    years, states = 200, 200
    member = np.arange(states) <= np.arange(years)[:, None]
    needed = np.ones(years, bool)
    found = eras(needed, member, 0)
    cells = sum((era.stop - era.start) * int(member[era].any(axis=0).sum()) ** 2 for era in found)
    assert 3 < len(found) < 40
    assert cells < 0.6 * years * states**2
    assert len(eras(needed, member, 20)) < len(found)
    steady = np.ones_like(member)
    assert eras(needed, steady, 0) == [slice(0, years)]


def test_an_excerpt_holds_the_states_and_the_treaties_of_its_years():
    world = ordered(random_world(3, years=20))
    years = slice(4, 9)
    there = world["member"].to_numpy()[years].any(axis=0)
    found = excerpt(world, years, np.flatnonzero(there))
    bound = world["treaty_member"].to_numpy()[years].any(axis=(0, 2))
    expected = world.isel(year=years, state=there, other=there, treaty=bound)
    xr.testing.assert_identical(found, expected)
    assert found.sizes["state"] < world.sizes["state"]
    assert found.sizes["treaty"] < world.sizes["treaty"]


def test_shared_arrays_are_computed_once_and_cannot_be_written(tiny_world):
    calls = []

    @shared
    def counted(world: xr.Dataset, weights: object = "a") -> np.ndarray:
        calls.append(weights)
        return np.zeros(3)

    assert counted(tiny_world) is not counted(tiny_world)
    calls.clear()
    with sharing():
        first = counted(tiny_world)
        assert counted(tiny_world) is first
        assert counted(tiny_world, {"defense": 1.0}) is counted(tiny_world, {"defense": 1.0})
        assert counted(tiny_world.copy()) is not first
        assert calls == ["a", {"defense": 1.0}, "a"]
        with pytest.raises(ValueError, match="read-only"):
            first += 1
    counted(tiny_world)
    assert len(calls) == 4

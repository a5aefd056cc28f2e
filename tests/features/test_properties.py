"""What must hold of every registered feature in every world."""

from functools import lru_cache

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feature_worlds import CODES, Story, random_world

from forecast.features import arrays, get_feature, treaty_features
from forecast.features.registry import LEVELS, NEEDS, registered_features

seeds = st.integers(0, 10**9)
few = settings(max_examples=15, deadline=None)


@lru_cache(maxsize=40)
def same_world(seed: int) -> xr.Dataset:
    """Random world that all features share: `test_the_world_is_not_changed`."""
    return random_world(seed)


@pytest.mark.parametrize("feature", registered_features(), ids=lambda f: f.name)
@given(seed=st.integers(0, 39))
@few
def test_bounds_shape_coverage_symmetry(feature, seed):
    world = same_world(seed)
    found = feature(world)
    values = found.to_numpy()
    assert found.dims == LEVELS[feature.level]
    assert values.dtype == np.float32
    assert not np.isinf(values).any()

    low, high = feature.bounds
    known = values[~np.isnan(values)]
    if low is not None:
        assert (known >= low - 1e-6).all()
    if high is not None:
        assert (known <= high + 1e-6).all()

    for need in feature.needs:
        if (mask := NEEDS[need]) is not None:
            assert np.isnan(values[~world[mask].to_numpy()]).all()
    member = world["member"].to_numpy()
    if "member" in feature.needs and feature.level == "state":
        assert np.isnan(values[~member]).all()
    if "member" in feature.needs and feature.level in ("dyad", "directed"):
        pair = member[:, :, None] & member[:, None, :] & ~np.eye(member.shape[1], dtype=bool)
        assert np.isnan(values[~pair]).all()
    if feature.level == "dyad":
        np.testing.assert_array_equal(values, values.transpose(0, 2, 1))


@pytest.mark.parametrize("feature", registered_features(), ids=lambda f: f.name)
def test_order_of_dimensions_and_later_years_do_not_matter(feature):
    world = random_world(3, years=12)
    found = feature(world)
    turned = feature(world.transpose("treaty", "obligation", "other", "state", "year", ...))
    xr.testing.assert_identical(found, turned)
    until = feature(world.isel(year=slice(0, 9)))
    xr.testing.assert_allclose(found.isel(year=slice(0, 9)), until)


@given(seed=seeds)
@few
def test_no_information_is_missing_not_zero(seed):
    world = random_world(seed)
    masks = set(NEEDS.values()) - {None}
    empty = world.assign(dict.fromkeys(masks, world["obligation_covered"] & False))
    for feature in registered_features():
        if feature.needs - {"member"}:
            assert np.isnan(feature(empty).to_numpy()).all(), feature.name


@given(seed=seeds)
@few
def test_identities_of_dependency(seed):
    world = random_world(seed)
    for weights in ("defense", "ordinal", {"consultation": 0.3, "defense": 0.9}):
        got = {
            name: get_feature(name)(world, weights=weights).to_numpy().astype(float)
            for name in (
                "external_share",
                "patron_share",
                "autonomy",
                "ally_concentration",
                "patron_withdrawal_loss",
                "has_ally",
            )
        }
        known = ~np.isnan(got["external_share"])
        external, patron = got["external_share"][known], got["patron_share"][known]
        assert (patron >= 0).all() and (patron <= external + 1e-6).all() and (external <= 1).all()
        np.testing.assert_allclose(got["autonomy"][known], 1 - external, atol=1e-6)
        alone = got["has_ally"][known] == 0
        assert (external[alone] == 0).all() and (patron[alone] == 0).all()
        assert (got["patron_withdrawal_loss"][known][alone] == 0).all()
        concentration = got["ally_concentration"][known]
        assert np.isnan(concentration[alone]).all()
        number = (arrays.defenders(world, weights) > 0).sum(axis=2)[known]
        assert (concentration[~alone] >= 1 / number[~alone] - 1e-6).all()
        # One ally: all of E is the patron's.
        one = number == 1
        np.testing.assert_allclose(external[one], patron[one], atol=1e-6)


@given(seed=seeds, window=st.sampled_from([1, 3, 5, 10]))
@few
def test_ways_of_expansion_add_up(seed, window):
    world = random_world(seed)
    own = get_feature("own_expansion")(world, window=window)
    ways = sum(
        get_feature(f"expansion_by_{way}")(world, window=window)
        for way in ("formation", "accession", "succession")
    )
    xr.testing.assert_equal(own, ways)
    assert np.isnan(own.to_numpy()[:window]).all()


@given(seed=seeds)
@few
def test_shared_and_outside_allies_add_up(seed):
    world = random_world(seed)
    shared = get_feature("shared_allies")(world).to_numpy()
    outside = get_feature("outside_allies")(world).to_numpy()
    ties = arrays.defenders(world) > 0
    total = ties.sum(axis=2, keepdims=True) - ties
    known = ~np.isnan(shared)
    np.testing.assert_array_equal((shared + outside)[known], total[known])


@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_against_definitions_over_sets(seed):
    """The array arithmetic against the definitions, spelt out with sets and loops."""
    world = random_world(seed, years=13, first=1984, gaps=False)
    world = world.assign_attrs(succession="restart")  # what goes on is in test_succession
    codes, years = CODES, world["year"].to_numpy()
    flat = {
        name: get_feature(name)(world).to_numpy().astype(float)
        for name in (
            "ally_in_dispute_elsewhere",
            "ally_in_dispute_with_opponent",
            "bloc_parity",
            "frontier_expansion",
            "frontier_expansion_capability",
            "outside_defense_capability",
            "overextension",
            "commitments_owed_risk",
            "commitment_balance",
            "rival_expansion",
        )
    }
    share = np.maximum(world["capability"].to_numpy(), 1e-6)
    owes = world["obligations"].sel(obligation="defense").to_numpy()
    dispute, onset = world["dispute"].to_numpy(), world["onset"].to_numpy()
    member = world["member"].to_numpy()
    border = world["contiguity"].to_numpy() == 1
    position = {int(c): i for i, c in enumerate(codes)}
    same = [
        (position[260], position[255]),
        (position[678], position[679]),
        (position[680], position[679]),
    ]
    n = range(len(codes))

    def once(group, y, me):
        group = set(group)
        for old, new in same:
            if years[y] == 1990 and old in group:
                group.remove(old)
                group.add(new)
            if years[y] == 1990 and me == old:
                group.discard(new)
        group.discard(me)
        return group

    def defenders(i, y):
        return once((k for k in n if owes[y, k, i]), y, i)

    def then(i, y, w):
        """Defenders of i, w years before, in the codes of year y."""
        past = lambda me: defenders(me, y - w)  # noqa: E731
        group = past(i)
        for old, new in same:
            if years[y] - w < 1990 <= years[y]:
                group = {new if k == old else k for k in group}
                if i == new:
                    group |= {dict(same).get(k, k) for k in past(old)}
        group.discard(i)
        return group

    def rivals(k, y):
        if world["rivalry_covered"][y]:
            return set(np.flatnonzero(world["rivalry"][y, k]))
        low = max(0, y - 19)
        return {m for m in n if onset[low : y + 1, k, m].sum() >= 2}

    def allies(i, y):
        return {k for k in n if owes[y, i, k] or owes[y, k, i]}

    y = len(years) - 1 if seed % 2 else int(np.flatnonzero(years == 1990)[0])
    capable = lambda group: sum(share[y, k] for k in group)  # noqa: E731
    close = {"rtol": 2e-4, "atol": 1e-7}
    for i in n:
        if not member[y, i]:
            continue
        mine = defenders(i, y)
        gained = {k: defenders(k, y) - then(k, y, 5) for k in n}
        if y >= 9:  # at least half of twenty years
            assert flat["rival_expansion"][y, i] == sum(len(gained[r]) for r in rivals(i, y))
        protected = once((k for k in n if owes[y, i, k]), y, i)
        balance = np.log(
            (capable(mine) + 1e-4) / (len(protected) * share[y, i] * bool(protected) + 1e-4)
            if protected
            else (capable(mine) + 1e-4) / 1e-4
        )
        np.testing.assert_allclose(flat["commitment_balance"][y, i], balance, **close)
        threat = 0.0
        for k in protected:
            near = {m for m in n if border[y, k, m] and m not in allies(k, y)}
            found = {m for m in near | rivals(k, y) if member[y, m]}
            threat += capable(once(found, y, k) - {i})
        if y >= 9:
            expected = 0.0 if threat == 0 else threat / share[y, i]
            if not np.isnan(share[y, i]):
                np.testing.assert_allclose(flat["overextension"][y, i], expected, **close)
        count = world["dispute_onset_count"].to_numpy()
        low = max(0, y - 9)
        rate = {k: count[low : y + 1, k].sum() / (y + 1 - low) for k in n}
        if 2 * (y + 1) >= 10:
            np.testing.assert_allclose(
                flat["commitments_owed_risk"][y, i], sum(rate[k] for k in protected), **close
            )
        for j in n:
            if i == j or not member[y, j]:
                continue
            others = {k for k in allies(i, y) if k != j}
            with_j = any(dispute[y, k, j] for k in others)
            elsewhere = any(dispute[y, k, m] for k in others for m in n if m not in (i, j))
            assert flat["ally_in_dispute_with_opponent"][y, i, j] == with_j
            assert flat["ally_in_dispute_elsewhere"][y, i, j] == elsewhere
            theirs = defenders(j, y)
            side_i = share[y, i] + capable(mine - theirs - {j})
            side_j = share[y, j] + capable(theirs - mine - {i})
            parity = min(side_i, side_j) / max(side_i, side_j)
            if np.isnan(side_i) or np.isnan(side_j):
                assert np.isnan(flat["bloc_parity"][y, i, j])
            else:
                np.testing.assert_allclose(flat["bloc_parity"][y, i, j], parity, **close)
            np.testing.assert_allclose(
                flat["outside_defense_capability"][y, i, j], capable(mine - {j}), **close
            )
            front = {k for k in gained[j] if border[y, i, k] and k not in mine}
            assert flat["frontier_expansion"][y, i, j] == len(front)
            np.testing.assert_allclose(
                flat["frontier_expansion_capability"][y, i, j], capable(front), **close
            )


@given(seed=seeds)
@few
def test_treaty_features(seed):
    world = random_world(seed)
    found = treaty_features(world)
    in_force = found["in_force"].to_numpy()
    assert found["expansion"].dims == ("year", "treaty")
    for name in set(found.data_vars) - {"in_force"}:
        values = found[name].to_numpy()
        assert np.isnan(values[~in_force]).all(), name
        if name == "latent_depth":  # standardised: it may be below zero
            depth = world["treaty_latent_depth"].to_numpy()
            np.testing.assert_array_equal(
                values[in_force], np.broadcast_to(depth, values.shape)[in_force]
            )
            continue
        known = values[~np.isnan(values)]
        assert (known >= 0).all(), name
        if name not in ("expansion", "size", "depth", "conditions"):
            assert (known <= 1).all(), name
    size = np.exp(found["size"].to_numpy().astype(float))
    inside = ~np.isnan(found["concentration"].to_numpy())
    assert (found["concentration"].to_numpy()[inside] >= 1 / size[inside] - 1e-6).all()


@pytest.mark.parametrize("feature", registered_features(), ids=lambda f: f.name)
def test_the_world_is_not_changed(feature):
    world = random_world(5)
    before = world.copy(deep=True)
    feature(world)
    treaty_features(world)
    xr.testing.assert_identical(world, before)


@pytest.mark.parametrize(
    "story",
    [
        Story((2000, 2000), {2: 0.5}),
        Story((2000, 2001), {2: 0.5, 200: 0.1}),
        Story((2000, 2001), {2: (0.5, 2010, 2020)}),
    ],
    ids=["one state, one year", "no treaties", "nobody in the system"],
)
def test_smallest_worlds(story):
    world = story.world()
    for feature in registered_features():
        found = feature(world)
        assert found.sizes == {dim: world.sizes[dim] for dim in LEVELS[feature.level]}
        assert not np.isinf(found).any()
    assert treaty_features(world).sizes == {"year": world.sizes["year"], "treaty": 0}

"""What the simulation carries forward must be what the features would be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from support.known import make_known_fit
from support.rich_model import rich_fit

from forecast.features import FeatureRequest, compute_features
from forecast.features.arrays import allied
from forecast.features.registry import get_feature, registered_features
from forecast.features.successions import continued
from forecast.inference.fit import Fit
from forecast.inference.predict import predict
from forecast.panel.build import future_panel
from forecast.panel.rows import rows_by
from forecast.simulation.dynamics import Allies, Record, Track, is_simulated
from forecast.simulation.future import CONFLICT_VARIABLES
from forecast.simulation.lookup import lookup
from forecast.simulation.paired import origin_of, status_quo


@pytest.fixture(scope="module", params=["shipped", "rich"])
def fit(request: pytest.FixtureRequest, known_fit: Fit) -> Fit:
    """The shipped model, and one with everything that a simulation carries forward."""
    return known_fit if request.param == "shipped" else rich_fit(known_fit)


@pytest.fixture(scope="module")
def simulated(fit: Fit) -> tuple[Record, xr.Dataset, npt.NDArray[np.bool_]]:
    now = status_quo(fit, horizon=3, draws=20, seed=3)
    return now.record, now.future.world, now.paths.onsets


def columns(fit: Fit, world: xr.Dataset, record: Record, year: int) -> xr.Dataset:
    """Features of all simulated terms, computed from a world, for rows of `year`."""
    codes = [code for code in fit.encoding.terms if is_simulated(code)]
    states = world["state"].to_numpy()
    data = xr.Dataset(
        coords={
            "year": ("row", np.full(record.a.size, year)),
            "ccode_a": ("row", states[record.a]),
            "ccode_b": ("row", states[record.b]),
        }
    )
    requests = [
        FeatureRequest(code.name, str(code.feature), dict(code.options), code.side)
        for code in codes
    ]
    return compute_features(replace(fit.panel, data=data, world=world), requests).data


def all_lookups(fit: Fit, record: Record, track: Track, allies: Allies) -> dict[str, np.ndarray]:
    found = {}
    for code in fit.encoding.terms:
        if is_simulated(code):
            found[code.name] = lookup(code, record, track, track, allies).array()
    return found


def test_every_rule_of_the_registry_is_held_against_its_formula(known_fit: Fit) -> None:
    """A feature that is given a rule is given a term here, which the tests below compare."""
    ruled = {f.name for f in registered_features() if f.rule({"rivals": "disputes"}) is not None}
    assert ruled <= {code.feature for code in rich_fit(known_fit).encoding.terms}
    assert {"peace_years", "rivalry", "disputes_with_allies"} <= ruled


def test_at_the_origin_the_record_gives_the_features(
    fit: Fit, simulated: tuple[Record, xr.Dataset, np.ndarray]
) -> None:
    record, world, _ = simulated
    origin = origin_of(fit)
    ties = allied(world.sel(year=[origin]))[0]
    track = Track.start(record)
    allies = Allies.of(record, ties, track.active, first=True)
    past = fit.panel.world
    assert past is not None
    states = world["state"].to_numpy()
    expected = columns(fit, continued(past).sel(state=states, other=states), record, origin + 1)
    for name, values in all_lookups(fit, record, track, allies).items():
        feature = next(c.feature for c in fit.encoding.terms if c.name == name)
        if str(feature).startswith("system"):
            continue  # the whole system, also states that have left it: next test
        np.testing.assert_allclose(values[:, 0], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_system_rate_at_the_origin(
    fit: Fit, simulated: tuple[Record, xr.Dataset, np.ndarray]
) -> None:
    record, _, _ = simulated
    world = fit.panel.world
    assert world is not None
    codes = [c for c in fit.encoding.terms if str(c.feature).startswith("system")]
    assert bool(codes) == (fit.spec.name == "rich")  # the shipped model has none
    track = Track.start(record)
    empty = Allies.of(record, np.zeros((record.states,) * 2, bool), track.active, first=True)
    for code in codes:
        values = lookup(code, record, track, track, empty).array()
        rate = get_feature(str(code.feature))(world, **dict(code.options)).to_numpy()[-1]
        np.testing.assert_allclose(np.unique(values), [rate], rtol=1e-6)


@pytest.mark.parametrize("draw", [0, 7])
def test_after_two_simulated_years_they_are_the_features_of_that_world(
    fit: Fit, simulated: tuple[Record, xr.Dataset, np.ndarray], draw: int
) -> None:
    record, ahead, onsets = simulated
    origin = origin_of(fit)
    past = fit.panel.world
    assert past is not None
    states = ahead["state"].to_numpy()
    years = np.arange(int(past["year"][0]), origin + 3)
    past = continued(past)
    world = past.sel(state=states, other=states).reindex(year=years, fill_value=0)
    world = world.assign({str(n): world[n].astype(v.dtype) for n, v in past.data_vars.items()})
    for name, variable in ahead.data_vars.items():
        if "year" in variable.dims and name not in CONFLICT_VARIABLES:
            values = world[name].to_numpy().copy()
            next_two = variable.sel(year=[origin + 1, origin + 2]).to_numpy()
            if name == "entry_year":  # of those who stay it is that of their predecessors too
                next_two = np.where(next_two <= origin, values[-3], next_two)
            values[-2:] = next_two
            world[name] = (world[name].dims, values)
    world["conflict_covered"] = ("year", np.ones(years.size, dtype=bool))
    onset, dispute, going_on = (
        world[n].to_numpy().astype(bool).copy() for n in ("onset", "dispute", "open")
    )
    count = world["dispute_onset_count"].to_numpy().copy()
    # Each simulated onset is a conflict of its own here: counts of states can be compared.
    record = replace(record, distinct=1.0)
    track, rng = Track.start(record), np.random.default_rng(1)
    draws = onsets.shape[2]
    for h in range(2):
        # Certain onsets; half of the disputes, of whatever age, go on to the next year.
        stays = np.full((200, draws), 0.5, dtype=np.float32)
        track.step(onsets[h].astype(np.float32), stays, np.zeros(draws, np.float32), rng)
        at = years.size - 2 + h
        simulated = (track.onsets[h], track.active, track.under_way)
        for array, values in zip((onset, dispute, going_on), simulated, strict=True):
            array[at] = False
            array[at, record.a, record.b] = values[:, draw]
            array[at, record.b, record.a] = values[:, draw]
        count[at] = onset[at].sum(axis=1)
    assert going_on[-1].any()
    world["open"] = (world["open"].dims, going_on)
    assert onset[-2:].any()
    world["onset"] = (world["onset"].dims, onset)
    number = world["onset_count"].to_numpy().copy()
    number[-2:] = onset[-2:]
    world["onset_count"] = (world["onset_count"].dims, number)
    world["dispute"] = (world["dispute"].dims, dispute)
    world["dispute_onset_count"] = (world["dispute_onset_count"].dims, count)
    ties = allied(ahead.sel(year=[origin + 2]))[0]
    allies = Allies.of(record, ties, track.active, first=False)
    expected = columns(fit, world, record, origin + 3)
    for name, values in all_lookups(fit, record, track, allies).items():
        feature = next(c.feature for c in fit.encoding.terms if c.name == name)
        if str(feature).startswith("system"):
            continue
        np.testing.assert_allclose(values[:, draw % values.shape[1]], expected[name],
                                   rtol=1e-5, atol=1e-6, err_msg=name)  # fmt: skip


@pytest.fixture(scope="module", params=["stratum", "drop"])
def either_rule(request: pytest.FixtureRequest, known_fit: Fit) -> Fit:
    """Fits with rows of disputes under way, and without."""
    if request.param == known_fit.spec.under_way:
        return known_fit
    spec = known_fit.spec.with_under_way(request.param)
    return make_known_fit(rows_by(known_fit.panel, request.param), model=spec)


def test_a_dispute_under_way_does_not_hide_what_begins_beside_it(known_fit: Fit) -> None:
    now = status_quo(known_fit, horizon=3, draws=100, seed=5)
    assert now.record.under_way.any()
    # In the first year both tracks say the same, and what the onset model says.
    # Logits of forty terms are summed in single precision: of 181,100 one differs by 4e-6.
    np.testing.assert_allclose(now.paths.hazard[0], now.paths.annual[0], rtol=1e-5)
    # Smooth over draws: no draw says that nothing can happen.
    assert (now.paths.hazard[:, now.record.under_way] > 0).all()


def test_without_rows_of_them_a_new_one_waits_for_the_end(known_fit: Fit) -> None:
    spec = known_fit.spec.with_under_way("convention")
    fit = make_known_fit(rows_by(known_fit.panel, "convention"), model=spec)
    now = status_quo(fit, horizon=3, draws=100, seed=5)
    going = now.record.under_way
    assert (now.paths.annual[0][going] == 0).all() and (now.paths.hazard[0][going] == 0).all()
    assert (now.paths.hazard[1][going] > 0).all()


def test_disputes_under_way_agree_with_simulated_ones(either_rule: Fit) -> None:
    now = status_quo(either_rule, horizon=4, draws=200, seed=6)
    going = now.record.under_way
    exact = now.paths.cumulative()[-1][going].mean(axis=1)
    counted = now.paths.onsets.any(axis=0)[going].mean(axis=1)
    error = float(np.sqrt((exact * (1 - exact)).sum() / 200))
    assert counted.sum() == pytest.approx(exact.sum(), abs=4 * error)


def test_a_step_begins_and_ends_disputes_as_often_as_it_says() -> None:
    draws, pairs = 400, 200
    going = np.where(np.arange(pairs) < 100, 7, 0).astype(np.int16)  # severe, in its fourth year
    quiet = np.zeros((pairs, 1), dtype=np.int16)
    track = Track((going > 0)[:, None], going[:, None], quiet, quiet)
    stays = np.repeat(np.linspace(0.1, 0.8, 8, dtype=np.float32)[:, None], draws, axis=1)
    risk = np.full((pairs, draws), 0.2, dtype=np.float32)
    severe = np.full(draws, 0.3, dtype=np.float32)
    track.step(risk, stays, severe, np.random.default_rng(4))
    onset, after = track.onsets[0], track.going
    assert onset.mean() == pytest.approx(0.2, abs=0.006)
    # An old dispute goes on with .8 (a year older), whatever begins beside it.
    old = after[:100] == 9
    assert old.mean() == pytest.approx(0.8, abs=0.01)
    assert np.corrcoef(old.ravel(), onset[:100].ravel())[0, 1] == pytest.approx(0, abs=0.02)
    # A new one is under way at the end of its year with .1, or .2 if it is severe.
    new, count = after[100:], onset[100:].sum()
    assert (new[~onset[100:]] == 0).all()
    assert (new == 2).sum() / count == pytest.approx(0.7 * 0.1, abs=0.007)
    assert (new == 3).sum() / count == pytest.approx(0.3 * 0.2, abs=0.007)
    assert (track.peace[track.active] == 0).all() and (track.peace[~track.active] == 1).all()


def test_a_states_onsets_stand_for_as_many_conflicts_as_on_record(known_fit: Fit) -> None:
    now = status_quo(known_fit, horizon=1, draws=50, seed=5)
    world = known_fit.panel.world
    assert world is not None
    pairs, conflicts = world["onset_count"].sum(), world["dispute_onset_count"].sum()
    assert 0.8 < now.record.distinct < 1
    assert now.record.distinct == pytest.approx(float(conflicts / pairs), rel=1e-6)
    like = next(c for c in known_fit.encoding.terms if c.feature == "disputes_recent")
    code = replace(like, feature="state_disputes_recent", side="sum", options=(("window", 10),))
    track = Track.start(now.record)
    stays = np.zeros((200, 50), dtype=np.float32)
    track.step(now.paths.annual[0], stays, stays[0], np.random.default_rng(2))
    empty = np.zeros((now.record.states,) * 2, dtype=bool)
    allies = Allies.of(now.record, empty, track.active, first=False)
    with_share, alone = (
        lookup(code, record, track, track, allies).array()
        for record in (now.record, replace(now.record, distinct=0.0))
    )
    onset = track.onsets[0].astype(int)
    every = np.zeros((now.record.states, 50))
    np.add.at(every, now.record.a, onset)
    np.add.at(every, now.record.b, onset)
    added = every[now.record.a] + every[now.record.b]
    np.testing.assert_allclose(with_share - alone, added * now.record.distinct, atol=0.006 * 9)


def test_the_first_year_is_what_the_fit_predicts(fit: Fit) -> None:
    """Interactions, walks and strata too: columns by hand against the encoding of the rows."""
    draws = 40
    paths = status_quo(fit, horizon=1, draws=draws, seed=fit.seed).paths
    origin = origin_of(fit)
    rows = future_panel(fit.panel, year=origin + 1)
    pairs = list(
        zip(
            paths.rows["ccode_a"].values.tolist(),
            paths.rows["ccode_b"].values.tolist(),
            strict=True,
        )
    )
    expected = predict(fit, rows, draws=draws, seed=fit.seed)
    place = {pair: i for i, pair in enumerate(pairs)}
    kept = [
        place.get((a, b), -1)
        for a, b in zip(
            expected["ccode_a"].values.tolist(), expected["ccode_b"].values.tolist(), strict=True
        )
    ]
    known = np.array(kept) >= 0
    at = np.array(kept)[known]
    assert at.size > 500
    np.testing.assert_allclose(paths.annual[0][at], expected.to_numpy().T[known], rtol=2e-5)

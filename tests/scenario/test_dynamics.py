"""What the simulation carries forward must be what the features would be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from rich_model import rich_fit

from forecast.features import FeatureRequest, compute_features
from forecast.features.arrays import allied
from forecast.features.registry import get_feature
from forecast.inference.fit import Fit
from forecast.inference.predict import predict
from forecast.panel.build import future_panel
from forecast.scenario.dynamics import Allies, Record, Track, is_simulated
from forecast.scenario.future import CONFLICT_VARIABLES
from forecast.scenario.lookup import lookup
from forecast.scenario.simulate import origin_of, status_quo_paths


@pytest.fixture(scope="module", params=["shipped", "rich"])
def fit(request: pytest.FixtureRequest, known_fit: Fit) -> Fit:
    """The shipped model, and one with everything that a simulation carries forward."""
    return known_fit if request.param == "shipped" else rich_fit(known_fit)


@pytest.fixture(scope="module")
def simulated(fit: Fit) -> tuple[Record, xr.Dataset, npt.NDArray[np.bool_]]:
    paths, future, record = status_quo_paths(fit, horizon=3, draws=20, seed=3)
    return record, future.world, paths.onsets


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


def test_at_the_origin_the_record_gives_the_features(
    fit: Fit, simulated: tuple[Record, xr.Dataset, np.ndarray]
) -> None:
    record, world, _ = simulated
    origin = origin_of(fit)
    ties = allied(world.sel(year=[origin]))[0]
    track = Track.start(record, 1)
    allies = Allies.of(record, ties, track.active, elsewhere=True, first=True)
    past = fit.panel.world
    assert past is not None
    states = world["state"].to_numpy()
    expected = columns(fit, past.sel(state=states, other=states), record, origin + 1)
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
    assert codes
    track = Track.start(record, 1)
    empty = Allies.of(record, np.zeros((record.states,) * 2, bool), track.active,
                      elsewhere=False, first=True)  # fmt: skip
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
    world = past.sel(state=states, other=states).reindex(year=years, fill_value=0)
    world = world.assign({str(n): world[n].astype(v.dtype) for n, v in past.data_vars.items()})
    for name, variable in ahead.data_vars.items():
        if "year" in variable.dims and name not in CONFLICT_VARIABLES:
            values = world[name].to_numpy().copy()
            values[-2:] = variable.sel(year=[origin + 1, origin + 2]).to_numpy()
            world[name] = (world[name].dims, values)
    world["conflict_covered"] = ("year", np.ones(years.size, dtype=bool))
    onset, dispute = (world[n].to_numpy().astype(bool).copy() for n in ("onset", "dispute"))
    count = world["dispute_onset_count"].to_numpy().copy()
    track = Track.start(record, onsets.shape[2])
    nothing = np.zeros(onsets.shape[1:], dtype=bool)
    for h in range(2):
        track.step(onsets[h], nothing)
        at = years.size - 2 + h
        for array in (onset, dispute):
            array[at] = False
            array[at, record.a, record.b] = onsets[h, :, draw]
            array[at, record.b, record.a] = onsets[h, :, draw]
        count[at] = onset[at].sum(axis=1)
    assert onset[-2:].any()
    world["onset"] = (world["onset"].dims, onset)
    world["dispute"] = (world["dispute"].dims, dispute)
    world["dispute_onset_count"] = (world["dispute_onset_count"].dims, count)
    ties = allied(ahead.sel(year=[origin + 2]))[0]
    allies = Allies.of(record, ties, track.active, elsewhere=True, first=False)
    expected = columns(fit, world, record, origin + 3)
    for name, values in all_lookups(fit, record, track, allies).items():
        feature = next(c.feature for c in fit.encoding.terms if c.name == name)
        if str(feature).startswith("system"):
            continue
        np.testing.assert_allclose(values[:, draw % values.shape[1]], expected[name],
                                   rtol=1e-5, atol=1e-6, err_msg=name)  # fmt: skip


def test_an_ongoing_dispute_must_end_before_a_new_one_begins(known_fit: Fit) -> None:
    paths, _, record = status_quo_paths(known_fit, horizon=3, draws=100, seed=5)
    assert record.active.any()
    # In the first year both tracks say the same: the share that ends, times the risk then.
    np.testing.assert_allclose(paths.hazard[0], paths.annual[0], rtol=2e-4)
    first, later = record.continues
    stays = np.where(record.began, first, later)[record.active]
    assert (paths.annual[0][record.active].max(axis=1) <= 1 - stays + 1e-6).all()
    # Smooth over draws: no draw says that nothing can happen.
    assert (paths.hazard[:, record.active] > 0).all()


def test_ongoing_disputes_agree_with_simulated_ones(known_fit: Fit) -> None:
    paths, _, record = status_quo_paths(known_fit, horizon=3, draws=200, seed=6)
    exact = paths.cumulative()[-1][record.active].mean(axis=1)
    counted = paths.onsets.any(axis=0)[record.active].mean(axis=1)
    error = float(np.sqrt((exact * (1 - exact)).sum() / 200))
    assert counted.sum() == pytest.approx(exact.sum(), abs=4 * error)


def test_the_first_year_is_what_the_fit_predicts(fit: Fit) -> None:
    """Interactions, walks and strata too: columns by hand against the encoding of the rows."""
    draws = 40
    paths, _, record = status_quo_paths(fit, horizon=1, draws=draws, seed=fit.seed)
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
    free = ~record.active[at]
    assert free.sum() > 500
    found, wanted = paths.annual[0][at][free], expected.to_numpy().T[known][free]
    np.testing.assert_allclose(found, wanted, rtol=3e-3)

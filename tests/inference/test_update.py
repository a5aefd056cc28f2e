"""`update`: rows of later years by importance sampling, against a fit from the beginning."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from test_fit import SPEC, make_panel, rows

from forecast.errors import ArgumentError, DataError
from forecast.inference.fit import Fit, fit, fit_id_of
from forecast.inference.predict import predict
from forecast.inference.update import update
from forecast.panel.types import Panel

LAST = 2004


@pytest.fixture(scope="module")
def longer() -> Panel:
    old = rows(1, 1500, 1980, LAST, (1, 12))
    new = rows(2, 60, LAST + 1, LAST + 1, (1, 14))  # two new states, new dyads, a new step
    return make_panel(xr.concat([old, new], dim="row"))


@pytest.fixture(scope="module")
def fitted(longer) -> Fit:
    return fit(SPEC, longer.select_years(1980, LAST), seed=3, draws=2000)


@pytest.fixture(scope="module")
def updated(fitted, longer) -> Fit:
    return update(fitted, longer, seed=4)


def test_agrees_with_a_fit_from_the_beginning(fitted, updated, longer):
    whole = fit(SPEC, longer, seed=5, draws=2000)
    assert updated.gate().passed, updated.gate().failures
    assert updated.encoding.years == (1980, LAST + 1)
    assert updated.encoding.rows == whole.encoding.rows
    for old, new in zip(updated.encoding.blocks, whole.encoding.blocks, strict=True):
        assert old.levels == new.levels
    # Columns are scaled as in the fit, so that predictions are compared, and effects.
    p, q = (predict(f, longer).to_numpy() for f in (updated, whole))
    far = np.abs(p.mean(axis=0) - q.mean(axis=0)) / q.std(axis=0)
    assert far.mean() < 0.1
    assert far.max() < 0.4
    assert np.median(p.std(axis=0) / q.std(axis=0)) == pytest.approx(1.0, abs=0.05)
    for name in ("effect_state", "effect_era", "sigma_state", "sigma_dyad"):
        a, b = (f.posterior["posterior"][name].to_numpy()[0] for f in (updated, whole))
        assert np.all(np.abs(a.mean(axis=0) - b.mean(axis=0)) < 0.35 * b.std(axis=0)), name
    # The new year has moved something: the update is not the old posterior.
    before = predict(fitted, longer, seed=4).to_numpy().mean(axis=0)
    moved = np.abs(before - q.mean(axis=0)).mean()
    assert np.abs(p.mean(axis=0) - q.mean(axis=0)).mean() < 0.5 * moved


def test_an_update_is_reproducible_and_has_an_id_of_its_own(fitted, updated, longer):
    again = update(fitted, longer, seed=4)
    assert again.id == updated.id == fit_id_of(updated)
    assert again.posterior["posterior"].equals(updated.posterior["posterior"])
    assert update(fitted, longer, seed=6).id != updated.id
    assert updated.id != fit(SPEC, longer, seed=4, draws=2000, warm_start=fitted).id


def test_effective_draws_are_those_left_of_the_old_ones(fitted, updated):
    assert updated.diagnostics.min_ess_bulk < fitted.diagnostics.min_ess_bulk
    assert updated.diagnostics.pareto_k is not None


def test_more_than_the_draws_can_bear_is_refused_by_the_gate(fitted):
    panel = fitted.panel.data
    surprise = rows(7, 600, LAST + 1, LAST + 1, (1, 12))
    surprise["outcome"] = 1.0 - surprise["outcome"]
    result = update(fitted, make_panel(xr.concat([panel, surprise], dim="row")), seed=1).gate()
    assert not result.passed


def test_a_revised_past_and_no_later_year_are_refused(fitted, longer):
    with pytest.raises(ArgumentError, match=f"no row with a known outcome after {LAST}"):
        update(fitted, longer.select_years(1980, LAST), seed=1)
    revised = longer.data.copy(deep=True)
    revised["outcome"][5] = 1.0 - revised["outcome"][5]
    with pytest.raises(DataError, match="the past has been revised"):
        update(fitted, make_panel(revised), seed=1)
    with pytest.raises(ArgumentError, match="seed=-1"):
        update(fitted, longer, seed=-1)

"""Baselines: errors, what each must do, the ridge logit by its formula, nothing learnt ahead."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from forecast.errors import ArgumentError, DataError, UnknownNameError
from forecast.evaluation import baselines as bl
from forecast.evaluation.scores import area_under_roc, log_loss

NAMES = list(bl.BASELINES)


@pytest.fixture(scope="module")
def split(panel):
    return panel.select_years(1950, 1985), panel.select_years(1986, 1999)


def forecast(name, train, test):
    return bl.baseline(name).fit(train, seed=1).predict(test, seed=2)


def test_unknown_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'climatology'"):
        bl.baseline("climatolgy")


def test_rows_without_an_outcome_are_refused(panel):
    data = panel.data.copy()
    data["outcome"] = data["outcome"].where(data["year"] < 1999)
    with pytest.raises(ArgumentError, match=r"training rows have no outcome \(first in 1999\)"):
        bl.baseline("climatology").fit(panel.with_data(data), seed=1)
    with pytest.raises(ArgumentError, match="no rows"):
        bl.baseline("climatology").fit(panel.select_years(1800, 1801), seed=1)


def test_missing_column_is_named(split):
    train, _ = split
    bare = train.with_data(train.data.drop_vars("disputes_total"))
    with pytest.raises(DataError, match="disputes_total"):
        bl.baseline("history").fit(bare, seed=1)


def test_pair_features_are_refused_for_state_years(split):
    train, _ = split
    with pytest.raises(ArgumentError, match="'state-year'"):
        bl.baseline("history").fit(replace(train, unit="state-year"), seed=1)


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_for_every_row_and_the_same_twice(name, split):
    train, test = split
    p = forecast(name, train, test)
    assert p.shape == (1, test.data.sizes["row"])
    assert ((p > 0) & (p < 1)).all()
    np.testing.assert_array_equal(p, forecast(name, train, test))


def test_climatology_is_the_training_rate(split):
    train, test = split
    y = train.data["outcome"].to_numpy()
    assert forecast("climatology", train, test)[0, 0] == pytest.approx(
        (y.sum() + 0.5) / (y.size + 1)
    )


def test_better_information_scores_better(split):
    train, test = split
    y = test.data["outcome"].to_numpy()
    compared = [name for name in NAMES if not name.startswith("boosting")]
    loss = {n: log_loss(y, forecast(n, train, test)[0]).value for n in compared}
    assert loss["history"] < loss["peace_years"] < loss["climatology"]
    assert loss["conflictology"] < loss["climatology"]
    assert loss["history"] < loss["geography_peace_years"] < loss["geography_power"]
    # the panel's risk rises with an alliance: the step that knows of it gains
    assert loss["history_activity_alliances"] < loss["history_activity"]
    assert area_under_roc(y, forecast("boosting", train, test)[0]) > 0.7


def test_the_steps_nest():
    steps = ("geography_power", "geography_peace_years", "history", "history_activity")
    columns = [{r.name for r in bl.baseline(n).columns()} for n in steps]
    columns.append({r.name for r in bl.baseline("history_activity_alliances").columns()})
    assert all(a < b for a, b in pairwise(columns))
    for trees, logit in (
        ("boosting_history", "history"),
        ("boosting", "history_activity"),
        ("boosting_alliances", "history_activity_alliances"),
    ):
        assert bl.baseline(trees).columns() == bl.baseline(logit).columns()


def test_columns_are_dyad_features_and_one_name_is_one_column():
    requests = [r for method in bl.BASELINES.values() for r in method.columns()]
    assert len(set(map(repr, requests))) == len({r.name for r in requests})
    for request in requests:
        # a state's or a side's feature must say how the two sides become one value
        two_sided = request.spec.level in ("state", "directed")
        assert two_sided == (request.side in ("max", "min")), request


def test_conflictology_shrinks_towards_the_rate_of_the_window(split):
    train, test = split
    fitted = bl.Conflictology(window=10).fit(train, seed=1)
    y = train.data["outcome"].to_numpy()
    recent = train.data["year"].to_numpy() > 1975
    keys = bl.unit_keys(train)
    pick = bl.unit_keys(test)[5]
    mine = recent & (keys == pick)
    k, n = y[mine].sum(), mine.sum()
    rate = (y[recent].sum() + 0.5) / (recent.sum() + 1)
    expected = (k + fitted.weight * rate) / (n + fitted.weight)
    assert fitted.predict(test, seed=1)[0, 5] == pytest.approx(expected)
    assert 1 < fitted.weight < 1000
    # a pair that was never seen gets the rate of all
    stranger = test.with_data(test.data.isel(row=[0]).assign_coords(ccode_a=("row", [900])))
    assert fitted.predict(stranger, seed=1)[0, 0] == pytest.approx(rate)


def test_conflictology_weight_grows_when_units_do_not_differ(panel):
    rng = np.random.default_rng(5)
    data = panel.data.copy()
    data["outcome"] = ("row", (rng.uniform(size=data.sizes["row"]) < 0.05).astype(float))
    same = bl.Conflictology().fit(panel.with_data(data), seed=1)
    different = bl.Conflictology().fit(panel, seed=1)
    assert same.weight > 5 * different.weight


def test_logit_maximises_the_penalised_likelihood(split):
    train, test = split
    ours = bl.Logit("own", bl.BASELINES["history"].columns(), ridge=3.0)
    p = ours.fit(train, seed=1).predict(test, seed=1)[0]

    def design(panel):
        d = {n: panel.data[n].to_numpy() for n in ("peace_years", "disputes_total")}
        t = d["peace_years"] / 10
        other = ("land_contiguity", "contiguity_closeness", "major_powers", "capability_ratio")
        return np.column_stack(
            [panel.data[n] for n in other]
            + [np.log(panel.data["joint_capability"]), t, t**2, t**3]
            + [panel.data["dispute_last_year"], np.log1p(d["disputes_total"])]
            + [np.log1p(panel.data["disputes_recent"])]
        )

    X, Z = design(train), design(test)
    centre, scale = X.mean(axis=0), X.std(axis=0)
    W = np.column_stack([np.ones(len(X)), (X - centre) / scale])
    y = train.data["outcome"].to_numpy()

    def loss(b):
        eta = W @ b
        value = (np.logaddexp(0.0, eta) - y * eta).sum() + 1.5 * (b[1:] ** 2).sum()
        return value, W.T @ (expit(eta) - y) + 3.0 * np.append(0.0, b[1:])

    b = minimize(loss, np.zeros(W.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-4}).x
    expected = expit(b[0] + (Z - centre) / scale @ b[1:])
    np.testing.assert_allclose(p, expected, atol=1e-6)


def test_logit_marks_missing_values(split):
    train, test = split
    rng = np.random.default_rng(1)

    def with_gaps(p):
        gap = rng.uniform(size=p.data.sizes["row"]) < 0.1
        column = p.data["capability_ratio"].where(~gap.astype(bool))
        return p.with_data(p.data.assign(capability_ratio=("row", column.to_numpy())))

    fitted = bl.baseline("history").fit(with_gaps(train), seed=1)
    assert fitted.fitted[0].indicator_.features_.size == 1
    assert np.isfinite(fitted.predict(with_gaps(test), seed=1)).all()


def test_logit_without_events_forecasts_next_to_nothing(split):
    train, test = split
    none = train.with_data(train.data.assign(outcome=train.data["outcome"] * 0))
    p = bl.baseline("history").fit(none, seed=1).predict(test, seed=1)
    assert (p < 1e-3).all()
    with pytest.raises(ArgumentError, match="both classes"):
        bl.baseline("boosting").fit(none, seed=1)

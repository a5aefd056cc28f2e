"""What PyMC's own functions make of our posterior: the numbers of `predict`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from forecast.errors import ArgumentError
from forecast.inference.fit import Fit, fit
from forecast.inference.predict import linear_predictor, predict
from forecast.modeling.build import build
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.build import load_panel
from forecast.panel.types import Panel
from forecast.sources.tables import Tables

pytestmark = pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")

#: Interpreted: compiling with numba takes longer than the few draws here.
QUICK: dict[str, Any] = {"progressbar": False, "compile_kwargs": {"mode": "FAST_COMPILE"}}
METHODS = ("laplace", "nuts")


def term(name: str, **keys: Any) -> dict[str, Any]:
    base = {"name": name, "feature": name, "family": "power", "pre_treatment": True}
    return base | {"prior": {"sd": 1.0}, "reason": "test", "missing": "drop"} | keys


def varying(name: str, sd: float, **keys: Any) -> dict[str, Any]:
    return {"name": name, "scale": {"sd": sd}, "reason": "test"} | keys


BASE: dict[str, Any] = {"description": "A model of a region.", "intercept": {"reason": "test"}}
WALK: dict[str, Any] = {"structure": "random_walk", "step": 5}
PAIRS = ModelSpec.from_dict(
    BASE
    | {
        "name": "pairs",
        "unit": "dyad-year",
        "population": "politically_relevant",
        "era": [
            {"name": "early", "first": 1946, "last": 2002},
            {"name": "late", "first": 2003, "last": 2013},
            {"name": "new", "first": 2014},
        ],
        "term": [
            term("land_contiguity", family="geography"),
            term(
                "defense_pact",
                feature="pact_in_dyad",
                options={"obligation": "defense"},
                family="deterrence",
            ),
        ],
        "varying": [
            varying("state", 0.5),
            varying("dyad", 1.0),
            varying("era", 0.3, **WALK),
            varying("year", 0.3),
            varying("slope", 0.3, families=["deterrence"]),
            varying("slope", 0.3, terms=["defense_pact"], by=["land_contiguity"]),
            varying("slope", 0.3, terms=["land_contiguity", "defense_pact"], **WALK),
        ],
    }
)
STATES = ModelSpec.from_dict(
    BASE
    | {
        "name": "states",
        "unit": "state-year",
        "population": "all",
        "term": [term("capability_share", transform="log")],
        "varying": [varying("era", 0.3, **WALK)],
        "alliance_level": {
            "prior": {"sd": 0.5},
            "scale": {"sd": 0.5},
            "weights": "share",
            "pre_treatment": True,
            "reason": "test",
            "feature": [{"feature": "size", "reason": "test"}],
        },
    }
)


def region(panel: Panel, others: tuple[int, ...] = ()) -> Panel:
    """Rows among the states of the Middle East, and of some others with them."""
    codes = [panel.data[c].to_numpy() for c in ("ccode", "ccode_a", "ccode_b") if c in panel.data]
    inside = np.all([((c >= 630) & (c < 700)) | np.isin(c, others) for c in codes], axis=0)
    return panel.with_data(panel.data.isel(row=inside))


@pytest.fixture(scope="module")
def panels(tables: Tables) -> dict[str, Panel]:
    pairs = load_panel(data=tables, population="politically_relevant", years=(1996, 2016))
    return {
        "pairs": region(pairs.select_years(1996, 2009)),
        "later pairs": region(pairs.select_years(2010, 2016), others=(2, 750, 770)),
        "states": region(load_panel(data=tables, unit="state-year", years=(1996, 2009))),
    }


@pytest.fixture(scope="module")
def fitted(panels: dict[str, Panel]) -> Callable[[str, str], Fit]:
    """Fits by method and model, each made once."""
    made: dict[tuple[str, str], Fit] = {}

    def get(method: Any, name: str) -> Fit:
        if (method, name) not in made:
            size = {"draws": 400} if method == "laplace" else {"draws": 200, "tune": 150}
            spec = {"pairs": PAIRS, "states": STATES}[name]
            made[method, name] = fit(spec, panels[name], method=method, seed=2, chains=2, **size)
        return made[method, name]

    return get


@pytest.fixture(params=[(m, n) for m in METHODS for n in ("pairs", "states")], ids="-".join)
def either(request: pytest.FixtureRequest, fitted: Callable[[str, str], Fit]) -> Fit:
    return fitted(*request.param)


def flat(array: xr.DataArray) -> Any:
    """Draws of all chains one after the other, shape (draws, ...)."""
    values = array.transpose("chain", "draw", ...).to_numpy()
    return values.reshape(-1, *values.shape[2:])


def assert_same_means(drawn: Any, probabilities: Any) -> None:
    """Shares of drawn outcomes by row, and their total, within the error of the draws."""
    p = probabilities.astype(float)
    error = np.sqrt((p * (1 - p)).sum(axis=0)) / len(p)
    score = (drawn.mean(axis=0) - p.mean(axis=0)) / error
    assert 0.8 < score.std() < 1.2
    assert abs(score).max() < 6.0
    assert abs((drawn - p).mean(axis=0).sum()) < 4.0 * np.sqrt(np.sum(error**2))


def test_variables_and_labels_are_those_of_the_posterior(either: Fit) -> None:
    model = build(either.spec, either.panel)
    posterior = either.posterior["posterior"]
    assert {v.name for v in model.free_RVs} == set(posterior.data_vars)
    for name, variable in posterior.data_vars.items():
        dims = variable.dims[2:]
        assert tuple(model.named_vars_to_dims.get(name, ())) == dims
        for dim in dims:
            assert list(model.coords[dim]) == posterior[dim].to_numpy().tolist()


def test_posterior_predictive_draws_have_the_probabilities_of_predict(either: Fit) -> None:
    import pymc as pm

    model = build(either.spec, either.panel)
    found = pm.sample_posterior_predictive(either.posterior, model=model, random_seed=3, **QUICK)
    assert set(found["posterior_predictive"].data_vars) == {"outcome"}
    drawn = flat(found["posterior_predictive"]["outcome"])
    assert_same_means(drawn, predict(either, either.panel).to_numpy())


def test_log_likelihood_and_probability_are_ours(either: Fit) -> None:
    import pymc as pm

    model = build(either.spec, either.panel, probability=True)
    found = pm.compute_log_likelihood(
        either.posterior, model=model, extend_inferencedata=False, **QUICK
    )
    eta = linear_predictor(either, either.panel).to_numpy().astype(float)
    y = either.posterior["observed_data"]["outcome"].to_numpy()
    ours = y * eta - np.logaddexp(0.0, eta)
    np.testing.assert_allclose(flat(found["outcome"]), ours, atol=1e-5)
    found = pm.compute_deterministics(either.posterior, model=model, **QUICK)
    probability = predict(either, either.panel).to_numpy()
    np.testing.assert_allclose(flat(found["probability"]), probability, atol=1e-6)


def test_prior_density_of_the_draws(fitted: Callable[[str, str], Fit]) -> None:
    """Of the effects as they are in the posterior, walks as wholes."""
    from pymc.stats import compute_log_prior
    from scipy.stats import norm

    one = fitted("laplace", "pairs")
    posterior = one.posterior["posterior"].isel(draw=slice(5)).to_dataset()
    tree = xr.DataTree.from_dict({"posterior": posterior})
    model = build(one.spec, one.panel)
    found = compute_log_prior(tree, model=model, extend_inferencedata=False, **QUICK)
    for code in one.encoding.blocks:
        effect = flat(posterior[f"effect_{code.name}"])
        sigma = flat(posterior[f"sigma_{code.name}"])[:, None]
        walk = code.structure == "random_walk"
        walks = effect.reshape(5, code.chains, -1)
        steps = np.diff(walks, axis=-1, prepend=0.0).reshape(5, -1) if walk else effect
        ours = norm.logpdf(steps, 0.0, sigma)
        name = f"effect_{code.name}"
        theirs = found[name].to_numpy()[0]
        np.testing.assert_allclose(theirs, ours.sum(axis=1) if walk else ours, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_new_pairs_states_years_and_eras(
    method: str, fitted: Callable[[str, str], Fit], panels: dict[str, Panel]
) -> None:
    """Rows of known levels exactly; levels that the fit did not see from their population."""
    import pymc as pm

    one, later = fitted(method, "pairs"), panels["later pairs"]
    # 2010-2014 is the step after the last one of the walk; some years have no known outcome.
    outcome = later.data["outcome"].where(later.data["year"] < 2016)
    later = later.with_data(later.data.assign(outcome=outcome))
    rows = one.encoding.apply(later)
    new = {block.name: set(block.unknown_levels) for block in rows.blocks}
    assert "2010" in new["era"]
    assert {"770", "2"} & new["state"]
    assert "750-770" in new["dyad"]
    assert "defense_pact|new" in new["slope"]
    model = build(one.spec, later, encoding=one.encoding, probability=True)
    assert model.observed_RVs == []
    names = {f"new_{name}" for name, levels in new.items() if levels}
    assert {v.name for v in model.free_RVs if v.name.startswith("new_")} == names
    tree = one.posterior
    found = pm.sample_posterior_predictive(
        tree, model=model, var_names=["probability", "outcome", *names], random_seed=4, **QUICK
    )["posterior_predictive"]
    theirs, ours = flat(found["probability"]), predict(one, later).to_numpy().astype(float)
    error = np.sqrt((theirs.var(axis=0) + ours.var(axis=0)) / len(ours))
    assert (abs(theirs.mean(axis=0) - ours.mean(axis=0)) < 5.0 * error).all()
    spread = theirs.std(axis=0) / ours.std(axis=0)
    assert 0.9 < np.median(spread) < 1.1
    assert_same_means(flat(found["outcome"]), theirs)
    # Each walk goes on from its own end.
    posterior = tree["posterior"]
    for name in ("era", "slope_walk"):
        code = one.encoding.block(name)
        last = flat(posterior[f"effect_{name}"]).reshape(len(ours), code.chains, -1)[:, :, -1]
        fresh = flat(found[f"new_{name}"]).reshape(len(ours), code.chains, -1)
        steps = np.diff(fresh, axis=2, prepend=last[:, :, None])
        z = steps / flat(posterior[f"sigma_{name}"])[:, None, None]
        assert abs(z.mean()) < 0.15
        assert 0.9 < z.std() < 1.1


def test_known_levels_give_the_same_numbers_with_the_encoding(
    fitted: Callable[[str, str], Fit], panels: dict[str, Panel]
) -> None:
    """A part of the rows of the fit: standardised by themselves they would be other columns."""
    import pymc as pm

    one = fitted("laplace", "pairs")
    part = panels["pairs"].select_years(2005, 2007)
    model = build(one.spec, part, encoding=one.encoding, probability=True)
    found = pm.compute_deterministics(one.posterior, model=model, **QUICK)
    np.testing.assert_allclose(flat(found["probability"]), predict(one, part), atol=1e-6)
    assert [v.name for v in model.observed_RVs] == ["outcome"]


def test_what_does_not_belong_together_is_refused(
    fitted: Callable[[str, str], Fit], panels: dict[str, Panel]
) -> None:
    import pymc as pm

    one = fitted("laplace", "pairs")
    part = panels["pairs"].select_years(2003, 2008)
    # Draws of other levels: PyMC tells and stops, and nothing is read beyond the end of an array.
    with (
        pytest.warns(pm.exceptions.ImplicitFreezeWarning, match=r"level_year.*14 -> 6"),
        pytest.raises(AssertionError, match="SpecifyShape"),
    ):
        pm.sample_posterior_predictive(
            one.posterior, model=build(one.spec, part), random_seed=3, **QUICK
        )
    with pytest.raises(ArgumentError, match=r"terms .*capability_share.*it is of another fit"):
        build(one.spec, panels["pairs"], encoding=fitted("laplace", "states").encoding)
    early = panels["pairs"].with_data(
        panels["pairs"].data.assign_coords(year=panels["pairs"].data["year"] - 10)
    )
    with pytest.raises(ArgumentError, match="lies before the first year of the fit"):
        build(one.spec, early, encoding=one.encoding)


@pytest.mark.long
def test_pymc_samples_the_built_model_to_the_same_predictions(
    fitted: Callable[[str, str], Fit],
) -> None:
    import pymc as pm

    one = fitted("nuts", "pairs")
    with build(one.spec, one.panel) as model:
        tree = pm.sample(
            200, tune=200, chains=2, cores=1, random_seed=5, progressbar=False,
            nuts_sampler="nutpie", compute_convergence_checks=False,
        )  # fmt: skip
    theirs, ours = tree["posterior"], one.posterior["posterior"]
    assert set(theirs.data_vars) == set(ours.data_vars)
    for name in ours.data_vars:
        assert theirs[name].dims == ours[name].dims
    found = pm.sample_posterior_predictive(tree, model=model, random_seed=6, **QUICK)
    drawn = flat(found["posterior_predictive"]["outcome"])
    p = predict(one, one.panel).to_numpy()
    assert abs(drawn.sum() / p.sum() - 1.0) < 0.1


@pytest.mark.filterwarnings("ignore:Cannot cache compiled function")
def test_iran_2012_to_2025(tables: Tables) -> None:
    """22 onsets; draws of effects from their priors in place of their posterior give ten."""
    import pymc as pm

    panel = load_panel(data=tables, population="politically_relevant", years=(1990, 2025))
    spec = load_model("dyad_onset").with_population("politically_relevant")
    one = fit(spec, panel, seed=1, draws=300)
    rows = one.encoding.apply(panel).rows
    a, b, year = (rows[name].to_numpy() for name in ("ccode_a", "ccode_b", "year"))
    iran = ((a == 630) | (b == 630)) & (year >= 2012)
    assert one.posterior["observed_data"]["outcome"].to_numpy()[iran].sum() == 22
    model = build(one.spec, panel)
    found = pm.sample_posterior_predictive(
        one.posterior, model=model, random_seed=2, progressbar=False
    )
    drawn = flat(found["posterior_predictive"]["outcome"])[:, iran].sum(axis=1)
    expected = predict(one, panel).to_numpy()[:, iran].sum(axis=1)
    assert expected.mean() > 14.0
    assert abs(drawn.mean() - expected.mean()) < 4.0 * drawn.std() / np.sqrt(drawn.size)

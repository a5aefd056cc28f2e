"""`fit`: identity, options, diagnostics, the gate, predictions of the fit."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

from forecast.errors import ArgumentError, DataError, GateRefusedError, UnknownNameError
from forecast.inference import fit as module
from forecast.inference.diagnostics import GATE, Diagnostics, chain_diagnostics
from forecast.inference.fit import Fit, fit, gate
from forecast.inference.identity import fit_id, rows_fingerprint
from forecast.inference.predict import linear_predictor, predict
from forecast.inference.warm_start import WarmStart
from forecast.modeling.design import encode
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel
from forecast.store import open_store

GOOD = Diagnostics(1.004, 900.0, 700.0, 0, 0.8, 6, None, 10.0, 500.0, "beta[x]")


def term(name: str) -> dict:
    prior = {"sd": 1.0}
    return {
        "name": name, "family": "power", "pre_treatment": True, "prior": prior, "reason": "test",
    }  # fmt: skip


def varying(name: str, sd: float, **keys: object) -> dict:
    return {"name": name, "scale": {"sd": sd}, "reason": "test"} | keys


SPEC = ModelSpec.from_dict(
    {
        "name": "small",
        "description": "A small model of a simulated panel.",
        "unit": "dyad-year",
        "population": "politically_relevant",
        "intercept": {"reason": "test"},
        "term": [term("border"), term("ratio")],
        "varying": [
            varying("state", 0.5),
            varying("dyad", 1.0),
            varying("era", 0.3, structure="random_walk", step=5),
        ],
    }
)


def rows(seed: int, n: int, first: int, last: int, states: tuple[int, int]) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    a = rng.integers(states[0], states[1], size=n)
    border, ratio = rng.random(n) < 0.4, rng.normal(size=n)
    p = 1 / (1 + np.exp(2.5 - 1.5 * border - 0.5 * ratio))
    return xr.Dataset(
        {
            "outcome": ("row", (rng.random(n) < p).astype(float)),
            "border": ("row", border.astype(float)),
            "ratio": ("row", ratio),
        },
        coords={
            "year": ("row", np.sort(rng.integers(first, last + 1, size=n))),
            "ccode_a": ("row", a),
            "ccode_b": ("row", a + rng.integers(1, 4, size=n)),
        },
    )


def make_panel(data: xr.Dataset) -> Panel:
    return Panel(data, None, None, "dyad-year", "politically_relevant", "onset", 1, "hand")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel(rows(1, 800, 1980, 2004, (1, 12)))


@pytest.fixture(scope="module")
def fitted(panel) -> Fit:
    return fit(SPEC, panel, seed=3, draws=500)


def test_layout_of_the_posterior(fitted):
    posterior = fitted.posterior["posterior"]
    assert dict(posterior.sizes)["chain"] == 1
    assert posterior["beta"].dims == ("chain", "draw", "term")
    assert posterior["term"].to_numpy().tolist() == ["intercept", "border", "ratio"]
    for code in fitted.encoding.blocks:
        assert posterior[f"sigma_{code.name}"].dims == ("chain", "draw")
        effect = posterior[f"effect_{code.name}"]
        assert effect.dims == ("chain", "draw", f"level_{code.name}")
        assert effect[f"level_{code.name}"].to_numpy().tolist() == list(code.levels)
    assert fitted.posterior["observed_data"]["outcome"].sum() == fitted.panel.data["outcome"].sum()
    json.dumps(fitted.to_dict())
    assert Diagnostics.from_dict(fitted.diagnostics.to_dict()) == fitted.diagnostics
    assert fitted.require_passed() is fitted
    assert fitted.diagnostics.wall_seconds > 0


def test_same_seed_same_fit(panel, fitted):
    again = fit(SPEC, panel, seed=3, draws=500)
    assert again.id == fitted.id
    xr.testing.assert_identical(
        again.posterior["posterior"].to_dataset(), fitted.posterior["posterior"].to_dataset()
    )


def test_warm_start_has_its_own_id_and_the_same_posterior(panel, fitted):
    warm = fit(SPEC, panel, seed=3, draws=500, warm_start=fitted)
    assert warm.id != fitted.id
    one, two = (f.posterior["posterior"]["beta"].to_numpy()[0] for f in (fitted, warm))
    np.testing.assert_allclose(one.mean(0), two.mean(0), atol=0.25 * one.std(0).max())


def test_warm_start_from_fewer_years(panel):
    early = fit(SPEC, panel.select_years(1980, 1998), seed=3, draws=200)
    late = fit(SPEC, panel, seed=3, draws=200, warm_start=early)
    assert np.isfinite(late.posterior["posterior"]["beta"]).all()
    left = WarmStart.from_arrays(early.warm_start().to_arrays())
    again = fit(SPEC, panel, seed=3, draws=200, warm_start=left)
    assert again.id == late.id
    xr.testing.assert_identical(
        again.posterior["posterior"].to_dataset(), late.posterior["posterior"].to_dataset()
    )


def test_outline_is_handed_on_while_the_rows_are_much_the_same(panel):
    last = int(panel.data["year"].max())
    fewer = panel.select_years(last - 14, last)
    left = fit(SPEC, fewer, seed=3, draws=200).warm_start()
    design, _ = encode(SPEC, panel)
    assert len(design.rows.row) > 1.1 * left.outline.rows
    assert left.begin(design).outline is None
    design, _ = encode(SPEC, fewer)
    begin = left.begin(design)
    for name in ("covariance", "scales", "forces", "thirds", "labels"):
        np.testing.assert_array_equal(getattr(begin.outline, name), getattr(left.outline, name))
    # A level that is new is not skewed; one that is gone is left out.
    state = next(block for block in design.blocks if block.name == "state")
    renamed = dataclasses.replace(state, levels=np.append(state.levels[1:], "999"))
    blocks = tuple(renamed if block is state else block for block in design.blocks)
    moved = left.outline.moved_to(dataclasses.replace(design, blocks=blocks))
    assert moved.forces.shape == left.outline.forces.shape
    at = moved.labels.tolist().index("state[999]")
    assert (moved.forces[:, at] == 0).all() and moved.thirds[at] == 0
    before = left.outline.labels.tolist().index(f"state[{state.levels[1]}]")
    after = moved.labels.tolist().index(f"state[{state.levels[1]}]")
    np.testing.assert_array_equal(moved.forces[:, after], left.outline.forces[:, before])
    assert left.outline.moved_to(dataclasses.replace(design, blocks=blocks[:-1])) is None


def test_what_a_fit_leaves_is_the_same_after_it_was_stored(fitted, tmp_path):
    fitted.posterior.to_netcdf(tmp_path / "posterior.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "posterior.nc", engine="h5netcdf") as opened:
        stored = dataclasses.replace(fitted, posterior=opened.load())
    before, after = fitted.warm_start().to_arrays(), stored.warm_start().to_arrays()
    assert "outline:forces" in before
    assert set(before) == set(after)
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)


def test_id_changes_with_all_that_matters(panel):
    data = rows_fingerprint(panel)
    base = fit_id(SPEC, data, "laplace", 1, 500, 1)
    assert base == fit_id(SPEC, data, "laplace", 1, 500, 1, chains=2, tune=77)
    fewer = rows_fingerprint(panel.select_years(1980, 2000))
    changed = panel.data.assign(ratio=panel.data["ratio"] + 1)
    others = {
        fit_id(SPEC, fewer, "laplace", 1, 500, 1),
        fit_id(SPEC, rows_fingerprint(panel.with_data(changed)), "laplace", 1, 500, 1),
        fit_id(SPEC, data, "nuts", 1, 500, 1),
        fit_id(SPEC, data, "nuts", 1, 500, 1, chains=2),
        fit_id(SPEC, data, "laplace", 2, 500, 1),
        fit_id(SPEC, data, "laplace", 1, 501, 1),
        fit_id(SPEC, data, "laplace", 1, 500, 2),
        fit_id(SPEC.model_copy(update={"lag": 2}), data, "laplace", 1, 500, 1),
    }
    assert len(others | {base}) == 9


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "laplce"}, UnknownNameError, "Did you mean 'laplace'"),
        ({"seed": -1}, ArgumentError, "seed=-1"),
        ({"seed": 1.5}, ArgumentError, "seed=1.5"),
        ({"draws": 5}, ArgumentError, "draws=5: expected a whole number, 100"),
        ({"chains": 0}, ArgumentError, "chains=0"),
        ({"tune": True}, ArgumentError, "tune=True"),
    ],
)
def test_unusable_options(panel, options, error, message, monkeypatch):
    monkeypatch.setattr(module, "encode", lambda *_: pytest.fail("built before it was checked"))
    with pytest.raises(error, match=message):
        fit(SPEC, panel, **({"seed": 1} | options))


def test_no_onset_is_refused_in_words(panel):
    data = panel.data.assign(outcome=panel.data["outcome"] * 0)
    with pytest.raises(DataError, match="0 with an onset"):
        fit(SPEC, panel.with_data(data), seed=1)


def test_a_good_fit_passes_the_gate():
    assert gate(GOOD).passed
    laplace = dataclasses.replace(
        GOOD, max_rhat=None, divergences=None, min_ebfmi=None, pareto_k=0.3
    )
    assert gate(laplace).passed
    assert gate(dataclasses.replace(laplace, pareto_k=0.64, proposals=1000)).passed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_rhat": 1.02}, r"R-hat 1.020 > 1.01 \(worst: beta\[x\]\).*longer tune="),
        ({"max_rhat": float("nan")}, "R-hat nan"),
        ({"min_ess_bulk": 399.0}, r"\(bulk\) 399 < 400.*about 2 times"),
        ({"min_ess_tail": 0.0}, r"\(tail\) 0 < 400.*about 10 times"),
        ({"divergences": 1}, "1 divergent transitions > 0.*longer tune="),
        ({"min_ebfmi": 0.2}, "E-BFMI 0.20 < 0.3"),
        ({"pareto_k": 0.71}, 'Pareto k 0.71 > 0.7: .*method="nuts"'),
        ({"pareto_k": 0.71, "proposals": 9000}, "Pareto k 0.71 > 0.7: "),
        ({"pareto_k": 0.64, "proposals": 500}, r"Pareto k 0.64 > 0.63 \(of 500 proposals\)"),
        ({"pareto_k": float("nan")}, "Pareto k nan"),
    ],
)
def test_the_gate_says_what_failed_and_what_to_try(change, message):
    result = gate(dataclasses.replace(GOOD, **change))
    assert not result.passed
    assert len(result.failures) == 1
    with pytest.raises(AssertionError):
        assert result.passed
    import re

    assert re.search(message, result.failures[0], re.DOTALL)


@pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")
def test_a_fit_that_has_not_converged_is_refused_with_draws_that_stay_on_disk(panel, tmp_path):
    """Real chains, far too short: nothing about the diagnostics is made up."""
    small = SPEC.model_copy(update={"varying": SPEC.varying[:1]})
    options = {"method": "nuts", "seed": 3, "draws": 100, "tune": 50, "chains": 2}
    short = fit(small, panel, **options, store=tmp_path / "draws")
    with pytest.raises(GateRefusedError, match="Effective sample size") as refused:
        short.require_passed()
    assert "tune=" in str(refused.value) or "draws=" in str(refused.value)
    assert short.diagnostics.min_ess_bulk < GATE.min_ess
    effects = short.posterior["posterior"].variables["effect_state"]
    assert not effects._in_memory
    # Predictions and artifacts read the draws from the folder.
    probability = predict(short, panel)
    assert probability.sizes["draw"] == 200
    store = open_store(tmp_path / "store")
    store.save(short)
    again = store.load(short.id)
    xr.testing.assert_allclose(
        again.posterior["posterior"].to_dataset(), short.posterior["posterior"].to_dataset()
    )
    with pytest.raises(ArgumentError, match=r"store='.*' exists"):
        fit(small, panel, **options, store=str(tmp_path / "draws"))


@pytest.mark.parametrize("option", [{"store": "folder"}, {"workers": 2}])
def test_options_of_chains_are_refused_for_laplace(panel, option):
    with pytest.raises(ArgumentError, match=r"with method='laplace', expected method='nuts'"):
        fit(SPEC, panel, seed=1, **option)


def test_a_fit_that_failed_is_refused(fitted):
    bad = dataclasses.replace(
        fitted, diagnostics=dataclasses.replace(fitted.diagnostics, pareto_k=1.2)
    )
    with pytest.raises(GateRefusedError, match=r"Pareto k 1\.20"):
        bad.require_passed()
    assert bad.to_dict()["gate"]["passed"] is False


def test_chains_that_disagree_or_do_not_move_do_not_pass():
    rng = np.random.default_rng(1)
    apart = rng.normal(size=(4, 500)) + np.array([0, 0, 0, 3.0])[:, None]
    stuck = np.ones((4, 500))
    for name, values in (("apart", apart), ("stuck", stuck)):
        data = xr.Dataset(
            {
                "good": (("chain", "draw"), rng.normal(size=(4, 500))),
                name: (("chain", "draw"), values),
            }
        )
        rhat, bulk, _, worst = chain_diagnostics(data)
        assert rhat > GATE.max_rhat
        assert bulk < GATE.min_ess
        assert worst == name


# -- predictions ---------------------------------------------------------------------------


def test_predictions_of_the_rows_of_the_fit(fitted, panel):
    found = predict(fitted, panel)
    assert found.dims == ("draw", "row")
    assert found.dtype == np.float32
    assert found.attrs["rows_with_new_levels"] == {"state": 0, "dyad": 0, "era": 0}
    posterior = fitted.posterior["posterior"]
    encoded = fitted.encoding.apply(panel)
    eta = posterior["beta"].to_numpy()[0] @ encoded.X.T
    for block in encoded.blocks:
        eta += posterior[f"effect_{block.name}"].to_numpy()[0] @ block.matrix.T
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-eta)), rtol=2e-5)
    mean = found.mean("draw").to_numpy()
    assert mean.mean() == pytest.approx(panel.data["outcome"].to_numpy().mean(), abs=0.02)
    assert "year" in found.coords


def test_new_levels_come_from_their_population(fitted):
    new = make_panel(rows(9, 60, 2012, 2013, (50, 60)))
    eta = linear_predictor(fitted, new, seed=4)
    assert eta.attrs["rows_with_new_levels"] == {"state": 60, "dyad": 60, "era": 60}
    posterior = fitted.posterior["posterior"]
    encoded = fitted.encoding.apply(new)
    base = posterior["beta"].to_numpy()[0] @ encoded.X.T
    rest = eta.to_numpy() - base
    # 2 states, a dyad, and the walk: last level 2000, then 2005 and 2010.
    scale = {b: posterior[f"sigma_{b}"].to_numpy()[0] for b in ("state", "dyad", "era")}
    last = posterior["effect_era"].to_numpy()[0, :, -1]
    expected = 2 * scale["state"] ** 2 + scale["dyad"] ** 2 + 2 * scale["era"] ** 2
    assert rest.var(0).mean() == pytest.approx(expected.mean() + last.var(), rel=0.3)
    assert rest.mean() == pytest.approx(last.mean(), abs=0.15)
    again = linear_predictor(fitted, new, seed=4)
    np.testing.assert_array_equal(eta, again)
    assert not np.array_equal(eta, linear_predictor(fitted, new, seed=5))


def test_a_new_level_is_the_same_whatever_else_is_asked(fitted):
    new = make_panel(rows(9, 60, 2012, 2013, (50, 60)))
    whole = linear_predictor(fitted, new, seed=4).to_numpy()
    part = linear_predictor(fitted, new.with_data(new.data.isel(row=slice(40, 45))), seed=4)
    np.testing.assert_allclose(part, whole[:, 40:45], rtol=1e-5, atol=1e-5)


def test_forecasts_widen_with_the_walk(fitted, panel):
    def spread(year: int) -> float:
        data = panel.data.isel(row=slice(0, 5)).assign_coords(year=("row", np.full(5, year)))
        return float(linear_predictor(fitted, panel.with_data(data)).std("draw").mean())

    assert spread(2004) < spread(2020) < spread(2060)


def test_fewer_draws_and_bad_requests(fitted, panel):
    assert predict(fitted, panel, draws=50).sizes["draw"] == 50
    with pytest.raises(ArgumentError, match="draws=501: the fit has 500"):
        predict(fitted, panel, draws=501)
    encoded = fitted.encoding.apply(panel)
    other = dataclasses.replace(encoded, names=("intercept", "border", "x"))
    with pytest.raises(ArgumentError, match="encoded for another model"):
        predict(fitted, other)

"""Initiation, state onset, escalation, resolution: what is shipped, encoded, fitted and scored."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from support.modeling_panels import content, panel, rows, term, varying

from forecast.errors import SpecificationError, UnknownNameError
from forecast.evaluation.baselines import Logit, baselines_for
from forecast.evaluation.origins import target_rows, training_panel
from forecast.inference.fit import fit
from forecast.inference.predict import predict, prior_predictive
from forecast.modeling.design import encode
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.build import load_panel
from forecast.panel.types import Panel
from forecast.paths import models_folder
from forecast.run import panel_options
from forecast.sources.tables import Tables
from forecast.store import open_store

MODELS = (
    "directed_initiation",
    "directed_initiation_historical",
    "state_onset",
    "escalation",
    "resolution",
)
#: Years that keep the tests quick.
YEARS = {
    "directed_initiation": (1985, 1999),
    "directed_initiation_historical": (1985, 1999),
    "state_onset": (1975, 2004),
    "escalation": (1955, 2004),
    "resolution": (1965, 1999),
}


DETERRENCE = {
    "target_outside_defense",
    "challenger_outside_defense",
    "challenger_outside_offense",
    "challenger_outside_neutrality",
    "shared_allies",
    "target_new_pact",
    "challenger_new_pact",
    "target_expansion_at_border",
}


@pytest.fixture(scope="module")
def panels(tables: Tables) -> dict[str, Panel]:
    """A slice of the embedded data for each model."""
    return {
        name: load_panel(data=tables, years=YEARS[name], **panel_options(load_model(name)))
        for name in MODELS
    }


@pytest.mark.parametrize("name", MODELS)
def test_every_term_has_its_own_reason(name: str) -> None:
    table = tomllib.loads((models_folder() / f"{name}.toml").read_text())
    given = [item["reason"] for key in ("term", "smooth", "varying") for item in table.get(key, ())]
    assert len(given) == len(set(given))
    assert min(map(len, given)) > 35


@pytest.mark.parametrize("name", MODELS)
def test_alliance_coefficients_have_the_priors_of_the_design(name: str) -> None:
    spec = load_model(name)
    alliance = {"expansion", "dependency", "commitment", "deterrence", "reliability", "structure"}
    for one in spec.terms:
        sd = 0.5 if one.family in alliance else 1.0
        if name == "directed_initiation_historical" and one.name in DETERRENCE:
            sd = 0.05  # kept for the question, not for the forecast
        assert (one.prior.mean, one.prior.sd) == (0.0, sd)
    bare = spec.without()
    assert not alliance & {one.family for one in bare.entries}
    assert len(bare.entries) < len(spec.entries)


@pytest.mark.parametrize("name", MODELS)
def test_prior_predictive_is_plausible(panels: dict[str, Panel], name: str) -> None:
    """The observed rate lies in the middle 90% of what the priors expect."""
    design, encoding = encode(load_model(name), panels[name])
    # Of disputes whose deaths are documented: a third of those with an account have no figure.
    known = int(np.isfinite(panels[name].data["outcome"].to_numpy()).sum())
    assert design.y.size > 0.85 * known
    draws = prior_predictive(design, draws=150, seed=20261122)
    low, high = np.quantile(draws["rate"], [0.05, 0.95])
    assert low <= float(draws["observed_rate"]) <= high
    assert encoding.unit == panels[name].unit


@pytest.mark.parametrize("name", ["state_onset", "escalation", "resolution"])
def test_quick_fit_passes_the_gate_and_predicts(panels: dict[str, Panel], name: str) -> None:
    given = panels[name]
    given = given.with_data(given.data.isel(row=np.isfinite(given.data["outcome"].to_numpy())))
    if name == "state_onset":
        given = given.select_years(1980, 2004)
    found = fit(load_model(name), given, seed=1, draws=1000)
    assert found.gate().passed, found.gate().failures
    p = predict(found, given)
    observed = found.posterior["observed_data"]["outcome"].to_numpy()
    mean = p.mean("draw").to_numpy()
    assert mean.mean() == pytest.approx(observed.mean(), rel=0.25)
    assert mean[observed == 1].mean() > 1.2 * mean[observed == 0].mean()


def test_a_fit_of_disputes_is_kept(panels: dict[str, Panel], tmp_path: Path) -> None:
    """Rows that are named by dispute, and effects of disputes, come back as they were."""
    given = panels["resolution"].select_years(1985, 1999)
    found = fit(load_model("resolution"), given, seed=2, draws=400)
    store = open_store(str(tmp_path))
    store.save(found)
    again = store.load(found.id)
    assert again.encoding == found.encoding
    one, two = (predict(f, f.panel, draws=50).to_numpy() for f in (found, again))
    np.testing.assert_array_equal(one, two)


def test_initiation_is_fitted_with_both_sides(panels: dict[str, Panel]) -> None:
    given = panels["directed_initiation"].select_years(1990, 1996)
    found = fit(load_model("directed_initiation"), given, seed=1, draws=400)
    assert found.gate().passed, found.gate().failures
    blocks = {code.name for code in found.encoding.blocks}
    assert blocks >= {"challenger", "target", "dyad", "era", "slope"}
    p = predict(found, given).mean("draw")
    rows_ = p.to_dataframe().reset_index(drop=True)
    there = rows_.set_index(["year", "ccode_a", "ccode_b"])["probability"]
    back = rows_.set_index(["year", "ccode_b", "ccode_a"])["probability"]
    assert there.index.is_unique
    # The two directions of a pair have forecasts of their own.
    assert (there - back.reindex(there.index)).abs().max() > 0.01


def test_the_historical_model_asks_the_same_and_loses_no_row(panels: dict[str, Panel]) -> None:
    names = "directed_initiation_historical", "directed_initiation"
    ours, theirs = map(load_model, names)
    for fact in ("unit", "population", "outcome", "lag"):
        assert getattr(ours, fact) == getattr(theirs, fact)
    assert {one.name for one in ours.terms} & {one.name for one in theirs.terms} >= DETERRENCE
    given = panels["directed_initiation_historical"]
    design, _ = encode(ours, given)
    assert design.y.size == int(np.isfinite(given.data["outcome"].to_numpy()).sum())


def test_both_directions_of_a_pair_are_one_block_of_the_bootstrap(panels: dict[str, Panel]) -> None:
    given = panels["directed_initiation"].select_years(1990, 1990)
    table = target_rows(given, 1990, 1)
    pair = np.sort(table[["ccode_a", "ccode_b"]].to_numpy(), axis=1)
    assert table["unit"].nunique() == len(np.unique(pair, axis=0)) == len(table) // 2


def test_another_outcome_after_a_colon() -> None:
    made = load_model("resolution:stalemated")
    assert (made.name, made.outcome) == ("resolution_stalemated", "stalemated")
    assert made.terms == load_model("resolution").terms
    assert made.sha256 != load_model("resolution").sha256
    assert load_model("resolution:settled") == load_model("resolution")
    with pytest.raises(UnknownNameError, match="resolution"):
        load_model("resolutoin:stalemated")


def test_slopes_of_treaty_features_by_era(panels: dict[str, Panel]) -> None:
    spec = load_model("state_onset")
    design, encoding = encode(spec, panels["state_onset"])
    slope = encoding.block("slope")
    assert "alliance:depth" in slope.columns
    at = list(encoding.names).index("alliance:depth")
    block = next(b for b in design.blocks if b.name == "slope")
    levels = block.levels.tolist()
    late = design.rows["year"].to_numpy() >= 1990
    weights = block.matrix[:, [levels.index("alliance:depth|post_cold_war")]].toarray().ravel()
    np.testing.assert_array_equal(weights, np.where(late, design.X[:, at], 0.0))
    assert "alliance:depth" not in spec.without().slope_terms()
    assert all(f"alliance:{f.feature}" in encoding.names for f in spec.alliance_level.feature)  # type: ignore[union-attr]
    with pytest.raises(SpecificationError, match="alliance:depth"):
        ModelSpec.from_dict(
            spec.to_dict()
            | {"varying": [varying("slope", 0.25, terms=["alliance:dept"])], "name": "misspelt"}
        )


# ---------------------------------------------------------------------------- effects of disputes


def dispute_rows(ids: list[str], **columns: list[float]) -> xr.Dataset:
    """One row for each id, all of the pair 2-20."""
    years = list(range(1990, 1990 + len(ids)))
    data = rows(years, [(2, 20)] * len(ids), **columns)
    return data.assign_coords(conflict_id=("row", np.array(ids)))


def dispute_spec() -> ModelSpec:
    return ModelSpec.from_dict(
        content(
            unit="dispute-dyad",
            population="originators",
            outcome="escalation_to_war",
            term=[term("border")],
            smooth=[],
            era=[],
            varying=[varying("dispute", 1.0)],
        )
    )


def test_spells_of_a_dispute_share_its_effect() -> None:
    data = dispute_rows(
        ["mid-7", "mid-12", "mid-7.2", "mid-12"], outcome=[0, 1, 1, 0], border=[0, 1, 1, 0]
    )
    given = panel(data, unit="dispute-dyad", population="originators", outcome="escalation_to_war")
    design, encoding = encode(dispute_spec(), given)
    assert design.blocks[0].levels.tolist() == ["mid-12", "mid-7"]
    np.testing.assert_array_equal(
        design.blocks[0].matrix.toarray(), [[0, 1], [1, 0], [0, 1], [1, 0]]
    )
    assert design.rows["conflict_id"].to_numpy().tolist()[2] == "mid-7.2"
    new = dispute_rows(["mid-9", "mid-7", "mid-30.3", "mid-9"], border=[1, 1, 0, 0])
    block = encoding.apply(new).blocks[0]
    assert block.unknown_levels == ("mid-30", "mid-9")
    np.testing.assert_array_equal(block.matrix.toarray(), [[0, 0], [0, 1], [0, 0], [0, 0]])
    np.testing.assert_array_equal(block.unknown.toarray(), [[0, 1], [0, 0], [1, 0], [0, 1]])
    again = type(encoding).from_dict(encoding.to_dict())
    assert again.block("dispute") == encoding.block("dispute")


def test_rows_without_a_dispute_are_refused() -> None:
    data = dispute_rows(["x-1", "x-2"], outcome=[0, 1], border=[0, 1]).drop_vars("conflict_id")
    given = panel(data, unit="dispute-dyad", population="originators", outcome="escalation_to_war")
    with pytest.raises(Exception, match="conflict_id"):
        encode(dispute_spec(), given)
    with pytest.raises(SpecificationError, match="dispute"):
        ModelSpec.from_dict(content(varying=[varying("dispute", 1.0)]))


def test_a_term_that_no_row_has_is_left_out_if_it_may() -> None:
    data = dispute_rows(["x-1", "x-2", "x-3"], outcome=[0, 1, 0], border=[0, 1, 1])
    data["igos"] = ("row", np.full(3, np.nan))
    given = panel(data, unit="dispute-dyad", population="originators", outcome="escalation_to_war")
    base = dispute_spec().to_dict()

    def with_term(**keys: str) -> ModelSpec:
        return ModelSpec.from_dict(base | {"term": [*base["term"], term("igos", **keys)]})

    _, encoding = encode(with_term(missing="indicator", if_constant="drop"), given)
    assert encoding.names == ("intercept", "border")
    assert "igos: no value in this sample, left out" in encoding.notes
    assert encoding.apply(given).X.shape == (3, 2)
    with pytest.raises(SpecificationError, match="every value is missing"):
        encode(with_term(missing="indicator"), given)


# --------------------------------------------------------------------------------------- scoring


def test_a_dispute_that_still_runs_is_not_learnt_from(panels: dict[str, Panel]) -> None:
    """How far it rises may be decided after the origin."""
    data = panels["escalation"].data
    known = training_panel(panels["escalation"], 1991).data
    assert int(known["end_year"].max()) < 1991
    begun = (data["year"] < 1991) & (data["end_year"] >= 1991)
    assert int(begun.sum()) > 0
    before = int((data["year"] < 1991).sum())
    assert known.sizes["row"] <= before - int(begun.sum())


def test_baselines_of_each_unit(panels: dict[str, Panel]) -> None:
    for name, given in panels.items():
        strongest = baselines_for(load_model(name).unit)[-1]
        assert isinstance(strongest, Logit)
        early = given.select_years(0, 1990)
        known = np.isfinite(early.data["outcome"].to_numpy())
        early = early.with_data(early.data.isel(row=known))
        late = given.select_years(1991, 9999)
        p = strongest.fit(early, seed=1).predict(late, seed=1)
        assert p.shape == (1, late.data.sizes["row"])
        assert ((p > 0) & (p < 1)).all()
        y = late.data["outcome"].to_numpy()
        known = np.isfinite(y)
        assert p[0, known][y[known] == 1].mean() > p[0, known][y[known] == 0].mean()
    with pytest.raises(UnknownNameError, match="dispute-dyad"):
        baselines_for("dispute-dyads")


def test_baseline_finds_what_made_the_outcomes(rng: np.random.Generator) -> None:
    n = 20_000
    x = rng.gamma(2.0, 4.0, size=n)
    y = rng.random(n) < 1.0 / (1.0 + np.exp(2.0 - 0.8 * np.log1p(x)))
    data = dispute_rows(["x"] * n, outcome=y.tolist(), months_elapsed=x.tolist())
    data["year"] = ("row", np.full(n, 1990))
    given = panel(data, unit="dispute-dyad-month", population="originators", outcome="settled")
    logit = Logit("one", (), own=("months_elapsed",), logged=("months_elapsed",), powers=())
    p = logit.fit(given, seed=1).predict(given, seed=1)[0]
    truth = 1.0 / (1.0 + np.exp(2.0 - 0.8 * np.log1p(x)))
    np.testing.assert_allclose(p, truth, atol=0.03)
    gone = given.with_data(given.data.assign(months_elapsed=("row", np.where(x > 20, np.nan, x))))
    assert np.isfinite(logit.fit(gone, seed=1).predict(gone, seed=1)).all()


def test_rows_are_the_same_for_another_outcome(panels: dict[str, Panel], tables: Tables) -> None:
    spec = load_model("escalation:escalation_to_war")
    other = load_panel(data=tables, years=YEARS["escalation"], **panel_options(spec))
    assert other.fingerprint != panels["escalation"].fingerprint
    assert other.data.sizes == panels["escalation"].data.sizes
    assert other.outcome == "escalation_to_war"

"""The two shipped models on the embedded data set."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
import xarray as xr

from forecast.modeling.design import Design
from forecast.modeling.encode import encode
from forecast.modeling.encoding import Encoding, complete
from forecast.modeling.prior import prior_predictive
from forecast.modeling.spec import load_model
from forecast.panel.build import future_panel, load_panel
from forecast.panel.types import Panel
from forecast.paths import models_folder
from forecast.sources.tables import Tables

Encoded = tuple[Panel, Design, Encoding]


@pytest.fixture(scope="module")
def dyads(tables: Tables) -> Encoded:
    panel = load_panel(data=tables, unit="dyad-year")
    return panel, *encode(load_model("dyad_onset"), panel)


@pytest.fixture(scope="module")
def states(tables: Tables) -> Encoded:
    panel = load_panel(data=tables, unit="state-year")
    return panel, *encode(load_model("state_onset"), panel)


@pytest.fixture(params=["dyads", "states"])
def either(request: pytest.FixtureRequest) -> Encoded:
    found: Encoded = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("name", ["dyad_onset", "state_onset"])
def test_every_prior_has_its_reason(name: str) -> None:
    content = tomllib.loads((models_folder() / f"{name}.toml").read_text())

    def reasons(table: object) -> list[str]:
        if isinstance(table, list):
            return [reason for item in table for reason in reasons(item)]
        if not isinstance(table, dict):
            return []
        if {"prior", "scale"} & set(table):
            assert len(table["reason"]) > 40, table
        return [r for v in table.values() for r in reasons(v)] + [table.get("reason", "")]

    given = [reason for reason in reasons(content) if reason]
    assert len(given) == len(set(given)), "the same reason twice"


def test_priors_are_those_of_the_design() -> None:
    spec = load_model("dyad_onset")
    alliance = {"expansion", "dependency", "commitment", "deterrence", "structure"}
    for term in spec.terms:
        wide = 1.5 if term.name == "under_way" else 1.0  # a stratum of rows of its own
        assert (term.prior.mean, term.prior.sd) == (0.0, 0.5 if term.family in alliance else wide)
    assert {group.name: group.scale.sd for group in spec.varying} == {
        "state": 0.5, "dyad": 1.0, "era": 0.3, "slope": 0.25,
    }  # fmt: skip
    assert spec.slope_terms() == tuple(t.name for t in spec.terms if t.family in alliance)
    assert 10 <= len(spec.slope_terms()) <= 14
    level = load_model("state_onset").alliance_level
    assert level is not None
    assert (level.prior.sd, level.scale.sd) == (0.5, 0.5)


def test_every_row_and_onset_is_accounted_for(either: Encoded) -> None:
    panel, design, encoding = either
    dropped = sum(dict(encoding.dropped).values())
    assert design.y.size + dropped == panel.data.sizes["row"]
    assert design.y.size > 0.9 * panel.data.sizes["row"]
    assert design.X.shape == (design.y.size, len(encoding.names))


def test_columns_are_on_the_scale_of_the_priors(either: Encoded) -> None:
    """Centred; binary columns have an s.d. of at most a half, the others of about a half."""
    _, design, _ = either
    plain = [j for j, n in enumerate(design.names) if j and "[" not in n]  # no splines
    np.testing.assert_allclose(design.X[:, plain].mean(axis=0), 0.0, atol=1e-9)
    assert design.X[:, plain].std(axis=0).max() < 0.5 + 1e-9


def test_prior_predictive_is_plausible(either: Encoded) -> None:
    """What was observed lies in the middle 90% of what the priors expect, in every respect."""
    _, design, _ = either
    draws = prior_predictive(design, draws=200, seed=20261121)
    simulated: xr.Dataset = draws.assign(yearly=draws["onsets"].mean("year"))
    simulated["observed_yearly"] = draws["observed_onsets"].mean()
    for name in ("yearly", "share_without", "share_3_or_more", "share_5_or_more"):
        low, high = np.quantile(simulated[name], [0.05, 0.95])
        observed = float(simulated[f"observed_{name}"])
        assert low <= observed <= high, (name, low, observed, high)


def test_next_year_can_be_encoded(either: Encoded) -> None:
    panel, _, encoding = either
    last = int(panel.data["year"].max())
    rows = encoding.apply(future_panel(panel, year=last + 1))
    assert np.isfinite(rows.X).all()
    assert rows.X.shape[1] == len(encoding.names)
    assert set(rows.rows["year"].to_numpy()) == {last + 1}


def test_era_of_the_last_rows_is_open(dyads: Encoded) -> None:
    _, design, encoding = dyads
    slope = encoding.block("slope")
    assert [era[0] for era in slope.eras] == ["cold_war", "post_cold_war", "renewed_rivalry"]
    assert slope.era_of([1989, 1990, 2013, 2014, 2060]).tolist() == [0, 1, 1, 2, 2]
    assert len(slope.levels) == 3 * len(slope.columns)
    assert (np.diff(design.blocks[3].matrix.indptr) == len(slope.columns)).all()


def test_earlier_windows_can_be_fitted(dyads: Encoded) -> None:
    """A rolling origin refits on what was known then: no era, no column may stand in its way."""
    panel = dyads[0]
    for last in (1975, 1995):
        _, encoding = encode(load_model("dyad_onset"), panel.select_years(1946, last))
        later = encoding.apply(panel.select_years(last + 1, last + 1))
        assert np.isfinite(later.X).all()


def test_first_years_of_states_are_learnt_with_what_is_known_of_them(dyads: Encoded) -> None:
    """Borders, rank and capability of the year itself, no history, alliances unknown."""
    panel, _, encoding = dyads
    assert panel.world is not None
    spec = load_model("dyad_onset")
    full = complete(panel, spec.entries)
    world, data = panel.world, full.data
    member = world["member"].to_numpy()
    at = data["year"].to_numpy() - int(world["year"][0])
    codes = world["state"].to_numpy()
    a, b = (np.searchsorted(codes, data[c].to_numpy()) for c in ("ccode_a", "ccode_b"))
    first = ~(member[at - 1, a] & member[at - 1, b])
    kept = np.zeros(first.size, dtype=bool)
    kept[encoding.apply(full).kept] = True
    onsets = data["outcome"].to_numpy()
    # All 1,189 rows with 21 onsets but those before 1951, when no row has its windows.
    assert (first.sum(), onsets[first].sum()) == (1_189, 21)
    assert ((first & kept).sum(), onsets[first & kept].sum()) == (1_125, 14)
    assert (data["year"].to_numpy()[first & ~kept] < 1951).all()
    for entry in spec.entries:
        values = data[entry.name].to_numpy()[first & kept]
        if entry.family in ("geography", "power"):
            assert entry.at_entry == "current"
            assert np.isfinite(values).all(), entry.name
        elif entry.family == "history":
            assert np.isfinite(values).all(), entry.name
            if entry.name not in ("state_disputes_recent", "system_disputes_recent"):
                assert (values == 0).all(), entry.name  # nothing can have been between the two
        else:
            assert np.isnan(values).all(), entry.name  # a zero would be a claim

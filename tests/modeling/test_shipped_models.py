"""The two shipped models on the embedded data set.

All pairs are the population of ``dyad_onset``. What does not depend on it is tested on the tenth
of them that is politically relevant, in all years; the rest on all pairs of the last years.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from forecast.features.successions import SUCCESSIONS
from forecast.inference.predict import prior_predictive
from forecast.modeling.design import Design, encode
from forecast.modeling.encoding import Encoding, complete
from forecast.modeling.spec import load_model
from forecast.modeling.terms import ALLIANCE_FAMILIES
from forecast.panel.build import future_panel, load_panel
from forecast.panel.types import Panel
from forecast.paths import models_folder
from forecast.sources.tables import Tables

Encoded = tuple[Panel, Design, Encoding]

ROOT = Path(__file__).resolve().parents[2]

#: Terms whose priors come from two centuries of official data, here and in `benchmarks/borrow.py`.
BORROWED = (
    "defense_pact", "nonaggression_pact", "ally_in_dispute_max", "ally_in_dispute_min",
    "ally_in_dispute_elsewhere", "disputes_with_allies",
)  # fmt: skip


@pytest.fixture(scope="module")
def dyads(tables: Tables) -> Encoded:
    panel = load_panel(data=tables, population="politically_relevant")
    return panel, *encode(load_model("dyad_onset").with_population("politically_relevant"), panel)


@pytest.fixture(scope="module")
def every_pair(tables: Tables) -> Encoded:
    panel = load_panel(data=tables, years=(2018, 2025))
    return panel, *encode(load_model("dyad_onset"), panel)


@pytest.fixture(scope="module")
def states(tables: Tables) -> Encoded:
    panel = load_panel(data=tables, unit="state-year")
    return panel, *encode(load_model("state_onset"), panel)


@pytest.fixture(params=["dyads", "every_pair", "states"])
def each(request: pytest.FixtureRequest) -> Encoded:
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
    # Levels of strata, and what moves the odds tenfold, are wide.
    wide = {
        "politically_relevant": 2.0, "under_way": 1.5, "contiguity_closeness": 2.5,
        "capability_ratio": 2.5,
    }  # fmt: skip
    for term in spec.terms:
        if term.name in BORROWED:
            continue
        narrow = term.family in ALLIANCE_FAMILIES  # wider ones made forecasts worse
        expected = 0.05 if narrow else wide.get(term.name, 1.0)
        assert (term.name, term.prior.mean, term.prior.sd) == (term.name, 0.0, expected)
    assert spec.intercept.sd == 3.0
    assert [(group.block, group.scale.sd) for group in spec.varying] == [
        ("state", 0.05), ("dyad", 0.15), ("era", 0.1), ("slope_by_politically_relevant", 0.5),
        ("slope_by_under_way", 0.5), ("slope", 0.05),
    ]  # fmt: skip
    assert spec.slope_terms() == BORROWED
    level = load_model("state_onset").alliance_level
    assert level is not None
    assert (level.prior.sd, level.scale.sd) == (0.5, 0.5)


def test_borrowed_priors_are_of_pacts_and_of_disputes_along_alliances() -> None:
    """They alone have a mean that is not zero, and a product that says how far pairs differ."""
    spec = load_model("dyad_onset")
    means = {t.name for t in (*spec.terms, *spec.interactions) if t.prior.mean != 0}
    assert means == {*BORROWED, *(f"{name}_far" for name in BORROWED)}
    assert {i.of for i in spec.interactions if i.name in means} == {(n, "far") for n in BORROWED}
    # Narrower than the wide prior (s.d. 1) under which two centuries were fitted: they say much.
    borrowed = [t for t in (*spec.terms, *spec.interactions) if t.name in means]
    assert all(t.prior.sd < 0.5 for t in borrowed)


@pytest.mark.long
@pytest.mark.reference
def test_borrowed_priors_are_those_of_the_official_sources(historical_cache: Path) -> None:
    """`benchmarks/borrow.py` fits two centuries, translates and compares with the file."""
    command = [sys.executable, str(ROOT / "benchmarks" / "borrow.py"), "--check"]
    environment = {**os.environ, "FORECAST_DATA": str(historical_cache)}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    for name in BORROWED:
        assert f"{name}_far: {{ distribution" in found.stdout


def test_relevant_and_remote_pairs_have_slopes_of_their_own(every_pair: Encoded) -> None:
    _, design, encoding = every_pair
    code = encoding.block("slope_by_politically_relevant")
    assert code.by == ("politically_relevant",)
    assert {"contiguity_closeness", "disputes_total", "disputes_recent"} <= set(code.columns)
    assert len(code.levels) == 2 * len(code.columns)
    relevant = design.X[:, design.names.index("politically_relevant")] > 0
    assert 0.05 < relevant.mean() < 0.15
    block = next(block for block in design.blocks if block.name == code.name)
    at = design.names.index("disputes_recent")
    for level in (name for name in code.levels if name.startswith("disputes_recent|")):
        used = np.asarray(block.matrix[:, [code.levels.index(level)]].todense()).ravel()
        own = relevant if np.any(used[relevant]) else ~relevant
        np.testing.assert_allclose(used, np.where(own, design.X[:, at], 0.0))


def test_every_row_and_onset_is_accounted_for(each: Encoded) -> None:
    panel, design, encoding = each
    dropped = sum(dict(encoding.dropped).values())
    assert design.y.size + dropped == panel.data.sizes["row"]
    assert design.y.size > 0.9 * panel.data.sizes["row"]
    assert design.X.shape == (design.y.size, len(encoding.names))


def test_columns_are_on_the_scale_of_the_priors(each: Encoded) -> None:
    """Centred; binary columns have an s.d. of at most a half, the others of about a half."""
    _, design, _ = each
    plain = [j for j, n in enumerate(design.names) if j and "[" not in n]  # no splines
    np.testing.assert_allclose(design.X[:, plain].mean(axis=0), 0.0, atol=1e-9)
    assert design.X[:, plain].std(axis=0).max() < 0.5 + 1e-9


def test_prior_predictive_is_plausible(each: Encoded) -> None:
    """What was observed lies in the middle 90% of what the priors expect, in every respect."""
    _, design, _ = each
    draws = prior_predictive(design, draws=100, seed=20261121)
    simulated: xr.Dataset = draws.assign(yearly=draws["onsets"].mean("year"))
    simulated["observed_yearly"] = draws["observed_onsets"].mean()
    for name in ("yearly", "share_without", "share_3_or_more", "share_5_or_more"):
        low, high = np.quantile(simulated[name], [0.05, 0.95])
        observed = float(simulated[f"observed_{name}"])
        assert low <= observed <= high, (name, low, observed, high)


def test_next_year_can_be_encoded(each: Encoded) -> None:
    panel, _, encoding = each
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
    (block,) = (block for block in design.blocks if block.name == "slope")
    assert (np.diff(block.matrix.indptr) == len(slope.columns)).all()


def test_earlier_windows_can_be_fitted(dyads: Encoded) -> None:
    """A rolling origin refits on what was known then: no era, no column may stand in its way."""
    panel = dyads[0]
    for last in (1975, 1995):
        spec = load_model("dyad_onset").with_population("politically_relevant")
        _, encoding = encode(spec, panel.select_years(1946, last))
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
    # All 1,189 rows with 19 onsets but those before 1951, when no row has its windows.
    assert (first.sum(), onsets[first].sum()) == (1_189, 19)
    assert ((first & kept).sum(), onsets[first & kept].sum()) == (1_125, 11)
    assert (data["year"].to_numpy()[first & ~kept] < 1951).all()
    renamed = [(s.successor, s.year) for s in SUCCESSIONS]
    relabelled = np.logical_or.reduce(
        [(data["year"].to_numpy() == y) & ((codes[a] == c) | (codes[b] == c)) for c, y in renamed]
    )[first & kept]
    for entry in spec.entries:
        values = data[entry.name].to_numpy()[first & kept]
        if entry.family in ("geography", "power"):
            assert entry.at_entry == "current"
            assert np.isfinite(values).all(), entry.name
        elif entry.family == "history":
            assert np.isfinite(values).all(), entry.name
            if not entry.name.startswith("other_disputes"):  # of one side with third states
                # Nothing can have been between the two, but with a state under its former number.
                assert (values[~relabelled] == 0).all(), entry.name
                assert entry.name != "peace_years" or (values[relabelled] > 0).any()
        else:
            assert np.isnan(values).all(), entry.name  # a zero would be a claim

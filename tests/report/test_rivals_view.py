"""Rival theories in the report: only when asked for, and refuted ones last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from support.findings import make_findings, make_simulation

from forecast.report import report
from forecast.report.scenarios import rival_tables, rival_views, standing_view
from forecast.simulation.rivals import OWN, REFUTED, STANDS

NAME = "Arvo leaves"


def make_rivals() -> xr.Dataset:
    """Three theories: as simulated, the other sign, and nothing (refuted)."""
    own = make_simulation(NAME, ("ARV leave North Pact on 2011-01-01",))
    each = []
    for factor in (1.0, -1.0, 0.0):
        risk = own["cumulative_risk"].copy(deep=True)
        d = risk.sel(world="difference")
        mean, half = factor * d.sel(estimate="mean"), 0.5 * abs(factor * d.sel(estimate="mean"))
        ends = xr.concat([mean, mean - half, mean + half], dim="estimate")
        risk.loc[{"world": "difference"}] = ends.transpose(*d.dims).to_numpy()
        each.append(own.assign(cumulative_risk=risk))
    found = xr.concat(each, dim="theory", coords="minimal", compat="override", join="override")
    n = ("theory",)
    facts = {
        "log_evidence": [-10.0, -12.0, -60.0], "log_evidence_error": [0.1] * 3,
        "evidence_behind": [2.0, 0.0, -48.0], "log_score": [-100.0, np.nan, -120.0],
        "score_behind": [0.0, np.nan, -20.0], "score_behind_lower": [0.0, np.nan, -30.0],
        "score_behind_upper": [0.0, np.nan, -9.0],
    }  # fmt: skip
    words = {
        "says": ["x", "y", "z"],
        "standing": [STANDS, STANDS, REFUTED], "why": ["a", "b", "forecasts far behind"],
        "scored_years": ["2005–2025", "", "2005–2025"],
    }  # fmt: skip
    flags = {"counts_twice": [False, True, False], "scored_data": [False, False, True]}
    columns = {k: (n, v) for k, v in (facts | words | flags).items()}
    return found.assign_coords({"theory": [OWN, "history", "none"]} | columns)


@pytest.fixture(scope="module")
def rivals() -> dict[str, xr.Dataset]:
    return {NAME: make_rivals()}


def test_without_theories_nothing_is_shown(written) -> None:
    page = written.page.read_text(encoding="utf-8")
    assert "rival theories" not in page and "The theories" not in page
    assert not [p for p in written.tables if "theories" in p.name]


def test_the_views_put_refuted_theories_last_and_say_why(rivals) -> None:
    views = rival_views(NAME, rivals)
    assert views is not None
    assert views["pairs"].columns == ("Pair", "#own priors", "#history", "#none (refuted)")
    assert views["pairs"].rows[0][3] == "0, by construction"
    assert views["pairs"].rows[0][1].startswith("+5 (+")
    assert (
        "the answer depends on the theory: more risk by own priors, less by history"
        in (views["answers"][0])
    )
    table = standing_view(rival_tables(rivals))
    assert table is not None
    theory, says, standing, evidence, score, why = table.rows[1]
    assert (theory, says, standing) == ("history", "y", STANDS)
    assert (evidence, score) == ("−12.0", "–")
    assert "counted twice" in why
    assert "as it was before the data changed" in table.rows[0][5]
    assert rival_views("another", rivals) is None
    assert standing_view({}) is None


def test_page_and_tables_have_them(rivals, tmp_path: Path) -> None:
    done = report(make_findings(theories=rivals), tmp_path / "out")
    page = done.page.read_text(encoding="utf-8")
    assert page.count("Under rival theories") == page.count("<h3>The theories</h3>") == 1
    assert "the answer depends on the theory" in page
    table = pd.read_parquet(done.page.parent / "scenario_arvo_leaves_theories.parquet")
    assert set(table["theory"]) == {OWN, "history", "none"}
    assert len(table) % 3 == 0
    theories = pd.read_parquet(done.page.parent / "theories.parquet")
    assert theories["standing"].tolist() == [STANDS, STANDS, REFUTED]

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.findings import NASTY, make_fit

from forecast.errors import ArgumentError, ArtifactError
from forecast.files import MARKER
from forecast.folders import write_files
from forecast.report import Findings, Report, report, write


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        p.name: p.read_bytes()
        for p in folder.iterdir()
        if p.suffix in (".csv", ".parquet", ".json") and p.name not in ("report.json", MARKER)
    }


@pytest.fixture
def folder(written: Report, tmp_path: Path) -> Path:
    """A copy of the first report."""
    return Path(shutil.copytree(written.page.parent, tmp_path / "out"))


def test_every_table_is_there_in_three_formats_with_the_same_numbers(written: Report) -> None:
    folder = written.page.parent
    facts = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert {"risks", "states", "scores", "differences", "checks", "diagnostics", "coverage",
            "terms", "slopes", "scales", "alliance_changes", "alliance_features", "reliability",
            "scenario_arvo_leaves", "scenario_arvo_leaves_states",
            "scenario_bela_cora_form_a_pact_regions"} <= set(facts["tables"])  # fmt: skip
    for name, about in facts["tables"].items():
        parquet = pd.read_parquet(folder / f"{name}.parquet")
        assert len(parquet) == about["rows"]
        csv = pd.read_csv(folder / f"{name}.csv", keep_default_na=True)
        rows = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for column in parquet.columns:
            if parquet[column].dtype.kind != "f":
                continue
            from_json = np.array([np.nan if r[column] is None else r[column] for r in rows])
            np.testing.assert_array_equal(from_json.astype(float), parquet[column].to_numpy())
            np.testing.assert_array_equal(csv[column].to_numpy(float), parquet[column].to_numpy())
    on_disk = {p.name for p in folder.iterdir()} - {MARKER}
    assert on_disk == set(facts["files"])
    assert {p.name for p in written.tables} == on_disk - {"index.html", "report.json"}


def test_report_json_names_what_a_program_needs(written: Report) -> None:
    facts = json.loads((written.page.parent / "report.json").read_text(encoding="utf-8"))
    assert facts["sha256"] == written.sha256
    assert facts["fit"]["id"] == "f" * 64
    assert facts["fit"]["seed"] == 7
    assert facts["fit"]["panel"]["coverage"]["conflicts"]["last"] == 2010
    assert facts["summary"] == list(written.summary)
    assert facts["changed"] is None
    assert facts["checks"] == {
        "diagnostics": True,
        "prior_predictive": False,
        "reliability": None,
    }


def test_page_needs_no_network_and_escapes_names(written: Report) -> None:
    page = written.page.read_text(encoding="utf-8")
    outside = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", outside)
    assert "url(http" not in outside and "@import" not in outside
    assert "default-src 'none'" in page
    assert NASTY not in page
    assert "</script><b>" not in page
    assert page.count("<script") == page.count("</script>") == 2
    links = set(re.findall(r'href="([\w.]+\.(?:csv|parquet|json))"', page))
    assert links and all((written.page.parent / name).is_file() for name in links)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_page_says_when_an_edit_acts_and_what_it_extrapolates(written: Report) -> None:
    page = written.page.read_text(encoding="utf-8")
    assert "The edits can act from 2012 on." in page and "1 pair leaves the range" in page
    assert "Their own alliances raise it by 8.0 points" in page
    facts = json.loads((written.page.parent / "report.json").read_text())
    assert facts["scenarios"]["Arvo leaves"]["first_year"] == 2012


def test_summary_is_six_sentences_with_numbers_units_and_limits(written: Report) -> None:
    assert len(written.summary) == 6
    going, pairs, world, states, scenarios, trust = written.summary
    assert "Conflicts of 2 pairs of states are under way at the end of 2010" in going
    assert "Arvo–Cora since 2009-03 (64%) and Bela–Eron" in going and "since 2010-12-01" in going
    assert "Arvo–Cora" not in pairs and "one ended between them in the year before" in pairs
    assert "Land 1 (26%, remote)" in pairs
    assert "For 2011 the model expects" in world and "90% equal-tailed predictive interval" in world
    assert "Arvo and Bela: 40% (90% equal-tailed interval 20–60%" in pairs
    assert "9.0% per pair and year" in pairs
    assert "within 5 years" in states
    assert "association, not causal effect" in scenarios and "+5.0 points" in scenarios
    assert "1 of 2 checks failed (prior predictive) (1 more could not be judged)" in trust
    assert "skill of" in trust and "without them" in trust


def test_second_run_gives_the_same_bytes_and_says_so(findings: Findings, folder: Path) -> None:
    before = _bytes(folder)
    slower = replace(findings, fit=make_fit(wall_seconds=99.0), seconds={"Fit": 99.0})
    again = report(slower, folder)
    assert again.changed is False
    assert _bytes(folder) == before
    assert "Nothing has changed since" in again.page.read_text(encoding="utf-8")


def test_change_since_the_last_report_is_shown_and_stays(findings: Findings, folder: Path) -> None:
    risks = findings.risks.copy()
    chosen = (risks["ccode_a"] == 10) & (risks["ccode_b"] == 20) & (risks["horizon"] == 1)
    risks.loc[chosen, "probability"] += 0.07
    changed = report(replace(findings, risks=risks), folder)
    assert changed.changed is True
    table = pd.read_parquet(folder / "changes.parquet")
    moved = table[table["change"].abs() > 1e-9]
    assert len(moved) == 1
    assert float(moved["change"].iloc[0]) == pytest.approx(0.07, abs=1e-9)
    page = changed.page.read_text(encoding="utf-8")
    assert "Numbers have changed since the report of" in page
    assert '<td class="n">+7.0</td>' in page
    again = report(replace(findings, risks=risks), folder)
    assert again.changed is False
    assert again.sha256 == changed.sha256
    assert '<td class="n">+7.0</td>' in again.page.read_text(encoding="utf-8")
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "changes.parquet"), table)


def test_foreign_files_in_the_folder_are_kept(findings: Findings, folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("keep me", encoding="utf-8")
    report(findings, folder)
    report(findings, folder)
    assert (folder / "notes" / "mine.txt").read_text(encoding="utf-8") == "keep me"
    # A table that was edited is the user's now; that report.json lists it makes it none of ours.
    (folder / "risks.csv").write_text("edited", encoding="utf-8")
    with pytest.raises(ArgumentError, match=r"holds risks\.csv, which .* was changed since"):
        report(findings, folder)
    (folder / MARKER).unlink()
    with pytest.raises(ArgumentError, match="of an earlier version"):
        report(findings, folder)
    assert (folder / "risks.csv").read_text(encoding="utf-8") == "edited"


def test_folder_with_other_things_is_refused_and_left_alone(
    findings: Findings, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(ArgumentError, match=r"not empty and holds no report"):
        report(findings, tmp_path)
    assert (tmp_path / "thesis.tex").read_text(encoding="utf-8") == "years of work"
    with pytest.raises(ArgumentError, match="is no folder"):
        report(findings, tmp_path / "thesis.tex")
    write_files(tmp_path / "other", {"table.txt": b"of a backtest"})
    with pytest.raises(ArgumentError, match=r"holds no report .* other things"):
        report(findings, tmp_path / "other")


def test_damaged_earlier_report_is_named(findings: Findings, folder: Path) -> None:
    (folder / "risks.parquet").unlink()
    with pytest.raises(ArtifactError, match=r"earlier report in .* cannot be read"):
        report(findings, folder)
    (folder / "report.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArtifactError, match="move the folder away"):
        report(findings, folder)


def test_interrupted_write_leaves_the_earlier_report(
    findings: Findings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(write, "_facts", fails)
    with pytest.raises(OSError, match="disk full"):
        report(findings, folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["out"]


def test_fit_that_missed_the_gate_is_marked(findings: Findings, tmp_path: Path) -> None:
    made = report(replace(findings, fit=make_fit(pareto_k=0.9)), tmp_path / "out")
    assert "Not for publication" in made.page.read_text(encoding="utf-8")
    assert "no number here should be used" in made.summary[5]


def test_without_backtest_scenarios_and_checks(findings: Findings, tmp_path: Path) -> None:
    made = report(replace(findings, backtest=None, scenarios={}, checks=[]), tmp_path / "out")
    assert made.summary[4] == "No scenario was simulated."
    assert "nothing shows its skill" in made.summary[5] and "no check was run" in made.summary[5]
    page = made.page.read_text(encoding="utf-8")
    assert "made without a backtest" in page
    assert not (tmp_path / "out" / "scores.csv").exists()


def test_risks_that_cannot_be_shown_are_refused(findings: Findings, tmp_path: Path) -> None:
    lacking = findings.risks.drop(columns=["stratum"])
    with pytest.raises(ArgumentError, match="lacks stratum"):
        report(replace(findings, risks=lacking), tmp_path / "out")
    with pytest.raises(ArgumentError, match="is empty"):
        report(replace(findings, risks=findings.risks.iloc[:0]), tmp_path / "out")
    broken = findings.risks.copy()
    broken.loc[3, "probability"] = np.nan
    with pytest.raises(ArgumentError, match="not a finite number"):
        report(replace(findings, risks=broken), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_year_ahead_only(findings: Findings, tmp_path: Path) -> None:
    one = replace(
        findings,
        risks=findings.risks[findings.risks["horizon"] == 1],
        status_quo=findings.status_quo.isel(year=[0]),
        scenarios={n: r.isel(year=[0]) for n, r in findings.scenarios.items()},
    )
    made = report(one, tmp_path / "out")
    page = made.page.read_text(encoding="utf-8")
    assert "within 1 years" not in made.summary[3]
    assert 'name="year"' not in page
    assert pd.read_parquet(tmp_path / "out" / "risks.parquet")["horizon"].unique().tolist() == [1]


def test_the_page_shows_the_calibration_record(findings: Findings, tmp_path: Path) -> None:
    from dataclasses import replace

    from forecast.evaluation.calibration_record import record_of

    assert findings.backtest is not None
    record = record_of(findings.backtest, resamples=5)
    # With the fit it is shown without any backtest; and a backtest makes one where there is none.
    alone = replace(findings, backtest=None, fit=replace(findings.fit, record=record))
    text = report(alone, tmp_path / "alone").page.read_text(encoding="utf-8")
    assert "Calibration record: what became of such forecasts" in text
    assert "made without a backtest" not in text
    assert text.count("Murphy diagram") >= 2 and "95% consistency band" in text
    bands = pd.read_parquet(tmp_path / "alone" / "record_bands.parquet")
    assert bands["rows"].sum() == 2 * record.rows
    bare = report(replace(findings, backtest=None), tmp_path / "bare").page
    assert "made without a backtest: nothing here" in bare.read_text(encoding="utf-8")


def test_a_check_that_is_not_judged_is_no_failure(written: Report) -> None:
    page = written.page.read_text(encoding="utf-8")
    assert '<span class="verdict ">not judged</span> reliability' in page
    assert page.count('<span class="verdict bad">failed</span>') == 1
    checks = pd.read_parquet(written.page.parent / "checks.parquet").set_index("check")
    assert checks["passed"].to_dict()["reliability"] is None

"""How evenly a record sees: the measured shares, the declared prior, and what it does to totals."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recall import measure_recall
from support.reference_files import REFERENCE_FILES

from forecast.errors import DataError
from forecast.paths import data_folder
from forecast.sources.embedded import read_coverage
from forecast.sources.tables import Recall

SHARE = {"any": 0.5, "fatal": 0.8, "deaths_25": 0.9}
PRIOR = Recall(
    against="a list", last=2000, share=SHARE, log_odds_sd=0.2, drift=0.2, regional_drift=0.3
)


def conflicts(*rows: tuple[int, int, str, float | None, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["ccode_a", "ccode_b", "start", "deaths_class", "role_b"])
    start = pd.to_datetime(frame["start"]).astype("datetime64[s]")
    return frame.assign(
        start=start, end=start, role_a="originator", level="clash",
        deaths_class=frame["deaths_class"].astype("Int64"),
    )  # fmt: skip


def test_measure_recall() -> None:
    listed = conflicts(
        (200, 220, "1950-01-01", 0, "originator"),
        (200, 220, "1960-01-01", 3, "originator"),
        (2, 200, "1970-01-01", None, "originator"),
        (2, 220, "1970-01-01", 1, "joiner"),
    )
    record = conflicts((200, 220, "1961-12-31", 2, "joiner"), (2, 200, "1968-01-01", 0, "joiner"))
    found = measure_recall(record, listed, years=(1946, 2000), edges=(1960,))
    assert found.to_dict("list") == {
        "year": [1950, 1960, 1970],
        "period": ["1946–1959", "1960–2000", "1960–2000"],
        "region": ["Europe", "Europe", "Between regions"],
        "deaths": ["none", "more than 25", "unknown"],
        "found": [False, True, False],
    }


def test_the_prior_widens_after_the_last_year_measured() -> None:
    spans = [PRIOR.interval(year) for year in (1990, 2000, 2010, 2025)]
    assert [span[0] for span in spans] == pytest.approx([0.5] * 4)
    width = [upper - lower for _, lower, upper in spans]
    assert width[0] == width[1] < width[2] < width[3]
    assert "50% of a list" in PRIOR.sentence(2026)
    assert "90% of a list" in PRIOR.sentence(2026, "deaths_25_onset")
    # A class that is all but complete cannot be recorded much better.
    assert np.diff(PRIOR.interval(2025, "war_onset")[1:]) < width[3]


def test_factors_widen_and_do_not_move() -> None:
    found = PRIOR.factors(
        "onset", 7, origin=2025, horizon=5, draws=4000, rng=np.random.default_rng(1)
    )
    assert found.shape == (5, 7, 4000) and found.min() > 0
    np.testing.assert_allclose(found.mean(axis=2), 1.0, rtol=1e-5)
    spread = found.std(axis=2).mean(axis=1)
    assert (np.diff(spread) > 0).all()
    # Regions have a part in common and a part of their own.
    assert 0.2 < np.corrcoef(found[4])[0, 1] < 0.8


def test_the_descriptor_states_it(tmp_path: Path) -> None:
    assert read_coverage(data_folder())["conflicts"].recall is not None
    package = json.loads((data_folder() / "datapackage.json").read_text(encoding="utf-8"))
    resource = next(r for r in package["resources"] if r["name"] == "conflicts")
    resource["recall"]["share"]["any"] = 1.2
    (tmp_path / "datapackage.json").write_text(json.dumps(package), encoding="utf-8")
    with pytest.raises(DataError, match=r"resource 'conflicts', property 'recall'.*1\.2"):
        read_coverage(tmp_path)


@pytest.mark.reference
def test_declared_shares_are_the_measured_ones(historical_cache: Path, tables) -> None:
    from forecast.sources.catalogue import read_source

    assert "gml_2_2_1" in REFERENCE_FILES
    (listed,) = (
        r.frame for r in read_source("gml_2_2_1", historical_cache) if r.table == "conflicts"
    )
    rows = measure_recall(tables.conflicts, listed, years=(1980, 2000))
    assert len(rows) > 400
    declared = tables.coverage["conflicts"].recall
    fatal = rows["deaths"].isin(["1–25", "more than 25"])
    for name, part in (
        ("any", slice(None)),
        ("fatal", fatal),
        ("deaths_25", rows["deaths"] == "more than 25"),
    ):
        assert declared.share[name] == pytest.approx(rows.loc[part, "found"].mean(), abs=0.01)

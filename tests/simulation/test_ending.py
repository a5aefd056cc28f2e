"""The hazard of ending: rows, censoring, the fit, and how things stood at an origin."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast.modeling.spec import load_model
from forecast.simulation.ending import Endings, disputes_at, ending_panel
from forecast.sources.tables import Tables


def with_disputes(tables: Tables, *given: tuple[str, str | None, str]) -> Tables:
    """The tables with these disputes of India and Pakistan only: start, end, precision."""
    one = tables.conflicts.iloc[[0]]
    rows = [
        one.assign(
            conflict_id=f"d{i}", ccode_a=750, ccode_b=770, start=pd.Timestamp(start),
            end=pd.NaT if end is None else pd.Timestamp(end), end_precision=precision,
            outcome="ongoing" if end is None else "stalemate", deaths_class=[0, 3, None][i % 3],
        ).astype({"deaths_class": "Int64"})
        for i, (start, end, precision) in enumerate(given)
    ]  # fmt: skip
    return replace(tables, conflicts=pd.concat(rows, ignore_index=True))


def rows_of(tables: Tables, last: int) -> list[tuple[str, int, float, float]]:
    data = ending_panel(tables, last=last).data
    names = ("conflict_id", "year", "age", "outcome")
    return sorted(zip(*(data[name].to_numpy().tolist() for name in names), strict=True))


def test_a_dispute_is_a_row_for_each_year_to_its_end(tables: Tables) -> None:
    made = with_disputes(tables, ("2001-05-01", "2003-01-02", "day"))
    assert rows_of(made, 2025) == [
        ("d0", 2001, 0, 0.0), ("d0", 2002, 1, 0.0), ("d0", 2003, 2, 1.0),
    ]  # fmt: skip
    # By the end of 2002 nobody had seen it end.
    assert rows_of(made, 2002) == [("d0", 2001, 0, 0.0), ("d0", 2002, 1, 0.0)]
    assert rows_of(made, 2000) == []


def test_what_still_runs_and_what_may_lie_past_the_list_is_censored(tables: Tables) -> None:
    made = with_disputes(
        tables,
        ("2024-05-01", None, "day"),
        ("2024-05-01", "2025-12-31", "year"),
        ("2023-05-01", "2024-12-31", "year"),
        ("2024-05-01", "2025-12-31", "month"),
    )
    found = {(name, year): y for name, year, _, y in rows_of(made, 2025)}
    assert found["d0", 2025] == 0
    assert np.isnan(found["d1", 2025]) and found["d1", 2024] == 0
    # An end known to the year is one in that year: the year is the unit.
    assert found["d2", 2024] == 1
    assert found["d3", 2025] == 1


def test_deaths_are_those_recorded_and_unknown_is_few(tables: Tables) -> None:
    span = ("2024-05-01", "2024-06-01", "day")
    data = ending_panel(with_disputes(tables, span, span, span), last=2025).data
    names, severe = (data[name].to_numpy().tolist() for name in ("conflict_id", "deaths_25"))
    assert dict(zip(names, severe, strict=True)) == {"d0": 0, "d1": 1, "d2": 0}


def test_the_first_of_several_open_disputes_says_how_things_stand(tables: Tables) -> None:
    made = with_disputes(
        tables,
        ("2024-05-01", "2024-06-01", "day"),
        ("2022-05-01", None, "day"),
        ("2024-01-01", "2025-02-01", "day"),
        ("2020-01-01", "2024-03-01", "day"),
    )
    now = disputes_at(made, 2024).loc[(750, 770)]
    assert (now["conflict_id"], now["open"], now["age"], now["severe"]) == ("d1", True, 3, 1)
    ended = disputes_at(with_disputes(made, ("2020-01-01", "2024-03-01", "day"),
                                      ("2024-05-01", "2024-06-01", "day")), 2024)  # fmt: skip
    assert (ended["conflict_id"].item(), bool(ended["open"].item())) == ("d1", False)
    assert disputes_at(made, 2019).empty


def test_the_fit_passes_the_gate_and_is_calibrated_on_its_rows(tables: Tables) -> None:
    before = time.process_time()
    endings = Endings(tables, origin=2025, draws=500, seed=1)
    assert time.process_time() - before < 20  # compilation included; a fraction of a second after
    assert endings.fit is not None
    endings.fit.require_passed()
    stays = endings.stays(60)
    assert stays.shape == (120, 500) and stays.dtype == np.float32
    data = ending_panel(tables, last=2025).data
    code = (2 * data["age"] + data["deaths_25"]).to_numpy().astype(int)
    ended, known = data["outcome"].to_numpy(), np.isfinite(data["outcome"].to_numpy())
    for age in (0, 1, 2):
        for severe in (0, 1):
            at = known & (np.minimum(code // 2, 2) == age) & (code % 2 == severe)
            expected = (1 - stays.mean(axis=1))[code[at]].sum()
            assert ended[at].sum() == pytest.approx(expected, rel=0.25)
        at = known & (np.minimum(code // 2, 2) == age)
        expected = (1 - stays.mean(axis=1))[code[at]].sum()
        assert ended[at].sum() == pytest.approx(expected, rel=0.03)
    assert endings.severe.mean() == pytest.approx(
        data["deaths_25"].to_numpy()[code < 2].mean(), abs=0.01
    )
    again = Endings(tables, origin=2025, draws=500, seed=1)
    np.testing.assert_array_equal(again.stays(60), stays)


def test_survival_is_the_product_of_the_years(tables: Tables) -> None:
    endings = Endings(tables, origin=2025, draws=100, seed=1)
    stays = endings.stays(10)
    expected = np.cumprod([stays[3], stays[5], stays[7]], axis=0)
    np.testing.assert_allclose(endings.survival(3, 3), expected, rtol=1e-6)


def test_a_record_without_endings_is_one_share(tables: Tables) -> None:
    made = with_disputes(tables, ("2021-05-01", None, "day"))
    endings = Endings(made, origin=2025, draws=400, seed=1)
    assert endings.fit is None
    stays = endings.stays(4)
    # Jeffreys: no end in five years of disputes.
    assert stays.mean() == pytest.approx(5.5 / 6, abs=0.02)


def test_the_shipped_model_is_of_this_unit() -> None:
    spec = load_model("ending")
    assert (spec.unit, spec.outcome) == ("dispute-dyad-year", "ended")
    assert not spec.varying

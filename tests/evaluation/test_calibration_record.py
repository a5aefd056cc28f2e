import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from forecast.errors import (
    ArgumentError,
    ArtifactError,
    DataError,
    MissingFileError,
    UnknownNameError,
)
from forecast.evaluation.backtest import read_forecasts
from forecast.evaluation.calibration_record import (
    BANDS,
    CalibrationRecord,
    band_of,
    calibration_record,
)
from forecast.evaluation.scores import average_precision


def made_forecasts(*, years=12, pairs=150, factor=1.0, seed=4):
    """Rows of a calibrated forecaster ("m"), whose numbers are multiplied by `factor`."""
    rng = np.random.default_rng(seed)
    year = np.repeat(np.arange(1985, 1985 + years), pairs)
    pair = np.tile(np.arange(pairs), years)
    truth = np.clip(np.exp(rng.normal(-3.5, 1.2, pairs))[pair], 1e-4, 0.6)
    rows = pd.DataFrame(
        {
            "origin": year, "horizon": 1, "year": year, "ccode_a": 2 + pair, "ccode_b": 900,
            "outcome": (rng.random(year.size) < truth).astype(float),
            "decade": year // 10 * 10, "region": np.where(pair % 2, "Asia", "Europe"),
            "stratum": np.array(["first ever", "quiet", "recurrent"])[pair % 3],
            "peace_years": (pair % 3 == 1) * 20,
        }
    )  # fmt: skip
    forecasts = {"m": np.clip(factor * truth, 0, 1), "climatology": np.full(year.size, 0.05)}
    parts = [rows.assign(model=name, probability=p) for name, p in forecasts.items()]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def record():
    return calibration_record(made_forecasts(), model="m", seed=1, resamples=60)


def test_bands_are_counts_of_rows_with_jeffreys_intervals(record):
    rows = made_forecasts().query("model == 'm'")
    table = record.bands.set_index(["stratum", "low"])
    one = table.loc[("quiet", 0.02)]
    chosen = rows[(rows["stratum"] == "quiet") & rows["probability"].between(0.02, 0.05, "left")]
    n, seen = len(chosen), int(chosen["outcome"].sum())
    assert (one["rows"], one["observed"]) == (n, seen)
    assert one["expected"] == pytest.approx(chosen["probability"].sum())
    expected = beta(seen + 0.5, n - seen + 0.5).ppf([0.025, 0.975])
    np.testing.assert_allclose([one["lower"], one["upper"]], expected)
    every = record.bands[record.bands["stratum"] == "all"]
    assert every["rows"].sum() == record.rows == len(rows)
    assert every["observed"].sum() == record.events == rows["outcome"].sum()
    strata = record.bands[record.bands["stratum"] != "all"]
    np.testing.assert_allclose(strata.groupby("low")["rows"].sum(), every["rows"])
    empty = record.bands[record.bands["rows"] == 0]
    assert len(empty) and empty[["rate", "lower", "upper"]].isna().all().all()
    none = record.bands[(record.bands["observed"] == 0) & (record.bands["rows"] > 0)]
    assert (none["lower"] == 0).all()


@pytest.mark.parametrize(
    ("p", "edges"), [(0.0, (0.0, 0.001)), (0.02, (0.02, 0.05)), (1.0, (0.5, 1.0))]
)
def test_a_band_holds_its_lower_edge(p, edges):
    assert (BANDS[band_of(p)], BANDS[band_of(p) + 1]) == edges


def test_a_calibrated_forecaster_has_a_good_record_and_a_doubled_one_has_not():
    fine = calibration_record(made_forecasts(years=40), model="m", seed=1, resamples=5)
    off = calibration_record(made_forecasts(years=40, factor=2.5), model="m", seed=1, resamples=5)

    def ratio(record):
        return record.ratios.set_index("kind").loc["all"].squeeze()

    def line(record):
        return record.recalibration.set_index("group").loc["all"]

    assert ratio(fine)["ratio"] == pytest.approx(1.0, abs=0.15)
    assert ratio(off)["lower"] > 1.5
    assert line(fine)["slope_lower"] < 1 < line(fine)["slope_upper"]
    assert line(off)["intercept_upper"] < 0
    assert fine.reliability.outside < 0.2 < off.reliability.outside
    assert off.counts["inside"].mean() < 0.6 < fine.counts["inside"].mean()


def test_scores_have_values_and_intervals_by_stratum(record):
    rows = made_forecasts().query("model == 'm'")
    table = record.scores.set_index(["group", "score"])
    assert set(record.scores["group"]) == {
        "all", "first ever", "quiet", "recurrent", "> 10 years"
    }  # fmt: skip
    quiet = rows[rows["stratum"] == "quiet"]
    one = table.loc[("quiet", "average_precision")]
    assert one["value"] == pytest.approx(average_precision(quiet["outcome"], quiet["probability"]))
    assert one["lower"] <= one["value"] <= one["upper"]
    assert {"log_loss_skill", "brier_skill"} <= set(record.scores["score"])
    assert record.scores["blocks"].dtype == np.int64


def test_counts_of_a_backtest_are_taken_as_they_are(record):
    assert "mean probability" in record.counts["kind"].iloc[0]
    years = sorted(made_forecasts()["year"].unique())
    counts = pd.DataFrame(
        {"origin": years, "horizon": 1, "year": years, "model": "m", "group": "all",
         "observed": 5.0, "mean": 6.0, "lower": 2.0, "upper": 9.0, "level": 0.9, "inside": True,
         "crps": 1.0, "interval_score": 7.0, "pit": 0.4}
    )  # fmt: skip
    noise = counts.assign(group="Asia", pit=0.9)
    found = calibration_record(
        made_forecasts(), model="m", seed=1, resamples=5, counts=pd.concat([noise, counts])
    ).counts
    assert found["pit"].tolist() == [0.4] * len(years)
    assert found["kind"].unique().tolist() == ["posterior predictive"]


def test_it_comes_back_from_json_as_it_was(record):
    text = json.dumps(record.to_dict(), allow_nan=False)
    again = CalibrationRecord.from_dict(json.loads(text))
    assert json.dumps(again.to_dict()) == text
    for name in ("recalibration", "murphy", "counts", "ratios", "scores", "bands"):
        pd.testing.assert_frame_equal(
            getattr(again, name), getattr(record, name), check_dtype=False
        )
    pd.testing.assert_frame_equal(again.reliability.curve, record.reliability.curve)
    assert again.quote("quiet", 0.03) == record.quote("quiet", 0.03)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "fit"}, "kind is 'fit'"),
        ({"schema_version": 99}, "schema_version is 99, expected 1"),
        ({"bands": {"low": {"dtype": "O", "values": []}}}, "'low' of 'bands' has the kind 'O'"),
        ({"rows": "many"}, "damaged"),
        ({"reliability": {}}, "damaged"),
    ],
)
def test_another_schema_or_a_damaged_record_is_refused(record, change, words):
    with pytest.raises(ArtifactError, match=words):
        CalibrationRecord.from_dict(record.to_dict() | change)
    less = record.to_dict()
    del less["bands"], less["scores"]
    with pytest.raises(ArtifactError, match="scores, bands missing"):
        CalibrationRecord.from_dict(less)


def test_a_quotation_is_a_sentence_with_the_digits_it_supports():
    bands = pd.DataFrame(
        {"stratum": ["all", "all", "quiet", "quiet"], "low": [0.0, 0.02] * 2,
         "high": [0.02, 1.0] * 2, "rows": [900, 500, 412, 3], "expected": [9.0, 14.0, 13.9, 0.1],
         "observed": [8, 14, 13, 0], "rate": [8 / 900, 14 / 500, 13 / 412, 0.0],
         "lower": [0.0, 0.0, 0.0178, 0.0], "upper": [0.1, 0.1, 0.0519, 0.53]}
    )  # fmt: skip
    record = replace(
        calibration_record(made_forecasts(), model="m", seed=1, resamples=5), bands=bands
    )
    found = record.quote("quiet", 0.004)
    assert found["text"] == (
        "Of 412 dyad-years of neighbours, or pairs with a major power, with an old conflict and"
        " more than ten years of peace since that were given under 2% one year ahead, 3.2%"
        " (1.8–5.2%, 95% Jeffreys) had an onset, 1985–1996."
    )
    assert found["covered"] and found["onsets_expected"] == 13.9
    few = record.quote("quiet", 0.7)["text"]
    assert "none (0–50%, 95% Jeffreys)" in few and few.endswith("so few say little.")


def test_what_is_not_covered_is_said(record):
    unknown = record.quote("new dyad", 0.03)
    assert not unknown["covered"] and "no dyad-years of pairs new to the model" in unknown["text"]
    empty = record.bands[(record.bands["stratum"] == "quiet") & (record.bands["rows"] == 0)].iloc[0]
    found = record.quote("quiet", empty["low"])
    assert not found["covered"] and "none of its dyad-years" in found["text"]
    assert found["observed_rate"] is None
    with pytest.raises(ArgumentError, match="probability"):
        record.quote("quiet", 1.2)


def test_bad_forecasts_are_refused():
    rows = made_forecasts(years=3)
    options = {"model": "m", "seed": 1, "resamples": 5}
    with pytest.raises(UnknownNameError, match="model"):
        calibration_record(rows, **options | {"model": "nn"})
    with pytest.raises(ArgumentError, match="horizon 3; it has"):
        calibration_record(rows, horizon=3, **options)
    with pytest.raises(ArgumentError, match="lacks outcome"):
        calibration_record(rows.drop(columns="outcome"), **options)
    with pytest.raises(ArgumentError, match="lacks ccode_a"):
        calibration_record(rows.drop(columns=["ccode_a", "ccode_b"]), **options)
    with pytest.raises(ArgumentError, match="rows twice"):
        calibration_record(pd.concat([rows, rows.iloc[:2]]), **options)
    with pytest.raises(ArgumentError, match="have no forecast of the reference"):
        calibration_record(rows.drop(index=rows.index[-2:]), **options)
    alone = calibration_record(rows[rows["model"] == "m"], **options)
    assert "log_loss_skill" not in set(alone.scores["score"]) and "skill" not in alone.murphy


def test_rows_of_states_have_one_key():
    rows = made_forecasts(years=4).drop(columns=["ccode_b", "stratum", "peace_years"])
    record = calibration_record(
        rows.rename(columns={"ccode_a": "ccode"}), model="m", seed=1, resamples=5
    )
    assert record.unit == "state-years"
    assert set(record.bands["stratum"]) == {"all"}
    assert record.quote("all", 0.03)["text"].startswith("Of ")


def test_forecasts_are_read_back_on_identical_rows(tmp_path):
    rows = made_forecasts(years=4)
    folder = tmp_path / "run" / "forecasts"
    folder.mkdir(parents=True)
    gap = (rows["model"] == "m") & (rows["year"] == 1986) & (rows["ccode_a"] == 5)
    holes = rows.assign(probability=rows["probability"].where(~gap))
    for (model, year), part in holes.groupby(["model", "year"]):
        part.sample(frac=1, random_state=0).to_parquet(folder / f"{year}.{model}.parquet")
    found = read_forecasts(tmp_path)
    assert found.attrs["rows_left_out"] == 1
    assert (found.groupby("model").size() == len(rows) / 2 - 1).all()
    m, base = (found[found["model"] == name].reset_index() for name in ("m", "climatology"))
    assert (m[["year", "ccode_a"]] == base[["year", "ccode_a"]]).all().all()
    # What a finished backtest left as one table is read first; one file may be named itself.
    (tmp_path / "tables").mkdir()
    rows.to_parquet(tmp_path / "tables" / "forecasts.parquet")
    assert len(read_forecasts(tmp_path)) == len(rows)
    assert len(read_forecasts(tmp_path / "tables" / "forecasts.parquet")) == len(rows)
    rows.drop(columns="outcome").to_parquet(tmp_path / "tables" / "forecasts.parquet")
    with pytest.raises(DataError, match="lacks outcome"):
        read_forecasts(tmp_path)
    with pytest.raises(MissingFileError, match="no forecasts"):
        read_forecasts(tmp_path / "nothing")

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast import plot
from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.alliance_gains import (
    alliance_gains,
    alliance_variants,
    gain_words,
    variant_label,
)
from forecast.evaluation.scores import log_loss_rows
from forecast.modeling.spec import load_model

ERAS = {"before 1990": (1946, 1989), "after": (1990, None), "none": (1900, 1910)}


def made_forecasts(*, suffixes=("",)):
    """Pairs whose risk an alliance triples; "deterrence" knows it, "expansion" is noise."""
    rng = np.random.default_rng(7)
    years, pairs = np.arange(1980, 2000), 300
    year, pair = np.repeat(years, pairs), np.tile(np.arange(pairs), years.size)
    ally = (pair % 4 == 0).astype(float)
    p = np.clip(np.exp(rng.normal(-3.5, 0.7, pairs))[pair] * 3.0**ally, 0, 0.9)
    rows = pd.DataFrame(
        {
            "origin": year, "horizon": 1, "year": year, "ccode_a": pair, "ccode_b": 999,
            "outcome": (rng.random(p.size) < p).astype(float),
            "stratum": np.where(pair % 2, "quiet", "recurrent"),
            "peace_years": 20.0 * (pair % 2),
        }
    )  # fmt: skip
    blind = p / np.where(ally > 0, 3.0, 1.0) * (p.sum() / (p / np.where(ally > 0, 3.0, 1.0)).sum())
    methods = {
        "m": p,
        "without_alliances": np.clip(blind, 0, 1),
        "m_without_deterrence": np.clip(blind, 0, 1),
        "m_without_expansion": np.clip(p * np.exp(rng.normal(0, 0.05, p.size)), 0, 1),
        "climatology": np.full(p.size, rows["outcome"].mean()),
    }
    parts = [
        rows.sample(frac=1, random_state=i).assign(
            model=f"{name}{suffix}", probability=lambda t, q=q: q[t.index]
        )
        for i, (name, q) in enumerate(methods.items())
        for suffix in suffixes
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def gains():
    return alliance_gains(made_forecasts(), model="m", seed=1, eras=ERAS, resamples=200)


def test_what_knows_more_gains_and_noise_does_not(gains):
    whole = gains[gains["kind"] == "all"].set_index("left_out")
    assert list(whole.index) == ["alliances", "deterrence", "expansion"]
    assert whole.loc["deterrence", "lower"] > 0
    assert gain_words(whole.loc["deterrence"]) == "improves the forecasts"
    low, high = whole.loc["expansion", ["lower", "upper"]]
    assert low < 0 < high
    assert gain_words(whole.loc["expansion"]) == "has not been shown to change the forecasts"
    assert gain_words({"lower": -2.0, "upper": -1.0}) == "makes the forecasts worse"


def test_a_gain_is_a_paired_mean_with_the_wider_interval(gains):
    forecasts = made_forecasts()
    keys = ["year", "ccode_a"]
    wide = forecasts.pivot_table(index=keys, columns="model", values="probability")
    y = forecasts[forecasts["model"] == "m"].set_index(keys)["outcome"].loc[wide.index]
    difference = log_loss_rows(y, wide["m_without_deterrence"]) - log_loss_rows(y, wide["m"])
    row = gains.query("left_out == 'deterrence' and kind == 'all'").iloc[0]
    assert row["gain"] == pytest.approx(difference.mean())
    climatology = log_loss_rows(y, wide["climatology"]).mean()
    assert row["share"] == pytest.approx(difference.mean() / climatology)
    by_year = row["upper_by_year"] - row["lower_by_year"]
    by_dyad = row["upper_by_dyad"] - row["lower_by_dyad"]
    assert row["upper"] - row["lower"] == pytest.approx(max(by_year, by_dyad))
    assert (row["block"], row["blocks"]) in (("year", 20), ("dyad", 300))


def test_eras_decades_and_strata_are_parts_of_the_whole(gains):
    own = gains[gains["left_out"] == "deterrence"]
    assert own.groupby("kind")["group"].agg(list).to_dict() == {
        "all": ["all"], "era": ["before 1990", "after"], "decade": ["1980s", "1990s"],
        "stratum": ["quiet", "recurrent"], "peace": ["peace > 10 years"],
    }  # fmt: skip
    for kind in ("era", "decade", "stratum"):
        part = own[own["kind"] == kind]
        whole = own[own["kind"] == "all"].iloc[0]
        assert part["rows"].sum() == whole["rows"] and part["events"].sum() == whole["events"]
        mean = (part["gain"] * part["rows"]).sum() / part["rows"].sum()
        assert mean == pytest.approx(whole["gain"])


def test_recalibrated_variants_are_held_against_the_recalibrated_model():
    both = alliance_gains(
        made_forecasts(suffixes=("", ", recalibrated")), model="m", seed=1, resamples=20
    )
    assert len(set(both.groupby("recalibrated").size())) == 1
    raw, re = (both[both["recalibrated"] == flag]["gain"].to_numpy() for flag in (False, True))
    np.testing.assert_allclose(raw, re)  # here the same numbers under another name


def test_bad_forecasts_are_refused():
    forecasts = made_forecasts()
    with pytest.raises(ArgumentError, match="variants named"):
        alliance_gains(forecasts, model="n", seed=1)
    alone = forecasts[forecasts["model"].isin(["m", "climatology"])]
    with pytest.raises(ArgumentError, match="found m, climatology"):
        alliance_gains(alone, model="m", seed=1)
    last = forecasts.index[forecasts["model"] == "m_without_deterrence"][-1]
    with pytest.raises(ArgumentError, match="other rows"):
        alliance_gains(forecasts.drop(index=last), model="m", seed=1, resamples=5)


@pytest.mark.parametrize("name", ["dyad_onset", "dyad_onset_historical"])
def test_variants_of_a_model(name):
    spec = load_model(name)
    alliance = {e.name for e in spec.entries} - {e.name for e in spec.without().entries}
    variants = {variant_label(v.name, name): v for v in alliance_variants(spec)}
    assert set(variants) == {
        "alliances", "structure", "diffusion", "pacts", "expansion", "dependency", "commitment",
    }  # fmt: skip
    gone = {
        label: {e.name for e in spec.entries} - {e.name for e in variant.entries}
        for label, variant in variants.items()
    }
    assert gone.pop("alliances") == alliance
    assert gone.pop("structure") == alliance - gone["diffusion"]
    assert "disputes_with_allies" in gone["diffusion"] or name == "dyad_onset"
    assert "defense_pact" in gone["pacts"] and "own_expansion" in gone["expansion"]
    assert sum(map(len, gone.values())) == len(set().union(*gone.values())) == len(alliance)
    with pytest.raises(ArgumentError, match="no alliance term"):
        alliance_variants(spec.without())
    with pytest.raises(UnknownNameError, match="term"):
        spec.without_terms(["defence_pact"], suffix="x")


def test_labels_of_variants_are_of_their_own_model():
    assert variant_label("without_alliances", "m") == "alliances"
    assert variant_label("m_without_expansion, recalibrated", "m") == "expansion"
    assert variant_label("n_without_expansion", "m") is None
    assert variant_label("boosting", "m") is None


def test_figures(gains):
    first, second, third = plot.gains(gains).axes
    assert [t.get_text() for t in first.get_yticklabels()] == [
        "all alliance terms", "deterrence", "expansion",
    ]  # fmt: skip
    assert len(second.get_yticklabels()) == 4 and len(third.get_yticklabels()) == 3
    slopes = pd.DataFrame(
        {"term": ["own_expansion", "own_expansion", "defense_pact", "defense_pact"],
         "family": ["expansion"] * 2 + ["deterrence"] * 2, "era": ["a", "b"] * 2,
         "years": ["1946–1989", "1990–"] * 2,
         "mean": [0.1, 0.2, -0.3, -0.2], "lower": -0.5, "upper": 0.5, "level": 0.9}
    )  # fmt: skip
    axes = plot.slopes(slopes)
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == ["expansion", "own expansion", "deterrence", "defence pact"]


def test_the_text_of_the_docs_page_follows_from_the_table(gains):
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "alliances.py"
    spec = importlib.util.spec_from_file_location("alliances_script", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = script.markdown(gains, pd.DataFrame(), "about")
    assert "knowing the alliances improves the forecasts**: gain in log loss +" in text
    assert "By family, with the others kept: deterrence improves the forecasts" in text
    null = gains.assign(lower=-abs(gains["gain"]) - 1e-4, upper=abs(gains["gain"]) + 1e-4)
    text = script.markdown(null, pd.DataFrame(), "about")
    assert "has not been shown to change the forecasts**" in text
    assert "No single family of terms has been shown to matter" in text
    assert "In no era and no stratum does the interval" in text
    page = script.PAGE.read_text(encoding="utf-8")
    assert page.count(script.BEGIN) == page.count(script.END) == 1

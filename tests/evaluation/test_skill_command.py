"""The frozen command: a strict file, a panel file in, the whole table out, by hand where it can."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.evaluation_panels import backtest_of, simulate_panel

from forecast import cli
from forecast.errors import CoverageError, MissingFileError, SpecificationError
from forecast.evaluation.baselines import Climatology, baseline
from forecast.evaluation.plan import BacktestPlan, Period
from forecast.evaluation.scores import average_precision, log_loss
from forecast.evaluation.skill_table import skill_table

ROOT = Path(__file__).parents[2]
FROZEN = ROOT / "benchmarks" / "skill.toml"

SMALL = """
model = "small.toml"
baselines = ["climatology", "history", "without_alliances"]
seed = 3
draws = 200
resamples = 100
recalibrate = 10
stack = ["history"]
warm_up = 10
refit = 5
[origins]
first = 1978
[[period]]
name = "late"
first = 1980
[[period]]
name = "never"
first = 2050
"""
MODEL = """
name = "small"
description = "A small model of the simulated panel."
unit = "dyad-year"
population = "politically_relevant"
[intercept]
reason = "test"
"""
TERM = """
[[term]]
name = "{name}"
family = "{family}"
pre_treatment = true
prior = {{ mean = 0.0, sd = 1.0 }}
reason = "test"
"""


def simulated(last):
    return simulate_panel(states=12, first=1955, last=last, intercept=-3.0)


@pytest.fixture
def folder(tmp_path):
    terms = (("land_contiguity", "geography"), ("peace_years", "history"), ("ally", "commitment"))
    (tmp_path / "small.toml").write_text(
        MODEL + "".join(TERM.format(name=n, family=f) for n, f in terms)
    )
    (tmp_path / "skill.toml").write_text(SMALL)
    for last in (1981, 1983):
        frame = simulated(last).data.reset_coords().to_dataframe()
        frame.to_parquet(tmp_path / f"until{last}.parquet")
    return tmp_path


def command(folder, last, *more):
    config, panel = folder / "skill.toml", folder / f"until{last}.parquet"
    given = ["--config", str(config), "--panel", str(panel), "--out", str(folder / f"out{last}")]
    return cli.main(["backtest", *given, "--quiet", *more])


def test_the_command_prints_and_writes_the_whole_table(folder, capsys):
    assert command(folder, 1981) == 0
    text = capsys.readouterr().out
    assert "late (1980–1981)" in text
    assert "never" not in text
    assert "expected / observed by decade" in text
    out = folder / "out1981"
    assert (out / "table.txt").read_text() == text
    table = json.loads((out / "table.json").read_text())
    skill = pd.read_csv(out / "skill.csv")
    assert len(skill) == len(table["skill"]) == 2 * 8  # periods; methods raw, recalibrated, stacked
    assert {"small", "small, recalibrated", "without_alliances", "history"} <= set(skill["model"])
    assert "small + history" in set(skill["model"])
    rows = pd.read_parquet(out / "tables" / "forecasts.parquet")
    assert set(rows["year"]) == {1978, 1979, 1980, 1981}
    assert "recalibration" in table["about"]
    # a second call has everything on disk, and says the same
    assert command(folder, 1981, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["table"] == table


def test_it_runs_unchanged_on_a_panel_with_later_years(folder, capsys):
    assert command(folder, 1983) == 0
    assert "late (1980–1983)" in capsys.readouterr().out
    rows = pd.read_parquet(folder / "out1983" / "tables" / "forecasts.parquet")
    assert set(rows["year"]) == set(range(1978, 1984))


def test_options_that_the_file_decides_are_refused_beside_it(folder, capsys):
    assert command(folder, 1981, "--seed", "4") == 1
    assert "--config decides seed; leave out --seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("refit = 5", "refits = 5", r"unknown key 'refits'; did you mean 'refit'\?"),
        ("refit = 5", "refit = 0", "refit = 0: "),
        ("refit = 5", 'multi_step = "simulated"', "did you mean 'simulate'"),
        ("first = 1978", "frist = 1978", "did you mean 'first'"),
        ('name = "late"', 'nme = "late"', r"\[\[period\]\] 1: .*unknown key 'nme'"),
        ("seed = 3", "", "the key 'seed' is missing"),
        ("seed = 3", "seed = ", "not a valid TOML file"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_the_nearest_key(tmp_path, old, new, message):
    (tmp_path / "skill.toml").write_text(SMALL.replace(old, new))
    with pytest.raises(SpecificationError, match=message):
        BacktestPlan.from_toml(tmp_path / "skill.toml")


def test_the_frozen_file_is_valid_and_covers_later_years(panel):
    config = BacktestPlan.from_toml(FROZEN)
    assert config.spec().name == "dyad_onset_historical"
    assert {"boosting", "history", "without_alliances"} <= set(config.baselines)
    assert config.years(panel) == tuple(range(1960, 2000))  # the simulated panel ends in 1999
    assert any(period.last is None for period in config.periods)
    with pytest.raises(CoverageError, match="end in 1955"):
        config.years(panel.select_years(1950, 1955))
    with pytest.raises(MissingFileError):
        BacktestPlan.from_toml("none.toml")


def test_table_agrees_with_the_forecasts():
    options = {"origins": range(1976, 1982), "seed": 5, "resamples": 100}
    result = backtest_of([baseline("history"), Climatology()], simulated(1981), **options)
    table = skill_table(result, periods=[Period(name="late", first=1980)], resamples=100)
    f = result.forecasts
    late = f[f["year"] >= 1980]
    mine = late[late["model"] == "history"]
    other = late[late["model"] == "climatology"]
    row = table.skill.set_index(["period", "model"]).loc[("late (1980–1981)", "history")]
    y, p = mine["outcome"].to_numpy(), mine["probability"].to_numpy()
    loss, base = log_loss(y, p).value, log_loss(y, other["probability"]).value
    assert row["log_loss"] == pytest.approx(loss)
    assert row["log_loss_skill"] == pytest.approx(1 - loss / base)
    rate = y.mean()
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    assert row["log_loss_skill_constant"] == pytest.approx(1 - loss / entropy)
    assert row["ratio"] == pytest.approx(p.sum() / y.sum())
    quiet = (mine["peace_years"] > 10).to_numpy()
    assert row["average_precision_long_peace"] == pytest.approx(
        average_precision(y[quiet], p[quiet])
    )
    gain = table.gains.set_index(["period", "against"]).loc[("late (1980–1981)", "climatology")]
    assert gain["mean"] == pytest.approx(loss - base)
    wider = max(("year", "pair"), key=lambda b: gain[f"upper_by_{b}"] - gain[f"lower_by_{b}"])
    assert gain["block"] == wider
    assert gain["lower"] == gain[f"lower_by_{wider}"]
    decades = table.ratios.set_index(["model", "decade"]).loc[("history", 1980)]
    assert decades["expected"] == pytest.approx(p.sum())
    inside = result.counts.query("group == 'all' and model == 'history' and year >= 1980")["inside"]
    assert row["years_inside"] == inside.mean()

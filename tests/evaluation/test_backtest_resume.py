"""Backtest: what was done before a kill is kept; workers and interruptions change no number."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
from support.evaluation_panels import backtest_of, simulate_panel
from support.slow_forecaster import Slow

from forecast.errors import ArtifactError
from forecast.evaluation.backtest import BacktestPlan, backtest, read_forecasts
from forecast.evaluation.baselines import Climatology, baseline
from forecast.evaluation.rolling import JobResult
from forecast.files import MANIFEST, write_manifest
from forecast.modeling.spec import ModelSpec

SMALL = {"states": 12, "first": 1955, "last": 1982, "intercept": -3.0}
ORIGINS = (1979, 1980, 1981, 1982)
OPTIONS = {
    "origins": ORIGINS,
    "seed": 5,
    "resamples": 100,
    "recalibrate": 10,
    "warm_up": 10,
}


@pytest.fixture(scope="module")
def panel():
    return simulate_panel(**SMALL)


def small():
    prior = {"mean": 0.0, "sd": 1.0}
    names = (("land_contiguity", "geography"), ("peace_years", "history"), ("ally", "commitment"))
    return ModelSpec.from_dict(
        {
            "name": "small",
            "description": "A small model of the simulated panel.",
            "unit": "dyad-year",
            "population": "all",
            "intercept": {"reason": "test"},
            "term": [
                {
                    "name": n,
                    "family": f,
                    "pre_treatment": True,
                    "prior": prior,
                    "reason": "t",
                }
                for n, f in names
            ],
            "varying": [{"name": "dyad", "scale": {"sd": 1.0}, "reason": "test"}],
        }
    )


def same(a, b):
    pd.testing.assert_frame_equal(a.forecasts, b.forecasts)
    for name in ("scores", "differences", "counts", "totals", "recalibration", "ratios"):
        pd.testing.assert_frame_equal(getattr(a, name), getattr(b, name))


@dataclass(frozen=True)
class Fails:
    """Fits as climatology until there is a file that says stop."""

    flag: str
    name: str = "fails"

    def columns(self):
        return ()

    def fit(self, panel, *, seed, previous=None):
        if Path(self.flag).exists() and int(panel.data["year"].max()) >= 1980:
            raise MemoryError("the machine is full")
        return Climatology().fit(panel, seed=seed)


def test_a_run_that_stopped_goes_on_where_it_was(panel, tmp_path):
    flag = tmp_path / "stop"
    methods = [baseline("history"), Climatology(), Fails(str(flag))]
    whole = backtest_of(methods, panel, out=tmp_path / "whole", **OPTIONS)
    flag.touch()
    with pytest.raises(MemoryError):
        backtest_of(methods, panel, out=tmp_path / "out", **OPTIONS)
    flag.unlink()
    made = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "state").iterdir()}
    assert made  # something was done
    resumed = backtest_of(methods, panel, out=tmp_path / "out", **OPTIONS)
    same(whole, resumed)
    again = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "state").iterdir()}
    assert len(again) > len(made)
    assert {name: again[name] for name in made} == made  # nothing was done twice
    same(whole, backtest_of(methods, panel, **OPTIONS))


def test_every_forecast_row_is_on_disk_with_its_origin(panel, tmp_path):
    result = backtest_of(
        [baseline("history"), Climatology()], panel, out=tmp_path / "out", **OPTIONS
    )
    kept = pd.read_parquet(tmp_path / "out" / "forecasts")
    assert set(kept["origin"]) == set(range(1969, 1983))  # those of the warm-up too
    keys = ["model", "origin", "horizon", "year", "ccode_a", "ccode_b"]
    raw = result.forecasts[~result.forecasts["model"].str.contains("recalibrated")]
    joined = raw.merge(kept, on=keys, suffixes=("", "_disk"), validate="1:1")
    assert len(joined) == len(raw)
    for name in ("outcome", "probability", "stratum"):
        assert (joined[name] == joined[f"{name}_disk"]).all()


def test_forecasts_are_read_as_they_were_written(panel, tmp_path, monkeypatch):
    methods = [baseline("history"), Climatology()]
    backtest_of(methods, panel, out=tmp_path / "run", **OPTIONS)
    whole = read_forecasts(tmp_path / "run")
    file = sorted((tmp_path / "run" / "forecasts").iterdir())[0]
    (file.parent / "origin=1900.killed.parquet").write_bytes(file.read_bytes())
    pd.testing.assert_frame_equal(read_forecasts(tmp_path / "run"), whole)
    (tmp_path / "mine.parquet").write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(read_forecasts("mine.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match="SHA-256"):
        read_forecasts(tmp_path / "run")


def test_another_configuration_or_other_files_are_refused(panel, tmp_path):
    methods = [baseline("history"), Climatology()]
    backtest_of(methods, panel, out=tmp_path / "out", **OPTIONS)
    with pytest.raises(ArtifactError, match="another configuration: seed is 5, asked for 6"):
        backtest_of(methods, panel, out=tmp_path / "out", **(OPTIONS | {"seed": 6}))
    with pytest.raises(ArtifactError, match="panel is"):
        other = panel.with_data(panel.data.assign(outcome=1.0 - panel.data["outcome"]))
        backtest_of(methods, other, out=tmp_path / "out", **OPTIONS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ArtifactError, match="holds files but no backtest"):
        backtest_of(methods, panel, out=tmp_path / "mine", **OPTIONS)


def test_a_damaged_part_is_named(panel, tmp_path):
    methods = [baseline("history"), Climatology()]
    backtest_of(methods, panel, out=tmp_path / "out", **OPTIONS)
    victim = sorted((tmp_path / "out" / "state").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=f"{victim.name} has SHA-256 .* Delete it"):
        backtest_of(methods, panel, out=tmp_path / "out", **OPTIONS)
    victim.unlink()
    whole = backtest_of(methods, panel, **OPTIONS)
    same(whole, backtest_of(methods, panel, out=tmp_path / "out", **OPTIONS))
    # What the manifest does not name was not finished when the run was killed.
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    kept = {name: facts for name, facts in manifest["files"].items() if victim.name not in name}
    write_manifest(tmp_path / "out", manifest | {"files": kept})
    victim.write_bytes(b"half")
    same(whole, backtest_of(methods, panel, out=tmp_path / "out", **OPTIONS))
    (tmp_path / "out" / MANIFEST).write_text("{")
    with pytest.raises(ArtifactError, match=r"MANIFEST\.json cannot be read"):
        backtest_of(methods, panel, out=tmp_path / "out", **OPTIONS)


@pytest.mark.long
def test_a_model_gives_the_same_numbers_from_disk_and_in_worker_processes(panel, tmp_path):
    plan = BacktestPlan(
        model=small(),
        origins=[1970, 1971, 1972],
        seed=1,
        draws=200,
        baselines=("without_alliances", "conflictology"),
        resamples=100,
    )
    rows = panel.select_years(1955, 1972)
    here = backtest(plan, rows, out=tmp_path / "one")
    state = sorted((tmp_path / "one" / "state").glob("small*"))
    assert len(state) == 3
    with xr.open_dataset(state[0], engine="h5netcdf") as opened:
        start = JobResult.from_arrays({k: v.to_numpy() for k, v in opened.items()}).start
    assert start is not None
    assert start.posterior["posterior"]["beta"].shape == (1, 1, 4)
    state[1].unlink()  # a later fit of the decade: made again from the first one's start
    same(here, backtest(plan, rows, out=tmp_path / "one"))
    same(here, backtest(plan, rows, workers=2))


SCRIPT = """
import sys
sys.path[:0] = {paths!r}
from test_backtest_resume import killed_run
killed_run({out!r})
"""


def killed_run(out):
    """Run in a process of its own, to be killed in the middle."""
    methods = [baseline("history"), Climatology(), Slow()]
    return backtest_of(methods, simulate_panel(**SMALL), out=Path(out), **OPTIONS)


def test_a_killed_process_loses_only_what_it_was_at(panel, tmp_path):
    out = tmp_path / "out"
    code = textwrap.dedent(SCRIPT).format(
        paths=[str(Path(__file__).parent), str(Path(__file__).parents[1])], out=str(out)
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))
    deadline = time.monotonic() + 300
    slow = []
    while len(slow) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
        slow = list((out / "state").glob("slow*")) if out.exists() else []
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it was not done before it was killed
    done = len(list((out / "state").glob("slow*.nc")))
    assert 2 <= done < 14
    resumed = killed_run(out)
    same(resumed, backtest_of([baseline("history"), Climatology(), Slow()], panel, **OPTIONS))


def test_a_cluster_gives_the_same_numbers(panel):
    distributed = pytest.importorskip("distributed")
    methods = [baseline("history"), Climatology()]
    here = backtest_of(methods, panel, **OPTIONS)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        same(here, backtest_of(methods, panel, client=client, **OPTIONS))

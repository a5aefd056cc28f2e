"""NUTS, and the agreement of Laplace with it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import xarray as xr
from support import worker_tasks
from support.simulated_designs import block, dyads, indicator, plain

from forecast.errors import ArgumentError, ArtifactError, MissingFileError
from forecast.inference.diagnostics import Diagnostics, chain_diagnostics, gate
from forecast.inference.nuts import sample_nuts
from forecast.inference.nuts_store import open_draws
from forecast.inference.sampling import sample_design
from forecast.modeling.design import Design
from forecast.parallel import at_most, run_tasks

pytestmark = pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")


def compare(one: xr.Dataset, two: xr.Dataset, *, mean: float, spread: float) -> None:
    """Means within `mean` posterior s.d. and s.d. within `spread`, for every main parameter."""
    for name in [v for v in one.data_vars if v == "beta" or str(v).startswith("sigma")]:
        a, b = (
            d[name].stack(s=("chain", "draw")).transpose("s", ...).to_numpy() for d in (one, two)
        )
        np.testing.assert_array_less(np.abs(a.mean(0) - b.mean(0)) / b.std(0), mean, err_msg=name)
        np.testing.assert_array_less(np.abs(a.std(0) / b.std(0) - 1), spread, err_msg=name)


def test_laplace_agrees_with_nuts_and_a_short_run_is_refused():
    design, _ = dyads(states=12, pairs=40, years=20, columns=4, rate=0.1, seed=5)
    short, found = sample_design(design, method="nuts", seed=1, draws=100, chains=2, tune=50)
    result = gate(Diagnostics(wall_seconds=1.0, peak_memory_mb=1.0, **found))
    assert not result.passed
    assert any("Effective sample size" in failure for failure in result.failures)
    nuts, found = sample_design(design, method="nuts", seed=1, draws=1500, chains=4, tune=600)
    assert found["max_rhat"] < 1.02
    laplace, _ = sample_design(design, seed=1, draws=4000)
    assert set(short["posterior"].data_vars) == set(laplace["posterior"].data_vars)
    # The tolerance of the design document (0.1 s.d., 10%) and the Monte Carlo error of both.
    a, b = (tree["posterior"].to_dataset() for tree in (laplace, nuts))
    compare(a, b, mean=0.1 + 0.1, spread=0.1 + 0.06)


RUN: dict[str, Any] = {"method": "nuts", "seed": 3, "draws": 120, "tune": 60, "chains": 2}


@pytest.fixture(scope="module")
def small() -> Design:
    """One group of effects: little to compile."""
    rng = np.random.default_rng(4)
    group = rng.integers(0, 6, 80)
    X = np.column_stack([np.ones(80), rng.normal(size=80)])
    y = (rng.random(80) < 0.3).astype(float)
    return plain(y.tolist(), X, (block("state", indicator(group, 6), 0.5),))


@pytest.fixture(scope="module")
def here(small: Design) -> tuple[xr.DataTree, dict[str, Any]]:
    return sample_design(small, **RUN)


def same(one: xr.DataTree, other: xr.DataTree) -> None:
    assert list(one["posterior"].data_vars) == list(other["posterior"].data_vars)
    for name in one["posterior"].data_vars:
        xr.testing.assert_identical(
            one["posterior"][name].load().drop_attrs(), other["posterior"][name].load().drop_attrs()
        )
    for name in ("energy", "depth", "diverging"):
        np.testing.assert_array_equal(one["sample_stats"][name], other["sample_stats"][name])


def test_chains_differ_and_one_core_gives_the_same_numbers(small, here):
    tree, found = here
    assert tree["posterior"]["beta"].dims == ("chain", "draw", "term")
    assert tree["posterior"].sizes == {"chain": 2, "draw": 120, "term": 2, "level_state": 6}
    first, second = tree["posterior"]["beta"].to_numpy()
    assert not (first == second).any()
    with at_most(1):
        again, found_again = sample_design(small, **RUN)
    same(tree, again)
    assert found == found_again


@pytest.mark.long
def test_two_worker_processes_give_the_same_numbers(small, here):
    tree, found = sample_design(small, workers=2, **RUN)
    same(here[0], tree)
    assert found == here[1]


@pytest.mark.long
def test_a_cluster_gives_the_same_numbers_for_nuts_and_laplace(small, here, tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        tree, found = sample_design(small, client=client, store=tmp_path / "draws", **RUN)
        same(here[0], tree)
        assert found == here[1]
        there, _ = sample_design(small, seed=2, draws=200, client=client)
    laplace, _ = sample_design(small, seed=2, draws=200)
    xr.testing.assert_identical(there["posterior"].to_dataset(), laplace["posterior"].to_dataset())


@pytest.mark.long
def test_laplace_gives_the_same_numbers_with_one_or_two_worker_processes():
    design, _ = dyads(states=10, pairs=30, years=15, columns=3, rate=0.1, seed=5)
    tasks = [(1,), (2,), (1,)]
    one = run_tasks(worker_tasks.laplace, tasks, shared=design)
    two = run_tasks(worker_tasks.laplace, tasks, shared=design, workers=2)
    for first, second in zip(one, two, strict=True):
        for name in first:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    np.testing.assert_array_equal(two[0]["beta"], two[2]["beta"])
    assert not np.array_equal(two[0]["beta"], two[1]["beta"])


def test_draws_go_to_a_folder_and_are_read_when_they_are_used(small, here, tmp_path):
    store = tmp_path / "run" / "draws"
    tree, found = sample_design(small, store=store, **RUN)
    assert not any(v._in_memory for v in tree["posterior"].variables.values() if v.ndim > 1)
    same(here[0], tree)
    assert found == here[1]
    opened = open_draws(store)
    assert opened.attrs["complete"]
    np.testing.assert_array_equal(opened["posterior"]["beta"], here[0]["posterior"]["beta"])
    assert not (store / "chains").exists()
    chunk = max((store / "draws" / "posterior" / "beta").rglob("*"), key=lambda p: len(p.parts))
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=r"draws/posterior/beta/.* has SHA-256.*Sample again"):
        open_draws(store)
    (store / "MANIFEST.json").unlink()  # as earlier versions left it
    chunk.write_bytes(content)
    assert open_draws(store).attrs["complete"]
    with pytest.raises(ArgumentError, match="exists, expected a folder that does not"):
        sample_design(small, store=store, **RUN)


def copy_if_there(source: str, target: str) -> str:
    """Files are written under another name first, which is gone a moment later."""
    with suppress(FileNotFoundError):
        shutil.copyfile(source, target)
    return target


@pytest.mark.long
def test_an_interrupted_run_leaves_the_draws_that_it_made(small, here, tmp_path):
    """What a kill leaves on disk: a copy taken while the chains run."""
    store, copy = tmp_path / "draws", tmp_path / "copy"

    def interrupt(what: str, share: float) -> None:
        # Well beyond tuning, which is 60 of 50,060 steps.
        if share > 0.008 and not copy.exists():
            shutil.copytree(store, copy, copy_function=copy_if_there)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_nuts(
            small, seed=np.random.SeedSequence(3), draws=50_000, tune=60, chains=2,
            store=store, report=interrupt,
        )  # fmt: skip
    for folder in (copy, store):
        left = open_draws(folder)
        assert not left.attrs["complete"]
        assert left.attrs["draws"] == 50_000
        made = left["posterior"].sizes["draw"]
        assert 0 < made < 50_000
        assert made == left["sample_stats"].sizes["draw"]
        assert set(left["posterior"].data_vars) == set(here[0]["posterior"].data_vars)
        first = min(made, 120)
        for name, whole in here[0]["posterior"].data_vars.items():
            part = left["posterior"][name]
            assert np.isfinite(part).all()
            kept = whole.sel(chain=part["chain"])[:, :first]
            np.testing.assert_array_equal(part[:, :first], kept)


def test_folders_without_draws(tmp_path):
    with pytest.raises(MissingFileError, match=r"no draws of NUTS there \(about.json is missing"):
        open_draws(tmp_path)
    (tmp_path / "about.json").write_text('{"chains": 2, "draws": 100, "tune": 50, "seeds": [1, 2]}')
    with pytest.raises(ArtifactError, match="before any chain got beyond its 50 tuning steps"):
        open_draws(tmp_path)


@pytest.mark.parametrize("option", [{"store": "folder"}, {"workers": 2}])
def test_options_of_nuts_are_refused_for_laplace(small, option):
    with pytest.raises(ArgumentError, match=r"with method='laplace', expected method='nuts'"):
        sample_design(small, seed=1, **option)


def test_diagnostics_in_pieces_find_the_worst_parameter():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(4, 200, 300))
    values[:, :, 271] = np.cumsum(values[:, :, 271], axis=1)
    dataset = xr.Dataset(
        {"effect_dyad": (("chain", "draw", "level_dyad"), values)},
        {"level_dyad": [f"pair {i}" for i in range(300)]},
    )
    rhat, bulk, tail, worst = chain_diagnostics(dataset)
    assert worst == "effect_dyad[pair 271]"
    alone = chain_diagnostics(dataset.isel(level_dyad=[271]))
    assert (bulk, alone[3]) == (alone[1], "effect_dyad[pair 271]")
    assert rhat >= alone[0] > 1.1
    assert tail <= alone[2] < 100


@pytest.mark.long
def test_laplace_agrees_with_long_nuts_on_a_middle_sized_panel():
    design, _ = dyads(states=60, pairs=300, years=27, columns=8, rate=0.03, seed=8)
    nuts, found = sample_design(design, method="nuts", seed=1, draws=4000, chains=4, tune=1000)
    assert found["min_ess_bulk"] > 1000
    laplace, _ = sample_design(design, seed=1, draws=8000)
    a, b = (tree["posterior"].to_dataset() for tree in (laplace, nuts))
    compare(a, b, mean=0.1 + 0.05, spread=0.1 + 0.04)

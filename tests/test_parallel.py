"""`run_tasks`: the same numbers everywhere, lost workers, errors of tasks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import worker_tasks

from forecast.errors import ArgumentError, DataError, UnknownNameError, WorkerLostError
from forecast.parallel import at_most, cores, in_threads, run_tasks

TASKS = [(seed, 1 + seed % 3) for seed in range(7)]
SHARED = np.random.default_rng(5).normal(size=(40, 30))


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A local cluster that gives a task up as soon as its worker is lost, as we must not."""
    distributed = pytest.importorskip("distributed")
    import dask

    settings = {
        "distributed.scheduler.allowed-failures": 0,
        # A local cluster drops a worker that is not back in 15 s: too soon on a busy machine.
        "distributed.deploy.lost-worker-timeout": "120s",
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as found,
    ):
        yield found


def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "cluster":
        return {"client": request.getfixturevalue("client")}
    return {"workers": {"here": 1, "processes": 2}[request.param]}


@pytest.fixture(params=["here", "processes", "cluster"])
def where(request: pytest.FixtureRequest) -> dict[str, Any]:
    return options(request)


@pytest.fixture(params=["processes", "cluster"])
def away(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where there are workers that can be lost."""
    return options(request)


def test_the_same_numbers_wherever_tasks_run(where: dict[str, Any]):
    seen: dict[int, Any] = {}
    found = run_tasks(worker_tasks.draw, TASKS, shared=SHARED, on_result=seen.__setitem__, **where)
    expected = [worker_tasks.draw(SHARED, *task) for task in TASKS]
    assert sorted(seen) == list(range(len(TASKS)))
    for i, (one, other) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_array_equal(one, other)
        assert seen[i] is one


def test_no_task_gives_no_result(where: dict[str, Any]):
    assert run_tasks(worker_tasks.draw, [], shared=SHARED, **where) == []


def test_one_thread_in_a_worker_and_prints_do_no_harm():
    found = run_tasks(worker_tasks.threads_of, [(i,) for i in range(4)], workers=2)
    assert {one["cores"] for one in found} == {1}
    assert {count for one in found for count in one["blas"]} == {1}
    assert 1 <= len({one["process"] for one in found} - {os.getpid()}) <= 2


def test_here_uses_all_cores_but_one_thread_for_linear_algebra():
    (found,) = run_tasks(worker_tasks.threads_of, [(0,)])
    assert found["cores"] == cores()
    assert set(found["blas"]) == {1}
    assert found["process"] == os.getpid()


def test_a_limit_on_threads_ends_with_its_block():
    before = cores()
    with at_most(1):
        assert cores() == 1
    assert cores() == before
    with at_most(10_000):
        assert cores() == before


def test_a_lost_worker_is_replaced(away: dict[str, Any], tmp_path: Path):
    tasks = [(i, 3) for i in range(6)]
    found = run_tasks(worker_tasks.dies_once, tasks, shared=str(tmp_path), **away)
    assert found == [i * i for i in range(6)]
    assert (tmp_path / "died-3").exists()


def test_a_task_that_always_kills_its_worker_is_named(away: dict[str, Any]):
    with pytest.raises(
        WorkerLostError, match=r"task 2 of 4, dies_always\(1, 1\) was lost \d times"
    ):
        run_tasks(worker_tasks.dies_always, [(i, 1) for i in range(4)], **away)


def test_shared_data_are_sent_again_when_every_worker_that_held_them_is_lost(
    client: Any, tmp_path: Path
):
    # Both workers die at the same moment, and with them every copy of what was scattered.
    found = run_tasks(
        worker_tasks.dies_together, [(i, 2) for i in range(5)], shared=str(tmp_path), client=client
    )
    assert found == [0, 1, 4, 9, 16]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("data", DataError, "column 'year': found -9"),
        ("name", UnknownNameError, "Unknown state 'Frnace'. Did you mean 'France'\\? In 1914."),
        ("value", ValueError, "bad number 17"),
    ],
)
def test_the_error_of_a_task_comes_home_with_its_task(
    where: dict[str, Any], tmp_path: Path, kind: str, error: type[Exception], message: str
):
    with pytest.raises(error, match=message) as caught:
        run_tasks(worker_tasks.fails, [(i, kind) for i in range(60)], shared=str(tmp_path), **where)
    assert any(f"task 2 of 60, fails(1, '{kind}')" in note for note in caught.value.__notes__)
    time.sleep(0.2)
    assert len(list(tmp_path.iterdir())) < 30  # the others were cancelled


def test_an_exception_that_cannot_be_sent_arrives_as_text(tmp_path: Path):
    with pytest.raises(RuntimeError, match=r"StrangeError in a worker:(?s:.)*strange 3"):
        run_tasks(
            worker_tasks.fails, [(i, "strange") for i in range(3)], shared=str(tmp_path), workers=2
        )


def test_a_result_that_cannot_be_sent_is_said():
    with pytest.raises(Exception, match=r"(?i)pickle|local object") as caught:
        run_tasks(worker_tasks.unpicklable, [(i,) for i in range(3)], workers=2)
    assert any("task 2 of 3" in note for note in caught.value.__notes__)


def test_an_error_of_the_caller_ends_the_workers():
    def refuse(i: int, value: Any) -> None:
        raise OSError("disk full")

    begun = time.monotonic()
    with pytest.raises(OSError, match="disk full"):
        run_tasks(worker_tasks.slow, [(0.0,), (60.0,), (60.0,)], workers=2, on_result=refuse)
    assert time.monotonic() - begun < 30.0


def test_a_script_needs_no_guard(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(
        "import math\nfrom support import worker_tasks\n"
        "from forecast.parallel import run_tasks\n"
        "print(run_tasks(worker_tasks.slow, [(0.0,), (0.01,)], workers=2))\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent)])}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[0.0, 0.01]\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers=0, expected an integer of 1 or more"),
        ({"workers": 1.5}, "workers=1.5"),
        ({"workers": 2, "client": object()}, "both given"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str):
    with pytest.raises(ArgumentError, match=message):
        run_tasks(worker_tasks.draw, TASKS, shared=SHARED, **options)


def test_a_function_of_a_notebook_can_be_run_by_workers():
    assert run_tasks(lambda shared, i: shared * i, [(1,), (2,)], shared=3, workers=2) == [3, 6]


def test_shared_data_that_a_worker_cannot_read_are_said(away: dict[str, Any]):
    with pytest.raises(RuntimeError, match="cannot be read here") as caught:
        run_tasks(worker_tasks.draw, TASKS, shared=worker_tasks.Unreadable(), **away)
    assert any("of 7, draw(" in note for note in caught.value.__notes__)


def test_tasks_here_can_run_beside_each_other(tmp_path: Path):
    tasks = [(i, 0) for i in range(4)]
    assert run_tasks(worker_tasks.meets, tasks, shared=str(tmp_path), threads=2) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="bad number") as caught:
        run_tasks(
            worker_tasks.fails, [(i, "value") for i in range(9)], shared=str(tmp_path), threads=2
        )
    assert any("task 2 of 9" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_thread_is_raised(threads):
    def fails(number: int) -> None:
        if number == 3:
            raise ValueError("number 3")

    with pytest.raises(ValueError, match="number 3"):
        in_threads(fails, [(n,) for n in range(5)], threads=threads)

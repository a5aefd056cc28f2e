"""Tasks on a Dask cluster, whose workers may come and go.

What the tasks share travels as a worker plugin, which the scheduler hands to every worker,
later ones included. Scattered data would be gone with the workers that hold them, and a result
on which tasks depend would have to be fetched from workers that may be dead.
"""

from __future__ import annotations

import os
import queue
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from distributed import KilledWorker, WorkerPlugin
from distributed.comm.core import CommClosedError

from forecast.errors import ArgumentError, WorkerLostError
from forecast.workers import Finished, Job, Outcome, call, lost

__all__ = ["run_on_cluster"]

#: Seconds for which a cluster may be without any worker.
_PATIENCE = 600.0
#: Jobs of this process, when it is a worker.
_JOBS: dict[str, Job] = {}


class JobPlugin(WorkerPlugin):
    """Brings a job to a worker and takes it away again."""

    def __init__(self, name: str, job: Job) -> None:
        self.name, self.job = name, job

    def setup(self, worker: Any) -> None:
        """Keep the job where tasks find it."""
        _JOBS[self.name] = self.job

    def teardown(self, worker: Any) -> None:
        """Free its memory."""
        _JOBS.pop(self.name, None)


def _call_named(name: str, task: tuple[Any, ...]) -> Outcome:
    return call(_JOBS[name], task)


def run_on_cluster(
    job: Job, tasks: Sequence[tuple[Any, ...]], client: Any, retries: int
) -> Finished:
    """Outcomes of tasks; see `forecast.workers.run_tasks`.

    Dask takes every task that was on a lost worker for a suspect and gives it up after a few
    losses. So a task that was given up is run again by itself before it is blamed.

    Parameters
    ----------
    job : Job
    tasks : sequence of tuple
    client : dask.distributed.Client
    retries : int

    Yields
    ------
    (position, Outcome)
    """
    if getattr(client, "asynchronous", False):
        raise ArgumentError(
            "client= is asynchronous, expected dask.distributed.Client(asynchronous=False)."
        )
    if not tasks:
        return
    finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
    running: dict[Any, tuple[int, Any]] = {}
    losses, suspects, made = [0] * len(tasks), deque[int](), count()
    name = f"{job.function.__name__}-{os.urandom(8).hex()}"

    def submit(i: int) -> None:
        key = f"{name}-{i}-{next(made)}"
        future = client.submit(_call_named, name, tasks[i], key=key, pure=False)
        running[key] = i, future
        future.add_done_callback(finished.put)

    try:
        _send(client, JobPlugin(name, job))
        for i in range(len(tasks)):
            submit(i)
        while running or suspects:
            if not running:
                submit(suspects.popleft())
            future = _next(finished, client)
            i, _ = running.pop(future.key)
            try:
                outcome: Outcome = future.result()
            except KilledWorker as error:
                # By itself, all of the scheduler's own attempts were this task's.
                losses[i] += 1 if running else error.allowed_failures + 1
                if losses[i] <= retries:
                    suspects.append(i)
                    continue
                outcome = lost(job, tasks, i, losses[i], f"last {error.last_worker.address}")
            finally:
                # Or Dask would compute it again when the worker that holds the result is lost.
                future.release()
            yield i, outcome
    finally:
        client.cancel([future for _, future in running.values()])
        with suppress(OSError, CommClosedError):
            client.unregister_worker_plugin(name)


def _send(client: Any, plugin: JobPlugin) -> None:
    """Give the job to all workers; once more when one is lost just then."""
    for attempt in range(3):
        try:
            client.register_plugin(plugin, name=plugin.name)
            return
        except (OSError, CommClosedError):
            if attempt == 2:
                raise


def _next(finished: queue.SimpleQueue[Any], client: Any) -> Any:
    """The next future that is done; waits for a cluster without workers, but not for ever."""
    empty_since: float | None = None
    while True:
        try:
            return finished.get(timeout=5.0)
        except queue.Empty:
            if client.nthreads():
                empty_since = None
                continue
            empty_since = empty_since or time.monotonic()
            if time.monotonic() - empty_since > _PATIENCE:
                raise WorkerLostError(
                    f"The cluster has had no worker for {_PATIENCE / 60:.0f} minutes: none was "
                    "started, or all were lost. Look at the logs of the workers."
                ) from None

"""One map over tasks: the same results here, in threads, in processes or on a Dask cluster.

A task holds everything that its numbers depend on, its seed included, and its linear algebra uses
one thread: the number of BLAS threads decides in which order sums are taken. So the numbers are
the same wherever tasks run, and however many run at a time.

Processes are those of loky, fresh interpreters that need no ``if __name__ == "__main__"`` guard;
a cluster is asked through its client's executor. joblib, which builds on both, waits for ever for
a task that was lost with a worker of a cluster, and names no task.
"""

from __future__ import annotations

import os
import pickle
import reprlib
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent import futures
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from forecast.errors import ArgumentError, ForecastError, WorkerLostError

__all__ = ["at_most", "beside", "cores", "in_kept_threads", "in_threads", "run_tasks"]

#: How often a task is tried whose worker is lost.
_TRIES = 3
#: Seconds for which a cluster may be without any worker.
_PATIENCE = 600.0
_LIMIT: ContextVar[int | None] = ContextVar("forecast_threads", default=None)

#: Result of a task and None, or None and what went wrong.
Outcome = tuple[Any, BaseException | None]
#: Positions of tasks with their outcomes, in the order in which they finish.
Finished = Generator[tuple[int, Any]]
Tasks = Sequence[tuple[Any, ...]]


def cores() -> int:
    """Cores that this process may run on, or fewer inside `at_most`."""
    has = hasattr(os, "sched_getaffinity")
    found = len(os.sched_getaffinity(0)) if has else os.cpu_count() or 1
    return min(found, _LIMIT.get() or found)


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Limit `cores` in this block, for work that runs beside other work on the same machine."""
    token = _LIMIT.set(threads)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def run_tasks(
    function: Callable[..., Any],
    tasks: Tasks,
    *,
    shared: Any = None,
    workers: int = 1,
    client: Any = None,
    threads: int = 1,
    on_result: Callable[[int, Any], None] | None = None,
) -> list[Any]:
    """Results of ``function(shared, *task)`` for every task, in the order of `tasks`.

    A task whose worker is lost (killed, out of memory) is tried again by itself, twice.

    Parameters
    ----------
    tasks : sequence of tuple
        Arguments after `shared`, one tuple a task.
    shared : object
        What all tasks read (none may change it), e.g. a panel; sent once to each worker.
    workers : int
        1: here. More: that many processes of this machine.
    client : dask.distributed.Client, optional
        A cluster on which to run; `workers` must then be 1.
    threads : int
        Tasks at a time where they run here.
    on_result : callable, optional
        Called here with the position of a task and its result as soon as it is finished, in the
        order in which tasks finish.

    Raises
    ------
    ArgumentError
        A number of workers that cannot be used, or a client that cannot be waited for.
    WorkerLostError
        A task lost its worker each time, or the cluster has no worker.
    Exception
        The first that a task raised, with a note that names the task; the others are cancelled.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ArgumentError(f"workers={workers!r}, expected an integer of 1 or more.")
    if client is not None and workers != 1:
        raise ArgumentError(
            f"workers={workers} and client= are both given: expected one of them; a Dask "
            "client knows its own workers."
        )
    if getattr(client, "asynchronous", False):
        raise ArgumentError(
            "client= is asynchronous, expected dask.distributed.Client(asynchronous=False)."
        )
    job, tasks = _Job(function, shared), [tuple(task) for task in tasks]
    workers = min(workers, len(tasks))
    if client is not None and tasks:
        found = _on_cluster(job, tasks, client)
    elif workers > 1:
        found = _in_processes(job, tasks, workers)
    elif threads > 1 and len(tasks) > 1:
        found = _everywhere(job, tasks, partial(beside, threads), partial(_call, job), threads)
    else:
        found = _here(job, tasks)
    results: list[Any] = [None] * len(tasks)
    with closing(found):
        for i, (value, error) in found:
            if error is not None:
                if not isinstance(error, WorkerLostError):
                    error.add_note(f"In {_named(job, tasks, i)}.")
                raise error
            results[i] = value
            if on_result is not None:
                on_result(i, value)
    return results


def in_threads(function: Callable[..., None], tasks: Tasks, *, threads: int | None = None) -> None:
    """Call a function with each of some arguments, as many at a time as there are cores."""
    threads = cores() if threads is None else threads
    if threads == 1 or len(tasks) < 2:
        for task in tasks:
            function(*task)
        return
    with beside(threads) as pool:
        for _ in pool.map(lambda task: function(*task), tasks):
            pass


@contextmanager
def beside(threads: int = 1) -> Iterator[ThreadPoolExecutor]:
    """Threads for work of the block's own; matrix products use one thread meanwhile.

    The products are small: threads inside them cost more than they gain.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        yield pool


def in_kept_threads(work: Callable[..., Any], parts: Tasks, threads: int) -> list[Any]:
    """Results of ``work(*part)`` in order, in threads that are kept between calls.

    A call takes 40 µs; with new threads 190 µs, and with joblib's 10 ms (November 2026, two cores),
    too long for the kernel of a fit. `work` must not come here itself.
    """
    if len(parts) < 2 or threads == 1:
        return [work(*part) for part in parts]
    return list(_kept(os.getpid(), threads).map(lambda part: work(*part), parts))


@cache
def _kept(_process: int, threads: int) -> ThreadPoolExecutor:
    """Threads by process: a forked one makes its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="parts")


@dataclass(frozen=True)
class _Job:
    """What every worker needs for any task."""

    function: Callable[..., Any]
    shared: Any


def _named(job: _Job, tasks: Tasks, i: int) -> str:
    arguments = ", ".join(map(reprlib.Repr(maxstring=80, maxother=80).repr, tasks[i]))
    return f"task {i + 1} of {len(tasks)}, {job.function.__name__}({arguments})"


def _call(job: _Job, task: tuple[Any, ...]) -> Outcome:
    """Outcome of a task; an exception is one too, so that it is not taken for a lost worker."""
    try:
        return job.function(job.shared, *task), None
    except Exception as error:
        return None, error


def _here(job: _Job, tasks: Tasks) -> Finished:
    from threadpoolctl import threadpool_limits

    for i, task in enumerate(tasks):
        with threadpool_limits(limits=1, user_api="blas"):
            outcome = _call(job, task)
        yield i, outcome


def _everywhere(
    job: _Job,
    tasks: Tasks,
    opened: Callable[[], AbstractContextManager[Executor]],
    call: Callable[[tuple[Any, ...]], Any],
    room: int,
    *,
    lost: tuple[type[BaseException], ...] = (),
    waiting_for: Callable[[], None] = lambda: None,
) -> Finished:
    """Outcomes of ``call(task)``, which may be pickled, in executors, at most `room` at a time.

    When a worker is lost, it may have been any of the tasks that ran then: each of them is run
    again by itself, so that the one to blame is named, and has all of the memory.
    """
    waiting, suspects, losses = deque(range(len(tasks))), deque[int](), [0] * len(tasks)
    while waiting or suspects:
        queue, most = (suspects, 1) if suspects else (waiting, room)
        with opened() as executor:
            running: dict[Future[Any], int] = {}
            broken = False
            while running or (queue and not broken):
                while queue and len(running) < most and not broken:
                    try:
                        running[executor.submit(call, tasks[queue[0]])] = queue[0]
                        queue.popleft()
                    except BrokenExecutor:
                        broken = True
                done = futures.wait(running, timeout=5.0, return_when=futures.FIRST_COMPLETED).done
                if not done:
                    waiting_for()
                for future in done:
                    i = running.pop(future)
                    try:
                        found = future.result()
                        outcome = pickle.loads(found) if isinstance(found, bytes) else found
                    except lost as error:
                        broken = broken or isinstance(error, BrokenExecutor)
                        losses[i] += 1
                        if losses[i] < _TRIES:
                            suspects.append(i)
                            continue
                        outcome = None, _blamed(job, tasks, i, error)
                    except Exception as error:  # the task could not be sent
                        outcome = None, error
                    yield i, outcome


def _blamed(job: _Job, tasks: Tasks, i: int, error: BaseException) -> WorkerLostError:
    how = " ".join(str(error).split())
    return WorkerLostError(
        f"The worker of {_named(job, tasks, i)} was lost {_TRIES} times. A worker that is killed "
        f"has usually run out of memory: try fewer workers or a smaller task. ({how})"
    )


#: Pickled jobs of this process, when it is a worker, and jobs as they were unpickled.
_JOBS: dict[str, bytes | _Job] = {}


def _receive(name: str, job: bytes) -> None:
    _JOBS[name] = job


def _forget(name: str) -> None:
    _JOBS.pop(name, None)


def _begin(name: str, job: bytes) -> None:
    """What a worker process does first."""
    import signal

    # Ctrl-C reaches every process of a terminal; the caller decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # what a task prints does not belong among the answers of a command
    _receive(name, job)


def _call_named(name: str, task: tuple[Any, ...]) -> bytes:
    """Pickled outcome of a task of a job that this worker has received."""
    from threadpoolctl import threadpool_limits

    try:
        job = _JOBS[name]
        if isinstance(job, bytes):
            _JOBS[name] = job = pickle.loads(job)
        with threadpool_limits(limits=1, user_api="blas"), at_most(1):
            outcome = _call(job, task)
        if outcome[1] is None:
            return pickle.dumps(outcome, protocol=5)
    except Exception as error:
        outcome = None, error
    return pickle.dumps((None, _portable(outcome[1])), protocol=5)


def _portable(error: BaseException | None) -> BaseException:
    """An exception that survives the way home, with what is known about its origin."""
    assert error is not None
    text = "".join(traceback.format_exception(error))
    if not isinstance(error, ForecastError):
        error.add_note(f"In the worker:\n{text}")
    with suppress(Exception):  # whatever goes wrong, the text goes home
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    return RuntimeError(f"{type(error).__name__} in a worker:\n{text}")


def _in_processes(job: _Job, tasks: Tasks, workers: int) -> Finished:
    import cloudpickle
    import loky

    limits = ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB", "BLIS")
    content = cloudpickle.dumps(job, protocol=5)

    @contextmanager
    def opened() -> Iterator[Executor]:
        pool = loky.ProcessPoolExecutor(
            workers,
            env={f"{library}_NUM_THREADS": "1" for library in limits},
            initializer=_begin,
            initargs=("job", content),
        )
        try:
            with warnings.catch_warnings():
                # loky starts a worker anew that has grown by 300 MB, and says so
                warnings.filterwarnings("ignore", "A worker stopped while", UserWarning)
                yield pool
        except BaseException:
            pool.shutdown(kill_workers=True)
            raise
        pool.shutdown()

    call = partial(_call_named, "job")
    return _everywhere(job, tasks, opened, call, workers, lost=(BrokenExecutor,))


def _on_cluster(job: _Job, tasks: Tasks, client: Any) -> Finished:
    """On a Dask cluster, whose workers may come and go.

    The job travels as a plugin, which the scheduler hands to every worker, later ones included.
    Scattered data would be gone with the workers that hold them.
    """
    import cloudpickle
    from distributed import KilledWorker, WorkerPlugin
    from distributed.comm.core import CommClosedError

    class JobPlugin(WorkerPlugin):
        """Brings a job to a worker and takes it away again.

        It is pickled by value: only functions of this module find the worker's own jobs.
        """

        def __init__(self, name: str, content: bytes) -> None:
            self.name, self.content = name, content

        def setup(self, worker: Any) -> None:
            _receive(self.name, self.content)

        def teardown(self, worker: Any) -> None:
            _forget(self.name)

    name = f"{job.function.__name__}-{os.urandom(8).hex()}"
    plugin = JobPlugin(name, cloudpickle.dumps(job, protocol=5))
    seen = time.monotonic()

    def look() -> None:
        nonlocal seen
        if client.nthreads():
            seen = time.monotonic()
        elif time.monotonic() - seen > _PATIENCE:
            raise WorkerLostError(
                f"The cluster has had no worker for {_PATIENCE / 60:.0f} minutes: none was "
                "started, or all were lost. Look at the logs of the workers."
            )

    executor: Executor = client.get_executor(pure=False)
    found = _everywhere(
        job, tasks, lambda: nullcontext(executor), partial(_call_named, name), len(tasks),
        lost=(KilledWorker,), waiting_for=look,
    )  # fmt: skip
    try:
        for attempt in range(3):  # once more when a worker is lost just then
            try:
                client.register_plugin(plugin, name=name)
                break
            except (OSError, CommClosedError):
                if attempt == 2:
                    raise
        yield from found
    finally:
        executor.shutdown(wait=False)
        with suppress(OSError, CommClosedError):
            client.unregister_worker_plugin(name)

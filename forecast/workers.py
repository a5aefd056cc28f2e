"""The same tasks here, in worker processes or on a Dask cluster, with the same results.

A worker process is a fresh interpreter that reads pickled tasks from its standard input, rather
than one of `multiprocessing`: a script needs no ``if __name__ == "__main__"`` guard, the limits
on threads are in place before numpy is imported, and when a process is lost it is known which
task it was at.
"""

from __future__ import annotations

import os
import pickle
import queue
import reprlib
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from forecast.errors import ArgumentError, ForecastError, WorkerLostError
from forecast.threads import at_most

__all__ = ["Finished", "Job", "Outcome", "call", "lost", "run_tasks"]

#: Variables that keep the libraries of a worker process to one thread.
_ONE_THREAD = ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB", "BLIS")


def run_tasks(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    *,
    shared: Any = None,
    workers: int = 1,
    client: Any = None,
    retries: int = 2,
    on_result: Callable[[int, Any], None] | None = None,
) -> list[Any]:
    """Results of ``function(shared, *task)`` for every task, wherever they are computed.

    A task must hold everything that its numbers depend on, its seed included; then they are the
    same for one worker, for two and for a cluster. The linear algebra of a task uses one thread.

    Parameters
    ----------
    function : callable
        Defined at the top level of a module that the workers can import.
    tasks : sequence of tuple
        Arguments after `shared`, one tuple a task.
    shared : object
        What all tasks read (none may change it), e.g. a panel; sent once to each worker.
    workers : int
        1: here, in order. More: that many processes of this machine.
    client : dask.distributed.Client, optional
        A cluster on which to run; `workers` must then be 1.
    retries : int
        How often a task is tried again after its worker was lost (killed, out of memory). An
        exception that the task itself raises is never tried again.
    on_result : callable, optional
        Called here with the position of a task and its result as soon as it is finished, in the
        order in which tasks finish.

    Returns
    -------
    list
        In the order of `tasks`.

    Raises
    ------
    ArgumentError
        A number of workers or retries that cannot be used; a function that cannot be imported.
    WorkerLostError
        A task lost its worker more than `retries` times.
    Exception
        The first that a task raised, with a note that names the task; the others are cancelled.
    """
    for name, value, least in (("workers", workers, 1), ("retries", retries, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ArgumentError(f"{name}={value!r}, expected an integer of {least} or more.")
    tasks = [tuple(task) for task in tasks]
    if client is not None:
        if workers != 1:
            raise ArgumentError(
                f"workers={workers} and client= are both given: expected one of them; a Dask "
                "client knows its own workers."
            )
        from forecast.cluster import run_on_cluster

        found = run_on_cluster(Job(function, shared), tasks, client, retries)
    elif workers > 1 and len(tasks) > 1:
        _check_importable(function)
        found = _in_processes(Job(function, shared), tasks, min(workers, len(tasks)), retries)
    else:
        found = _here(Job(function, shared), tasks)
    results: list[Any] = [None] * len(tasks)
    with closing(found):
        for i, (value, error) in found:
            if error is not None:
                error.add_note(f"In {_named(function, tasks, i)}.")
                raise error
            results[i] = value
            if on_result is not None:
                on_result(i, value)
    return results


@dataclass(frozen=True)
class Job:
    """What every worker needs for any task."""

    function: Callable[..., Any]
    shared: Any


#: Result of a task and None, or None and what went wrong.
Outcome = tuple[Any, BaseException | None]
#: Positions of tasks with their outcomes, in the order in which they finish.
Finished = Generator[tuple[int, Outcome]]


def _named(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], i: int) -> str:
    short = reprlib.Repr(maxstring=80, maxother=80)
    arguments = ", ".join(short.repr(argument) for argument in tasks[i])
    return f"task {i + 1} of {len(tasks)}, {function.__name__}({arguments})"


def lost(job: Job, tasks: Sequence[tuple[Any, ...]], i: int, times: int, how: str) -> Outcome:
    """Outcome of a task that took its worker with it too often."""
    return None, WorkerLostError(
        f"The worker of {_named(job.function, tasks, i)} was lost {times} times ({how}). A worker "
        "that is killed has usually run out of memory: try fewer workers or a smaller task."
    )


def _check_importable(function: Callable[..., Any]) -> None:
    module, name = function.__module__, function.__qualname__
    if module == "__main__" or "<" in name:
        raise ArgumentError(
            f"{module}.{name} cannot be imported by a worker process: expected a function at the "
            "top level of a module (not of a script or notebook, no lambda)."
        )


def call(job: Job, task: tuple[Any, ...], threads: int | None = 1) -> Outcome:
    """Outcome of a task; an exception is one too, so that it is not taken for a lost worker."""
    from threadpoolctl import threadpool_limits

    try:
        # The same number of BLAS threads everywhere: it decides in which order sums are taken.
        with threadpool_limits(limits=1, user_api="blas"):
            if threads is None:
                return job.function(job.shared, *task), None
            with at_most(threads):
                return job.function(job.shared, *task), None
    except Exception as error:
        return None, error if threads is None else _portable(error)


def _portable(error: Exception) -> Exception:
    """An exception that survives the way home, with what is known about its origin."""
    text = "".join(traceback.format_exception(error))
    if not isinstance(error, ForecastError):
        error.add_note(f"In the worker:\n{text}")
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:
        pass  # whatever goes wrong, the text goes home
    return RuntimeError(f"{type(error).__name__} in a worker:\n{text}")


# ----------------------------------------------------------------------------------------- here


def _here(job: Job, tasks: Sequence[tuple[Any, ...]]) -> Finished:
    for i, task in enumerate(tasks):
        yield i, call(job, task, threads=None)


# ------------------------------------------------------------------------------------ processes


class _Process:
    """A worker process, attended to by one thread."""

    def __init__(self, path: Path) -> None:
        limits = {f"{library}_NUM_THREADS": "1" for library in _ONE_THREAD}
        here = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        code = "from forecast.workers import _serve; _serve()"
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-c", code, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | limits | {"PYTHONPATH": here},
        )

    def ask(self, message: bytes) -> Outcome:
        """Outcome of a task; EOFError or OSError if the process is lost meanwhile."""
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._popen.stdin.write(message)
        self._popen.stdin.flush()
        outcome: Outcome = pickle.load(self._popen.stdout)
        return outcome

    def kill(self) -> None:
        """End it now; may be called from another thread."""
        self._popen.kill()

    def end(self) -> int:
        """Exit code, after its input was closed, which ends a process that is idle."""
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        return self._popen.wait()


class _Processes:
    """Worker processes for one job; threads here attend to one process each."""

    def __init__(
        self, job: Job, tasks: Sequence[tuple[Any, ...]], path: Path, retries: int
    ) -> None:
        self.job, self.tasks, self.path, self.retries = job, tasks, path, retries
        self.waiting = deque(range(len(tasks)))
        self.finished = queue.SimpleQueue[tuple[int, Outcome]]()
        self.alive: set[_Process] = set()
        self.lock, self.stopped = threading.Lock(), False

    def stop(self) -> None:
        """Kill every process, and start no other."""
        with self.lock:
            self.stopped = True
            for process in self.alive:
                process.kill()

    def attend(self) -> None:
        """Give tasks to one process after the other until none waits."""
        process: _Process | None = None
        while True:
            try:
                i = self.waiting.popleft()
            except IndexError:
                break
            try:
                message = pickle.dumps(self.tasks[i], protocol=5)
                process, outcome = self._try(i, process, message)
            except Exception as error:
                outcome = None, error
            if self.stopped:
                break
            self.finished.put((i, outcome))
        if process is not None:
            self._end(process)

    def _try(
        self, i: int, process: _Process | None, message: bytes
    ) -> tuple[_Process | None, Outcome]:
        """Outcome of a task and the process that can take the next one."""
        code = 0
        for _ in range(self.retries + 1):
            if process is None:
                process = self._start()
            if process is None:
                break
            try:
                return process, process.ask(message)
            except (EOFError, OSError, pickle.UnpicklingError):
                process.kill()
                code = self._end(process)
                process = None
        return None, lost(self.job, self.tasks, i, self.retries + 1, f"exit code {code}")

    def _start(self) -> _Process | None:
        with self.lock:
            if self.stopped:
                return None
            process = _Process(self.path)
            self.alive.add(process)
            return process

    def _end(self, process: _Process) -> int:
        code = process.end()
        with self.lock:
            self.alive.discard(process)
        return code


def _in_processes(
    job: Job, tasks: Sequence[tuple[Any, ...]], workers: int, retries: int
) -> Finished:
    with tempfile.TemporaryDirectory(prefix="forecast-workers-") as folder:
        path = Path(folder, "job.pickle")
        with path.open("wb") as file:
            pickle.dump(job, file, protocol=5)
        pool = _Processes(job, tasks, path, retries)
        threads = [threading.Thread(target=pool.attend, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        try:
            for _ in tasks:
                yield pool.finished.get()
        except BaseException:
            pool.stop()
            raise
        finally:
            for thread in threads:
                thread.join()


def _serve() -> None:
    """What a worker process does: answer tasks until its input ends."""
    import signal

    # Ctrl-C reaches every process of a terminal; the caller decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a task prints must not end up among the answers
    job: Job | None = None
    failed: Exception | None = None
    try:
        with Path(sys.argv[1]).open("rb") as file:
            job = pickle.load(file)
    except Exception as error:
        failed = _portable(error)
    while True:
        try:
            task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        except Exception as error:
            outcome: Outcome = (None, _portable(error))
        else:
            outcome = (None, failed) if job is None else call(job, task)
        try:
            body = pickle.dumps(outcome, protocol=5)
        except Exception as error:
            body = pickle.dumps((None, _portable(error)), protocol=5)
        answers.write(body)
        answers.flush()

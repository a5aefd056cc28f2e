"""What the tests of `run_tasks` give to workers, which import it by name."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from forecast.errors import DataError, UnknownNameError


def draw(shared: np.ndarray, seed: int, size: int) -> np.ndarray:
    """Numbers that depend on shared data, on a seed, and on the order in which sums are taken."""
    rng = np.random.default_rng(seed)
    return shared @ rng.normal(size=(shared.shape[1], size))


def threads_of(shared: None, _: int) -> dict[str, Any]:
    from threadpoolctl import threadpool_info

    from forecast.parallel import cores

    np.zeros((2, 2)) @ np.zeros((2, 2))
    print("printed by a task")
    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {"cores": cores(), "blas": blas, "process": os.getpid()}


def dies_once(folder: str, i: int, victim: int) -> int:
    """Takes its whole process with it the first time."""
    mark = Path(folder, f"died-{i}")
    if i == victim and not mark.exists():
        mark.touch()
        os._exit(3)
    return i * i


def dies_together(folder: str, i: int, victims: int) -> int:
    """The first tasks wait for each other, then all of their processes end, once."""
    mark = Path(folder, f"died-{i}")
    if i < victims and not mark.exists():
        mark.touch()
        until = time.monotonic() + 20.0
        while len(list(Path(folder).iterdir())) < victims and time.monotonic() < until:
            time.sleep(0.01)
        os._exit(3)
    return i * i


def dies_always(_: None, i: int, victim: int) -> int:
    if i == victim:
        os._exit(9)
    return i


def fails(folder: str, i: int, kind: str) -> int:
    if i != 1:
        time.sleep(0.05)
        Path(folder, f"ran-{i}").touch()
        return i
    if kind == "name":
        raise UnknownNameError("state", "Frnace", ["France", "Germany"], "In 1914.")
    if kind == "strange":
        raise StrangeError(1, 2)
    if kind == "value":
        raise ValueError("bad number 17")
    raise DataError("column 'year': found -9")


class StrangeError(Exception):
    """One that cannot be unpickled."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"strange {a + b}")


def unpicklable(_: None, i: int) -> Any:
    return (lambda: i) if i == 1 else i


def laplace(design: Any, seed: int) -> dict[str, np.ndarray]:
    from forecast.inference.sampling import sample_design

    posterior = sample_design(design, seed=seed, draws=150)[0]["posterior"]
    return {str(name): values.to_numpy() for name, values in posterior.data_vars.items()}


def slow(_: None, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def _refuse() -> Any:
    raise RuntimeError("cannot be read here")


class Unreadable:
    """Data that can be pickled, and not unpickled."""

    def __reduce__(self) -> Any:
        return _refuse, ()


def meets(folder: str, i: int, _: int) -> int:
    """Waits until another task has begun as well."""
    Path(folder, f"met-{i}").touch()
    until = time.monotonic() + 20.0
    while len(list(Path(folder).iterdir())) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    return i

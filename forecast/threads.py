"""How many threads our own work may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["at_most", "cores"]

_LIMIT: ContextVar[int | None] = ContextVar("forecast_threads", default=None)


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

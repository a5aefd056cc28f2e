"""Arrays that several features need, computed once for a world.

Within `sharing`, a function marked `shared` returns the array that it made when it was first
called for the same world with the same arguments. Outside it nothing is kept, so that a feature
called on its own, or on a world that is edited between calls, is always computed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["shared", "sharing"]

#: What was computed, by function, world and arguments; with the world, to keep its id its own.
_Memo = dict[Hashable, tuple[xr.Dataset, Any]]
_memo: ContextVar[_Memo | None] = ContextVar("shared_arrays", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """Keep what `shared` functions compute until the block ends; one thread sees its own."""
    token = _memo.set({})
    try:
        yield
    finally:
        _memo.reset(token)


def shared[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Compute once per world and arguments within `sharing`; arrays are then read-only.

    The function takes a world and hashable arguments or mappings.
    """

    @wraps(function)
    def once(*args: P.args, **kwargs: P.kwargs) -> T:
        memo = _memo.get()
        if memo is None:
            return function(*args, **kwargs)
        world, *rest = args
        assert isinstance(world, xr.Dataset)
        given = (*map(_frozen, rest), *((k, _frozen(kwargs[k])) for k in sorted(kwargs)))
        key = (function, id(world), given)
        if key not in memo:
            made = function(*args, **kwargs)
            for array in made if isinstance(made, tuple) else (made,):
                if isinstance(array, np.ndarray):
                    array.flags.writeable = False
            memo[key] = (world, made)
        return memo[key][1]  # type: ignore[no-any-return]

    return once


def _frozen(argument: Any) -> Hashable:
    if isinstance(argument, Mapping):
        return tuple(sorted(argument.items()))
    return argument  # type: ignore[no-any-return]

"""Values that are made when they are first asked for, such as the world of a cached panel."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from xarray.backends import BackendArray
from xarray.core import indexing

__all__ = ["Deferred", "OnDemand", "lazily"]


class Deferred[T]:
    """A value that is made once, when it is first needed, by whichever thread needs it.

    Parameters
    ----------
    make : callable
        Makes the value; what it raises is raised again each time.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._lock = Lock()

    def get(self) -> T:
        """The value."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]


class OnDemand[T]:
    """Attribute of a frozen dataclass that may be given as a value or as a `Deferred` one.

    Read as an attribute it is the value, made if need be. Copies of the object made without
    reading it (`copy.copy`) share what is deferred.

    Parameters
    ----------
    name : str
        Name of the attribute.
    """

    def __init__(self, name: str) -> None:
        self._slot = f"_{name}"

    def __get__(self, instance: object | None, owner: type) -> T:
        if instance is None:
            raise AttributeError(self._slot)
        value: T | Deferred[T] = instance.__dict__[self._slot]
        return value.get() if isinstance(value, Deferred) else value

    def __set__(self, instance: object, value: T | Deferred[T]) -> None:
        instance.__dict__[self._slot] = value


def lazily(array: BackendArray) -> Any:
    """Values of a variable that are made when they are first used, once, and never written to.

    As xarray wraps the arrays of a file.

    Parameters
    ----------
    array : xarray.backends.BackendArray
        Makes the values when it is indexed.
    """
    lazy: Any = indexing.LazilyIndexedArray(array)
    return indexing.MemoryCachedArray(indexing.CopyOnWriteArray(lazy))  # type: ignore[no-untyped-call]

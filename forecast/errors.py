"""Errors that name the place, what was found, what was expected and the nearest valid name.

Every error of the library is a `ForecastError`; each subclass also inherits the builtin that
a caller would expect, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = [
    "AmbiguousCodeWarning",
    "ArgumentError",
    "ArtifactError",
    "ChangedFileError",
    "CoverageError",
    "DataError",
    "DownloadError",
    "ForecastError",
    "GateRefusedError",
    "MissingFileError",
    "NotAMemberError",
    "SpecificationError",
    "StorageError",
    "UnknownNameError",
    "WorkerLostError",
    "items_of",
    "nearest",
    "shown",
    "wrong_type",
]

#: Characters of a value that a message shows, and of a message.
_SHOWN, _MESSAGE = 60, 2000


class ForecastError(Exception):
    """Base of every error that this library raises on purpose."""

    def __str__(self) -> str:
        """Message, without its middle where it is too long to be read."""
        text = super().__str__()
        if len(text) <= _MESSAGE:
            return text
        return f"{text[:1400]} … ({len(text):,} characters) … {text[-500:]}"


class DataError(ForecastError, ValueError):
    """A table breaks its schema: names file, row and column, what was found and expected."""


class MissingFileError(ForecastError, FileNotFoundError):
    """A file or artifact that is needed is not there; says how to get it."""


class SpecificationError(ForecastError, ValueError):
    """A model or scenario file is malformed: names the key and the nearest valid one."""


class ArgumentError(ForecastError, ValueError):
    """An argument has a value that cannot be used."""


class NotAMemberError(ArgumentError):
    """A state that is known, but was not in the state system in the year that is asked about."""


class AmbiguousCodeWarning(UserWarning):
    """Letters that are of two states in two systems of codes; says how they were read."""


class CoverageError(ForecastError, ValueError):
    """A year lies outside what a source covers; the message states the coverage."""


class ArtifactError(ForecastError, ValueError):
    """An artifact on disk does not match its id, or was written by another schema version."""


class ChangedFileError(ForecastError, ValueError):
    """A file is not the one that was locked; the message has both hashes and the way out."""


class StorageError(ForecastError, OSError):
    """The system refuses to keep or give back a file, or another process is writing it.

    Parameters
    ----------
    path : path or str
        What was to be written or read.
    what : str
        What cannot be done with it.
    why : OSError or str
        What the system says, or who is at it.
    after : str
        What holds now, and what to do.
    """

    def __init__(self, path: object, what: str, why: OSError | str, after: str = "") -> None:
        self.parts = (str(path), what, why if isinstance(why, str) else _said(why, path), after)
        super().__init__(f"{path} {what}: {self.parts[2]}. {after}".rstrip())

    def __reduce__(self) -> tuple[Any, ...]:
        """Built from its own arguments again when a worker process sends it home."""
        return type(self), self.parts


def _said(error: OSError, path: object) -> str:
    """What the system says, and of which file if it is another."""
    text = (error.strerror or str(error) or type(error).__name__).rstrip(".")
    named = error.filename
    return text if named in (None, path, str(path)) else f"{text} ({named})"


class DownloadError(ForecastError, OSError):
    """A file could not be fetched from its publisher; the message says what else can be done."""


class GateRefusedError(ForecastError, RuntimeError):
    """A fit failed the publication gate; the message says which threshold and what to try."""


class WorkerLostError(ForecastError, RuntimeError):
    """A worker process ended in the middle of a task as often as it may; names the task."""


class UnknownNameError(ForecastError, KeyError):
    """A name that is not known: a state, feature, model, alliance, key.

    Parameters
    ----------
    kind : str
        What was looked up, e.g. ``"state"``.
    name : object
        What was given.
    valid : iterable of str
        The valid names; the nearest of them is suggested.
    detail : str, optional
        A further sentence, e.g. the year in which the name was resolved.
    """

    def __init__(self, kind: str, name: object, valid: Iterable[str], detail: str = "") -> None:
        self.kind = kind
        self.name = name
        self.suggestion = nearest(name, valid)
        hint = f" Did you mean {shown(self.suggestion)}?" if self.suggestion else ""
        self.message = f"Unknown {kind} {shown(name)}.{hint}" + (f" {detail}" if detail else "")
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Built from its own arguments again when a worker process sends it home."""
        near = () if self.suggestion is None else (self.suggestion,)
        return type(self), (self.kind, self.name, near), self.__dict__

    def __str__(self) -> str:
        """Message without the quotes that KeyError puts around it."""
        return self.message


def items_of(name: str, given: object, expected: str) -> tuple[Any, ...]:
    """What a list holds; a text alone, or what is no list, is an ArgumentError."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ArgumentError(f"{name}={shown(given)}: expected {expected}.")
    return tuple(given)


def wrong_type(where: str, given: object, expected: str) -> ArgumentError:
    """The error for an argument of a type that cannot be used."""
    return ArgumentError(f"{where}: found a {type(given).__name__}, expected {expected}")


def shown(value: object, most: int = _SHOWN) -> str:
    """A value that was found, as a message shows it: as in code, cut if it is long.

    What is cut says how long it is: ``'aaaa…' (300,000 characters)``.
    """
    whole = value if isinstance(value, str | bytes) else _written(value)
    if len(whole) <= most:
        return repr(value) if isinstance(value, str | bytes) else str(whole)
    start = whole[:most] if isinstance(whole, bytes) else f"{whole[:most]}…"
    text = repr(start) if isinstance(value, str | bytes) else str(start)
    unit = "bytes" if isinstance(value, bytes) else "characters"
    return f"{text} ({len(whole):,} {unit})"


def _written(value: object, how: Callable[[object], str] = repr) -> str:
    try:
        return how(value)
    except (ValueError, RecursionError):  # an integer of 10,000 digits; lists 3,000 deep
        return f"<{type(value).__name__} that is too long to write>"


def nearest(name: object, valid: Iterable[str], *, cutoff: float = 55.0) -> str | None:
    """Valid name nearest to `name` in spelling, or None when nothing is near.

    Parameters
    ----------
    name : object
        The name that was given.
    valid : iterable of str
        Candidates.
    cutoff : float
        Smallest similarity (0-100) that counts as near.
    """
    from rapidfuzz import fuzz, process, utils

    # The plain ratio: partial matches would prefer a one-letter name to a near misspelling.
    found = process.extractOne(
        _written(name, str)[:200],
        list(valid),
        scorer=fuzz.ratio,
        processor=utils.default_process,
        score_cutoff=cutoff,
    )
    return None if found is None else str(found[0])

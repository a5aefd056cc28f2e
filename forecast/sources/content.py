"""The bytes of a table: read, unpacked or converted, never more than a table can have."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forecast.errors import DataError, ForecastError, MissingFileError
from forecast.sources.archive import MAX_RATIO, RATIO_FROM
from forecast.sources.formats import CONVERTED, as_text

__all__ = ["bomb", "content", "largest_of", "newlines", "reading"]


def content(path: Path, *, at_most: int = -1, hint: str = "") -> bytes:
    """Bytes of a file, unpacked and converted to text; `hint` follows where there is none."""
    with reading(path, hint):
        if path.suffix == ".gz":
            largest = largest_of(path)
            with gzip.open(path) as stream:
                raw = stream.read(largest + 1 if at_most < 0 else at_most)
            if len(raw) > largest:
                raise bomb(path, largest)
            return raw
        if path.suffix.lower() in CONVERTED:
            return as_text(path, path.stat().st_mtime_ns)
        with path.open("rb") as plain:
            return plain.read(at_most)


@contextmanager
def reading(path: Path, hint: str = "") -> Iterator[None]:
    """Errors of ours for a file that is not there, cannot be read or was packed and is damaged."""
    try:
        yield
    except FileNotFoundError:
        raise MissingFileError(f"There is no file {path.name!r} in {path.parent}.{hint}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: not a whole gzip file ({error}).") from None
    except ForecastError:
        raise
    except OSError as error:
        # Arrow's own errors of a packed stream have no number.
        what = "not a whole gzip file" if error.errno is None else "it cannot be read"
        raise DataError(f"{path.name}: {what} ({str(error)[:200]}).") from None


def largest_of(path: Path) -> int:
    """Bytes that a packed table may unpack to."""
    return max(RATIO_FROM, MAX_RATIO * path.stat().st_size)


def bomb(path: Path, largest: int) -> DataError:
    """The error for a file that unpacks to more than `largest_of` it."""
    return DataError(
        f"{path.name}: it unpacks to more than {largest:,} bytes; no table of data shrinks that"
        " much."
    )


def newlines(raw: bytes) -> bytes:
    """Bytes without a byte-order mark, with line feeds as line ends."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw

"""The bytes of a table: read, unpacked or converted, never more than a table can have."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from forecast.errors import DataError, ForecastError, MissingFileError
from forecast.sources.archive import most_bytes
from forecast.sources.formats import CONVERTED, as_text

__all__ = ["content", "is_web_page", "newlines", "opened", "reading"]


def content(path: Path, *, at_most: int = -1, hint: str = "") -> bytes:
    """Bytes of a file, unpacked and converted to text; `hint` follows where there is none."""
    with reading(path, hint):
        if path.suffix.lower() in CONVERTED:
            return as_text(path, path.stat().st_mtime_ns)
        with opened(path) as stream:
            return stream.read(at_most)


def opened(path: Path) -> IO[bytes]:
    """The file as a stream, unpacked if its name ends in ``.gz``."""
    return cast(IO[bytes], _Packed(path)) if path.suffix == ".gz" else path.open("rb")


class _Packed(gzip.GzipFile):
    """A packed file that gives no more bytes than a table that shrank to it can have."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path, self._largest = path, most_bytes(path.stat().st_size)
        self._left = self._largest

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes; a DataError after the most that there can be."""
        raw = super().read(self._left + 1 if size is None or size < 0 else size)
        self._left -= len(raw)
        if self._left < 0:
            raise DataError(
                f"{self._path.name}: it unpacks to more than {self._largest:,} bytes; no table of"
                " data shrinks that much."
            )
        return raw


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
        raise DataError(f"{path.name}: it cannot be read ({str(error)[:200]}).") from None


def is_web_page(head: bytes) -> bool:
    """Whether a file that begins so is a page, which some publishers send in place of a table."""
    begin = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return begin.startswith((b"<!doctype", b"<html", b"<?xml"))


def newlines(raw: bytes) -> bytes:
    """Bytes without a byte-order mark, with line feeds as line ends."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw

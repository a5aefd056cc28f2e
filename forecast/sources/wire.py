"""The bytes of an HTTP answer: none after a deadline, and a file only where they say it ends.

requests and urllib3 make the connection and read the headers, through the reader of this module;
the body is read here, strictly: what they forgive is how a part is taken for the whole.
"""

from __future__ import annotations

import io
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter

__all__ = ["BrokenAnswerError", "Bytes", "Frame", "Line", "Session", "frame_of"]

_BLOCK = 1 << 16
#: Longest line between the chunks of an answer, and most lines after the last.
_LONGEST, _TRAILERS = 4096, 100
#: Seconds in which bytes after the end show, if there are any: a server closes, as it is asked to.
_LINGER = 0.5
_SIZE, _CHUNK = re.compile(r"[0-9]{1,15}"), re.compile(rb"[0-9A-Fa-f]{1,15}")
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:")


class BrokenAnswerError(Exception):
    """An answer does not end where and how it said; or, `kept`, it does not end there."""


class Bytes(io.RawIOBase):
    """The bytes of a socket: each within `patience` seconds of the one before and in time."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, line: Line) -> None:
        self._sock, self._raw, self._line = sock, raw, line

    def readable(self) -> bool:
        """They are."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Some of the next bytes; TimeoutError if there are none in time."""
        left = self._line.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("too late")
        self._sock.settimeout(min(self._line.patience, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the socket."""
        self._raw.close()
        super().close()


class Answer(HTTPResponse):
    """Status and headers, read by `Bytes`; each line has its own class of them."""

    line: Line

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw: Any = Bytes(sock, self.fp.detach(), self.line)
        self.fp = io.BufferedReader(raw)
        self.line.answer = self

    def begin(self) -> None:
        """Read them."""
        super().begin()
        # After a line that is no header, those that follow would not be seen.
        if self.msg.defects or self.msg.get_payload():
            raise HTTPException("a line among the headers is none")


class Line(HTTPAdapter):
    """Connections whose every byte, of headers too, comes before a `deadline` (monotonic clock).

    `answer` is the last one.
    """

    def __init__(self, deadline: float, patience: float) -> None:
        super().__init__()
        self.deadline, self.patience = deadline, patience
        self.answer: HTTPResponse | None = None
        self._answer = type("Answer", (Answer,), {"line": self})

    def close(self) -> None:
        """End the connections, also one whose answer was given up while its headers were read."""
        super().close()
        if self.answer is not None:
            self.answer.close()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """As of requests, with answers that are read by `Bytes`."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if pool.ConnectionCls.response_class is not self._answer:
            own = {"response_class": self._answer}
            pool.ConnectionCls = type("Connection", (pool.ConnectionCls,), own)
        return pool


class Session(requests.Session):
    """A session that follows no redirection: before it did, it would read the whole page of it."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None, also for an answer that redirects."""
        return None

    def redirection_of(self, answer: requests.Response) -> str | None:
        """Where an answer redirects to, or None."""
        return super().get_redirect_target(answer)


@dataclass(frozen=True)
class Frame:
    """How the end of a file is told: by its `length`, by a last chunk, or by neither."""

    length: int | None
    chunked: bool

    def blocks(self, line: Line) -> Iterator[bytes]:
        """The file, block by block.

        Raises
        ------
        BrokenAnswerError
            It ends too early or too late, or something else is between its chunks.
        """
        assert line.answer is not None
        reader: io.BufferedReader = line.answer.fp
        try:
            if self.chunked:
                yield from _chunks(reader)
            elif self.length is not None:
                yield from _exactly(reader, self.length)
            else:
                while block := reader.read1(_BLOCK):
                    yield block
                return
        except OSError as error:  # of the socket, and of TLS
            raise BrokenAnswerError(_words(error, line)) from None
        line.patience = min(line.patience, _LINGER)
        try:
            more = reader.peek(1)
        except OSError:
            more = b""
        if more:
            raise BrokenAnswerError("more bytes follow where the file was to end")


def frame_of(answer: requests.Response) -> Frame:
    """How the end of an answer is told; a ValueError if its headers tell it wrongly."""
    lengths = dict.fromkeys(answer.raw.headers.getlist("Content-Length"))
    codings = [text.strip().lower() for text in answer.raw.headers.getlist("Transfer-Encoding")]
    sized = len(lengths) == 1 and not codings and _SIZE.fullmatch(next(iter(lengths)).strip())
    if not (sized or (codings == ["chunked"] and not lengths) or not (codings or lengths)):
        found = ", ".join([*lengths, *codings])
        raise ValueError(f"the length of the file is told wrongly, or twice ({found})")
    return Frame(int(next(iter(lengths))) if sized else None, bool(codings))


def _exactly(reader: io.BufferedReader, count: int) -> Iterator[bytes]:
    """So many bytes, as they come: a server that drips is stopped at the deadline."""
    left = count
    while left:
        block = reader.read1(min(_BLOCK, left))
        if not block:
            raise BrokenAnswerError(f"{count - left} bytes read, {left} more expected")
        left -= len(block)
        yield block


def _chunks(reader: io.BufferedReader) -> Iterator[bytes]:
    """Chunks up to the last, which is empty, and the lines behind it."""
    while size := _size(_text(reader)):
        yield from _exactly(reader, size)
        if b"".join(_exactly(reader, 2)) != b"\r\n":
            raise BrokenAnswerError("a chunk of the file is longer than it was to be")
    for _ in range(_TRAILERS):
        text = _text(reader)
        if not text:
            return
        if not _FIELD.match(text):
            raise BrokenAnswerError("the last chunk of the file is followed by something else")
    raise BrokenAnswerError("the last chunk of the file is followed by too many lines")


def _size(text: bytes) -> int:
    digits = text.split(b";", 1)[0].rstrip()
    if not _CHUNK.fullmatch(digits):
        raise BrokenAnswerError(f"a chunk of the file begins with {text[:40]!r}, not with its size")
    return int(digits, 16)


def _text(reader: io.BufferedReader) -> bytes:
    """A whole line, without its end."""
    text = reader.readline(_LONGEST + 1)
    if not text.endswith(b"\n"):
        raise BrokenAnswerError(
            "a line between chunks is too long"
            if len(text) > _LONGEST
            else "the connection ended before the last chunk of the file"
        )
    return text.rstrip(b"\r\n")


def _words(error: OSError, line: Line) -> str:
    if isinstance(error, TimeoutError):
        return f"no byte for {line.patience:g} s"
    return error.strerror or str(error) or type(error).__name__

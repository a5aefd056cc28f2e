"""One file from its publisher: resumed, retried, bounded in time and size, TLS always checked."""

from __future__ import annotations

import contextlib
import json
import os
import re
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from forecast.errors import ArgumentError, DownloadError

if TYPE_CHECKING:
    import requests

__all__ = ["Network", "fetch"]

_BLOCK = 1 << 16
#: Answers that another attempt may mend.
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", re.ASCII)

#: Called with the bytes that are there and the bytes in all, where the server says.
Report = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Network:
    """How publishers are reached.

    Attributes
    ----------
    ca_file : pathlib.Path, optional
        PEM file of certificates to trust besides the usual ones: a firewall's own, or the
        intermediate one that a server forgets to send. ``FORECAST_CA_FILE`` by default.
    connect, read : float
        Seconds to wait for a connection, and for the next byte.
    total : float
        Seconds for one file, all attempts together.
    attempts : int
        Attempts in a row that may fail without a new byte.
    backoff : float
        Seconds before the second attempt; doubled for each further one, at most a minute.
    max_bytes : int
        Largest file that is fetched.
    """

    ca_file: Path | None = None
    connect: float = 30.0
    read: float = 120.0
    total: float = 3600.0
    attempts: int = 5
    backoff: float = 2.0
    max_bytes: int = 2_000_000_000

    def __post_init__(self) -> None:
        for name in ("connect", "read", "total"):
            if not 0 < getattr(self, name) <= 86_400:
                raise ArgumentError(
                    f"{name}={getattr(self, name)!r}: expected seconds above 0, at most a day."
                )
        if self.attempts < 1:
            raise ArgumentError(f"attempts={self.attempts!r}: expected at least 1.")


class _TransientError(Exception):
    """An attempt failed in a way that another may mend."""

    def __init__(self, why: str, *, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


def fetch(url: str, target: Path, *, network: Network, report: Report | None = None) -> str:
    """Fetch a file whole, or leave what there is for the next attempt to resume.

    Parameters
    ----------
    url : str
        Address (http or https).
    target : pathlib.Path
        File that is there, complete, on return. ``<target>.part`` holds an unfinished one; it is
        resumed if the server still offers the same file (its ETag or date says so).
    network : Network
        Time-outs, attempts, certificates.
    report : callable, optional
        Called with the bytes that are there and in all.

    Returns
    -------
    str
        Address that answered, after redirections.

    Raises
    ------
    DownloadError
        The address does not answer, or not with a file; says what else can be done.
    ArgumentError
        The file of certificates cannot be used.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    deadline = time.monotonic() + network.total
    failures = 0
    with part.open("ab") as sink, _certificates(network) as verify, _session() as session:
        _claim(sink, url)
        while True:
            before = os.fstat(sink.fileno()).st_size
            try:
                answered = _attempt(
                    session, url, sink, verify, network, deadline, report or _silent
                )
                break
            except _TransientError as failure:
                grown = os.fstat(sink.fileno()).st_size > before
                failures = 1 if grown else failures + 1
                pause = max(failure.after, min(network.backoff * 2 ** (failures - 1), 60.0))
                if failures >= network.attempts or time.monotonic() + pause > deadline:
                    raise DownloadError(
                        f"{url}: {failure} ({_attempts(failures)}). Try again later: what has"
                        " arrived is kept and resumed."
                    ) from None
                time.sleep(pause)
    part.replace(target)
    _state_path(target).unlink(missing_ok=True)
    return answered


def _silent(_done: int, _total: int | None) -> None:
    """Nobody watches."""


def _attempts(count: int) -> str:
    return "one attempt" if count == 1 else f"{count} attempts"


def _claim(sink: IO[bytes], url: str) -> None:
    """Let no second process write into the same file; the system frees it when this one ends."""
    try:
        import fcntl
    except ImportError:  # Windows refuses to open it twice for writing by itself
        return
    try:
        fcntl.flock(sink, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DownloadError(f"{url}: another process is fetching it; wait for it to end.") from None


def _attempt(
    session: requests.Session,
    url: str,
    sink: IO[bytes],
    verify: str | bool,
    network: Network,
    deadline: float,
    report: Report,
) -> str:
    import requests
    import urllib3

    state = _state_path(Path(sink.name).with_suffix(""))
    validator = _read_validator(state, url)
    have = os.fstat(sink.fileno()).st_size
    if have and validator is None:
        _restart(sink)
        have = 0
    headers = {"Range": f"bytes={have}-", "If-Range": str(validator)} if have else {}
    timeout = (network.connect, network.read)
    try:
        # `verify` is given with the request: that of a session loses against the environment.
        with session.get(
            url, headers=headers, timeout=timeout, verify=verify, stream=True
        ) as answer:
            total = _accept(answer, url, sink, have, validator, network)
            if total == have > 0 and answer.status_code == 416:
                return str(answer.url)
            state.write_text(json.dumps({"url": url, "validator": _validator(answer)}))
            _receive(answer, sink, total, network, deadline, report)
            return str(answer.url)
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in _reason(error):
            raise _TransientError(_reason(error)) from None
        raise DownloadError(
            f"{url}: the server's certificate cannot be verified ({_reason(error)}). If a browser"
            " opens the page, the server forgets an intermediate certificate: save the chain from"
            " the browser and give it with --ca-file (or FORECAST_CA_FILE), or download the file"
            " there and give it with --from. Verification is never switched off."
        ) from None
    except (requests.exceptions.TooManyRedirects, ValueError) as error:
        # requests' errors of a malformed or unsupported address are ValueErrors.
        raise DownloadError(f"{url}: {_reason(error)}.") from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        raise _TransientError(
            f"no answer for {network.connect:g} s, or no byte for {network.read:g} s"
        ) from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        if "resolve" in _reason(error):
            raise DownloadError(
                f"{url}: {_reason(error)}. Is this machine offline? A copy that you bring is taken"
                " with --from."
            ) from None
        raise _TransientError(_reason(error)) from None


def _accept(
    answer: requests.Response,
    url: str,
    sink: IO[bytes],
    have: int,
    validator: str | None,
    network: Network,
) -> int | None:
    """Size of the whole file, after making `sink` ready for the body of this answer."""
    status = answer.status_code
    if url.startswith("https:") and not answer.url.startswith("https:"):
        raise DownloadError(f"{url}: redirected to {answer.url}, without TLS; refused.")
    if status in _TRANSIENT:
        raise _TransientError(f"the server answers {status} {answer.reason}", after=_wait(answer))
    start, size = _content_range(answer)
    if status == 416 and have:
        if size == have:
            return have
        _restart(sink)
        raise _TransientError("the server's file is shorter than what had arrived of it")
    if status not in (200, 206):
        raise DownloadError(
            f"{url}: the server answers {status} {answer.reason}. The publisher may have moved the"
            " file or may ask for a consent: download it with a browser and give it with --from."
        )
    if status == 206 and (start != have or _validator(answer) not in (None, validator)):
        _restart(sink)
        raise _TransientError("the server resumed another file, or at another place")
    if status == 200:
        _restart(sink)
        # The length of an encoded body is not that of the file.
        length = answer.headers.get("Content-Length", "")
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
        size = int(length) if length.isdecimal() and not encoded else None
    if size is not None and size > network.max_bytes:
        raise DownloadError(
            f"{url}: {size:,} bytes, expected at most {network.max_bytes:,} for a table of data."
        )
    return size


def _receive(
    answer: requests.Response,
    sink: IO[bytes],
    total: int | None,
    network: Network,
    deadline: float,
    report: Report,
) -> None:
    done = os.fstat(sink.fileno()).st_size
    report(done, total)
    # read1 returns what there is, so that a server that drips cannot outlast the deadline.
    while block := answer.raw.read1(_BLOCK, decode_content=True):
        sink.write(block)
        sink.flush()
        done += len(block)
        report(done, total)
        if done > (network.max_bytes if total is None else total):
            _restart(sink)
            raise DownloadError(f"{answer.url}: more bytes than announced; refused.")
        if time.monotonic() > deadline:
            raise DownloadError(
                f"{answer.url}: not complete after {network.total:g} s ({done:,} bytes). Try again:"
                " what has arrived is kept and resumed; or raise --timeout."
            )
    if total is not None and done != total:
        raise _TransientError(f"the connection ended after {done:,} of {total:,} bytes")
    chunked = answer.headers.get("Transfer-Encoding", "").lower() == "chunked"
    archive = answer.url.lower().split("?")[0].endswith(".zip")
    if total is None and not chunked and not archive:
        # Without a length, a table that was cut looks like a whole one. A zip archive ends with
        # its directory, so that the unpacker would see it.
        raise DownloadError(
            f"{answer.url}: the server does not say how long the file is, so that a part cannot be"
            " told from the whole. Download it with a browser and give it with --from."
        )


def _content_range(answer: requests.Response) -> tuple[int | None, int | None]:
    """First byte of the body, and size of the whole file, as a partial answer states them."""
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if found is None:
        return None, None
    start, size = found.groups()
    return (None if start is None else int(start)), (None if size == "*" else int(size))


def _validator(answer: requests.Response) -> str | None:
    """What tells this version of the file from another: a strong ETag, else its date."""
    etag = answer.headers.get("ETag")
    if etag is not None and not etag.startswith("W/"):
        return str(etag)
    date = answer.headers.get("Last-Modified")
    return None if date is None else str(date)


def _wait(answer: requests.Response) -> float:
    """Seconds that the server asks for, at most two minutes."""
    asked = answer.headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return min(float(asked), 120.0)
    with contextlib.suppress(ValueError, TypeError):
        return min(max(parsedate_to_datetime(asked).timestamp() - time.time(), 0.0), 120.0)
    return 0.0


def _restart(sink: IO[bytes]) -> None:
    sink.truncate(0)
    sink.seek(0)


def _state_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")


def _read_validator(state: Path, url: str) -> str | None:
    """Validator of what had arrived from this address; None when it cannot be resumed."""
    try:
        content: Any = json.loads(state.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("url") != url:
        return None
    validator = content.get("validator")
    return validator if isinstance(validator, str) else None


def _reason(error: Exception) -> str:
    """The innermost words of an error: those of urllib3 and requests wrap each other."""
    inner: BaseException = error
    while True:
        below = getattr(inner, "reason", None) or next(iter(inner.args), None)
        if not isinstance(below, BaseException):
            break
        inner = below
    return str(inner).rstrip(".") or type(error).__name__


@contextlib.contextmanager
def _session() -> Iterator[requests.Session]:
    import requests

    import forecast

    with requests.Session() as session:
        # Bytes as they are stored, so that lengths can be compared and parts resumed.
        session.headers["Accept-Encoding"] = "identity"
        session.headers["User-Agent"] = f"alliance-forecast/{forecast.__version__}"
        yield session


@contextlib.contextmanager
def _certificates(network: Network) -> Iterator[str | bool]:
    """Bundle of the certificates to trust: the usual ones, and those that the user adds."""
    given = network.ca_file or os.environ.get("FORECAST_CA_FILE")
    if not given:
        yield True
        return
    import certifi

    extra = Path(given).expanduser()
    try:
        ssl.create_default_context(cafile=str(extra))
        added = extra.read_bytes()
    except OSError as error:  # ssl.SSLError is one
        raise ArgumentError(
            f"The file of certificates {str(extra)!r} cannot be used ({error}); expected PEM"
            " (-----BEGIN CERTIFICATE-----)."
        ) from None
    usual = Path(
        os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    )
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "certificates.pem"
        bundle.write_bytes(usual.read_bytes() + b"\n" + added)
        yield str(bundle)

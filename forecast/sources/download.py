"""One file from its publisher, whole or not at all: bounded in time and size, TLS checked."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING

from forecast.errors import ArgumentError, DownloadError

if TYPE_CHECKING:
    import requests

__all__ = ["Network", "bars", "fetch"]

_BLOCK = 1 << 16
#: Answers that another attempt may mend.
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})

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
        Attempts for one file; each fetches it from its first byte.
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
    """An attempt failed in a way that another may mend, `after` seconds that the server asks."""

    def __init__(self, why: str, *, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


def fetch(url: str, target: Path, *, network: Network, report: Report | None = None) -> str:
    """Address that answered, after redirections; the whole file is then at `target`.

    An attempt that fails leaves nothing, and the next starts with the first byte: no two answers
    are ever joined.
    """
    import requests

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    deadline = time.monotonic() + network.total
    with _certificates(network) as verify, requests.Session() as session:
        # Bytes as they are stored, so that their number can be compared with the announced one.
        session.headers["Accept-Encoding"] = "identity"
        session.headers["User-Agent"] = f"alliance-forecast/{version('alliance-forecast')}"
        for attempt in range(1, network.attempts + 1):
            try:
                with part.open("wb") as sink:
                    answered = _attempt(session, url, sink, verify, network, deadline, report)
                part.replace(target)
                return answered
            except _TransientError as failure:
                pause = max(failure.after, min(network.backoff * 2 ** (attempt - 1), 60.0))
                if attempt == network.attempts or time.monotonic() + pause > deadline:
                    tried = "one attempt" if attempt == 1 else f"{attempt} attempts"
                    raise DownloadError(
                        f"{url}: {failure} ({tried}). Try again later; nothing was kept."
                    ) from None
            finally:
                part.unlink(missing_ok=True)
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _attempt(
    session: requests.Session,
    url: str,
    sink: IO[bytes],
    verify: str | bool,
    network: Network,
    deadline: float,
    report: Report | None,
) -> str:
    import requests
    import urllib3

    timeout = (network.connect, network.read)
    try:
        # `verify` is given with the request: that of a session loses against the environment.
        with session.get(url, timeout=timeout, verify=verify, stream=True) as answer:
            total = _accept(answer, url, network)
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


def _accept(answer: requests.Response, url: str, network: Network) -> int | None:
    """Announced length of a file that this answer brings; None for one that comes in chunks."""
    status, encoding = answer.status_code, answer.headers.get("Content-Encoding", "identity")
    passed = [step.url for step in (*answer.history, answer)]
    if url.startswith("https:") and (open_ := [u for u in passed if not u.startswith("https:")]):
        raise DownloadError(f"{url}: redirected to {open_[0]}, without TLS; refused.")
    if status in _TRANSIENT:
        raise _TransientError(f"the server answers {status} {answer.reason}", after=_wait(answer))
    if status != 200:
        raise DownloadError(
            f"{url}: the server answers {status} {answer.reason}. The publisher may have moved the"
            " file or may ask for a consent: download it with a browser and give it with --from."
        )
    if encoding.strip().lower() != "identity":
        # Where the packed stream is cut, what was unpacked so far may look like a whole table.
        raise DownloadError(
            f"{answer.url}: the server packs the file ({encoding}), though asked not to, so that a"
            " part cannot be told from the whole. Download it with a browser and give it with"
            " --from."
        )
    size: int | None = answer.raw.length_remaining
    if size is not None and size > network.max_bytes:
        raise DownloadError(
            f"{url}: {size:,} bytes, expected at most {network.max_bytes:,} for a table of data."
        )
    # A zip archive ends with its directory, so that the unpacker would see a cut.
    archive = answer.url.lower().split("?")[0].endswith(".zip")
    if size is None and not answer.raw.chunked and not archive:
        raise DownloadError(
            f"{answer.url}: the server does not say how long the file is, so that a part cannot be"
            " told from the whole. Download it with a browser and give it with --from."
        )
    return size


def _receive(
    answer: requests.Response,
    sink: IO[bytes],
    total: int | None,
    network: Network,
    deadline: float,
    report: Report | None,
) -> None:
    """Copy the body; urllib3 raises where it ends before its length or its last chunk."""
    done, watch = 0, report or (lambda done, total: None)
    watch(done, total)
    # read1 returns what there is, so that a server that drips cannot outlast the deadline.
    while block := answer.raw.read1(_BLOCK, decode_content=False):
        sink.write(block)
        done += len(block)
        watch(done, total)
        if done > network.max_bytes:
            raise DownloadError(
                f"{answer.url}: more bytes than the {network.max_bytes:,} that are expected at"
                " most for a table of data; refused."
            )
        if time.monotonic() > deadline:
            raise DownloadError(
                f"{answer.url}: not complete after {network.total:g} s ({done:,} bytes). Try again"
                " on a faster line, or download it with a browser and give it with --from."
            )


def _wait(answer: requests.Response) -> float:
    """Seconds that the server asks for, at most two minutes."""
    asked = answer.headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return min(float(asked), 120.0)
    with contextlib.suppress(ValueError, TypeError):
        return min(max(parsedate_to_datetime(asked).timestamp() - time.time(), 0.0), 120.0)
    return 0.0


def _reason(error: Exception) -> str:
    """The innermost words of an error: those of urllib3 and requests wrap each other."""
    inner: BaseException = error
    while True:
        below = getattr(inner, "reason", None) or next(iter(inner.args), None)
        if not isinstance(below, BaseException):
            break
        inner = below
    words = inner.args[0] if inner.args and isinstance(inner.args[0], str) else str(inner)
    return words.rstrip(".") or type(error).__name__


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


@contextlib.contextmanager
def bars(show: bool) -> Iterator[Callable[[str, int, int | None], None]]:
    """Function that moves the bar of a file: name, bytes so far, bytes in all."""
    if not show:
        yield lambda name, done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with warnings.catch_warnings():
        # rich asks for ipywidgets in a notebook; it falls back to text by itself.
        warnings.filterwarnings("ignore", message="install .*ipywidgets", category=UserWarning)
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            tasks: dict[str, TaskID] = {}

            def report(name: str, done: int, total: int | None) -> None:
                if name not in tasks:
                    tasks[name] = bar.add_task(name, total=total)
                bar.update(tasks[name], completed=done, total=total)

            yield report

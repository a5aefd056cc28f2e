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
from urllib.parse import urljoin

from forecast.errors import ArgumentError, DownloadError
from forecast.folders import check_room
from forecast.sources.content import is_web_page

if TYPE_CHECKING:
    import requests

    from forecast.sources.wire import Frame, Line, Session

__all__ = ["Network", "bars", "fetch"]

_REDIRECTIONS = 20
#: Most characters of a server's that an error repeats.
_SHOWN = 200
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
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    deadline = time.monotonic() + network.total
    with _certificates(network) as verify:
        for attempt in range(1, network.attempts + 1):
            try:
                with part.open("wb") as sink:
                    answered = _attempt(url, sink, verify, network, deadline, report)
                _refuse_page(part, url)
                part.replace(target)
                return answered
            except _TransientError as failure:
                if time.monotonic() >= deadline:
                    raise DownloadError(
                        f"{url}: not complete after {network.total:g} s ({failure}). Try again on a"
                        " faster line, or download it with a browser and give it with --from."
                    ) from None
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
    url: str,
    sink: IO[bytes],
    verify: str | bool,
    network: Network,
    deadline: float,
    report: Report | None,
) -> str:
    import requests
    import urllib3

    from forecast.sources.wire import BrokenAnswerError, Line, Session

    line = Line(deadline, network.read)
    try:
        with Session() as session:
            session.mount("http://", line)
            session.mount("https://", line)
            # Bytes as they are stored, so that their number can be compared with the announced one.
            session.headers["Accept-Encoding"] = "identity"
            session.headers["Connection"] = "close"
            session.headers["User-Agent"] = f"alliance-forecast/{version('alliance-forecast')}"
            with _open(session, url, verify, network, deadline) as answer:
                frame = _accept(answer, url, network)
                place = Path(sink.name)
                check_room(place, place.parent, frame.length or 0)
                _receive(answer.url, frame, line, sink, network, report)
                return str(answer.url)
    except BrokenAnswerError as error:
        raise _TransientError(str(error)) from None
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in _reason(error):
            raise _TransientError(_reason(error)) from None
        raise DownloadError(
            f"{url}: the server's certificate cannot be verified ({_reason(error)}). If a browser"
            " opens the page, the server forgets an intermediate certificate: save the chain from"
            " the browser and give it with --ca-file (or FORECAST_CA_FILE), or download the file"
            " there and give it with --from. Verification is never switched off."
        ) from None
    except ValueError as error:
        # requests' errors of a malformed or unsupported address, or of headers, are ValueErrors.
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


def _open(
    session: Session, url: str, verify: str | bool, network: Network, deadline: float
) -> requests.Response:
    """The first answer that does not redirect; what a redirection says besides is not read."""
    at = url
    for _ in range(_REDIRECTIONS + 1):
        left = max(deadline - time.monotonic(), 0.001)
        limits = (min(network.connect, left), min(network.read, left))
        # `verify` is given with the request: that of a session loses against the environment.
        answer = session.get(at, timeout=limits, verify=verify, stream=True)
        try:
            to = session.redirection_of(answer)
        except ValueError:
            answer.close()
            raise DownloadError(f"{url}: redirected to an address that is no text.") from None
        if to is None:
            return answer
        answer.close()
        at = urljoin(at, to)
        if not at.lower().startswith(("https:", "http:")):
            raise DownloadError(
                f"{url}: redirected to {_shown(at)}, which is no web page; refused."
            )
        if url.startswith("https:") and not at.lower().startswith("https:"):
            raise DownloadError(f"{url}: redirected to {_shown(at)}, without TLS; refused.")
    raise DownloadError(f"{url}: redirected more than {_REDIRECTIONS} times.")


def _accept(answer: requests.Response, url: str, network: Network) -> Frame:
    """How the end of the file is told that this answer brings."""
    from forecast.sources.wire import frame_of

    status, encoding = answer.status_code, answer.headers.get("Content-Encoding", "identity")
    said = f"the server answers {status} {_shown(str(answer.reason))}".rstrip()
    if status in _TRANSIENT:
        raise _TransientError(said, after=_wait(answer))
    if status != 200:
        raise DownloadError(
            f"{url}: {said}. The publisher may have moved the"
            " file or may ask for a consent: download it with a browser and give it with --from."
        )
    if encoding.strip().lower() != "identity":
        # Where the packed stream is cut, what was unpacked so far may look like a whole table.
        raise DownloadError(
            f"{url}: the server packs the file ({_shown(encoding)}), though asked not to, so that a"
            " part cannot be told from the whole. Download it with a browser and give it with"
            " --from."
        )
    frame = frame_of(answer)
    if frame.length is not None and frame.length > network.max_bytes:
        raise DownloadError(
            f"{url}: {frame.length:,} bytes, expected at most {network.max_bytes:,} for a table of"
            " data."
        )
    # A zip archive ends with its directory, so that the unpacker would see a cut.
    archive = answer.url.lower().split("?")[0].endswith(".zip")
    if frame.length is None and not frame.chunked and not archive:
        raise DownloadError(
            f"{url}: the server does not say how long the file is, so that a part cannot be"
            " told from the whole. Download it with a browser and give it with --from."
        )
    return frame


def _receive(
    url: str, frame: Frame, line: Line, sink: IO[bytes], network: Network, report: Report | None
) -> None:
    """Copy the body."""
    done, watch = 0, report or (lambda done, total: None)
    watch(done, frame.length)
    for block in frame.blocks(line):
        sink.write(block)
        done += len(block)
        watch(done, frame.length)
        if done > network.max_bytes:
            raise DownloadError(
                f"{_shown(url)}: more bytes than the {network.max_bytes:,} that are expected at"
                " most for a table of data; refused."
            )


def _refuse_page(path: Path, url: str) -> None:
    """Refuse a web page, which some publishers send in place of a file."""
    with path.open("rb") as file:
        begin = file.read(512)
    if is_web_page(begin):
        raise DownloadError(
            f"{url}: the server sends a web page, not the file; the publisher may ask for a login"
            " or a consent. Download it with a browser and give it with --from."
        )


def _wait(answer: requests.Response) -> float:
    """Seconds that the server asks for, at most two minutes."""
    asked = answer.headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return float(min(int(asked[:9]), 120))
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return min(max(parsedate_to_datetime(asked).timestamp() - time.time(), 0.0), 120.0)
    return 0.0


def _reason(error: Exception) -> str:
    """The innermost words of an error: those of urllib3 and requests wrap each other."""
    inner: BaseException = error
    while True:
        around = (getattr(inner, "reason", None), *inner.args)
        below = next((one for one in around if isinstance(one, BaseException)), None)
        if below is None:
            break
        inner = below
    words = inner.args[0] if inner.args and isinstance(inner.args[0], str) else str(inner)
    words = getattr(inner, "strerror", None) or words
    return _shown(words.rstrip(".")) or type(error).__name__


def _shown(text: str) -> str:
    """What a server says, printable and not too long."""
    printable = "".join(c if c.isprintable() else "?" for c in text[: _SHOWN + 1])
    return printable if len(text) <= _SHOWN else printable[:_SHOWN] + "…"


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

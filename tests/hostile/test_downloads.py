"""What a server can do to `forecast data get`: the right file, or a sentence and all as before."""

from __future__ import annotations

import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.publisher import (
    STATES,
    TOML,
    Answer,
    Publisher,
    chunked,
    cut,
    dripped,
    endless,
    listening,
    publish,
    raw,
    redirect,
    reset,
    stalled,
    status,
    tear,
    unsized,
    whole,
)
from support.tries import hostile

from forecast import cli
from forecast.errors import ForecastError
from forecast.sources import catalogue
from forecast.sources.download import Network, fetch

BODY = STATES + b"UKG,200,United Kingdom,1816,1,1,2016,12,31,2016\n"
OK = b"HTTP/1.1 200 OK\r\n"
SIZED = OK + b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"
PAGE = b"<!DOCTYPE html>\n<html><body>Log in</body></html>\n"
#: Seconds of silence, and most bytes, in these tests.
READ, MOST = 0.3, 100_000


def _chunk(body: bytes, size: bytes | None = None) -> bytes:
    return (b"%x" % len(body) if size is None else size) + b"\r\n" + body + b"\r\n"


#: What the server does, and what is said of it; None where the file comes as it should.
MODES: dict[str, tuple[Answer | list[Answer], str | None]] = {
    # Right, if odd.
    "a file of a length": (whole(BODY), None),
    "chunks": (chunked(BODY), None),
    "many chunks, of extensions and trailers": (
        raw(
            CHUNKED,
            b"\r\n",
            *(
                _chunk(BODY[i : i + 7], b"%X;a=b" % len(BODY[i : i + 7]))
                for i in range(0, len(BODY), 7)
            ),
            b"000\r\nDigest: x\r\n\r\n",
        ),
        None,
    ),
    "a length that is told twice and is the same": (
        raw(SIZED, b"Content-Length: %d\r\n\r\n" % len(BODY), BODY),
        None,
    ),
    "three times 100 Continue": (
        raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 3, SIZED, b"\r\n", BODY),
        None,
    ),
    "HTTP/1.0": (raw(SIZED.replace(b"1.1", b"1.0"), b"\r\n", BODY), None),
    "a redirection with an endless page": (
        [
            endless(b"HTTP/1.1 302 Found\r\nLocation: /states2016.csv\r\n\r\n", b"x" * 9999),
            whole(BODY),
        ],
        None,
    ),
    "503 once": ([status(503), whole(BODY)], None),
    "cut once": ([cut(BODY, 70), whole(BODY)], None),
    "torn down once": ([reset(SIZED + b"\r\n" + BODY[:70]), whole(BODY)], None),
    "Retry-After of no number": ([status(503, Retry_After="soon"), whole(BODY)], None),
    "Retry-After long ago": (
        [status(429, Retry_After="Mon, 01 Jan 0001 00:00:00 -0000"), whole(BODY)],
        None,
    ),
    # Drips: nothing is silent for long, nothing ends.
    "a status line that drips": (dripped(b"HTTP/1.1 200 ", b"O"), "not complete"),
    "headers that drip": (dripped(OK, b"X-A: b\r\n"), "not complete|more than 100 headers"),
    "one header that drips": (dripped(OK + b"X-A: ", b"b"), "not complete"),
    "100 Continue that drips": (
        dripped(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.002),
        "not complete",
    ),
    "100 Continue without end": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "not complete"),
    "the size of a chunk that drips": (dripped(CHUNKED + b"\r\n", b"0"), "not complete"),
    "trailers that drip": (
        dripped(CHUNKED + b"\r\n" + _chunk(BODY) + b"0\r\n", b"A: b\r\n"),
        "not complete",
    ),
    "a body that drips": (dripped(SIZED + b"\r\n", b"x", 0.05), "not complete"),
    "a redirection that drips": (
        dripped(b"HTTP/1.1 302 Found\r\nLocation: /there.csv\r\nX: ", b"x"),
        "not complete",
    ),
    # Heads.
    "no answer": (raw(5.0), r"no byte for 0\.3 s"),
    "no answer but an end": (raw(), "closed connection"),
    "half a head": (raw(OK, b"Content-"), "does not say how long|is none|ended"),
    "an endless status line": (endless(b"HTTP/1.1 200 ", b"x" * 9999), "more than 65536 bytes"),
    "an endless header": (endless(OK + b"X: ", b"x" * 9999), "more than 65536 bytes"),
    "endless headers": (endless(OK, b"X-A: b\r\n" * 999), "more than 100 headers"),
    "a thousand headers": (
        raw(SIZED, b"X-A: b\r\n" * 1000, b"\r\n", BODY),
        "more than 100 headers",
    ),
    "a line that is no header": (raw(OK, b"what?\r\nContent-Length: 9\r\n\r\n", BODY), "is none"),
    "garbage": (raw(bytes(range(128, 256)) * 9), r"\?|\\x"),
    "escape sequences": (
        raw(b"HTTP/1.1 404 \x1b[2J\x1b]0;owned\x07" + b"z" * 9000 + b"\r\n\r\n"),
        r"404 \?\[2J",
    ),
    "HTTP/0.9": (raw(BODY), "stateabb"),
    "HTTP/9.9": (raw(SIZED.replace(b"1.1", b"9.9"), b"\r\n", BODY), "HTTP/9.9"),
    "a status of two digits": (raw(b"HTTP/1.1 20 OK\r\n\r\n"), "20 OK"),
    # Lengths.
    "no length": (unsized(BODY), "does not say how long"),
    "a length that is negative": (raw(OK, b"Content-Length: -5\r\n\r\n", BODY), "told wrongly"),
    "a length that is no number": (raw(OK, b"Content-Length: long\r\n\r\n", BODY), "told wrongly"),
    "a length with a sign": (
        raw(OK, b"Content-Length: +%d\r\n\r\n" % len(BODY), BODY),
        "told wrongly",
    ),
    "a length with an underscore": (raw(OK, b"Content-Length: 1_0\r\n\r\n", BODY), "told wrongly"),
    "a length of 5,000 digits": (
        raw(OK, b"Content-Length: ", b"9" * 5000, b"\r\n\r\n", BODY),
        "told wrongly",
    ),
    "two lengths": (
        raw(OK, b"Content-Length: 70\r\n", SIZED[17:], b"\r\n", BODY),
        "multiple|told wrongly",
    ),
    "two lengths in one header": (
        raw(OK, b"Content-Length: 70, 80\r\n\r\n", BODY),
        "multiple|told wrongly",
    ),
    "a length and chunks": (
        raw(SIZED, b"Transfer-Encoding: chunked\r\n\r\n", _chunk(BODY), b"0\r\n\r\n"),
        "told wrongly",
    ),
    "gzip and chunks": (
        raw(OK, b"Transfer-Encoding: gzip, chunked\r\n\r\n", _chunk(BODY), b"0\r\n\r\n"),
        "told wrongly",
    ),
    "too long a length": (
        raw(OK, b"Content-Length: 100001\r\n\r\n", BODY),
        "100,001 bytes, expected at most 100,000",
    ),
    "a length that is too short": (
        raw(OK, b"Content-Length: %d\r\n\r\n" % len(STATES), BODY),
        "more bytes follow",
    ),
    "packed": (whole(BODY, Content_Encoding="gzip"), "packs the file"),
    # Bodies.
    "cut": (cut(BODY, 100), "100 bytes read, 162 more expected"),
    "cut at once": (cut(BODY, 0), "0 bytes read"),
    "stalled": (stalled(BODY, 100, 3.0), r"no byte for 0\.3 s"),
    "chunks without the last": (chunked(BODY, ended=False), "before the last chunk"),
    "chunks that end in a chunk": (raw(CHUNKED, b"\r\n", _chunk(BODY)[:99]), "more expected"),
    "chunks that end after the last size": (
        raw(CHUNKED, b"\r\n", _chunk(BODY), b"0\r\n"),
        "before the last chunk",
    ),
    "a chunk that is longer than it says": (
        raw(CHUNKED, b"\r\n", _chunk(BODY, b"9"), b"0\r\n\r\n"),
        "longer than",
    ),
    "a chunk of a huge size": (raw(CHUNKED, b"\r\n", _chunk(BODY, b"f" * 15)), "more expected"),
    "a chunk of 5,000 digits": (raw(CHUNKED, b"\r\n", _chunk(BODY, b"f" * 5000)), "too long"),
    "a chunk of a negative size": (raw(CHUNKED, b"\r\n", _chunk(BODY, b"-5")), "not with its size"),
    "a chunk of no size": (raw(CHUNKED, b"\r\n", _chunk(BODY, b"")), "not with its size"),
    "an endless size of a chunk": (endless(CHUNKED + b"\r\n", b"0" * 9999), "too long"),
    "endless trailers": (
        endless(CHUNKED + b"\r\n" + _chunk(BODY) + b"0\r\n", b"A: b\r\n" * 999),
        "too many lines",
    ),
    "rows after the last chunk": (
        raw(CHUNKED, b"\r\n", _chunk(STATES), b"0\r\n", BODY[-48:], b"\r\n"),
        "something else",
    ),
    "chunks after the last": (
        raw(CHUNKED, b"\r\n", _chunk(STATES), b"0\r\n\r\n", _chunk(BODY)),
        "more bytes follow",
    ),
    "endless chunks": (
        endless(CHUNKED + b"\r\n", _chunk(b"x" * 9999)),
        "more bytes than the 100,000",
    ),
    "another file": (whole(b"a,b\n1,2\n"), "states2016.csv"),
    "an empty file": (whole(b""), "states2016.csv"),
    "a page to log in": (whole(PAGE), "a web page, not the file"),
    "a page to log in, elsewhere": (
        [redirect("/states2016.csv"), whole(b"\xef\xbb\xbf \n<HTML>")],
        "a web page",
    ),
    "torn down before an answer": (reset(), "reset"),
    "torn down in the head": (reset(OK + b"Con"), "reset"),
    "torn down in the body": (reset(SIZED + b"\r\n" + BODY[:70]), "reset"),
    # Statuses.
    "204": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "answers 204 No Content"),
    "205": (status(205), "answers 205"),
    "206": (
        raw(
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-%d/999\r\n" % len(BODY),
            SIZED[17:],
            b"\r\n",
            BODY,
        ),
        "answers 206",
    ),
    "304": (raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "answers 304"),
    "103": (
        raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", SIZED, b"\r\n", BODY),
        "answers 103",
    ),
    "401": (status(401, WWW_Authenticate="Basic"), "answers 401"),
    "404": (status(404), "answers 404.*browser"),
    "503": (status(503), "answers 503.*2 attempts"),
    "503 with an absurd Retry-After": (
        status(503, Retry_After="9" * 5000),
        "answers 503.*one attempt",
    ),
    "503 with a date far away": (
        status(503, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"),
        "answers 503.*one attempt",
    ),
    # Redirections.
    "to a file": (redirect("file:///etc/hostname"), "no web page"),
    "to ftp": (redirect("ftp://localhost/f.csv"), "no web page"),
    "to data": (redirect("data:text/csv,a"), "no web page"),
    "to itself": (
        raw(b"HTTP/1.1 301 Moved\r\nLocation: /states2016.csv\r\nContent-Length: 0\r\n\r\n"),
        "more than 20 times",
    ),
    "to nowhere": (redirect(""), "answers 302|more than 20"),
    "to a broken address": (redirect("http://[::1"), "Invalid|IPv6"),
    "to no port": (redirect("http://localhost:99999/f.csv"), "99999|port|Port"),
    "to an address of bytes": (
        raw(b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\xfd://\r\n\r\n"),
        "no text",
    ),
    "to a host that is not there": (
        redirect("http://no-such-host.invalid/f.csv"),
        "offline|resolve",
    ),
    "to an address of 60,000 letters": (redirect("/" + "a" * 60_000), "answers 404"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Publisher]:
    with publish() as publisher:
        yield publisher


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and little patience."""

    for name in ("FORECAST_CA_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    _within(20.0, monkeypatch)
    monkeypatch.setenv("FORECAST_CATALOGUE", str(tmp_path / "catalogue.toml"))
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path / "cache"))
    return tmp_path


def _within(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a whole transfer take so long."""

    def hasty(**options: object) -> Network:
        less = {"total": seconds, "attempts": 2, "backoff": 0.01, "max_bytes": MOST}
        return Network(**{**options, **less})  # type: ignore[arg-type]

    monkeypatch.setattr(catalogue, "Network", hasty)


def _get(place: Path, url: str, *more: str) -> int:
    (place / "catalogue.toml").write_text(TOML.format(url=url))
    return cli.main(["data", "get", "plain", "--quiet", "--timeout", str(READ), *more])


def _kept(place: Path) -> dict[str, bytes]:
    cache = place / "cache"
    return {str(p.relative_to(cache)): p.read_bytes() for p in cache.rglob("*") if p.is_file()}


def _refused(said: str, expected: str, seconds: float) -> None:
    """One sentence of ours, and in time."""
    assert re.match(r"(\w+Error): ", said), said
    assert "Traceback" not in said and "Exception" not in said, said
    assert len(said.splitlines()) == 1 and len(said) < 1000 and said.rstrip().isprintable(), said
    assert re.search(expected, said), said
    # It would take for ever; the machine may be slow.
    assert seconds < 20


@pytest.fixture(scope="module")
def locked(server: Publisher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with an earlier release of the file."""
    place = tmp_path_factory.mktemp("locked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORECAST_CATALOGUE", str(place / "catalogue.toml"))
        patch.setenv("FORECAST_DATA", str(place / "cache"))
        server.offer("/states2016.csv", whole(STATES))
        assert _get(place, server.url) == 0
    return place / "cache"


@pytest.mark.parametrize("mode", MODES)
def test_a_server_that_means_harm(
    server: Publisher,
    locked: Path,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    shutil.copytree(locked, place / "cache")
    before = _kept(place)
    assert before["plain/states2016.csv"] == STATES

    answer, expected = MODES[mode]
    if expected is not None and expected.startswith("not complete"):
        _within(0.6, monkeypatch)
    server.offer("/states2016.csv", *(answer if isinstance(answer, list) else [answer]))
    begun = time.monotonic()
    code = _get(place, server.url, "--replace")
    seconds, said = time.monotonic() - begun, capsys.readouterr().err
    if expected is None:
        assert (code, said) == (0, "")
        assert _kept(place)["plain/states2016.csv"] == BODY
    else:
        assert code == 1
        _refused(said, expected, seconds)
        assert _kept(place) == before


def _hello(connection: socket.socket) -> None:
    """A TLS record that never gets whole."""
    connection.recv(1)
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while True:
        connection.sendall(b"\x02")
        time.sleep(0.02)


#: Below HTTP: what the server does with a connection, the scheme, and what is said of it.
BELOW = {
    "accepts and is silent": (lambda c: time.sleep(5), "http", r"no answer for 0\.3 s"),
    "accepts and tears down": (tear, "http", "reset"),
    "accepts and ends": (lambda c: None, "http", "reset|closed connection"),
    "silent for TLS": (lambda c: time.sleep(5), "https", r"no answer for 0\.3 s"),
    "drips for TLS": (_hello, "https", r"no answer for 0\.3 s|not complete"),
    "tears down TLS": (tear, "https", "reset|EOF|ended"),
    "no TLS": (lambda c: (c.recv(9999), c.sendall(SIZED + b"\r\n" + BODY)), "https", "."),
}


@pytest.mark.parametrize("mode", BELOW)
def test_a_server_below_http(place: Path, capsys: pytest.CaptureFixture[str], mode: str) -> None:
    talk, scheme, expected = BELOW[mode]
    with listening(talk) as host:  # type: ignore[arg-type]
        begun = time.monotonic()
        assert _get(place, f"{scheme}://{host}") == 1
        _refused(capsys.readouterr().err, expected, time.monotonic() - begun)
    assert _kept(place) == {}


def test_nobody_is_there(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert _get(place, f"http://localhost:{port}") == 1
    _refused(capsys.readouterr().err, "refused", 0.0)


# --------------------------------------------------------------------- any bytes for an answer

#: An answer piece by piece, as chunks; one of them may be damaged.
RIGHT = [
    SIZED + b"\r\n" + BODY,
    CHUNKED + b"\r\n" + _chunk(BODY[:100]) + _chunk(BODY[100:]) + b"0\r\n\r\n",
]
PARTS = [
    b"HTTP/1.1 ",
    b"HTTP/1.0 200 OK\r\n",
    OK,
    b"200",
    b"\r\n",
    b"\r\n\r\n",
    SIZED[17:],
    CHUNKED[17:],
    b"Content-Length: 9\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Location: /\r\n",
    b"0\r\n\r\n",
    b"0\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 302 Found\r\n",
    b"HTTP/1.1 503 Busy\r\n",
    BODY,
    BODY[:70],
    _chunk(BODY),
    _chunk(BODY[:70]),
    b"-1\r\n",
    b"\0",
    b"\xff",
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A right answer with some bytes changed, taken out, doubled, put in, or cut off."""
    data = bytearray(draw(st.sampled_from(RIGHT)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(["change", "out", "twice", "in", "cut"]))
        if kind == "change" and at < len(data):
            data[at] ^= draw(st.integers(1, 255))
        elif kind == "out":
            del data[at:to]
        elif kind == "twice":
            data[at:at] = data[at:to]
        elif kind == "in":
            data[at:at] = draw(st.sampled_from(PARTS))
        elif kind == "cut":
            del data[at:]
    return bytes(data)


answers = damaged() | st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join) | st.binary()


@pytest.fixture(scope="module")
def said_by() -> Iterator[tuple[str, list[bytes]]]:
    """Address of a server, and what it says to every request: the last of the list."""
    says = [b""]

    def talk(connection: socket.socket) -> None:
        connection.settimeout(5)
        while not connection.recv(65536).endswith(b"\r\n\r\n"):
            pass
        connection.sendall(says[-1])
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # until the client has gone

    with listening(talk) as host:
        yield f"http://{host}/states2016.csv", says


@hostile
@given(answer=answers)
def test_any_bytes_for_an_answer(
    said_by: tuple[str, list[bytes]], tmp_path_factory: pytest.TempPathFactory, answer: bytes
) -> None:
    """The file that the bytes hold by a second, plain reading of them, or an error of ours."""
    url, says = said_by
    says[:] = [answer]
    target = tmp_path_factory.getbasetemp() / "any" / "f.csv"
    target.unlink(missing_ok=True)
    network = Network(connect=2.0, read=2.0, total=5.0, attempts=1, max_bytes=MOST)
    try:
        fetch(url, target, network=network)
    except ForecastError as error:
        assert len(str(error)) < 1000
        assert list(target.parent.iterdir()) == []
    else:
        assert target.read_bytes() == plainly(answer)


def plainly(answer: bytes) -> bytes:
    """The file in an answer of which nothing is wrong; an assertion fails otherwise."""
    while answer.startswith(b"HTTP/1.1 100"):
        answer = re.split(rb"\r?\n\r?\n", answer, maxsplit=1)[1]
    head, body = re.split(rb"\r?\n\r?\n", answer, maxsplit=1)
    lines = re.split(rb"\r?\n", head)
    assert int(lines[0].split(None, 2)[1]) == 200, lines[0]
    fields: dict[bytes, set[bytes]] = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        fields.setdefault(name.strip().lower(), set()).add(value.strip())
    assert fields.get(b"content-encoding", {b"identity"}) == {b"identity"}
    lengths, coding = fields.get(b"content-length", set()), fields.get(b"transfer-encoding")
    if coding is None:
        (length,) = lengths
        assert len(body) == int(length)
        return body
    assert not lengths and {c.lower() for c in coding} == {b"chunked"}
    file = b""
    while True:
        size, _, body = body.partition(b"\n")
        count = int(size.split(b";")[0], 16)
        if count == 0:
            assert re.fullmatch(rb"([\w-]+:[^\n]*\n)*\r?\n", body)
            return file
        assert body[count : count + 2] == b"\r\n"
        file, body = file + body[:count], body[count + 2 :]

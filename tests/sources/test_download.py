from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from publisher import (
    Publisher,
    chunked,
    cut,
    dripping,
    publish,
    ranged,
    redirect,
    stalled,
    status,
    unsized,
    whole,
)

from forecast.errors import ArgumentError, DownloadError
from forecast.sources.download import Network, fetch

BODY = bytes(range(256)) * 1200
FAST = Network(connect=5.0, read=3.0, total=20.0, attempts=3, backoff=0.01)


@pytest.fixture(scope="module")
def server() -> Iterator[Publisher]:
    with publish() as publisher:
        yield publisher


@pytest.fixture(autouse=True)
def _fresh(server: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    server.requests.clear()
    for name in ("FORECAST_CA_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def test_a_file_arrives_whole(server: Publisher, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "new" / "f.csv"
    url = server.offer("/f.csv", ranged(BODY))
    assert fetch(url, target, network=FAST, report=lambda d, t: seen.append((d, t))) == url
    assert target.read_bytes() == BODY
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert [p.name for p in target.parent.iterdir()] == ["f.csv"]


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_passing_failure_is_tried_again(server: Publisher, tmp_path: Path, code: int) -> None:
    url = server.offer("/f.csv", status(code), status(code), whole(BODY))
    fetch(url, tmp_path / "f.csv", network=FAST)
    assert (tmp_path / "f.csv").read_bytes() == BODY
    assert len(server.requests) == 3


def test_attempts_are_bounded(server: Publisher, tmp_path: Path) -> None:
    url = server.offer("/f.csv", status(500))
    with pytest.raises(DownloadError, match=r"500.*3 attempts.*resumed"):
        fetch(url, tmp_path / "f.csv", network=FAST)
    assert len(server.requests) == 3
    assert not (tmp_path / "f.csv").exists()


def test_the_server_s_own_pause_is_kept(server: Publisher, tmp_path: Path) -> None:
    url = server.offer("/f.csv", status(503, Retry_After=1), whole(BODY))
    begin = time.monotonic()
    fetch(url, tmp_path / "f.csv", network=FAST)
    assert time.monotonic() - begin >= 1.0
    url = server.offer("/f.csv", status(503, Retry_After=100), whole(BODY))
    with pytest.raises(DownloadError, match="503"):  # longer than `total`
        fetch(url, tmp_path / "f.csv", network=FAST)


def test_a_file_that_is_not_there_is_not_tried_again(server: Publisher, tmp_path: Path) -> None:
    url = server.offer("/f.csv", status(404), whole(BODY))
    with pytest.raises(DownloadError, match=r"404.*browser.*--from"):
        fetch(url, tmp_path / "f.csv", network=FAST)
    assert len(server.requests) == 1
    fetch(url, tmp_path / "f.csv", network=FAST)
    assert (tmp_path / "f.csv").read_bytes() == BODY


def test_a_cut_file_is_resumed(server: Publisher, tmp_path: Path) -> None:
    url = server.offer("/f.csv", cut(BODY, 100_000), ranged(BODY))
    fetch(url, tmp_path / "f.csv", network=FAST)
    assert (tmp_path / "f.csv").read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-"]


def test_a_stalled_file_is_resumed(server: Publisher, tmp_path: Path) -> None:
    url = server.offer("/f.csv", stalled(BODY, 70_000, 1.0), ranged(BODY))
    fetch(url, tmp_path / "f.csv", network=Network(read=0.4, backoff=0.01))
    assert (tmp_path / "f.csv").read_bytes() == BODY
    assert server.ranges() == [None, "bytes=70000-"]


def test_a_later_run_resumes(server: Publisher, tmp_path: Path) -> None:
    once = Network(connect=5.0, read=3.0, attempts=1)
    url = server.offer("/f.csv", cut(BODY, 5000), ranged(BODY))
    with pytest.raises(DownloadError, match=r"5000|IncompleteRead|one attempt"):
        fetch(url, tmp_path / "f.csv", network=once)
    assert _part(tmp_path / "f.csv").read_bytes() == BODY[:5000]
    fetch(url, tmp_path / "f.csv", network=once)
    assert (tmp_path / "f.csv").read_bytes() == BODY
    assert server.ranges() == [None, "bytes=5000-"]


def test_progress_gives_new_attempts(server: Publisher, tmp_path: Path) -> None:
    """A line that breaks every few kilobytes needs more breaks than `attempts`."""

    def broken(handler: object) -> None:
        asked = handler.headers.get("Range")  # type: ignore[attr-defined]
        start = 0 if asked is None else int(asked[6:-1])
        handler.send_response(206 if start else 200)  # type: ignore[attr-defined]
        for name, value in {
            "Content-Length": len(BODY) - start,
            "ETag": '"1"',
            "Content-Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}",
        }.items():
            handler.send_header(name, str(value))  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        handler.wfile.write(BODY[start : start + 50_000])  # type: ignore[attr-defined]

    url = server.offer("/f.csv", broken)
    fetch(url, tmp_path / "f.csv", network=FAST)
    assert (tmp_path / "f.csv").read_bytes() == BODY
    assert len(server.requests) == 7


def test_a_server_that_ignores_range_starts_over(server: Publisher, tmp_path: Path) -> None:
    url = server.offer("/f.csv", cut(BODY, 100_000), whole(BODY, ETag='"1"'))
    fetch(url, tmp_path / "f.csv", network=FAST)
    assert (tmp_path / "f.csv").read_bytes() == BODY


@pytest.mark.parametrize("obey_if_range", [True, False])
def test_parts_of_two_versions_are_never_joined(
    server: Publisher, tmp_path: Path, obey_if_range: bool
) -> None:
    other = BODY[::-1]
    url = server.offer(
        "/f.csv", cut(BODY, 100_000), ranged(other, '"2"', obey_if_range=obey_if_range)
    )
    fetch(url, tmp_path / "f.csv", network=FAST)
    assert (tmp_path / "f.csv").read_bytes() == other
    # Asked with If-Range, a server that obeys sends the whole new file at once.
    assert len(server.requests) == (2 if obey_if_range else 3)


def test_without_a_version_nothing_is_resumed(server: Publisher, tmp_path: Path) -> None:
    def nameless(handler: object) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.send_header("Content-Length", str(len(BODY)))  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        handler.wfile.write(BODY[:9000])  # type: ignore[attr-defined]

    url = server.offer("/f.csv", nameless, ranged(BODY))
    fetch(url, tmp_path / "f.csv", network=FAST)
    assert (tmp_path / "f.csv").read_bytes() == BODY
    assert server.ranges() == [None, None]


def test_a_complete_part_needs_no_bytes(server: Publisher, tmp_path: Path) -> None:
    url = server.offer("/f.csv", ranged(BODY))
    target = tmp_path / "f.csv"
    fetch(url, target, network=FAST)
    # As if the process had been killed between the last byte and the renaming.
    target.rename(_part(target))
    state = f'{{"url": "{url}", "validator": "\\"1\\""}}'
    target.with_name("f.csv.part.json").write_text(state)
    fetch(url, target, network=FAST)
    assert target.read_bytes() == BODY
    assert server.ranges()[-1] == f"bytes={len(BODY)}-"


def test_a_part_longer_than_the_file_is_dropped(server: Publisher, tmp_path: Path) -> None:
    target = tmp_path / "f.csv"
    url = server.offer("/f.csv", ranged(BODY))
    _part(target).write_bytes(BODY + b"more")
    target.with_name("f.csv.part.json").write_text(f'{{"url": "{url}", "validator": "\\"1\\""}}')
    fetch(url, target, network=FAST)
    assert target.read_bytes() == BODY


def test_a_part_of_another_address_is_dropped(server: Publisher, tmp_path: Path) -> None:
    target = tmp_path / "f.csv"
    _part(target).write_bytes(b"of another")
    target.with_name("f.csv.part.json").write_text('{"url": "http://other", "validator": "1"}')
    fetch(server.offer("/f.csv", ranged(BODY)), target, network=FAST)
    assert target.read_bytes() == BODY
    assert server.ranges() == [None]


def test_a_dripping_server_cannot_outlast_the_deadline(server: Publisher, tmp_path: Path) -> None:
    url = server.offer("/f.csv", dripping(BODY, 0.05))
    begin = time.monotonic()
    with pytest.raises(DownloadError, match=r"not complete after 0\.5 s"):
        fetch(url, tmp_path / "f.csv", network=Network(read=3.0, total=0.5))
    assert time.monotonic() - begin < 3.0


def test_a_redirection_is_followed_and_told(server: Publisher, tmp_path: Path) -> None:
    there = server.offer("/new/f.csv", whole(BODY))
    url = server.offer("/f.csv", redirect(there))
    assert fetch(url, tmp_path / "f.csv", network=FAST) == there
    assert (tmp_path / "f.csv").read_bytes() == BODY


@pytest.mark.parametrize("to", ["/f.csv", "file:///etc/hostname"])
def test_a_redirection_that_leads_nowhere(server: Publisher, tmp_path: Path, to: str) -> None:
    url = server.offer("/f.csv", redirect(to))
    with pytest.raises(DownloadError):
        fetch(url, tmp_path / "f.csv", network=FAST)


def test_sizes_are_bounded(server: Publisher, tmp_path: Path) -> None:
    small = Network(max_bytes=1000)
    url = server.offer("/f.csv", whole(BODY))
    with pytest.raises(DownloadError, match="307,200 bytes, expected at most 1,000"):
        fetch(url, tmp_path / "f.csv", network=small)
    url = server.offer("/f.csv", chunked(BODY))
    with pytest.raises(DownloadError, match="more bytes"):
        fetch(url, tmp_path / "f.csv", network=small)
    assert _part(tmp_path / "f.csv").stat().st_size == 0


def test_a_file_of_unknown_length(server: Publisher, tmp_path: Path) -> None:
    """What a torn table and a whole one have in common is not taken for a whole one."""
    url = server.offer("/f.csv", unsized(BODY))
    with pytest.raises(DownloadError, match="does not say how long"):
        fetch(url, tmp_path / "f.csv", network=FAST)
    fetch(server.offer("/f.zip", unsized(BODY)), tmp_path / "f.zip", network=FAST)
    fetch(server.offer("/f.csv", chunked(BODY)), tmp_path / "f.csv", network=FAST)
    assert (tmp_path / "f.csv").read_bytes() == BODY
    with pytest.raises(DownloadError):
        fetch(server.offer("/g.csv", chunked(BODY, ended=False)), tmp_path / "g.csv", network=FAST)


def test_two_processes_do_not_write_one_file(server: Publisher, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    url = server.offer("/f.csv", whole(BODY))
    with _part(tmp_path / "f.csv").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match="another process"):
            fetch(url, tmp_path / "f.csv", network=FAST)
    fetch(url, tmp_path / "f.csv", network=FAST)


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError, match="refused"):
        fetch("http://localhost:9/f.csv", tmp_path / "f.csv", network=FAST)

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DownloadError, match=r"offline.*--from"):
        fetch("http://no-such-host.invalid/f.csv", tmp_path / "f.csv", network=FAST)


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="read=0"):
        Network(read=0)
    with pytest.raises(ArgumentError, match="attempts=0"):
        Network(attempts=0)
    with pytest.raises(ArgumentError, match="cannot be used"):
        fetch("http://x/f", tmp_path / "f", network=Network(ca_file=tmp_path / "none.pem"))
    (tmp_path / "not.pem").write_text("no certificate")
    with pytest.raises(ArgumentError, match="PEM"):
        fetch("http://x/f", tmp_path / "f", network=Network(ca_file=tmp_path / "not.pem"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed certificate of localhost, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command += " -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


def test_tls_is_always_verified(
    server: Publisher, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = certificate.with_name("cert.pem")
    with publish(certificate) as secure:
        url = secure.offer("/f.csv", whole(BODY))
        with pytest.raises(DownloadError, match=r"certificate.*--ca-file.*--from.*never"):
            fetch(url, tmp_path / "f.csv", network=FAST)
        assert secure.requests == []
        fetch(url, tmp_path / "f.csv", network=Network(ca_file=trusted))
        assert (tmp_path / "f.csv").read_bytes() == BODY
        monkeypatch.setenv("FORECAST_CA_FILE", str(trusted))
        fetch(url, tmp_path / "g.csv", network=FAST)
        plain = server.offer("/f.csv", whole(BODY))
        with pytest.raises(DownloadError, match="without TLS"):
            fetch(secure.offer("/r.csv", redirect(plain)), tmp_path / "r.csv", network=FAST)

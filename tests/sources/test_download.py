from __future__ import annotations

import shutil
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.publisher import (
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

from forecast.errors import ArgumentError, DownloadError, StorageError
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


def test_a_file_arrives_whole(server: Publisher, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "new" / "f.csv"
    url = server.offer("/f.csv", whole(BODY))
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
    with pytest.raises(DownloadError, match=r"500.*3 attempts.*nothing was kept"):
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


@pytest.mark.parametrize("etag", ['"1"', '"2"'])
def test_a_cut_file_is_fetched_anew_and_never_joined(
    server: Publisher, tmp_path: Path, etag: str
) -> None:
    """A server that would send the rest, of whatever version, with and without saying so."""
    other = BODY[::-1]
    url = server.offer("/f.csv", cut(BODY, 100_000), cut(BODY, 5), ranged(other, etag, ETag=etag))
    fetch(url, tmp_path / "f.csv", network=FAST)
    assert (tmp_path / "f.csv").read_bytes() == other
    assert server.requests == [("/f.csv", None, "identity")] * 3


def test_a_stalled_file_is_fetched_anew(server: Publisher, tmp_path: Path) -> None:
    url = server.offer("/f.csv", stalled(BODY, 70_000, 1.0), whole(BODY))
    fetch(url, tmp_path / "f.csv", network=Network(read=0.4, backoff=0.01))
    assert (tmp_path / "f.csv").read_bytes() == BODY


def test_a_file_that_never_comes_whole_leaves_nothing(server: Publisher, tmp_path: Path) -> None:
    url = server.offer("/f.csv", cut(BODY, 5000))
    for attempts, said in ((1, "one attempt"), (2, "2 attempts")):
        with pytest.raises(DownloadError, match=rf"5000 bytes read.*{said}.*nothing was kept"):
            fetch(url, tmp_path / "f.csv", network=Network(attempts=attempts, backoff=0.01))
    assert list(tmp_path.iterdir()) == []
    server.offer("/f.csv", whole(BODY))
    fetch(url, tmp_path / "f.csv", network=FAST)
    assert (tmp_path / "f.csv").read_bytes() == BODY


def test_a_part_that_was_not_asked_for_is_not_the_file(server: Publisher, tmp_path: Path) -> None:
    def part(handler: object) -> None:
        handler.send_response(206)  # type: ignore[attr-defined]
        handler.send_header("Content-Range", f"bytes 9-{len(BODY) - 1}/{len(BODY)}")  # type: ignore[attr-defined]
        handler.send_header("Content-Length", str(len(BODY) - 9))  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        handler.wfile.write(BODY[9:])  # type: ignore[attr-defined]

    with pytest.raises(DownloadError, match="answers 206"):
        fetch(server.offer("/f.csv", part), tmp_path / "f.csv", network=FAST)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-gzip, identity"])
def test_a_packed_answer_is_refused(server: Publisher, tmp_path: Path, encoding: str) -> None:
    """One that was cut where its packer flushed looks like a whole table of fewer rows."""
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(BODY[:9000]) + packer.flush(zlib.Z_FULL_FLUSH)
    url = server.offer("/f.csv", chunked(packed, Content_Encoding=encoding))
    with pytest.raises(DownloadError, match=rf"packs the file \({encoding}\).*--from"):
        fetch(url, tmp_path / "f.csv", network=FAST)
    assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []
    server.offer("/f.csv", whole(BODY, Content_Encoding="identity"))
    fetch(url, tmp_path / "f.csv", network=FAST)


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
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_room_is_refused_before_it_comes(
    server: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("forecast.folders.shutil.disk_usage", lambda _: full)
    url = server.offer("/f.csv", whole(BODY))
    with pytest.raises(StorageError, match=r"about 0\.3 MB are needed, 0\.0 MB are free"):
        fetch(url, tmp_path / "f.csv", network=Network())
    assert list(tmp_path.iterdir()) == []


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
        # Nor may it pass through an open address on its way back.
        there = server.offer("/f.csv", redirect(url))
        with pytest.raises(DownloadError, match="without TLS"):
            fetch(secure.offer("/r.csv", redirect(there)), tmp_path / "r.csv", network=FAST)

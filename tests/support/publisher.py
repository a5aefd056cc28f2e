"""A publisher of files on this machine, which answers as a test has it, and its catalogue."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STATES = (
    b"stateabb,ccode,statenme,styear,stmonth,stday,endyear,endmonth,endday,version\n"
    b"USA,2,United States of America,1816,1,1,2016,12,31,2016\n"
    b"FRN,220,France,1816,1,1,1942,11,11,2016\n"
    b"FRN,220,France,1944,8,25,2016,12,31,2016\n"
)

#: One dispute of two states: MIDA and MIDB in their layout.
MIDA = (
    b"dispnum,stday,stmon,styear,endday,endmon,endyear,outcome,settle,fatality,fatalpre,hostlev,"
    b"recip,version\n"
    b"1,1,2,1940,30,6,1941,1,2,6,1500,5,1,5\n"
)
MIDB = (
    b"dispnum,stabb,ccode,stday,stmon,styear,endday,endmon,endyear,sidea,fatality,fatalpre,"
    b"hostlev,orig,version\n"
    b"1,USA,2,1,2,1940,30,6,1941,1,3,150,5,1,5\n"
    b"1,FRN,220,1,2,1940,30,6,1941,0,1,2,4,1,5\n"
)

#: A catalogue of three small sources on the publisher of the tests.
TOML = """
[facts]
states = ["zipped", "plain"]
conflicts = ["pair"]
[licences.free]
name = "Free"
terms = "Do as you like."
url = "http://localhost/terms"
[citations.somebody_2020]
type = "article"
author = ["Body, Some", "Else, S."]
year = 2020
title = "On States"
journal = "Journal"
volume = "1"
pages = "2–3"
[sources.plain]
title = "Plain"
release = "1"
provides = ["states"]
reader = "cow_states"
covers = [1816, 2016]
licence = "free"
cite = ["somebody_2020"]
landing = "http://localhost"
downloads.file.url = "{url}/states2016.csv"
[sources.plain.files.states]
names = ["states2016.csv", "cow_states.csv"]
download = "file"
[sources.zipped]
title = "Zipped"
release = "2"
provides = ["states"]
reader = "cow_states"
covers = [1816, 2016]
licence = "free"
cite = ["somebody_2020"]
landing = "http://localhost"
downloads.archive.url = "{url}/States.zip"
[sources.zipped.files.states]
names = ["states.csv"]
download = "archive"
member = ["inner.zip", "S/states.csv"]
[sources.pair]
title = "Pair"
release = "3"
provides = ["conflicts"]
reader = "cow_mid"
covers = [1816, 2014]
licence = "free"
cite = ["somebody_2020"]
landing = "http://localhost/pair"
[sources.pair.files.mida]
names = ["MIDA.csv"]
[sources.pair.files.midb]
names = ["MIDB.csv"]
"""

Answer = Callable[[BaseHTTPRequestHandler], None]


class Publisher:
    """Answers by path, in order; the last one is repeated. Requests are kept for the test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, list[Answer]] = {}
        #: Path, header Range and header Accept-Encoding of each.
        self.requests: list[tuple[str, str | None, str | None]] = []

    def offer(self, path: str, *answers: Answer) -> str:
        """Answer the next requests of a path so, and return its address."""
        self.answers[path] = list(answers)
        return self.url + path


@contextmanager
def publish(certificate: Path | None = None) -> Iterator[Publisher]:
    """A publisher on a free port of the loopback interface, with TLS if it has a certificate."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = (self.headers.get(name) for name in ("Range", "Accept-Encoding"))
            publisher.requests.append((self.path, *asked))
            queue = publisher.answers.get(self.path, [status(404)])
            answer = queue.pop(0) if len(queue) > 1 else queue[0]
            # The client goes away, as it should, from some of these answers.
            with suppress(OSError):
                answer(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            pass  # a refused TLS handshake is what a test wants

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    publisher = Publisher(f"{scheme}://localhost:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield publisher
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _head(handler: BaseHTTPRequestHandler, code: int, **headers: object) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    # HTTP/1.1 obliges a server to say that it will close: a client that follows a redirection may
    # send the next request on a connection that is about to end.
    handler.send_header("Connection", "close")
    handler.end_headers()


def whole(body: bytes, **headers: object) -> Answer:
    """The file, whatever part was asked for."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, Content_Length=len(body), **headers)
        handler.wfile.write(body)

    return answer


def ranged(body: bytes, etag: str = '"1"', **headers: object) -> Answer:
    """The part of the file that was asked for, whatever version it is of; else the file."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        if asked is None:
            whole(body, ETag=etag)(handler)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        limits = f"bytes {start}-{len(body) - 1}/{len(body)}"
        _head(handler, 206, Content_Range=limits, Content_Length=len(body) - start, **headers)
        handler.wfile.write(body[start:])

    return answer


def cut(body: bytes, after: int, etag: str = '"1"') -> Answer:
    """The announced length, but only the first bytes; then the connection ends."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, Content_Length=len(body), ETag=etag)
        handler.wfile.write(body[:after])

    return answer


def stalled(body: bytes, after: int, seconds: float, etag: str = '"1"') -> Answer:
    """The first bytes, then silence."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        cut(body, after, etag)(handler)
        handler.wfile.flush()
        time.sleep(seconds)

    return answer


def dripping(body: bytes, pause: float) -> Answer:
    """One byte at a time, never silent for long."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, Content_Length=len(body), ETag='"1"')
        for byte in body:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(pause)

    return answer


def unsized(body: bytes) -> Answer:
    """The file without its length: its end is that of the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200)
        handler.wfile.write(body)

    return answer


def chunked(body: bytes, *, ended: bool = True, **headers: object) -> Answer:
    """The file in chunks, with or without the mark of the end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, Transfer_Encoding="chunked", **headers)
        handler.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
        if ended:
            handler.wfile.write(b"0\r\n\r\n")

    return answer


def status(code: int, **headers: object) -> Answer:
    """An answer without a file."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, code, Content_Length=0, **headers)

    return answer


def redirect(to: str) -> Answer:
    """Another address; the connection lingers, as on a busy machine, until the client is there."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        status(302, Location=to)(handler)
        time.sleep(0.05)

    return answer


def raw(*pieces: bytes | float) -> Answer:
    """These bytes, with pauses (seconds) between them; then the connection ends."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        for piece in pieces:
            if isinstance(piece, bytes):
                handler.wfile.write(piece)
            else:
                time.sleep(piece)

    return answer


def dripped(head: bytes, slow: bytes, pause: float = 0.02) -> Answer:
    """The head at once, then one byte at a time, and that without end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        while True:
            for number in slow:
                handler.wfile.write(bytes([number]))
                time.sleep(pause)

    return answer


def endless(head: bytes, more: bytes) -> Answer:
    """The head, then the same as fast as it is taken."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        while True:
            handler.wfile.write(more)

    return answer


def reset(before: bytes = b"") -> Answer:
    """These bytes; then the connection is torn down, not ended."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(before)
        time.sleep(0.05)
        tear(handler.connection)

    return answer


def tear(connection: socket.socket) -> None:
    """End a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.close(connection.detach())  # at once, whatever files it has


@contextmanager
def listening(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Host and port of a server that speaks no HTTP: `talk` has each connection as accepted."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talks(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                talk(connection)

        def accept() -> None:
            with suppress(OSError):  # until the server is closed
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=talks, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"localhost:{server.getsockname()[1]}"
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

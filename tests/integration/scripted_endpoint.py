"""A real endpoint on a socket of its own that answers as it is told, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Script: TypeAlias = Callable[["Request"], Awaitable[bytes | None]]
"""Makes the answer's bytes; None resets the connection."""


@dataclass(frozen=True)
class Request:
    """A request as it arrived.

    Attributes:
        number: how many came before it.
        headers: in lower case.
        body: the JSON in it.
        at: when, on the event loop's clock.
        together: how many were being answered then, this one among them.
    """

    number: int
    headers: dict[str, str]
    body: Any
    at: float
    together: int


@dataclass
class Endpoint:
    """A running endpoint.

    Attributes:
        address: of its API.
        requests: all that arrived.
    """

    address: str = ""
    requests: list[Request] = field(default_factory=list)
    _under_way: int = 0

    @property
    def most(self) -> int:
        """The most that were being answered at once."""
        return max(request.together for request in self.requests)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, script: Script) -> None:
        """Answers one connection's requests until one of the two sides ends it."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head[1:-2])}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self._under_way += 1
                now = asyncio.get_running_loop().time()
                request = Request(len(self.requests), headers, json.loads(body), now, self._under_way)
                self.requests.append(request)
                try:
                    answer = await script(request)
                finally:
                    self._under_way -= 1
                if answer is None:
                    # Lingering for no time at all makes the kernel reset the connection.
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                    break
                writer.write(answer)
                await writer.drain()
                if b"connection: close" in answer:
                    break
        writer.close()


@contextlib.asynccontextmanager
async def scripted_endpoint(script: Script) -> AsyncIterator[Endpoint]:
    """Serves for the block's length, in this event loop."""
    endpoint = Endpoint()
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        await endpoint.serve(reader, writer, script)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield endpoint
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def reply(status: int, body: object, **headers: str) -> bytes:
    """An answer's bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Any", "content-type: application/json", f"content-length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def answer(text: str = "Trees.", **headers: str) -> bytes:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    return reply(200, {"model": "m-1", "choices": [choice], "usage": usage}, **headers)


def failure(status: int, code: str | None, kind: str | None = None, message: str = "told so", **headers: str) -> bytes:
    """An error as OpenAI tells it."""
    return reply(status, {"error": {"message": message, "type": kind, "param": None, "code": code}}, **headers)

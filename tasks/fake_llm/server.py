"""The endpoint over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from tasks.errors import InputError
from tasks.fake_llm.answers import Reply
from tasks.fake_llm.endpoint import Endpoint

_LARGEST_BODY = 64 * 2**20
_BACKLOG = 1024
_SHUTDOWN_SECONDS = 0.5
"""Requests that stall are not waited for."""


@dataclass(frozen=True)
class Wire:
    """How the endpoint is reached, and how slow it is.

    Attributes:
        host: the address that it listens on.
        port: its port; 0 is any that is free.
        latency: seconds before each reply.
        stall: seconds that a stalled answer is late by.
    """

    host: str = "127.0.0.1"
    port: int = 0
    latency: float = 0.0
    stall: float = 3600.0


async def serve(endpoint: Endpoint, wire: Wire, ready: Callable[[str], None]) -> signal.Signals:
    """Serves until SIGINT or SIGTERM.

    Args:
        endpoint: what answers.
        wire: how it is reached.
        ready: is told the endpoint's address, as a configuration names it, once it listens.

    Returns:
        The signal that ended it.

    Raises:
        InputError: the address cannot be listened on.
    """
    # A client that hangs up ends its own request: stalls do not pile up.
    runner = web.AppRunner(
        _application(endpoint, wire), access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    ended: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
    try:
        listener = _listen(wire)
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _end, ended, number)
        host = f"[{wire.host}]" if ":" in wire.host else wire.host
        ready(f"http://{host}:{listener.getsockname()[1]}/v1")
        return await ended
    finally:
        await runner.cleanup()


def _end(ended: asyncio.Future[signal.Signals], number: signal.Signals) -> None:
    if not ended.done():
        ended.set_result(number)


def _listen(wire: Wire) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in wire.host else socket.AF_INET
        return socket.create_server((wire.host, wire.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(
            f"cannot listen on {wire.host} port {wire.port}: {error.strerror}; name another port, or 0 for a free one"
        ) from error


def _application(endpoint: Endpoint, wire: Wire) -> web.Application:
    async def chat(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        with endpoint.books.in_flight:
            reply = endpoint.chat(_key(request), body)
            if wire.latency:
                await asyncio.sleep(wire.latency)
            return await _deliver(request, reply, wire)

    async def models(request: web.Request) -> web.StreamResponse:
        return _whole(endpoint.models(_key(request)))

    async def audit(_request: web.Request) -> web.StreamResponse:
        return web.json_response(endpoint.books.audit())

    async def spend(request: web.Request) -> web.StreamResponse:
        try:
            wish = json.loads(await request.read())
            model, requests, tokens = str(wish["model"]), int(wish.get("requests", 0)), int(wish.get("tokens", 0))
        except (ValueError, TypeError, KeyError, AttributeError):
            return web.Response(status=400, text='expected {"model": NAME, "requests": N, "tokens": N}\n')
        endpoint.spend_elsewhere(model, requests, tokens)
        return web.Response(status=204)

    application = web.Application(client_max_size=_LARGEST_BODY)
    routes: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
        ("POST", "/v1/chat/completions", chat),
        ("GET", "/v1/models", models),
        ("GET", "/audit", audit),
        ("POST", "/spend", spend),
    ]
    for method, path, handler in routes:
        application.router.add_route(method, path, handler)
    return application


def _key(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


async def _deliver(request: web.Request, reply: Reply, wire: Wire) -> web.StreamResponse:
    """Sends a reply, or what is to come of it."""
    if reply.delivery == "stall":
        await asyncio.sleep(wire.stall)
    if reply.delivery in ("whole", "stall"):
        return _whole(reply)
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    transport = request.transport
    if transport is None:
        return response
    if reply.delivery == "reset":
        # A linger of no seconds makes the close a reset.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if reply.delivery in ("reset", "close"):
        transport.close()
        return response
    response.content_type = reply.content_type
    response.content_length = len(reply.body)
    half = len(reply.body) // 2
    await response.prepare(request)
    await response.write(reply.body[:half])
    if reply.delivery == "stall_midway":
        await asyncio.sleep(wire.stall)
        await response.write(reply.body[half:])
    else:
        with contextlib.suppress(ConnectionError):
            await response.write(b"")
        transport.close()
    return response


def _whole(reply: Reply) -> web.Response:
    return web.Response(
        status=reply.status, body=reply.body, headers=reply.headers, content_type=reply.content_type, charset="utf-8"
    )

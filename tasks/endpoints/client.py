"""One attempt at one endpoint: a request sent, and what came back. Never more than one: retrying is `pool`'s.

httpx's requests and answers on aiohttp's transport, with no client between the two: httpx's own pool looks through all
its connections on every event, and its client merges, redirects and keeps cookies, none of which is wanted here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from tasks.configuration.masking import mask_text
from tasks.endpoints.answers import Fate, Outcome, SetUpWrong, Transient, clean, fate, mask_secret, read_answer
from tasks.endpoints.headers import DAY, Remaining, remaining
from tasks.errors import InputError

_MOST_BYTES = 4 * 1024 * 1024
"""An answer of more is none: four captions are 10 KB."""

_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 4.0
"""How long an unused connection is kept: less than servers do (uvicorn: 5), which else close it as we send."""

_FAULTS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, aiohttp.ClientError, OSError, ValueError)
"""What sending and receiving raise; a time-out is an `OSError`, an unreadable header a `ValueError`."""


@dataclass(frozen=True)
class Target:
    """Where requests go.

    Attributes:
        address: of the API, such as `https://host/v1`.
        model: the model's name there.
        api_key: sent as a bearer's; None sends none.
        concurrency: most requests in flight at once.
        timeout: seconds from sending to the last byte of the answer.
    """

    address: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    concurrency: int = 16
    timeout: float = 60.0

    @property
    def name(self) -> str:
        """What messages call it; holds no secret."""
        return f"{mask_text(self.address)} ({self.model})"


@dataclass(frozen=True)
class Exchange:
    """One attempt.

    Attributes:
        outcome: what came of it.
        fate: what the ledger is to know of it.
        remaining: what the answer's headers surely tell of the account's limits.
        request_id: the endpoint's own name for the request, if it gave one.
        seconds: from sending to the answer's end.
    """

    outcome: Outcome
    fate: Fate
    remaining: tuple[Remaining, ...] = ()
    request_id: str | None = None
    seconds: float = 0.0


class TooLongError(ValueError):
    """An answer that does not end."""


class Connection:
    """An endpoint with its open connections, to be used as an async context manager within one event loop.

    Args:
        target: where requests go.
        day: seconds of a day, for headers.

    Raises:
        InputError: the key cannot be sent in a header.
    """

    def __init__(self, target: Target, *, day: float = DAY) -> None:
        self.target = target
        self._day = day
        self._url = httpx.URL(f"{target.address.rstrip('/')}/chat/completions")
        self._headers = httpx.Headers(_headers(target))
        # The transport's own; the time of the whole exchange is kept by `attempt`.
        self._extensions = {"timeout": {"connect": min(_CONNECT_SECONDS, target.timeout), "read": target.timeout}}
        self._transport = AiohttpTransport(
            limits=httpx.Limits(max_connections=target.concurrency, keepalive_expiry=_IDLE_SECONDS),
            proxy=_proxy(self._url),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def attempt(self, body: bytes) -> Exchange:
        """Sends one request and waits for its answer, at most the target's `timeout`.

        Whatever the endpoint does is an outcome; only cancellation is raised. The request's fate is then unknown, and
        its connection is closed.

        Args:
            body: the request's, in JSON.
        """
        start = time.monotonic()
        secret = self.target.api_key
        try:
            async with asyncio.timeout(self.target.timeout):
                status, headers, content = await self._exchange(body)
        except _FAULTS as error:
            return Exchange(self._fault(error), _fate_of(error), seconds=time.monotonic() - start)
        outcome = read_answer(status, headers, content, now=time.time(), day=self._day, secret=secret)
        request_id = mask_secret(clean(headers.get("x-request-id", ""))[:200], secret) or None
        known = remaining(headers, day=self._day)
        return Exchange(outcome, fate(status), known, request_id, time.monotonic() - start)

    async def _exchange(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        request = httpx.Request("POST", self._url, headers=self._headers, content=body, extensions=self._extensions)
        response = await self._transport.handle_async_request(request)
        try:
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > _MOST_BYTES:
                    raise TooLongError(f"an answer of more than {_MOST_BYTES} bytes")
            return response.status_code, dict(response.headers.items()), bytes(content)
        finally:
            await response.aclose()

    def _fault(self, error: Exception) -> Transient | SetUpWrong:
        causes = list(_causes(error))
        if any(isinstance(cause, TimeoutError) for cause in causes):
            return Transient(f"no answer within {self.target.timeout:g} s")
        reason = mask_text(mask_secret(clean(str(causes[-1]))[:300], self.target.api_key))
        reason = f"{type(causes[-1]).__name__}: {reason}" if reason else type(causes[-1]).__name__
        if any(isinstance(cause, aiohttp.ClientConnectorCertificateError) for cause in causes):
            return SetUpWrong(f"its certificate cannot be trusted: {reason}")
        return Transient(reason)


def _headers(target: Target) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "gzip, deflate",
        "user-agent": "earthscribe",
    }
    if target.api_key is not None:
        # httpx would refuse such a key too, and would show it.
        if not (target.api_key.isascii() and target.api_key.isprintable()) or " " in target.api_key:
            host = urlsplit(target.address).hostname
            raise InputError(f"api_key of {host}: expected a key of printable ASCII characters, without spaces")
        headers["authorization"] = f"Bearer {target.api_key}"
    return headers


def _proxy(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy that the environment names for an address (`HTTPS_PROXY`, `NO_PROXY` ...), as for other programs."""
    named = getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    if not proxy or proxy_bypass(url.host):
        return None
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")


def _fate_of(error: Exception) -> Fate:
    """Whether anything was sent. httpx's own kinds of error do not tell: the transport makes most of them time-outs."""
    unsent = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
    return Fate.UNSENT if any(isinstance(cause, unsent) for cause in _causes(error)) else Fate.UNKNOWN


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it was raised from, down to aiohttp's own."""
    causes = [error]
    while causes[-1].__cause__ is not None and not isinstance(causes[-1], aiohttp.ClientError):
        causes.append(causes[-1].__cause__)
    return causes

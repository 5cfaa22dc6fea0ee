"""The review page over HTTP.

On any address but loopback a token is asked for. Loopback needs none, and answers to its own names alone: a web site
that a reviewer has open elsewhere cannot read from it under a name of its own. Nor can such a site write to either.
"""

from __future__ import annotations

import asyncio
import hmac
import io
import json
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from tasks.errors import EarthscribeError, InputError
from tasks.pages.looks import asset, style_sheet, templates
from tasks.review.desk import Desk
from tasks.review.labels import LABELING, Verdict, read_verdicts, to_jsonl, to_label_studio
from tasks.review.verdicts import JUDGEMENTS

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_LARGEST_FILE: Final = 4 * 2**30
"""What the page gives out, it takes back: a task with its picture has some 20 KB."""

_PIECE: Final = 2**20
_POLICY: Final = (
    "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(desk: Desk, campaign: str, token: str | None) -> web.Application:
    """The page and what it asks for.

    Args:
        desk: what is reviewed.
        campaign: its name, for the page's title.
        token: what a visitor must know; None where only this machine can visit.
    """
    app = web.Application(
        middlewares=[_explained, _to_this_machine if token is None else _let_in(token), _from_the_page],
    )
    app.on_response_prepare.append(_headed)
    app.router.add_get("/", _fixed(_page(campaign, desk), "text/html"))
    app.router.add_get("/favicon.ico", _fixed("", "image/x-icon"))
    app.router.add_get("/label-studio.xml", _fixed(LABELING, "application/xml"))
    app.router.add_get("/review.css", _fixed(style_sheet("tasks.review", "review.css"), "text/css"))
    app.router.add_get("/review.js", _fixed(asset("tasks.review", "review.js"), "text/javascript"))
    views = _Views(desk)
    app.router.add_get("/api/queue", views.queue)
    app.router.add_get("/api/item", views.item)
    app.router.add_get("/api/land-cover", views.land_cover)
    app.router.add_get("/api/photograph", views.photograph)
    app.router.add_post("/api/verdict", views.verdict)
    app.router.add_post("/api/undo", views.undo)
    app.router.add_post("/api/import", views.take_in)
    app.router.add_get("/verdicts.jsonl", views.verdicts)
    app.router.add_get("/label-studio.json", views.label_studio)
    return app


class _Views:
    """What the page asks for. The desk reads and writes files and a database: each answer is made on a thread."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def queue(self, request: web.Request) -> web.Response:
        return await _json(self._desk.queue, _asked(request, "reviewer"))

    async def item(self, request: web.Request) -> web.Response:
        wanted = (_asked(request, name) for name in ("captioner", "tile_id", "reviewer"))
        return await _json(self._desk.item, *wanted)

    async def land_cover(self, request: web.Request) -> web.Response:
        content = await asyncio.to_thread(self._desk.picture, _asked(request, "tile_id"))
        return web.Response(body=content, content_type="image/png")

    async def photograph(self, request: web.Request) -> web.Response:
        content = await asyncio.to_thread(self._desk.material.photograph, _asked(request, "tile_id"))
        if content is None:
            raise web.HTTPNotFound
        return web.Response(body=content, content_type="image/png")

    async def verdict(self, request: web.Request) -> web.Response:
        sent = await _sent(request, {"captioner": str, "tile_id": str, "version": int, "reviewer": str, "says": str})
        if sent["says"] not in JUDGEMENTS:
            raise web.HTTPBadRequest(text=f"expected a verdict of {', '.join(JUDGEMENTS)}")
        return await _json(
            lambda: self._desk.judge(
                sent["captioner"],
                sent["tile_id"],
                version=sent["version"],
                reviewer=sent["reviewer"],
                says=sent["says"],
                text=_text(sent.get("text")),
                reason=_text(sent.get("reason")),
            )
        )

    async def undo(self, request: web.Request) -> web.Response:
        sent = await _sent(request, {"captioner": str, "tile_id": str, "reviewer": str})
        return await _json(self._desk.undo, sent["captioner"], sent["tile_id"], sent["reviewer"])

    async def take_in(self, request: web.Request) -> web.Response:
        with tempfile.TemporaryFile() as kept, io.TextIOWrapper(kept, "utf-8-sig") as content:
            async for piece in request.content.iter_chunked(_PIECE):
                if kept.tell() + len(piece) > _LARGEST_FILE:
                    raise web.HTTPRequestEntityTooLarge(_LARGEST_FILE, kept.tell() + len(piece))
                kept.write(piece)
            kept.seek(0)
            try:
                verdicts = await asyncio.to_thread(read_verdicts, content)
            except InputError as error:
                raise web.HTTPBadRequest(text=str(error)) from None
        return await _json(self._desk.take_in, verdicts)

    async def verdicts(self, _request: web.Request) -> web.Response:
        text = await asyncio.to_thread(lambda: "".join(to_jsonl(self._desk.verdicts())))
        return web.Response(text=text, content_type="application/x-ndjson", headers=_saved("verdicts.jsonl"))

    async def label_studio(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={**_saved("label-studio.json"), "Content-Type": "application/json"})
        await response.prepare(request)
        pieces = to_label_studio(self._desk.questions())
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            await response.write(piece.encode())
        return response


def _page(campaign: str, desk: Desk) -> str:
    return templates("tasks.review").get_template("page.html.j2").render(campaign=campaign, total=len(desk.entries))


def _fixed(text: str, kind: str) -> _Handler:
    """Answers with one and the same content."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=kind)

    return answer


async def _json(work: Callable[..., Any], *arguments: str | list[Verdict]) -> web.Response:
    return web.json_response(await asyncio.to_thread(work, *arguments))


def _saved(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _asked(request: web.Request, name: str) -> str:
    if name not in request.query:
        raise web.HTTPBadRequest(text=f"expected the parameter {name}")
    return request.query[name]


async def _sent(request: web.Request, expected: Mapping[str, type]) -> dict[str, Any]:
    try:
        sent = json.loads(await request.read())
        json.dumps(sent, ensure_ascii=False).encode()  # an escaped half of a character could not be kept
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(text="expected a JSON object") from None
    for name, kind in expected.items():
        if not isinstance(sent, dict) or not isinstance(sent.get(name), kind):
            raise web.HTTPBadRequest(text=f"expected {name} as {'a number' if kind is int else 'text'}")
    return dict(sent)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


async def _headed(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


@web.middleware
async def _explained(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Errors as the page shows them."""
    try:
        return await handler(request)
    except InputError as error:
        return web.json_response({"error": str(error)}, status=409)
    except EarthscribeError as error:
        return web.json_response({"error": str(error)}, status=500)


def _let_in(token: str) -> Middleware:
    """Lets those in who know the token; a first visit leaves it in a cookie and out of the address."""

    @web.middleware
    async def let_in(request: web.Request, handler: _Handler) -> web.StreamResponse:
        # A host's cookies go to all its ports: each server has its own.
        cookie = f"earthscribe_review_{request.url.port}"
        if _same(request.cookies.get(cookie), token):
            return await handler(request)
        if request.path == "/" and _same(request.query.get("token"), token):
            response = web.Response(status=303, headers={"Location": "./"})
            # A strict cookie would not be sent on the way here from a link on another site.
            response.set_cookie(cookie, token, httponly=True, samesite="Lax")
            return response
        return web.Response(status=401, text="Open the address that `earthscribe review` printed: it holds a token.\n")

    return let_in


def _same(given: str | None, token: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode())


@web.middleware
async def _to_this_machine(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuses names that another web site has made lead here: where no token is asked for, they would let it read."""
    name = request.url.host or ""
    if name not in LOOPBACK:
        return web.Response(status=421, text=f"This page is served to this machine alone, not as {name}.\n")
    return await handler(request)


@web.middleware
async def _from_the_page(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuses what another web site makes a browser post here: only the page itself can set the header."""
    if request.method == "POST" and request.headers.get("X-Earthscribe") != "review":
        return web.Response(status=403, text="Only the review page itself may post here.\n")
    return await handler(request)

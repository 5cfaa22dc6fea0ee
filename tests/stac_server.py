"""A STAC API on this machine: item search by POST, in pages."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import shapely

_CONFORMS = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
)


@dataclass
class StacApi:
    """A running API.

    Attributes:
        address: where it is.
        searches: the bodies of the searches that it was asked, pages of one search each by itself.
        status: what it answers searches with, 200 or an error's.
    """

    address: str = ""
    searches: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200


@contextlib.contextmanager
def serve_stac(items: Sequence[Mapping[str, Any]], page: int = 2) -> Iterator[StacApi]:
    """Serves items for the block's length, in pages of that size."""
    api = StacApi()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            search = {
                "rel": "search",
                "href": f"{api.address}/search",
                "type": "application/geo+json",
                "method": "POST",
            }
            links = [{"rel": "self", "href": api.address}, {"rel": "root", "href": api.address}, search]
            catalogue = {
                "type": "Catalog",
                "id": "made",
                "stac_version": "1.0.0",
                "description": "made",
                "links": links,
            }
            self.answer(200, catalogue | {"conformsTo": list(_CONFORMS)})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            api.searches.append(asked)
            if api.status != 200:
                self.answer(api.status, {"code": "Broken", "description": "as told"})
                return
            area = shapely.box(*asked["bbox"])
            found = [
                item
                for item in items
                if shapely.geometry.shape(item["geometry"]).intersects(area)
                and item["collection"] in asked["collections"]
                and item["properties"]["eo:cloud_cover"] <= asked["query"]["eo:cloud_cover"]["lte"]
            ]
            start = int(asked.get("token", 0))
            links = []
            if start + page < len(found):
                body = asked | {"token": str(start + page)}
                links = [{"rel": "next", "href": f"{api.address}/search", "method": "POST", "body": body}]
            self.answer(200, {"type": "FeatureCollection", "features": found[start : start + page], "links": links})

        def answer(self, status: int, content: Mapping[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()

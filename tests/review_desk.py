"""A review page over real HTTP and a real database, with as many captions as a test wants."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from tasks.captions.state import Caption, State, open_state
from tasks.review.desk import Desk
from tasks.review.queue import Standing, queue
from tasks.review.server import application
from tasks.scene import paint
from tasks.statistics.patches import Counts, patch_counts

NOW = "2026-05-01T12:00:00+00:00"
HOSTILE = '<img src=x onerror="document.title=\'owned\'"></p></script><script>document.title="owned"</script>'


class Tiles:
    """Tiles cut from the made scene."""

    def __init__(self) -> None:
        self._scene = paint()

    def land_cover(self, tile_id: str) -> NDArray[np.uint8]:
        x = int(tile_id.split("_", maxsplit=1)[0]) % 9
        return self._scene[1400:1656, 300 * x : 300 * x + 256].copy()

    def counts(self, tile_id: str) -> Counts:
        cells = self.land_cover(tile_id).reshape(4, 64, 4, 64).transpose(0, 2, 1, 3).reshape(4, 4, -1)
        return patch_counts(np.stack([(cells == class_id).sum(axis=2) for class_id in range(12)], axis=-1))

    def place(self, tile_id: str) -> str | None:
        return "0.03° N, 6.41° E"

    def photograph(self, tile_id: str) -> bytes | None:
        return None


def caption(number: int, text: str) -> Caption:
    return Caption(f"{number}_0", "gpt", text, "flagged", NOW, flags=("absent-class:snow",), model="m")


@contextmanager
def desk_with(folder: Path, captions: list[Caption]) -> Iterator[Desk]:
    """A desk with these captions in its queue, all of them flagged."""
    with open_state(f"sqlite:///{folder / 'state.db'}", str(folder)) as state:
        state.add(captions)
        yield _desk(state)


def _desk(state: State) -> Desk:
    standing = (Standing("gpt", tile_id, status, flags) for tile_id, status, flags in state.machine_made("gpt"))
    return Desk(state, Tiles(), {"gpt": "text"}, queue(standing, {}, sample=0, seed=0), lambda: NOW)


@contextmanager
def serving(desk: Desk, token: str | None = None) -> Iterator[str]:
    """Serves the page on a thread; yields its address."""

    async def start() -> web.AppRunner:
        runner = web.AppRunner(application(desk, "a-campaign", token), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    # On a thread of its own: Playwright's loop has the main one.
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

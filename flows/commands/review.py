"""Review: the page on which people judge captions, served until Ctrl-C."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from ipaddress import ip_address

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from aiohttp import web
from numpy.typing import NDArray

from flows.display.report import write_report
from flows.display.terminal import say
from flows.runtime.locking import stage
from tasks.captions.keeping import described, export, kept_ids, restore
from tasks.captions.state import State, open_state
from tasks.configuration import Campaign
from tasks.errors import InputError
from tasks.imagery.files import picture_path
from tasks.imagery.table import chips_of
from tasks.places import dataset_of
from tasks.planning.choosing import survey_of
from tasks.planning.survey import Survey
from tasks.planning.table import read_tiles
from tasks.preview.tile_map import position
from tasks.review.desk import Desk
from tasks.review.queue import Standing, queue
from tasks.review.server import LOOPBACK, application
from tasks.statistics.patches import Counts
from tasks.statistics.table import all_counts, counts_of
from tasks.storage import Place, reading

_MAPS_KEPT = 64
"""Maps of tiles kept in memory: those about the one that is read."""

_ELSEWHERE = {4: (socket.AF_INET, "192.0.2.1"), 6: (socket.AF_INET6, "2001:db8::1")}
"""An address that is not this machine's, by version: those kept for documentation."""


def review(config: Campaign, *, host: str, port: int, sample: int, seed: int) -> None:
    """Serves the review page until it is ended.

    Args:
        config: the campaign.
        host: the address to serve on; any but this machine's own is guarded by a token.
        port: the port; 0 for any that is free.
        sample: how many captions are drawn of those that are not flagged.
        seed: of the draw.

    Raises:
        InputError: there is no plan yet, or the address cannot be served on.
    """
    dataset = dataset_of(config)
    names = [captioner.name for captioner in config.captioners]
    with open_state(config.state, config.dataset) as state:
        restore(state, dataset)
        desk = _desk(config, state, dataset, sample, seed)
        served = False
        try:
            with asyncio.Runner() as loop:
                runner = loop.run(_serving(desk, config.name, host, port))
                served = True
                loop.run(_until_ended(runner))
        finally:
            # Once the server is closed: a verdict that is on its way is kept before all of them are written.
            if served:
                with stage(config):
                    export(state, names, dataset)
                    write_report(config, state)


class _Tiles:
    """The tiles of a campaign, as far as the page shows them."""

    def __init__(
        self, dataset: Place, tiles: pa.Table, counts: Mapping[str, Counts], found: Survey, chips: Mapping[str, str]
    ) -> None:
        self._dataset = dataset
        self._tiles = tiles
        self._counts = counts
        self._found = found
        self._chips = chips
        self._rows = {tile_id: row for row, tile_id in enumerate(tiles.column("tile_id").to_pylist())}
        self.land_cover = lru_cache(_MAPS_KEPT)(self._read_land_cover)

    def counts(self, tile_id: str) -> Counts:
        """Its statistics (6, 12)."""
        if tile_id in self._counts:
            return self._counts[tile_id]
        if tile_id not in self._all_counts:
            raise InputError(f"tile {tile_id} has no statistics")
        return self._all_counts[tile_id]

    def place(self, tile_id: str) -> str | None:
        """Its centre, for people; None without georeference."""
        row = self._row(tile_id).to_pylist()[0]
        return None if row["lon"] is None else position(row["lon"], row["lat"])

    def photograph(self, tile_id: str) -> bytes | None:
        """Its RGB preview as a PNG; None where there is no imagery."""
        if tile_id not in self._chips:
            return None
        with reading(self._dataset.join(picture_path(self._chips[tile_id]))) as stream:
            return stream.read()

    def _read_land_cover(self, tile_id: str) -> NDArray[np.uint8]:
        return next(self._found.maps(self._row(tile_id)))[1]

    def _row(self, tile_id: str) -> pa.Table:
        if tile_id not in self._rows:
            raise InputError(f"tile {tile_id} is not in the queue")
        return self._tiles.slice(self._rows[tile_id], 1)

    @cached_property
    def _all_counts(self) -> dict[str, Counts]:
        """The counts of every tile: a text that is brought back may be one outside the queue."""
        return {
            tile_id: each
            for ids, counts in all_counts(self._dataset)
            for tile_id, each in zip(ids.to_pylist(), counts, strict=True)
        }


def _desk(config: Campaign, state: State, dataset: Place, sample: int, seed: int) -> Desk:
    dominant = {
        tile_id: class_id
        for ids, counts in all_counts(dataset)
        for tile_id, class_id in zip(ids.to_pylist(), (counts[:, 0, 1:].argmax(axis=1) + 1).tolist(), strict=True)
    }
    entries = queue(_standing(config, state, dataset), dominant, sample=sample, seed=seed)
    wanted = pa.array(sorted({entry.tile_id for entry in entries}), pa.string())
    tiles = read_tiles(dataset)
    tiles = tiles.filter(pc.is_in(tiles.column("tile_id"), value_set=wanted))
    return Desk(
        state,
        _Tiles(dataset, tiles, counts_of(dataset, wanted), survey_of(config), chips_of(dataset, wanted)),
        {captioner.name: captioner.recipe for captioner in config.captioners},
        entries,
        lambda: datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _standing(config: Campaign, state: State, dataset: Place) -> Iterator[Standing]:
    kept = kept_ids(dataset)
    for captioner in config.captioners:
        mine = set(described(captioner, kept))
        for tile_id, status, flags in state.machine_made(captioner.name):
            # What is asked for again will be another text.
            if tile_id in mine and status != "pending":
                yield Standing(captioner.name, tile_id, status, flags)


async def _serving(desk: Desk, campaign: str, host: str, port: int) -> web.AppRunner:
    """Begins to serve, and tells where."""
    token = None if host in LOOPBACK else secrets.token_urlsafe(24)
    runner = web.AppRunner(application(desk, campaign, token), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise InputError(f"--host {host} --port {port}: cannot be served on: {error.strerror}") from None
    address, bound = runner.addresses[0][:2]
    name = _own_address(ip_address(address).version) if ip_address(address).is_unspecified else host
    shown = f"[{name}]" if ":" in name else name
    say(f"{len(desk.entries)} captions to review at http://{shown}:{bound}/" + (f"?token={token}" if token else ""))
    say("Ctrl-C ends it; every verdict is kept as it is given")
    return runner


async def _until_ended(runner: web.AppRunner) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _own_address(version: int) -> str:
    """This machine's address as others see it: what is served on all of them at once has none by which it is called."""
    family, elsewhere = _ELSEWHERE[version]
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        try:
            way.connect((elsewhere, 9))  # sends nothing: it asks the routes alone
        except OSError:
            return "localhost"
        return str(way.getsockname()[0])

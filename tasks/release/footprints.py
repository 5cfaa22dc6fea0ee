"""The index of footprints: a STAC item for each tile, as stac-geoparquet, which is GeoParquet too."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import shapely
from stac_geoparquet.arrow import parse_stac_items_to_arrow, to_parquet

from tasks.release.parts import shard_path, table_path
from tasks.release.publishing import Published, publish
from tasks.release.samples import Sample, Sources
from tasks.release.selection import Part
from tasks.storage import Place

_ITEMS_AT_ONCE = 1_000


def publish_items(
    release: Place, name: str, year: int | None, parts: Sequence[Part], sources: Sources
) -> list[Published]:
    """Writes ``items.parquet``; no file where no tile has a footprint.

    Args:
        release: the release's folder.
        name: the campaign's, which the items' collection is called after.
        year: the year of the land cover, for tiles without a date of their own; None where it is not known.
        parts: what the release holds.
        sources: where its samples come from.
    """
    items = _items(name, year, parts, sources)
    first = next(items, None)
    if first is None:
        return []
    return [publish(release, "items.parquet", lambda stream: _write(itertools.chain([first], items), stream))]


def _write(items: Iterator[dict[str, Any]], stream: BinaryIO) -> None:
    # The library writes to paths alone.
    with TemporaryDirectory() as folder:
        file = Path(folder) / "items.parquet"
        batches = parse_stac_items_to_arrow(items, chunk_size=_ITEMS_AT_ONCE, schema="FirstBatch")
        to_parquet(batches, file, compression="zstd")
        with file.open("rb") as written:
            shutil.copyfileobj(written, stream)


def _items(name: str, year: int | None, parts: Sequence[Part], sources: Sources) -> Iterator[dict[str, Any]]:
    for part in parts:
        for sample in sources.facts(part):
            if sample.geometry is not None:
                yield _item(name, year, part, sample, sample.geometry)


def _item(name: str, year: int | None, part: Part, sample: Sample, footprint: bytes) -> dict[str, Any]:
    outline = shapely.from_wkb(footprint)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": sample.tile_id,
        "collection": name,
        "geometry": shapely.geometry.mapping(outline),
        "bbox": list(outline.bounds),
        "properties": {**_dates(sample, year), "split": sample.split, "block": sample.block, "text": sample.text},
        "links": [{"rel": "collection", "href": "./README.md", "type": "text/markdown"}],
        "assets": {
            "shard": {"href": f"./{shard_path(part.name)}", "type": "application/x-tar", "roles": ["data"]},
            "table": {
                "href": f"./{table_path(part.name)}",
                "type": "application/vnd.apache.parquet",
                "roles": ["data"],
            },
        },
    }


def _dates(sample: Sample, year: int | None) -> dict[str, str]:
    """When a tile is of: its image's date, else its map's year, else when its caption was made."""
    taken = _moment((sample.image or {}).get("acquired"))
    if taken is None and year is not None:
        first, last = datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
        return {"datetime": _text(first), "start_datetime": _text(first), "end_datetime": _text(last)}
    taken = taken or _moment(sample.captions[0]["created_at"]) or datetime.fromtimestamp(0, UTC)
    return {"datetime": _text(taken), "start_datetime": _text(taken), "end_datetime": _text(taken)}


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")

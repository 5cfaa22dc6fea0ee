"""Scenes by STAC: one search for each area, kept in the dataset, from which scenes are chosen ever after.

An area is a cell of 128 x 128 tiles, a tile of zoom 7. A kept search is an ItemCollection that holds no more of an item
than choosing and reading it takes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import requests
import shapely
from pystac_client import Client, ConformanceClasses
from pystac_client.exceptions import APIError

from tasks.configuration import StacImagery, mask_text
from tasks.errors import EarthscribeError, InputError, StoreError
from tasks.grid import TILES, Ints, latitude_of_edge, longitude_of_edge
from tasks.imagery.scenes import Scene, UnusableItemError, scene
from tasks.storage import Place, exists, place, read_bytes, reading, write

CELL_TILES = 128
"""Tiles along one side of an area that is searched at once: 2.8 degrees, some nine of Sentinel-2's own tiles."""

_ANSWER_SECONDS = 60
_PAGE = 250
_PROPERTIES = (
    "datetime",
    "start_datetime",
    "platform",
    "eo:cloud_cover",
    "s2:processing_baseline",
    "s2:product_uri",
    "sentinel:processing_baseline",
    "processing:version",
    "earthsearch:boa_offset_applied",
    "sentinel:boa_offset_applied",
)
_OF_ASSETS = ("href", "type", "gsd", "eo:bands", "raster:bands", "bands", "raster:offset")

Item = Mapping[str, Any]
Cell = tuple[int, int]


def cell_of(x: int, y: int) -> Cell:
    """The area that a tile lies in."""
    return x // CELL_TILES, y // CELL_TILES


def cells_of(x: Ints, y: Ints) -> list[Cell]:
    """The areas that tiles lie in, from north to south and west to east."""
    places = np.unique(np.stack([y // CELL_TILES, x // CELL_TILES], axis=1), axis=0)
    return [(int(column), int(row)) for row, column in places]


def box(cell: Cell) -> tuple[float, float, float, float]:
    """West, south, east and north of an area in degrees."""
    column, row = (axis * CELL_TILES for axis in cell)
    edges = (
        longitude_of_edge(column),
        latitude_of_edge(min(row + CELL_TILES, TILES)),
        longitude_of_edge(column + CELL_TILES),
        latitude_of_edge(row),
    )
    west, south, east, north = (float(edge) for edge in edges)
    return west, south, east, north


def search(imagery: StacImagery, cells: Sequence[Cell], dataset: Place) -> Iterator[Cell]:
    """Searches the areas of which no search is kept yet, and keeps what is found.

    Args:
        imagery: where to search, and for what.
        cells: the areas.
        dataset: the dataset's folder.

    Yields:
        Each area, as it is kept.

    Raises:
        InputError: there is no such catalogue, or a search of other terms is kept.
        StoreError: the catalogue does not answer.
    """
    missing = [cell for cell in cells if not exists(_place(dataset, cell))]
    if not missing:
        return
    catalogue = _Api(imagery) if _is_api(imagery.stac) else _File(imagery)
    for cell in missing:
        found = {str(item["id"]): _slim(item) for item in catalogue.items(box(cell)) if _fits(imagery, item)}
        kept = {
            "type": "FeatureCollection",
            "earthscribe:search": _terms(imagery),
            "features": [found[name] for name in sorted(found)],
        }
        content = json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()
        write(_place(dataset, cell), lambda stream, content=content: stream.write(content))  # type: ignore[misc]  # mypy knows no lambda with a default
        yield cell


def scenes(imagery: StacImagery, cell: Cell, dataset: Place) -> tuple[list[Scene], dict[str, str]]:
    """The scenes of an area's kept search, by ID, and the items that are no usable scenes, with the reason.

    Raises:
        InputError: the search was kept for other terms.
    """
    where = _place(dataset, cell)
    kept = json.loads(read_bytes(where))
    if kept.get("earthscribe:search") != _terms(imagery):
        raise InputError(
            f"{where} keeps a search of other terms than `imagery` has now; put these back, or choose another "
            f"`dataset`, or delete {dataset.join('imagery')} to make the chips anew"
        )
    found: list[Scene] = []
    unusable: dict[str, str] = {}
    for item in kept["features"]:
        try:
            found.append(scene(item))
        except UnusableItemError as error:
            unusable[str(item.get("id"))] = str(error)
    return found, unusable


def _place(dataset: Place, cell: Cell) -> Place:
    return dataset.join("imagery", "scenes", f"{cell[0]}_{cell[1]}.json")


def _terms(imagery: StacImagery) -> dict[str, Any]:
    """What was searched for and where; a catalogue on this machine may be moved."""
    where = imagery.stac.rsplit("/", 1)[-1] if place(imagery.stac).is_local else mask_text(imagery.stac)
    return {
        "stac": where,
        "collection": imagery.collection,
        "datetime": imagery.datetime,
        "max_cloud": imagery.max_cloud,
    }


def _is_api(address: str) -> bool:
    return address.startswith(("http://", "https://")) and not address.endswith((".json", ".geojson", ".parquet"))


class _Api:
    """A STAC API."""

    def __init__(self, imagery: StacImagery) -> None:
        self._imagery = imagery
        self._address = mask_text(imagery.stac)
        with _answers(self._address):
            self._client = Client.open(imagery.stac, timeout=_ANSWER_SECONDS)

    def items(self, bounds: tuple[float, float, float, float]) -> list[Item]:
        terms: dict[str, Any] = {"collections": [self._imagery.collection], "bbox": bounds, "limit": _PAGE}
        if self._imagery.datetime:
            terms["datetime"] = self._imagery.datetime
        if self._client.conforms_to(ConformanceClasses.QUERY):
            terms["query"] = {"eo:cloud_cover": {"lte": self._imagery.max_cloud}}
        with _answers(self._address):
            return list(self._client.search(**terms).items_as_dicts())


@contextlib.contextmanager
def _answers(address: str) -> Iterator[None]:
    """Puts what the client raises into words."""
    try:
        yield
    except APIError as error:
        status = getattr(error, "status_code", None)
        if status and 400 <= status < 500:
            raise InputError(
                f"imagery.stac {address}: answers {status}; expected a STAC API with item search, and a "
                "collection that it has"
            ) from error
        raise StoreError(f"imagery.stac {address}: does not answer: {_line(error)}") from error
    except requests.RequestException as error:
        raise StoreError(f"imagery.stac {address}: does not answer: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


class _File:
    """An ItemCollection or a stac-geoparquet file."""

    def __init__(self, imagery: StacImagery) -> None:
        where = place(imagery.stac, imagery.storage_options)
        self._folder = imagery.stac.rpartition("/")[0]
        items = _geoparquet(where) if imagery.stac.endswith(".parquet") else _collection(where)
        self._items = [dict(item) for item in items if _is_item(item)]
        if not self._items:
            raise InputError(f"imagery.stac {where}: holds no STAC item; expected an ItemCollection or stac-geoparquet")
        self._tree = shapely.STRtree([shapely.geometry.shape(item["geometry"]) for item in self._items])

    def items(self, bounds: tuple[float, float, float, float]) -> list[Item]:
        near = self._tree.query(shapely.box(*bounds), predicate="intersects")
        return [self._absolute(self._items[index]) for index in sorted(near.tolist())]

    def _absolute(self, item: Item) -> Item:
        """An item whose addresses say where its files lie, wherever it is read from."""
        assets = {
            key: {**asset, "href": _absolute(str(asset["href"]), self._folder)}
            for key, asset in item["assets"].items()
            if asset and asset.get("href")
        }
        return {**item, "assets": assets}


def _absolute(address: str, folder: str) -> str:
    address = address.removeprefix("file://")
    if "://" in address or address.startswith("/"):
        return address
    return f"{folder}/{address.removeprefix('./')}"


def _is_item(item: Item) -> bool:
    return bool(isinstance(item, Mapping) and item.get("id") and item.get("geometry") and item.get("assets"))


def _collection(where: Place) -> Iterable[Item]:
    try:
        content = json.loads(read_bytes(where))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"imagery.stac {where}: not JSON ({error}); expected an ItemCollection") from error
    except FileNotFoundError as error:
        raise InputError(f"imagery.stac {where}: no such file") from error
    features = content.get("features") if isinstance(content, Mapping) else None
    if not isinstance(features, list):
        raise InputError(f"imagery.stac {where}: has no features; expected a STAC ItemCollection")
    return features


def _geoparquet(where: Place) -> Iterable[Item]:
    import pyarrow as pa  # noqa: PLC0415 - only this kind of catalogue needs these
    from stac_geoparquet.arrow import stac_table_to_items  # noqa: PLC0415

    from tasks.parquet import ParquetTable  # noqa: PLC0415

    try:
        with reading(where) as stream:
            return list(stac_table_to_items(ParquetTable(stream).read()))
    except FileNotFoundError as error:
        raise InputError(f"imagery.stac {where}: no such file") from error
    except EarthscribeError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise InputError(f"imagery.stac {where}: not readable as stac-geoparquet: {error}") from error


def _fits(imagery: StacImagery, item: Item) -> bool:
    """Whether an item is of the terms: a catalogue need not heed them all."""
    properties = item.get("properties") or {}
    if item.get("collection") not in {None, imagery.collection}:
        return False
    if float(properties.get("eo:cloud_cover") or 0.0) > imagery.max_cloud:
        return False
    return imagery.datetime is None or _within(str(properties.get("datetime")), imagery.datetime)


def _within(moment: str, interval: str) -> bool:
    try:
        taken = _moment(moment)
    except ValueError:
        return False
    first, _, last = interval.partition("/")
    last = last or first
    after = first == ".." or taken >= _moment(first)
    whole_day = timedelta(days=1) if "T" not in last else timedelta(0)
    return after and (last == ".." or (taken < _moment(last) + whole_day if whole_day else taken <= _moment(last)))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _slim(item: Item) -> dict[str, Any]:
    """No more of an item than is needed: whole ones of a large campaign would fill a disk."""
    properties = item["properties"]
    assets = {
        key: {name: asset[name] for name in _OF_ASSETS if asset.get(name) is not None}
        for key, asset in sorted(item["assets"].items())
        if asset and asset.get("href")
    }
    if any(mask_text(str(asset.get("href"))) != asset.get("href") for asset in assets.values()):
        assets = {}  # They are secrets, and a dataset keeps none.
    return {
        "type": "Feature",
        "stac_version": item.get("stac_version", "1.0.0"),
        "id": str(item["id"]),
        "collection": item.get("collection"),
        "geometry": item["geometry"],
        "bbox": item.get("bbox"),
        "properties": {name: properties[name] for name in _PROPERTIES if properties.get(name) is not None},
        "links": [],
        "assets": assets,
    }

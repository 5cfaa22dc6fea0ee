"""A small made land-cover map, laid out like the public WorldCover bucket, for the demo and for tests.

A seeded scene of some 24 x 20 km: open sea with a sandy coast, a river that runs into it between mangroves and
wetland, a town and its villages, parcels of crops, woods, grass and shrub. It is painted in class ids, back to front,
from smooth noise; all lengths are pixels of 1/12,000 degree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

from tasks import storage
from tasks.landcover.classes import COLOURS, ID_OF_TOKEN, N_IDS, NO_DATA, Layout, built_in_products

SCENE_AREA = (6.40, 0.00, 6.62, 0.18)
"""West, south, east and north of the scene in degrees. A margin is painted around it: its edge tiles are whole."""

SCENE_PRODUCT = "worldcover-2020"
"""The product whose codes and layout the scene's file follows."""

_PIXELS_PER_DEGREE = 12_000
_SIDE = 3 * _PIXELS_PER_DEGREE
_WEST, _NORTH = 6, 3
_MARGIN = 320  # A zoom-14 tile is 264 of these pixels wide at the equator.

Field = NDArray[np.float32]
Ids = NDArray[np.uint8]


def write_scene(folder: Path, seed: int = 0) -> None:
    """Writes the scene as one file of 3 x 3 degrees, sparse: only the blocks of the scene hold data.

    Args:
        folder: what a configuration names as ``source``; the file lies below it where the public bucket has it.
        seed: another seed, another scene.
    """
    table = built_in_products()[SCENE_PRODUCT]
    assert table.layout is not None  # noqa: S101 - for the type checker: every WorldCover product has a layout
    content = _geotiff(paint(seed), {class_id: code for code, class_id in table.ids.items()})
    storage.write(storage.place(folder / _key(table.layout)), lambda stream: stream.write(content))


def paint(seed: int = 0) -> Ids:
    """The scene's class ids over `scene_window`, shape (rows, columns)."""
    window = scene_window()
    rng = np.random.default_rng(seed)
    ground = _Ground.shaped((window.height, window.width), rng)
    ids = np.full(ground.height.shape, ID_OF_TOKEN["grass"], dtype=np.uint8)
    for layer in (_vegetation, _fields, _settlements, _shore, _water):
        layer(ids, ground, rng)
    return ids


def scene_window() -> Window:
    """The part of the file that is painted: `SCENE_AREA` and its margin, but for the south, where the file ends."""
    west, south, east, north = SCENE_AREA
    left = round((west - _WEST) * _PIXELS_PER_DEGREE) - _MARGIN
    top = round((_NORTH - north) * _PIXELS_PER_DEGREE) - _MARGIN
    right = round((east - _WEST) * _PIXELS_PER_DEGREE) + _MARGIN
    bottom = min(_SIDE, round((_NORTH - south) * _PIXELS_PER_DEGREE) + _MARGIN)
    return Window(left, top, right - left, bottom - top)


@dataclass(frozen=True)
class _Ground:
    """What the layers are painted on, each of shape (rows, columns).

    Attributes:
        height: above the sea, roughly -1 to 1; the coast is 0.
        river: distance from the river's middle line in pixels.
        width: half of the river's width in pixels, by column.
        rough: fine noise of mean 0 that frays the edges of the layers.
    """

    height: Field
    river: Field
    width: Field
    rough: Field

    @classmethod
    def shaped(cls, shape: tuple[int, int], rng: np.random.Generator) -> _Ground:
        rows, columns = shape
        along = np.linspace(0, 1, columns, dtype=np.float32)
        down = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
        # The sea lies in the west and takes the south-western corner; the land rises towards the north-east.
        slope = 1.5 * along - 0.55 * down - 0.12
        height = slope + 0.32 * _noise(shape, (900, 450, 200), rng) + 0.03 * _noise(shape, (60, 24), rng)
        phases = rng.uniform(0, 2 * np.pi, 3)
        bends = sum(
            size * np.sin(2 * np.pi * waves * along + phase)
            for size, waves, phase in zip((150, 70, 26), (1.3, 3.7, 9.1), phases, strict=True)
        )
        middle = (rows * (0.62 - 0.3 * along) + bends).astype(np.float32)
        steepness = np.sqrt(1 + np.gradient(middle) ** 2).astype(np.float32)
        river = np.abs(np.arange(rows, dtype=np.float32)[:, None] - middle) / steepness
        valley = np.exp(-((river / 260) ** 2))
        height = height - 0.3 * valley * np.clip(height, 0, 1)
        return cls(height, river, 30 * (1 - along) ** 2 + 5, _noise(shape, (40, 14, 6), rng))


def _vegetation(ids: Ids, ground: _Ground, rng: np.random.Generator) -> None:
    """Woods on the higher ground and in patches, shrub along their edges, a few bare tops; the rest stays grass."""
    woods = _noise(ids.shape, (420, 110, 70, 40), rng) + 0.8 * (ground.height - 0.4) + 0.3 * ground.rough
    ids[woods > 0.1] = ID_OF_TOKEN["shrub"]
    ids[woods > 0.17] = ID_OF_TOKEN["tree"]
    tops = ground.height + 0.25 * _noise(ids.shape, (120, 40, 16), rng)
    ids[tops > 1.18] = ID_OF_TOKEN["bare_land"]


def _fields(ids: Ids, ground: _Ground, rng: np.random.Generator) -> None:
    """Parcels of crops on the low ground, some at rest, some planted with trees, hedges between them."""
    rows, columns = ids.shape
    arable = _noise(ids.shape, (700, 260), rng) + 0.55 - 1.1 * np.abs(ground.height - 0.3)
    row, column = np.arange(rows, dtype=np.int32)[:, None], np.arange(columns, dtype=np.int32)
    # Turned a little, as fields are: 2 in 9 is about 13 degrees.
    down, across = row + 2 * column // 9, column - 2 * row // 9 + rows
    parcel_row, parcel_column = down // 26, across // 38
    sown = rng.random((int(parcel_row.max()) + 1, int(parcel_column.max()) + 1), dtype=np.float32)
    use = sown[parcel_row, parcel_column]
    farmed = arable + 0.18 * use > 0.42
    hedge = (down % 26 == 0) | (across % 38 == 0)
    ids[farmed & (use < 0.8)] = ID_OF_TOKEN["crop"]
    ids[farmed & (use >= 0.8)] = ID_OF_TOKEN["grass"]
    ids[farmed & (use >= 0.95)] = ID_OF_TOKEN["tree"]
    ids[farmed & hedge & (ground.rough > 0)] = ID_OF_TOKEN["shrub"]


def _settlements(ids: Ids, ground: _Ground, rng: np.random.Generator) -> None:
    """A town by the river and villages on low ground: dense in the middle, gardens and green streets outwards."""
    rows, columns = ids.shape
    middle = ground.river.argmin(axis=0)
    dry = ground.height[middle, np.arange(columns)] > 0.15
    town = columns // 2 + int(dry[columns // 2 :].argmax())
    places = [(int(middle[town]) - 130, town, 190.0)]
    while len(places) < 26:
        row, column = int(rng.integers(rows)), int(rng.integers(columns))
        if 0.08 < ground.height[row, column] < 0.8:
            places.append((row, column, float(rng.uniform(12, 42))))
    for row, column, radius in places:
        reach = int(3 * radius)
        part = np.s_[
            max(0, row - reach) : min(rows, row + reach), max(0, column - reach) : min(columns, column + reach)
        ]
        down, across = np.ogrid[part]
        distance = np.hypot(down - row, across - column) / radius
        built = np.exp(-(distance**2)) + 0.35 * ground.rough[part]
        street = (down % 17 == 0) | (across % 23 == 0)
        ids[part][built > 0.3] = ID_OF_TOKEN["grass"]
        ids[part][(built > 0.36) & ~(street & (built < 0.7))] = ID_OF_TOKEN["developed_area"]


def _shore(ids: Ids, ground: _Ground, rng: np.random.Generator) -> None:
    """Sand along the coast; mangroves and wetland where the river meets the sea, wetland along its lower course."""
    frayed = ground.height + 0.012 * ground.rough
    ids[(frayed < 0.028) & (ground.river > 200)] = ID_OF_TOKEN["bare_land"]
    flood = ground.river / (ground.width * 5) + 0.5 * _noise(ids.shape, (140, 50), rng) + 0.2 * ground.rough
    ids[(flood < 1) & (ground.height < 0.34)] = ID_OF_TOKEN["wetland"]
    ids[(flood < 1.7) & (frayed < 0.11)] = ID_OF_TOKEN["mangroves"]


def _water(ids: Ids, ground: _Ground, _: np.random.Generator) -> None:
    """The river and the sea; the deep sea is no data, as in the product."""
    ids[ground.river < ground.width] = ID_OF_TOKEN["water"]
    ids[ground.height < 0] = ID_OF_TOKEN["water"]
    ids[ground.height < -0.62] = NO_DATA


def _noise(shape: tuple[int, int], cells: tuple[int, ...], rng: np.random.Generator) -> Field:
    """Smooth noise around 0: random values of -1 to 1 on grids of these cell sizes, each half as strong as the last."""
    total: Field = np.zeros(shape, dtype=np.float32)
    for strength, cell in enumerate(cells):
        knots = rng.uniform(-1, 1, (shape[0] // cell + 2, shape[1] // cell + 2)).astype(np.float32)
        row, row_part = _between(shape[0], cell)
        column, column_part = _between(shape[1], cell)
        bands = knots[row] + row_part[:, None] * (knots[row + 1] - knots[row])
        total += (bands[:, column] + column_part * (bands[:, column + 1] - bands[:, column])) / np.float32(2**strength)
    return total


def _between(size: int, cell: int) -> tuple[NDArray[np.intp], Field]:
    """The grid cell of each pixel, and how far it lies into it (0 to 1, eased so that no cell's edge shows)."""
    index, offset = np.divmod(np.arange(size), cell)
    part = (offset / np.float32(cell)).astype(np.float32)
    return index, part * part * (3 - 2 * part)


def _key(layout: Layout) -> str:
    name = f"ESA_WorldCover_10m_{layout.year}_{layout.version}_N{0:02}E{_WEST:03}_Map.tif"
    return f"{layout.directory}/{name}"


def _geotiff(ids: Ids, code_of: Mapping[int, int]) -> bytes:
    codes = np.array([code_of[class_id] for class_id in range(N_IDS)], dtype=np.uint8)
    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=_SIDE,
            height=_SIDE,
            count=1,
            dtype="uint8",
            nodata=code_of[NO_DATA],
            crs="EPSG:4326",
            transform=Affine(1 / _PIXELS_PER_DEGREE, 0, _WEST, 0, -1 / _PIXELS_PER_DEGREE, _NORTH),
            tiled=True,
            blockxsize=1024,
            blockysize=1024,
            compress="deflate",
            sparse_ok=True,
        ) as raster:
            raster.write_colormap(1, {code: (*COLOURS[class_id], 255) for class_id, code in code_of.items()})
            raster.update_tags(title="A made scene for trials: no real place")
            raster.write(codes[ids], 1, window=scene_window())
        return bytes(memory.read())

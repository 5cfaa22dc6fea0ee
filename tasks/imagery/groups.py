"""Chips of neighbouring tiles from scenes: what a Dask worker makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from tasks.errors import SourceError, StoreError
from tasks.grid import Ints
from tasks.imagery.bands import BANDS, SCENE_CLASSES, eight_bit, red_green_blue
from tasks.imagery.choosing import UNREADABLE, Candidate, Wanted, by_scene
from tasks.imagery.files import Chip, chip_path, write_chip
from tasks.imagery.gates import bleak, cloud_share, cloudy, incomplete, missing_share
from tasks.imagery.offsets import added, darkness, may_be_added, take_off
from tasks.imagery.scenes import Scene
from tasks.imagery.table import DONE, FAILED, Row
from tasks.imagery.warping import Bands, Tile, UnreadableError, read_tiles, tile_transform
from tasks.landcover.catalogue import Raster
from tasks.statistics.blocks import GridChunk
from tasks.storage import Place

_Read = TypeVar("_Read")

GROUP_TILES = 4
"""Tiles along one side of a group: a tile of zoom 12."""


@dataclass(frozen=True)
class Terms:
    """What is asked of chips.

    Attributes:
        max_cloud: most cloud cover of a chip, in percent.
        seasons: whether tiles are spread over the seasons.
        access: under which name the access options of the scenes' files are known.
        dataset: where chips are written.
    """

    max_cloud: float
    seasons: bool
    access: str
    dataset: Place


@dataclass(frozen=True)
class SceneGroup:
    """Neighbouring tiles with the scenes that may show them; names and places, no pixels and no secrets.

    Attributes:
        tile_ids: their IDs.
        blocks: the block of each.
        x: tile columns.
        y: tile rows.
        scenes: scenes near them.
        rasters: the land-cover rasters that they need.
        ids: class id by code, of the land-cover product.
        terms: what is asked of the chips.
    """

    tile_ids: tuple[str, ...]
    blocks: tuple[str, ...]
    x: Ints
    y: Ints
    scenes: tuple[Scene, ...]
    rasters: tuple[Raster, ...]
    ids: Mapping[int, int]
    terms: Terms

    def __len__(self) -> int:
        return len(self.tile_ids)

    def make(self) -> list[Row]:
        """Writes the chips of the tiles that can be given one, and tells what became of each tile."""
        try:
            maps = GridChunk(self.x, self.y, self.rasters, self.ids).maps()
        except SourceError as error:
            return [Row(tile_id=tile_id, status=FAILED, reason=str(error)) for tile_id in self.tile_ids]
        wanted = [
            Wanted((int(x), int(y)), tile_id, block, ids, self.terms.seasons)
            for x, y, tile_id, block, ids in zip(self.x, self.y, self.tile_ids, self.blocks, maps, strict=True)
        ]
        for one in wanted:
            one.consider(self.scenes)
        while waiting := [one for one in wanted if one.is_open]:
            if looking := [(one.unseen.pop(0), one) for one in waiting if not one.is_sure]:
                for scene, together in by_scene(looking):
                    self._look(scene, together)
            else:
                for scene, together in by_scene([(one.candidates[0].scene, one) for one in waiting]):
                    self._take(scene, together)
        return [one.row or one.without() for one in wanted]

    def _look(self, scene: Scene, together: Sequence[Wanted]) -> None:
        """Finds out how cloudy a scene is over tiles."""
        files = scene_files(scene, self.terms.access)
        if SCENE_CLASSES not in files:
            for one in together:
                one.admit(scene, None)
            return
        tiles = [one.tile for one in together]
        classes_alone = {SCENE_CLASSES: files[SCENE_CLASSES]}
        found = _attempted(lambda: read_tiles(classes_alone, tiles, Resampling.nearest), scene, together)
        if found is None:
            return
        for one in together:
            classes = found[one.tile][SCENE_CLASSES]
            share = cloud_share(classes)
            reason = incomplete(missing_share(classes[None])) or cloudy(share, self.terms.max_cloud)
            if reason:
                one.refuse(scene, reason)
            else:
                one.admit(scene, share)

    def _take(self, scene: Scene, together: Sequence[Wanted]) -> None:
        """Gives tiles their chips from their best candidate, or strikes it off."""
        files = scene_files(scene, self.terms.access)
        reflectances = {band: files[band] for band in BANDS}
        best = [one.candidates.pop(0) for one in together]

        def read() -> tuple[int, dict[Tile, Bands]]:
            offset = added(scene, darkness(tuple(files.items()))) if may_be_added(scene) else 0
            return offset, read_tiles(reflectances, [one.tile for one in together], Resampling.bilinear)

        attempted = _attempted(read, scene, together)
        if attempted is None:
            return
        offset, found = attempted
        for one, candidate in zip(together, best, strict=True):
            pixels = take_off(np.stack([found[one.tile][band] for band in BANDS]), offset)
            picture = red_green_blue(eight_bit(pixels, BANDS), BANDS)
            if reason := incomplete(missing_share(pixels)) or bleak(picture, one.ids):
                one.refuse(scene, reason)
            else:
                one.row = self._keep(one, candidate, pixels, offset)

    def _keep(self, one: Wanted, candidate: Candidate, pixels: NDArray[np.uint16], offset: int) -> Row:
        """Writes a tile's chip."""
        scene = candidate.scene
        path = chip_path(one.block, one.tile_id)
        tags = {
            "scene": scene.id,
            "acquired": scene.acquired,
            "processing_baseline": scene.baseline or "unknown",
            "offset_applied": str(-offset),
            "offset_stated": str(-scene.added),
            "cloud_share": "unknown" if candidate.cloud is None else f"{candidate.cloud:.6f}",
            "units": "reflectance x 10000",
        }
        chip = Chip(pixels, BANDS, "EPSG:3857", tile_transform(one.tile), tags)
        write_chip(self.terms.dataset, path, chip, one.ids)
        return Row(
            tile_id=one.tile_id,
            status=DONE,
            chip=path,
            scene=scene.id,
            acquired=scene.acquired,
            cloud=candidate.cloud,
            baseline=scene.baseline,
            offset_applied=-offset,
            offset_stated=-scene.added,
            bands=BANDS,
            tried=one.tried,
        )


def _attempted(read: Callable[[], _Read], scene: Scene, together: Sequence[Wanted]) -> _Read | None:
    """What is read; None where it cannot be: then tiles do without the scene, or wait for the next run."""
    try:
        return read()
    except UnreadableError as error:
        for one in together:
            one.refuse(scene, f"{UNREADABLE}: {error}")
    except StoreError as error:
        for one in together:
            one.fail(str(error))
    return None


def scene_files(scene: Scene, access: str) -> dict[str, Place]:
    """The files of a scene by band."""
    return {band: Place(address, access if "://" in address else "") for band, address in scene.assets.items()}

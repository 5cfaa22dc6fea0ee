"""Patch statistics as a lazy xarray Dataset: dimensions tile, patch and class over Dask blocks."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import xarray as xr

from tasks.errors import InputError, SourceError
from tasks.grid import BLOCK_TILES, Ints, block_numbers
from tasks.landcover.classes import N_IDS, TOKENS
from tasks.statistics.patches import PATCHES, Counts
from tasks.statistics.versions import Versions, differences, versions

_MOST_BLOCKS = 16
"""Sparse blocks in one Dask task."""


class Chunk(Protocol):
    """Tiles that one Dask task counts; travels to a worker, so it holds names and places, no pixels and no secrets."""

    def __len__(self) -> int: ...

    def count(self) -> Counts:
        """Counts of each tile, shape (n, 6, 12)."""


def lazy_statistics(tile_ids: pa.Array, chunks: Sequence[Chunk]) -> xr.Dataset:
    """Describes the counts of tiles; nothing is read before it is computed.

    Args:
        tile_ids: IDs of all tiles, in the order of the chunks.
        chunks: the tiles, one Dask task each.

    Returns:
        A Dataset with ``counts`` (tile, patch, class), int32 pixels.
    """
    import dask.array  # noqa: PLC0415 - half a second that planning need not pay

    here = versions()
    name = f"statistics-{id(chunks):x}-{len(tile_ids)}"
    graph: dict[Any, Any] = {(name, index, 0, 0): (_count, chunk, here) for index, chunk in enumerate(chunks)}
    sizes = (tuple(len(chunk) for chunk in chunks), (len(PATCHES),), (N_IDS,))
    counts = dask.array.Array(graph, name, sizes, dtype=np.int32)  # type: ignore[no-untyped-call]  # dask's constructor
    return xr.Dataset(
        {"counts": (("tile", "patch", "class"), counts, {"units": "pixels"})},
        coords={
            "tile": np.asarray(tile_ids.to_pylist(), dtype=object),
            "patch": list(PATCHES),
            "class": list(TOKENS),
        },
    )


def _count(chunk: Chunk, expected: Versions) -> Counts:
    # A worker may have joined after the command has looked at all there were.
    if versions() != expected:
        raise InputError(other_versions(differences(expected, versions(), f"the worker on {socket.gethostname()}")))
    try:
        return chunk.count()
    except SourceError as error:
        reasons = error.reasons
    # Anew, without what it was raised from: GDAL's errors do not survive the way back from a worker.
    raise SourceError(reasons)


def other_versions(lines: Sequence[str]) -> str:
    """What to say where a cluster runs other versions."""
    return "cluster.address: other versions run there; install the same on both sides\n  " + "\n  ".join(lines)


def split_into_chunks(x: Ints, y: Ints) -> list[slice]:
    """Cuts tiles in `morton_order` into runs of whole zoom-10 blocks, one Dask task each.

    A full block is a run of its own; where few tiles of each block are planned, a run takes up to 16 neighbours.
    """
    edges = np.concatenate([[0], np.flatnonzero(np.diff(block_numbers(x, y))) + 1, [len(x)]])
    chunks: list[slice] = []
    start = blocks = 0
    for block_start, block_stop in pairwise(edges.tolist()):
        if blocks and (block_stop - start > BLOCK_TILES**2 or blocks == _MOST_BLOCKS):
            chunks.append(slice(start, block_start))
            start, blocks = block_start, 0
        blocks += 1
    return [*chunks, slice(start, len(x))] if len(x) else []

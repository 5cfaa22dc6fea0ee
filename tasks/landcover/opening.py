"""Rasters open for reading: from this machine by GDAL itself, from buckets through the client that also lists them.

GDAL has an S3 client of its own, but two clients would have to be told credentials, endpoint, time-outs and retries
each in its own words; GDAL's takes a store that answers a ranged read with status 200 for one that holds nothing else,
and says of a refusal only that no raster was recognised. So GDAL is handed a raster's bytes: one question for the size,
one read of the beginning, then one for each row of source blocks, those of a window at once.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar, copy_context
from typing import Any, BinaryIO

import rasterio
from rasterio.abc import MultiByteRangeResourceContainer

from tasks.errors import DamagedError, StoreError
from tasks.storage import Place, asking, filesystem

_HABITS: dict[str, str | int] = {
    # Nothing beside a raster in a bucket is looked for, and the header is read in one go.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    # Every source block is read once: a cache would only be contended for.
    "GDAL_CACHEMAX": 0,
    "GDAL_NUM_THREADS": "1",
}

_BEGINNING = 32768
"""Bytes read at once when a file is opened: the header of a WorldCover map and more."""


@contextlib.contextmanager
def open_raster(where: Place) -> Iterator[Any]:
    """Opens a raster for this thread; yields rasterio's handle.

    Raises:
        StoreError: the bucket refuses, lacks the file or does not answer, when opening or later.
        rasterio.errors.RasterioError: it is no raster.
    """
    if where.is_local:
        # Masks and world files beside a raster are looked for by name: a folder may hold a million other chips.
        with rasterio.Env(**_HABITS | {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"}), rasterio.open(where.url) as dataset:
            yield dataset
        return
    with rasterio.Env(**_HABITS), _opened_in_bucket(where) as dataset:
        yield dataset


@contextlib.contextmanager
def _opened_in_bucket(where: Place) -> Iterator[Any]:
    opening = _Opening(where)
    number = str(next(_NUMBERS))
    folder = f"{_handler()}{number}/"
    _OPENINGS[number] = opening
    try:
        with _there(where):
            opening.beginning(opening.path)
        try:
            dataset = rasterio.open(folder + opening.path)
        except rasterio.errors.RasterioIOError as error:
            reason = str(error).replace(folder, opening.scheme)
            raise rasterio.errors.RasterioIOError(reason) from error.__cause__
        with dataset:
            yield dataset
    finally:
        del _OPENINGS[number]
        # Whatever became of the pixels: bytes that did not arrive go before what GDAL made of their absence.
        if opening.failure is not None:
            with _there(where):
                raise opening.failure


@contextlib.contextmanager
def _there(where: Place) -> Iterator[None]:
    try:
        with asking(where):
            yield
    except FileNotFoundError as error:
        raise DamagedError(f"{where}: was listed, but is not there") from error


class _Opening:
    """One opening of a raster in a bucket, with the files that GDAL asks for on its behalf.

    GDAL calls from C, through which no error passes: the first is kept, nothing is asked after it, and whoever opened
    the raster raises it.
    """

    def __init__(self, where: Place) -> None:
        self.files, path = filesystem(where)
        # GDAL's path names no scheme, and fsspec's does for the web.
        self.scheme, self.path = f"{where.url.partition('://')[0]}://", path.rpartition("://")[2]
        self._prefix = path[: len(path) - len(self.path)]
        self.failure: BaseException | None = None
        self._beginnings: dict[str, tuple[int, bytes]] = {}

    def beginning(self, path: str) -> tuple[int, bytes]:
        """A file's size, and its first bytes."""
        if path not in self._beginnings:
            size = int(self.files.info(self._prefix + path)["size"])
            first = self.files.cat_file(self._prefix + path, start=0, end=min(size, _BEGINNING)) if size else b""
            self._beginnings[path] = size, first
        return self._beginnings[path]

    def ranges(self, path: str, starts: Sequence[int], stops: Sequence[int]) -> list[bytes]:
        """Parts of a file, all asked for at once; empty ones after a failure."""
        size, first = self.beginning(path)
        if max(stops) <= len(first):
            return [first[start:stop] for start, stop in zip(starts, stops, strict=True)]
        if self.failure is None:
            try:
                return self._fetch(path, size, starts, stops)
            except BaseException as error:
                self.failure = error
        return [b""] * len(starts)

    def _fetch(self, path: str, size: int, starts: Sequence[int], stops: Sequence[int]) -> list[bytes]:
        # GDAL takes what it is given for what it asked for: uncompressed pixels that are not there would be made up.
        if max(stops) > size:
            raise DamagedError(
                f"{self.scheme}{path}: ends at byte {size}, before its pixels do (damaged or cut short?)"
            )
        whole = [self._prefix + path] * len(starts)
        parts: list[bytes] = self.files.cat_ranges(whole, starts, stops, on_error="raise")
        if any(len(part) != stop - start for part, start, stop in zip(parts, starts, stops, strict=True)):
            raise StoreError(f"{self.scheme}{path}: the store gave other bytes than were asked for")
        return parts


class _File(io.RawIOBase):
    """A file as GDAL reads it."""

    def __init__(self, opening: _Opening, path: str) -> None:
        self._opening, self._path = opening, path
        self._size, _ = opening.beginning(path)
        self._position = 0

    def get_byte_ranges(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """What GDAL asks for a window: the name is rasterio's."""
        stops = [offset + size for offset, size in zip(offsets, sizes, strict=True)]
        return self._opening.ranges(self._path, offsets, stops)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        stop = self._size if size < 0 else min(self._position + size, self._size)
        if stop <= self._position:
            return b""
        (content,) = self._opening.ranges(self._path, [self._position], [stop])
        self._position += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes elsewhere, beyond the end too."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        """Where the next bytes begin."""
        return self._position


class _Buckets(MultiByteRangeResourceContainer):  # type: ignore[misc]  # rasterio ships no types
    """All rasters that are open in buckets, as a file system of GDAL's: an opening's number, bucket, path."""

    def open(self, path: str, mode: str = "rb", **_options: object) -> BinaryIO | _File:
        if path == _ANCHOR:
            return io.BytesIO(_EMPTY_RASTER)
        if "r" not in mode:
            raise PermissionError(path)
        number, _, file = path.partition("/")
        return _File(_OPENINGS[number], file)

    def isfile(self, path: str) -> bool:
        return self.size(path) >= 0

    def isdir(self, _path: str) -> bool:
        return False

    def ls(self, _path: str) -> list[str]:
        return []

    def mtime(self, _path: str) -> int:
        return 0

    def rm(self, path: str) -> None:
        raise PermissionError(path)

    def size(self, path: str) -> int:
        number, _, file = path.partition("/")
        if number not in _OPENINGS:
            raise FileNotFoundError(path)
        return _OPENINGS[number].beginning(file)[0]


_ANCHOR = "anchor.vrt"
_EMPTY_RASTER = (
    b'<VRTDataset rasterXSize="1" rasterYSize="1"><GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>'
    b'<VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
)
_NUMBERS = itertools.count()
_OPENINGS: dict[str, _Opening] = {}
_PREFIX: ContextVar[str] = ContextVar("earthscribe_gdal_prefix")
_INSTALLING = threading.Lock()


def _handler() -> str:
    """The prefix under which GDAL finds what `_Buckets` holds, in this thread.

    Rasterio gives GDAL a new handler at every `open` with an opener, and never takes one away; and it knows them by
    context only. So an empty raster is opened once in each context (that is, thread), and everything else beside it.
    """
    prefix = _PREFIX.get(None)
    if prefix is None:
        with _INSTALLING:
            anchor = rasterio.open(_ANCHOR, opener=_Buckets())
        prefix = str(anchor.name).removesuffix(_ANCHOR)
        _PREFIX.set(prefix)
        # It stays open for good, and has to be closed in the context that knows it.
        atexit.register(copy_context().run, anchor.close)
    return prefix

"""Land cover and files in buckets, against a real S3 server that checks keys."""

from __future__ import annotations

import pickle
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pytest
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window
from s3_server import KEY, S3, SECRET, open_s3, s3, silent_server

from tasks.errors import InputError, RefusedError, SourceError, StoreError
from tasks.grid import Ints, latitude_of_edge, longitude_of_edge, morton_order
from tasks.landcover.catalogue import Catalogue, Raster, catalogue
from tasks.landcover.chips import find_chips, read_chip
from tasks.landcover.classes import class_table
from tasks.scene import SCENE_AREA
from tasks.statistics.blocks import GridChunk
from tasks.statistics.dataset import lazy_statistics
from tasks.statistics.jobs import GridJob, run_job
from tasks.statistics.table import read_counts
from tasks.storage import Place, exists, list_files, place, read_bytes, reading, remove, write

__all__ = ["open_s3", "s3"]

TABLE = class_table("worldcover-2020")
NAME = "v100/2020/map/ESA_WorldCover_10m_2020_v100_N00E006_Map.tif"
CODES = np.array([10, 20, 30, 40, 50, 60, 80, 90, 95], dtype=np.uint8)
BEGINNING = 32768
BLOCK = 1024
FULL = (6 + 4096 / 12_000, 3 - 13_312 / 12_000, 6 + 13_312 / 12_000, 3 - 4096 / 12_000)
IMPATIENT = {"connect_timeout": 0.4, "read_timeout": 0.4, "retries": {"total_max_attempts": 1}}


@pytest.fixture(autouse=True)
def answering(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test begins with servers that answer, and their counts at nothing."""
    for name in {"s3", "open_s3"} & set(request.fixturenames):
        request.getfixturevalue(name).forget()
    yield
    for name in {"s3", "open_s3"} & set(request.fixturenames):
        request.getfixturevalue(name).forget()


@pytest.fixture(scope="module")
def maps(s3: S3, worldcover: Path) -> Path:
    """A bucket laid out like the public one."""
    shutil.copytree(worldcover, s3.root / "maps")
    (s3.root / "maps" / NAME).chmod(0o644)
    return s3.root / "maps"


@pytest.fixture(scope="module")
def dense(s3: S3) -> Path:
    """A bucket with a map of the public one's size, full of classes between its rows and columns 4,096 and 13,312."""
    path = s3.root / "dense" / NAME
    path.parent.mkdir(parents=True)
    parcels = CODES[np.random.default_rng(0).integers(0, len(CODES), (288, 288))]
    write_map(path, 36_000, np.kron(parcels, np.ones((32, 32), np.uint8)), Window(4096, 4096, 9216, 9216))
    return path


def write_map(
    path: Path, size: int, codes: Any, window: Window, west: float = 6, north: float = 3, compress: str = "deflate"
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=1,
        dtype="uint8",
        nodata=0,
        crs="EPSG:4326",
        transform=Affine(1 / 12_000, 0, west, 0, -1 / 12_000, north),
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        compress=compress,
        sparse_ok=True,
    ) as raster:
        raster.write(codes, 1, window=window)


def only(found: Catalogue) -> Raster:
    (raster,) = found.rasters.values()
    return raster


def tiles_within(west: float, south: float, east: float, north: float) -> tuple[Ints, Ints]:
    """Tiles that lie wholly within a box, in the order of statistics."""
    columns, rows = np.arange(1 << 14), np.arange(1 << 14)
    columns = columns[(longitude_of_edge(columns) >= west) & (longitude_of_edge(columns + 1) <= east)]
    rows = rows[(latitude_of_edge(rows + 1) >= south) & (latitude_of_edge(rows) <= north)]
    x, y = (axis.ravel().astype(np.int32) for axis in np.meshgrid(columns, rows))
    order = morton_order(x, y)
    return x[order], y[order]


def lone_job(found: Catalogue, x: Ints, y: Ints) -> GridJob:
    tile_ids = pa.array([f"{column}_{row}" for column, row in zip(x, y, strict=True)])
    return GridJob("job", x, y, tile_ids, found, TABLE)


# Listing and reading


def test_a_keyed_and_a_public_bucket_give_the_counts_of_the_folder(
    s3: S3, open_s3: S3, maps: Path, worldcover: Path
) -> None:
    shutil.copytree(maps, open_s3.root / "maps")
    x, y = tiles_within(SCENE_AREA[0], SCENE_AREA[1], SCENE_AREA[0] + 0.12, SCENE_AREA[3])
    assert len(x) > 20

    counts = []
    for source in (place(worldcover), place("s3://maps", s3.options), place("s3://maps", open_s3.options)):
        found = catalogue(source, TABLE)
        assert list(found.rasters) == [NAME]
        counts.append(GridChunk(x, y, (only(found),), TABLE.ids).count())
    assert counts[0][:, 0, 1:].sum() > 0
    np.testing.assert_array_equal(counts[1], counts[0])
    np.testing.assert_array_equal(counts[2], counts[0])


def test_a_listing_is_one_request_and_todays(s3: S3, dense: Path) -> None:
    source = place("s3://dense", s3.options)
    first = only(catalogue(source, TABLE))
    assert s3.methods() == ["GET"]

    again = dense.with_name(dense.name.replace("E006", "E009"))
    shutil.copy(dense, again)
    try:
        assert len(catalogue(source, TABLE).rasters) == 2
    finally:
        again.unlink()
    content = dense.read_bytes()
    try:
        dense.write_bytes(content + b" ")
        assert only(catalogue(source, TABLE)).identity != first.identity
    finally:
        dense.write_bytes(content)


def test_a_dense_block_costs_one_head_and_six_gets(s3: S3, dense: Path) -> None:
    raster = only(catalogue(place("s3://dense", s3.options), TABLE))
    x, y = tiles_within(*FULL)
    # The zoom-10 block (16 x 16 tiles) next to the one in the corner, which is cut.
    inner = (x // 16 == x.min() // 16 + 1) & (y // 16 == y.min() // 16 + 1)
    x, y = x[inner], y[inner]
    assert len(x) == 256

    s3.forget()
    counts = GridChunk(x, y, (raster,), TABLE.ids).count()
    assert counts[:, 0, 0].sum() == 0
    methods = s3.methods()
    assert methods.count("HEAD") == 1
    assert methods.count("GET") <= 6
    assert len(methods) <= 7
    assert s3.sent() <= BEGINNING + sum(block_bytes(dense, x, y).values())


def test_sparse_tiles_read_the_source_blocks_that_they_touch(s3: S3, dense: Path) -> None:
    raster = only(catalogue(place("s3://dense", s3.options), TABLE))
    x, y = tiles_within(*FULL)
    drawn = np.sort(np.random.default_rng(3).choice(len(x), 5, replace=False))
    x, y = x[drawn], y[drawn]

    s3.forget()
    counts = GridChunk(x, y, (raster,), TABLE.ids).count()
    assert counts[:, 0, 0].sum() == 0
    blocks = block_bytes(dense, x, y)
    assert len(blocks) <= 20
    assert s3.sent() <= BEGINNING + sum(blocks.values())


def block_bytes(path: Path, x: Ints, y: Ints) -> dict[tuple[int, int], int]:
    """The stored size of each source block under tiles, by its column and row."""
    columns = [((longitude_of_edge(x + side) - 6) * 12_000 // BLOCK).astype(int) for side in (0, 1)]
    rows = [((3 - latitude_of_edge(y + side)) * 12_000 // BLOCK).astype(int) for side in (0, 1)]
    sizes = {}
    with rasterio.open(path) as raster:
        for left, right, upper, lower in zip(*columns, *rows, strict=True):
            for column in range(left, right + 1):
                for row in range(upper, lower + 1):
                    size = raster.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=1)
                    sizes[column, row] = int(size or 0)
    return sizes


def test_names_may_hold_spaces_and_other_letters(s3: S3, tmp_path: Path) -> None:
    codes = CODES[np.random.default_rng(1).integers(0, len(CODES), (1200, 1200))]
    folder = s3.root / "names" / "São Tomé" / "50 % (new)"
    write_map(folder / "carte d'été #1+2&3.tif", 1200, codes, Window(0, 0, 1200, 1200))
    x, y = tiles_within(6, 2.9, 6.1, 3)

    here, there = place(folder.parent), place("s3://names/São Tomé", s3.options)
    found = catalogue(there, TABLE)
    assert list(found.rasters) == ["50 % (new)/carte d'été #1+2&3.tif"]
    counts = GridChunk(x, y, (only(found),), TABLE.ids).count()
    np.testing.assert_array_equal(counts, GridChunk(x, y, (only(catalogue(here, TABLE)),), TABLE.ids).count())
    one = catalogue(there.join("50 % (new)", "carte d'été #1+2&3.tif"), TABLE)
    assert list(one.rasters) == ["carte d'été #1+2&3.tif"]


def test_chips_may_lie_in_a_bucket(s3: S3) -> None:
    terramesh = class_table("terramesh")
    ids = np.random.default_rng(2).choice(list(terramesh.ids), (64, 64)).astype(np.uint8)
    path = s3.root / "chips" / "coast" / "a b.tif"
    write_map(path, 64, ids, Window(0, 0, 64, 64))
    (chip,) = find_chips(place("s3://chips", s3.options))
    assert chip.tile_id == "coast__a-b"
    np.testing.assert_array_equal(
        read_chip(chip.raster, terramesh), read_chip(find_chips(place(path.parents[1]))[0].raster, terramesh)
    )


def test_worker_threads_read_side_by_side(s3: S3, maps: Path, worldcover: Path) -> None:
    x, y = tiles_within(SCENE_AREA[0], SCENE_AREA[1], SCENE_AREA[0] + 0.1, SCENE_AREA[1] + 0.1)
    raster = only(catalogue(place("s3://maps", s3.options), TABLE))
    chunks = [GridChunk(x[index : index + 1], y[index : index + 1], (raster,), TABLE.ids) for index in range(len(x))]
    tile_ids = pa.array([str(index) for index in range(len(x))])
    counts = lazy_statistics(tile_ids, chunks)["counts"].compute(scheduler="threads", num_workers=4).to_numpy()
    local = only(catalogue(place(worldcover), TABLE))
    np.testing.assert_array_equal(counts, GridChunk(x, y, (local,), TABLE.ids).count())


def test_no_secret_is_in_the_task_graph(s3: S3, maps: Path) -> None:
    found = catalogue(place("s3://maps", s3.options), TABLE)
    job = lone_job(found, *tiles_within(*SCENE_AREA))
    lazy = lazy_statistics(job.tile_ids, job.chunks())
    travelling = pickle.dumps((dict(lazy["counts"].__dask_graph__()), job, found))
    assert NAME.encode() in travelling
    assert SECRET.encode() not in travelling
    assert KEY.encode() not in travelling
    assert s3.endpoint.encode() not in travelling


# What goes wrong


@pytest.mark.parametrize("wrong", [{"key": "AKIANOBODY"}, {"secret": "wrong-secret-41aa"}, {"token": "wrong-token-77"}])
def test_a_wrong_key_is_an_error_of_the_listing_that_names_no_key(s3: S3, maps: Path, wrong: dict[str, str]) -> None:
    if "token" in wrong:
        s3.refusal = lambda _method, _path: 403
    with pytest.raises(InputError, match=r"landcover.source.*s3://maps.*storage_options") as caught:
        catalogue(place("s3://maps", s3.options | wrong), TABLE)
    for secret in (KEY, SECRET, *wrong.values()):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://no-such-bucket", "s3://maps/no/such/prefix"])
def test_a_bucket_or_prefix_that_is_not_there_is_named(s3: S3, maps: Path, url: str) -> None:
    with pytest.raises(InputError, match=f"{url}: no raster found; looked for v100/2020/map"):
        catalogue(place(url, s3.options), TABLE)


def test_a_server_that_is_silent_or_not_there_is_an_error_and_no_open_sea() -> None:
    with silent_server() as silent:
        for endpoint in (silent, "http://127.0.0.1:9"):
            began = time.monotonic()
            options = {"endpoint_url": endpoint, "key": KEY, "secret": SECRET, "config_kwargs": IMPATIENT}
            with pytest.raises(InputError, match=r"landcover.source: the listing failed: s3://maps") as caught:
                catalogue(place("s3://maps", options), TABLE)
            assert time.monotonic() - began < 10
            assert SECRET not in str(caught.value)


def test_a_busy_server_is_asked_again(s3: S3, maps: Path) -> None:
    s3.refusal = lambda _method, _path: None if s3.requests else 503
    assert list(catalogue(place("s3://maps", s3.options), TABLE).rasters) == [NAME]
    assert [request.status for request in s3.requests] == [503, 200]


@pytest.fixture
def neighbours(s3: S3) -> Iterator[tuple[Place, Ints, Ints]]:
    """Two maps side by side in a bucket, and the tiles on them."""
    folder = s3.root / "neighbours"
    codes = CODES[np.random.default_rng(4).integers(0, len(CODES), (1200, 1200))]
    for name, west in (("east é.tif", 6.1), ("west.tif", 6.0)):
        write_map(folder / name, 1200, codes, Window(0, 0, 1200, 1200), west=west)
    yield place("s3://neighbours", s3.options | {"config_kwargs": IMPATIENT}), *tiles_within(6, 2.9, 6.2, 3)
    shutil.rmtree(folder)


def refused(status: int) -> Callable[[str, str, S3], int | None]:
    return lambda _method, _path, _s3: status


def refused_after_the_header(_method: str, path: str, server: S3) -> int | None:
    return 403 if len(server.methods(path)) >= 2 else None


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (refused(403), "Forbidden.*storage_options"),
        (refused(404), "was listed, but is not there"),
        (refused_after_the_header, "(Forbidden|Access Denied|403).*storage_options"),
    ],
)
def test_a_source_that_fails_when_it_is_read_fails_alone(
    s3: S3,
    neighbours: tuple[Place, Ints, Ints],
    tmp_path: Path,
    refusal: Callable[[str, str, S3], int | None],
    words: str,
) -> None:
    source, x, y = neighbours
    job = lone_job(catalogue(source, TABLE), x, y)
    east = "east é.tif"
    s3.forget()
    s3.refusal = lambda method, path: refusal(method, path, s3) if "east" in path else None

    manifest = run_job(job, place(tmp_path), lambda lazy: lazy.compute(scheduler="synchronous"))
    assert list(manifest.failed) == [east]
    assert_matches(words, manifest.failed[east])
    assert SECRET not in manifest.failed[east]
    assert manifest.file is not None
    tile_ids, counts = read_counts(place(manifest.file))
    assert tile_ids.to_pylist() == job.without([east]).tile_ids.to_pylist()
    assert 0 < len(tile_ids) < len(x)
    s3.forget()
    whole = GridChunk(x, y, tuple(job.rasters.values()), TABLE.ids).count()
    kept = [job.tile_ids.to_pylist().index(tile_id) for tile_id in tile_ids.to_pylist()]
    np.testing.assert_array_equal(counts, whole[kept])


def test_a_source_that_falls_silent_fails_alone(s3: S3, neighbours: tuple[Place, Ints, Ints], tmp_path: Path) -> None:
    source, x, y = neighbours
    job = lone_job(catalogue(source, TABLE), x, y)
    woken = threading.Event()
    s3.refusal = lambda _method, path: 503 if "east" in path and woken.wait(20) else None
    began = time.monotonic()
    try:
        manifest = run_job(job, place(tmp_path), lambda lazy: lazy.compute(scheduler="synchronous"))
    finally:
        woken.set()
    assert time.monotonic() - began < 15
    assert list(manifest.failed) == ["east é.tif"]
    assert_matches("(?i)time.?out", manifest.failed["east é.tif"])
    assert 0 < manifest.tiles < len(x)


@pytest.mark.parametrize("compress", ["deflate", "none"])
@pytest.mark.parametrize("share", [0, 0.005, 0.3])
def test_a_map_that_is_cut_short_is_an_error(s3: S3, compress: str, share: float) -> None:
    path = s3.root / "cut" / "map.tif"
    codes = CODES[np.random.default_rng(5).integers(0, len(CODES), (1200, 1200))]
    write_map(path, 1200, codes, Window(0, 0, 1200, 1200), compress=compress)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    name = "map.tif"
    raster = Raster(name, place(f"s3://cut/{name}", s3.options), "")
    with pytest.raises(SourceError, match="damaged or cut short") as caught:
        GridChunk(*tiles_within(6, 2.9, 6.1, 3), (raster,), TABLE.ids).count()
    assert list(caught.value.reasons) == [name]


def assert_matches(pattern: str, text: str) -> None:
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


# Files in buckets and folders


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, s3: S3, tmp_path: Path) -> Iterator[Place]:
    """A place to write to, of both kinds; in the bucket its folder is there for the test to look into."""
    if request.param == "folder":
        yield place(tmp_path / "data set")
        return
    (s3.root / "files").mkdir(exist_ok=True)
    yield place("s3://files/data set", s3.options)
    shutil.rmtree(s3.root / "files")


def content_of(where: Place, s3: S3) -> dict[str, bytes]:
    folder = Path(where.url) if where.is_local else s3.root / where.url.removeprefix("s3://")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_written_found_read_and_removed(store: Place, s3: S3) -> None:
    letter, other = store.join("statistics", "é b.parquet"), store.join("statistics", "z.json")
    assert not exists(letter)
    assert list_files(store.join("statistics")) == []
    remove(letter)

    for content in (b"first", b"second"):
        write(letter, lambda stream, content=content: stream.write(content))  # type: ignore[misc]  # bound at once
    write(other, lambda stream: stream.write(b"{}"))
    assert content_of(store, s3) == {"statistics/é b.parquet": b"second", "statistics/z.json": b"{}"}
    assert exists(letter)
    assert not exists(store.join("statistics"))
    assert read_bytes(letter) == b"second"
    with reading(letter) as stream:
        stream.seek(3)
        assert stream.read() == b"ond"
    assert list_files(store.join("statistics"), ".parquet") == [letter]
    assert list_files(store.join("statistics")) == [other, letter]

    remove(letter)
    assert not exists(letter)
    assert list_files(store.join("statistics")) == [other]


def test_what_fails_while_it_is_written_changes_nothing(store: Place, s3: S3) -> None:
    where = store.join("tiles.parquet")

    def half(stream: BinaryIO) -> None:
        stream.write(b"half")
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        write(where, half)
    assert content_of(store, s3) == {}
    write(where, lambda stream: stream.write(b"whole"))
    with pytest.raises(RuntimeError):
        write(where, half)
    assert content_of(store, s3) == {"tiles.parquet": b"whole"}


def test_an_upload_that_is_refused_changes_nothing(s3: S3) -> None:
    (s3.root / "refused").mkdir()
    where = place("s3://refused/tiles.parquet", s3.options)
    write(where, lambda stream: stream.write(b"whole"))
    s3.refusal = lambda method, _path: 403 if method == "PUT" else None
    with pytest.raises(RefusedError, match=r"s3://refused/tiles.parquet: .*storage_options"):
        write(where, lambda stream: stream.write(b"another"))
    s3.forget()
    assert read_bytes(where) == b"whole"
    with pytest.raises(RefusedError, match=r"s3://nowhere/tiles.parquet: there is no such bucket"):
        write(place("s3://nowhere/tiles.parquet", s3.options), lambda stream: stream.write(b"whole"))


def test_a_bucket_that_refuses_is_not_taken_for_an_empty_one(s3: S3) -> None:
    (s3.root / "closed").mkdir()
    dataset = place("s3://closed", s3.options | {"secret": "wrong-secret-41aa"})
    for ask in (exists, read_bytes, remove):
        with pytest.raises(RefusedError, match=r"s3://closed/tiles.parquet"):
            ask(dataset.join("tiles.parquet"))
    with pytest.raises(RefusedError, match=r"s3://closed"):
        list_files(dataset)
    with silent_server() as silent:
        unheard = place("s3://closed/tiles.parquet", s3.options | {"endpoint_url": silent, "config_kwargs": IMPATIENT})
        with pytest.raises(StoreError, match=r"s3://closed/tiles.parquet"):
            exists(unheard)

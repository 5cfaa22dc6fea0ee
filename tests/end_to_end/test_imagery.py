"""Imagery by commands: scenes behind a STAC file, on disk, in a bucket and on the web; real pairs of chips."""

from __future__ import annotations

import functools
import json
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from commands import Commands, rows_of, write_config
from made_scenes import CLOUD, MadeScene, write_items
from PIL import Image
from s3_server import KEY, S3, SECRET, s3

from tasks.imagery.bands import BANDS

__all__ = ["s3"]

AREA = [6.5, 0.0, 6.58, 0.07]
"""Nine tiles: three columns, three rows."""


def western_half_cloudy() -> np.ndarray:
    classes = np.full((512, 512), 4, dtype=np.uint8)
    classes[:, :256] = CLOUD
    return classes


SCENES = [
    # The best by its description, but only in the east; and its catalogue lies about the offset.
    MadeScene(
        "liar",
        west=224_000,
        cloud=0.5,
        baseline="05.09",
        added=1_000,
        seed=1,
        properties={"earthsearch:boa_offset_applied": True},
    ),
    MadeScene("broken", cloud=1.0, seed=2),
    MadeScene("half", cloud=5.0, seed=3, classes=western_half_cloudy()),
    MadeScene("clear", cloud=9.0, seed=4),
]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scenes, one of which has a band that is cut short."""
    folder = tmp_path_factory.mktemp("scenes")
    write_items(folder, [scene.write(folder) for scene in SCENES])
    band = folder / "broken" / "B11.tif"
    band.write_bytes(band.read_bytes()[: band.stat().st_size // 2])
    return folder


def chips_of(dataset: Path) -> dict[str, dict[str, Any]]:
    return {row["tile_id"]: row for file in sorted((dataset / "imagery").glob("*.parquet")) for row in rows_of(file)}


def content(dataset: Path) -> dict[str, bytes]:
    """All files of a dataset's imagery, by path."""
    files = [file for file in (dataset / "imagery").rglob("*") if file.is_file() and file.name != "failed.json"]
    return {str(file.relative_to(dataset)): file.read_bytes() for file in files}


def configured(folder: Path, worldcover: Path, imagery: dict[str, Any], name: str = "c", **more: Any) -> Path:
    landcover = {"product": "worldcover-2020", "source": str(worldcover)}
    tiles = {"area": AREA, "max_share": {}, "min_valid": 0}
    keys = {"landcover": landcover, "tiles": tiles, "splits": {"by": "none"}, "imagery": imagery}
    return write_config(folder, name, **keys | more)


def test_each_tile_takes_the_best_scene_that_will_do(
    catalogue: Path, worldcover: Path, earthscribe: Commands, tmp_path: Path
) -> None:
    config = configured(tmp_path, worldcover, {"stac": str(catalogue / "items.json")})
    ended = earthscribe("run", config.name, folder=tmp_path)
    assert ended.code == 0, ended.stderr
    assert "imagery: 9 chips\n" in ended.stderr
    assert "warning: scene broken: unreadable: B11" in ended.stderr
    assert "warning: scene liar: the catalogue says" in ended.stderr
    dataset = config.with_suffix("")
    found = chips_of(dataset)
    west, middle, east = (
        [row for tile_id, row in found.items() if tile_id.startswith(x)] for x in ("8488", "8489", "8490")
    )
    assert {row["scene"] for row in east + middle} == {"liar"}
    assert {(row["offset_applied"], row["offset_stated"], row["baseline"]) for row in east} == {(-1000, 0, "05.09")}
    assert {row["scene"] for row in west} == {"clear"}
    reasons = {one["scene"]: one["reason"].split(":")[0] for row in west for one in row["tried"]}
    assert reasons == {"liar": "partial", "broken": "unreadable", "half": "cloudy"}
    for row in found.values():
        with rasterio.open(dataset / row["chip"]) as chip:
            assert (chip.count, chip.dtypes[0], chip.shape, chip.crs.to_epsg()) == (9, "uint16", (256, 256), 3857)
            assert chip.descriptions == BANDS
            assert chip.tags()["scene"] == row["scene"]
            assert chip.read().min() >= 1
        with Image.open(dataset / row["chip"].replace(".tif", "_rgb.png")) as picture:
            assert picture.size == (256, 256)

    # Nothing is left to do, the catalogue is not asked for, and nothing changes.
    before = content(dataset)
    (catalogue / "items.json").rename(catalogue / "gone.json")
    try:
        (catalogue / "items.json").write_text("{}")
        again = earthscribe("imagery", config.name, folder=tmp_path)
    finally:
        (catalogue / "gone.json").rename(catalogue / "items.json")
    assert again.code == 0, again.stderr
    assert content(dataset) == before

    # The same campaign elsewhere, its tiles taken up in another order and by processes, has the same bytes.
    other = configured(
        tmp_path, worldcover, {"stac": str(catalogue / "items.json")}, "d", cluster={"workers": 1, "threads": 2}
    )
    for command in ("statistics", "imagery"):
        assert earthscribe(command, other.name, folder=tmp_path).code == 0
    assert content(other.with_suffix("")) == before


def test_settings_are_not_mixed(catalogue: Path, worldcover: Path, earthscribe: Commands, tmp_path: Path) -> None:
    config = configured(tmp_path, worldcover, {"stac": str(catalogue / "items.json"), "max_cloud": 2})
    for command in ("statistics", "imagery"):
        ended = earthscribe(command, config.name, folder=tmp_path)
    # The west has no scene of so few clouds but the broken one, which may be mended.
    assert ended.code == 4, ended.stderr
    assert "imagery: 6 chips, 3 failed" in ended.stderr
    status = json.loads(earthscribe("status", config.name, "--json", folder=tmp_path).stdout)
    assert (status["imagery"]["done"], status["imagery"]["pending"]) == (6, 3)
    assert all("unreadable" in reason for reason in status["imagery"]["failed"].values())
    changed = configured(tmp_path, worldcover, {"stac": str(catalogue / "items.json"), "max_cloud": 20})
    ended = earthscribe("imagery", changed.name, folder=tmp_path)
    assert ended.code == 2
    assert "other settings of `imagery`" in ended.stderr


@pytest.fixture(scope="module")
def bucket(catalogue: Path, s3: S3) -> S3:
    """A server with the scenes in a bucket, and an empty one for datasets."""
    shutil.copytree(catalogue, s3.root / "scenes", copy_function=os.link)
    (s3.root / "data").mkdir()
    return s3


@pytest.fixture
def web(catalogue: Path) -> Iterator[str]:
    """The scenes' folder on a web server."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            ranged = self.headers.get("Range")
            if ranged is None:
                super().do_GET()
                return
            whole = Path(self.translate_path(self.path)).read_bytes()
            first, last = (int(number) for number in ranged.removeprefix("bytes=").split("-"))
            part = whole[first : last + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(whole)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    handler = functools.partial(Handler, directory=str(catalogue))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_scenes_in_a_bucket_and_on_the_web_give_the_same_chips(
    catalogue: Path, worldcover: Path, bucket: S3, web: str, earthscribe: Commands, tmp_path: Path
) -> None:
    made = {}
    for name, start in (("disk", "."), ("bucket", "s3://scenes"), ("web", web)):
        text = (catalogue / "items.json").read_text().replace('"./', f'"{start}/')
        items = (catalogue if name == "disk" else tmp_path) / f"{name}.json"
        items.write_text(text)
        imagery = {"stac": str(items), "storage_options": bucket.options if name == "bucket" else {}}
        more: dict[str, Any] = {"tiles": {"area": [6.53, 0.0, 6.56, 0.05], "max_share": {}, "min_valid": 0}}
        if name == "bucket":
            more |= {"dataset": "s3://data/campaign", "storage_options": bucket.options, "state": "sqlite:///state.db"}
        config = configured(tmp_path, worldcover, imagery, name, **more)
        for command in ("statistics", "imagery"):
            ended = earthscribe(command, config.name, folder=tmp_path)
        assert ended.code == 0, ended.stderr
        dataset = bucket.root / "data" / "campaign" if name == "bucket" else config.with_suffix("")
        made[name] = {path: data for path, data in content(dataset).items() if "/chips/" in path}
    assert len(made["disk"]) >= 4
    assert made["disk"] == made["bucket"] == made["web"]
    for secret in (KEY, SECRET):
        files = [file for file in (bucket.root / "data").rglob("*") if file.is_file()]
        assert not [file for file in files if secret.encode() in file.read_bytes()]


def test_a_store_that_does_not_answer_leaves_its_tiles_for_the_next_run(
    catalogue: Path, worldcover: Path, bucket: S3, earthscribe: Commands, tmp_path: Path
) -> None:
    items = tmp_path / "bucket.json"
    items.write_text((catalogue / "items.json").read_text().replace('"./', '"s3://scenes/'))
    more = {"tiles": {"area": [6.53, 0.0, 6.56, 0.03], "max_share": {}, "min_valid": 0}}
    imagery = {"stac": str(items), "storage_options": bucket.options}
    config = configured(tmp_path, worldcover, imagery, **more)
    assert earthscribe("statistics", config.name, folder=tmp_path).code == 0
    bucket.forget()
    bucket.refusal = lambda _method, path: 503 if "liar" in path else None
    ended = earthscribe("imagery", config.name, folder=tmp_path)
    assert ended.code == 4, ended.stderr
    assert "liar" in ended.stderr
    assert chips_of(config.with_suffix("")) == {}
    bucket.forget()
    ended = earthscribe("imagery", config.name, folder=tmp_path)
    assert ended.code == 0, ended.stderr
    assert {row["scene"] for row in chips_of(config.with_suffix("")).values()} == {"liar"}


TWELVE = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"]


@pytest.fixture
def pairs(real_data: Path | None, tmp_path: Path) -> Path:
    """Real pairs of chips where they are at hand, else made ones laid out alike."""
    if real_data is not None:
        return real_data / "chips"
    rng = np.random.default_rng(0)
    place = {"crs": "EPSG:32636", "transform": Affine(10, 0, 617_302, 0, -10, 9_625_098)}
    for folder, count, kind, most in (("sentinel2_l2a", 12, "int16", 3_000), ("landcover", 1, "uint8", 6)):
        file = tmp_path / "chips" / folder / "38D_378R_2_3.tif"
        file.parent.mkdir(parents=True)
        shape = {"driver": "GTiff", "count": count, "dtype": kind, "height": 224, "width": 224}
        with rasterio.open(file, "w", **shape, **place) as dataset:
            dataset.write(rng.integers(1, most, (count, 224, 224)).astype(kind))
            if folder == "landcover":
                dataset.update_tags(datetime="2023-06-10T07:46:21.000000000")
    return tmp_path / "chips"


def test_chips_are_paired_by_name(pairs: Path, earthscribe: Commands, tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        landcover={"product": "terramesh", "source": str(pairs / "landcover")},
        tiles={"grid": "chips"},
        imagery={"source": str(pairs / "sentinel2_l2a"), "bands": TWELVE},
    )
    for command in ("statistics", "imagery"):
        ended = earthscribe(command, config.name, folder=tmp_path)
        assert ended.code == 0, ended.stderr
    found = chips_of(config.with_suffix(""))
    assert sorted(found) == sorted(file.stem for file in (pairs / "landcover").iterdir())
    for row in found.values():
        original = pairs / "sentinel2_l2a" / row["scene"]
        with rasterio.open(original) as image, rasterio.open(config.with_suffix("") / row["chip"]) as chip:
            assert np.array_equal(chip.read(), image.read())
            assert (chip.crs, chip.transform) == (image.crs, image.transform)
            assert chip.descriptions == tuple(TWELVE)
    assert found["38D_378R_2_3"]["acquired"][:10] == "2023-06-10"


def test_without_imagery_in_the_configuration_the_command_says_so(
    earthscribe: Commands, tmp_path: Path, worldcover: Path
) -> None:
    config = write_config(tmp_path, landcover={"product": "worldcover-2020", "source": str(worldcover)})
    ended = earthscribe("imagery", config.name, folder=tmp_path)
    assert ended.code == 2
    assert "imagery" in ended.stderr

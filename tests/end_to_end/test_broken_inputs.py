"""Inputs that are broken: the command says which and how, exits with 2 or 4, and goes on with the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from commands import Commands, counts_of, rows_of, write_config
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

WORLDCOVER = "v100/2020/map/ESA_WorldCover_10m_2020_v100_{}_Map.tif"
GREEN, NEARLY_GREEN = (0, 192, 0), (0, 193, 0)
EVERYTHING = {"min_valid": 0, "max_share": {}, "min_classes": 0}


def write_raster(path: Path, codes: NDArray[Any], west: float, north: float, **more: Any) -> None:
    """Writes a compressed raster of 1/12,000 degree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = {"width": codes.shape[1], "height": codes.shape[0]}
    profile = {"driver": "GTiff", "count": 1, "dtype": codes.dtype, **size, **more}
    place = {"crs": "EPSG:4326", "transform": Affine(1 / 12_000, 0, west, 0, -1 / 12_000, north)}
    layout = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, **place, **layout) as raster:
        raster.write(codes, 1, window=Window(0, 0, codes.shape[1], codes.shape[0]))


def cut_short(path: Path) -> None:
    """Leaves half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def statuses(dataset: Path) -> dict[str, list[str]]:
    """The statuses of the tiles of each source."""
    found: dict[str, list[str]] = {}
    for tile in rows_of(dataset / "tiles.parquet"):
        found.setdefault(tile["source"], []).append(tile["status"])
    return found


def assert_failed(commands: Commands, config: Path, expected: Mapping[str, str]) -> None:
    """Runs a campaign of which some sources fail, and checks all that tells of them."""
    dataset = config.with_suffix("")
    ended = commands("run", config, folder=config.parent)
    assert ended.code == 4, ended.stderr
    assert ended.stdout.startswith(f"dataset: {dataset}\n")
    assert "Traceback" not in ended.stderr
    status = json.loads(commands("status", config, "--json", folder=config.parent).stdout)
    reasons = status["statistics"]["failed"]
    assert sorted(reasons) == sorted(expected)
    for source, part in expected.items():
        assert part in reasons[source], source
        assert f"warning: {source}: " in ended.stderr
        assert ended.stderr.count(f"warning: {source}: ") == 1
    failed = {
        tile["tile_id"]: tile["reason"] for tile in rows_of(dataset / "tiles.parquet") if tile["status"] == "failed"
    }
    assert status["tiles"]["failed"] == len(failed) > 0
    assert all(any(reason.startswith(f"{source}: ") for source in expected) for reason in failed.values())
    assert not failed.keys() & counts_of(dataset).keys()
    assert not list(dataset.rglob(".*.part"))
    assert status["tiles"]["kept"] == status["captioners"]["rules"]["done"] > 0


def test_broken_rasters_among_good_ones(earthscribe: Commands, tmp_path: Path) -> None:
    source = tmp_path / "source"
    codes = np.random.default_rng(0).choice(np.array([10, 30, 40], dtype=np.uint8), (768, 768))
    for number, name in enumerate(("good", "cut", "code", "junk", "other", "float")):
        written = codes.copy()
        if name == "code":
            written[500, 600] = 123
        kind = np.float32 if name == "float" else np.uint8
        write_raster(source / f"{name}.tif", written.astype(kind), west=10 + 0.1 * number, north=1.0)
    cut_short(source / "cut.tif")
    (source / "junk.tif").write_bytes(b"no raster" * 100)
    config = write_config(tmp_path, landcover={"product": "worldcover-2020", "source": "./source"}, tiles=EVERYTHING)
    expected = {
        "cut.tif": "cannot be read in rows",
        "code.tif": "pixel at row 500, column 600 has code 123",
        "junk.tif": "cannot be opened as a raster",
        "float.tif": "holds float32 pixels; expected whole numbers",
    }
    assert_failed(earthscribe, config, expected)
    found = statuses(tmp_path / "c")
    in_words = earthscribe("status", config, folder=tmp_path).stdout
    assert "failed    junk.tif: cannot be opened as a raster" in in_words
    assert {name: set(found[name]) for name in found} == {
        **{name: {"kept"} for name in ("good.tif", "other.tif")},
        **{name: {"failed"} for name in ("cut.tif", "code.tif", "float.tif")},
    }


def test_a_file_that_is_not_what_its_name_promises(earthscribe: Commands, tmp_path: Path) -> None:
    codes = np.full((512, 512), 10, dtype=np.uint8)
    whole = {"width": 36_000, "height": 36_000, "sparse_ok": True}
    for west, more in ((6, whole), (9, {})):
        name = tmp_path / "source" / WORLDCOVER.format(f"N00E{west:03}")
        write_raster(name, codes, west=west, north=3.0, **more)
    config = write_config(
        tmp_path,
        landcover={"product": "worldcover-2020", "source": "./source"},
        tiles={"area": [8.95, 2.95, 9.05, 3.0], **EVERYTHING},
    )
    small = WORLDCOVER.format("N00E009")
    assert_failed(earthscribe, config, {small: "512"})
    assert set(statuses(tmp_path / "c")[small]) == {"failed"}


def test_broken_chips_among_good_ones_and_then_another_product(earthscribe: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "chips"
    codes = np.random.default_rng(0).integers(1, 8, (64, 64)).astype(np.uint8)
    wrong = codes.copy()
    wrong[5, 7] = 77
    for name, written in {"good": codes, "code": wrong, "cut": np.tile(codes, (8, 8))}.items():
        write_raster(folder / f"{name}.tif", written, west=10, north=1.0)
    write_raster(folder / "odd.tif", np.ones((223, 223), dtype=np.uint8), west=10, north=1.0)
    cut_short(folder / "cut.tif")
    (folder / "empty.tif").touch()
    picture = np.full((16, 16, 3), GREEN, dtype=np.uint8)
    Image.fromarray(picture).save(folder / "drawn.png")
    picture[3, 4] = NEARLY_GREEN
    Image.fromarray(picture).save(folder / "colour.png")
    (folder / "junk.png").write_bytes(b"no picture")
    config = write_config(
        tmp_path,
        landcover={"product": "terramesh", "source": "./chips"},
        tiles={"grid": "chips", **EVERYTHING},
        cluster={"threads": 2},
    )
    expected = {
        "code.tif": "pixel at row 5, column 7 has code 77",
        "cut.tif": "cannot be read",
        "odd.tif": "is 223 x 223 px; expected sides that can be divided by four",
        "empty.tif": "cannot be opened as a raster",
        "colour.png": "pixel at row 3, column 4 has colour 0,193,0, which is not in the legend",
        "junk.png": "cannot be read as PNG",
    }
    assert_failed(earthscribe, config, expected)
    kept = {tile["tile_id"] for tile in rows_of(tmp_path / "c" / "tiles.parquet") if tile["status"] == "kept"}
    assert kept == {"good", "drawn"}
    assert counts_of(tmp_path / "c")["drawn"]["overall"][3] == 256

    before = (tmp_path / "c" / "tiles.parquet").read_bytes()
    other = {"product": "esri", "source": "./chips"}
    ended = earthscribe("statistics", write_config(tmp_path, landcover=other, tiles={"grid": "chips"}), folder=tmp_path)
    assert ended.code == 2
    assert "was counted with product terramesh" in ended.stderr
    assert (tmp_path / "c" / "tiles.parquet").read_bytes() == before


def test_chips_of_one_id(earthscribe: Commands, tmp_path: Path) -> None:
    for name in ("a b.png", "a-b.png"):
        (tmp_path / "chips").mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), GREEN, dtype=np.uint8)).save(tmp_path / "chips" / name)
    config = write_config(tmp_path, landcover={"product": "satlas", "source": "./chips"}, tiles={"grid": "chips"})
    ended = earthscribe("plan", config, "--explain", folder=tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    assert "a b.png and a-b.png both have the tile ID a-b" in ended.stderr
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "no raster found; looked for v100/2020/map/*.tif"),
        (["notes.txt"], "no raster found; looked for v100/2020/map/*.tif"),
        ([WORLDCOVER.format("N00E006")], f"looked for {WORLDCOVER.format('N42W006')}"),
        ([WORLDCOVER.format("N42W006").replace("_v100_", "_v200_")], "which is WorldCover v200"),
        (["ESA_WorldCover_10m_2021_v200_N42W006_Map.tif"], "which is WorldCover v200"),
    ],
    ids=["an empty folder", "no raster", "elsewhere", "another version in its place", "another version"],
)
def test_a_source_without_anything_of_the_area(
    earthscribe: Commands, tmp_path: Path, files: list[str], expected: str
) -> None:
    (tmp_path / "source").mkdir()
    for name in files:
        write_raster(tmp_path / "source" / name, np.full((16, 16), 10, dtype=np.uint8), west=-6, north=45.0)
    config = write_config(
        tmp_path,
        landcover={"product": "worldcover-2020", "source": "./source"},
        tiles={"area": [-4.1, 43, -4, 43.1]},
    )
    ended = earthscribe("plan", config, "--explain", folder=tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    assert expected in ended.stderr
    assert not (tmp_path / "c").exists()


def test_a_folder_of_both_versions(earthscribe: Commands, tmp_path: Path) -> None:
    for name in ("ESA_WorldCover_10m_2020_v100_N42W006_Map.tif", "ESA_WorldCover_10m_2021_v200_N42W003_Map.tif"):
        write_raster(tmp_path / "source" / name, np.full((16, 16), 10, dtype=np.uint8), west=-6, north=45.0)
    config = write_config(tmp_path, landcover={"product": "worldcover-2020", "source": "./source"})
    ended = earthscribe("run", config, folder=tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    assert "ESA_WorldCover_10m_2021_v200_N42W003_Map.tif" in ended.stderr
    assert "never mixed" in ended.stderr


def test_a_dataset_that_is_no_folder(earthscribe: Commands, tmp_path: Path, made_worldcover: Path) -> None:
    (tmp_path / "c").write_text("a file")
    config = write_config(tmp_path, landcover={"product": "worldcover-2020", "source": str(made_worldcover)})
    for command in ("run", "status"):
        ended = earthscribe(command, config, folder=tmp_path)
        assert (ended.code, ended.stdout) == (2, ""), ended.stderr
        assert str(tmp_path / "c") in ended.stderr
    assert (tmp_path / "c").read_text() == "a file"


def test_a_dataset_below_a_file(earthscribe: Commands, tmp_path: Path, made_worldcover: Path) -> None:
    (tmp_path / "file").write_text("a file")
    landcover = {"product": "worldcover-2020", "source": str(made_worldcover)}
    config = write_config(tmp_path, dataset="./file/dataset", landcover=landcover)
    ended = earthscribe("run", config, folder=tmp_path)
    assert (ended.code, ended.stdout) == (2, ""), ended.stderr
    assert f"{tmp_path / 'file' / 'dataset'}: " in ended.stderr
    assert "may be written" in ended.stderr

"""`tiles.parquet`: readable by others, rewritten without loss."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from tasks.errors import InputError
from tasks.landcover.classes import class_table
from tasks.planning.areas import box
from tasks.planning.candidates import Candidates, all_candidates
from tasks.planning.plan import Split, grid_rings, grid_rows
from tasks.planning.survey import survey
from tasks.planning.table import (
    EXCLUDED,
    FAILED,
    KEPT,
    PLANNED,
    read_columns,
    read_plan,
    read_tiles,
    status_counts,
    update_tiles,
    write_tiles,
)
from tasks.storage import Place

PLAN = {"digest": "abc", "planned": 12, "limit": 5}
SPLIT = Split({"train": 0.6, "val": 0.1, "test": 0.3}, "block", 0)


@pytest.fixture(scope="module")
def candidates() -> Candidates:
    return all_candidates(box([6.45, 0.0, 6.55, 0.08]), None)


@pytest.fixture
def dataset(tmp_path: Path, candidates: Candidates, made_worldcover: Path) -> Place:
    found = survey(Place(str(made_worldcover)), class_table("worldcover-2020"), "webmercator")
    rows = grid_rows(candidates, found.catalogue, SPLIT)
    place = Place(str(tmp_path))
    write_tiles(place, rows, lambda part: grid_rings(candidates.x[part], candidates.y[part]), PLAN)
    return place


def test_geopandas_opens_it_with_crs_and_footprints(dataset: Place, tmp_path: Path, candidates: Candidates) -> None:
    frame = geopandas.read_parquet(tmp_path / "tiles.parquet")
    assert frame.crs.to_epsg() == 4326
    assert list(frame.columns) == [
        *("tile_id", "x", "y", "lon", "lat", "geometry", "source", "block", "split", "status", "reason")
    ]
    assert frame["tile_id"].tolist() == [f"{x}_{y}" for x, y in zip(candidates.x, candidates.y, strict=True)]
    width = 360 / 16384
    for _, row in frame.iterrows():
        west, south, east, north = row.geometry.bounds
        assert (west, east) == (row.x * width - 180, (row.x + 1) * width - 180)
        assert row.geometry.equals(shapely.box(west, south, east, north))
        assert shapely.Point(row.lon, row.lat).within(row.geometry)
        assert row.block == f"{row.x // 16}_{row.y // 16}"
    # Footprints lie side by side and nowhere over each other.
    shapes = frame.geometry.to_numpy()
    assert shapely.union_all(shapes).area == pytest.approx(shapely.area(shapes).sum())


def test_the_columns_are_those_of_the_contract(dataset: Place, tmp_path: Path) -> None:
    schema = pq.read_schema(tmp_path / "tiles.parquet")
    types = {name: str(schema.field(name).type) for name in schema.names}
    assert types == {
        "tile_id": "string",
        "x": "int32",
        "y": "int32",
        "lon": "double",
        "lat": "double",
        "geometry": "binary",
        "source": "string",
        "block": "string",
        "split": "string",
        "status": "string",
        "reason": "string",
    }


def test_other_statuses_keep_everything_else(dataset: Place, tmp_path: Path) -> None:
    before = pq.read_table(tmp_path / "tiles.parquet")
    status = pa.array([(KEPT, EXCLUDED, FAILED, PLANNED)[index % 4] for index in range(len(before))])
    reason = pa.array(
        [None if index % 4 in {0, 3} else f"because {index}" for index in range(len(before))], pa.string()
    )
    update_tiles(dataset, status, reason)
    after = pq.read_table(tmp_path / "tiles.parquet")
    assert after.schema.equals(before.schema, check_metadata=True)
    assert after.drop_columns(["status", "reason"]).equals(before.drop_columns(["status", "reason"]))
    assert after.column("status").to_pylist() == status.to_pylist()
    assert after.column("reason").to_pylist() == reason.to_pylist()
    assert read_plan(dataset) == PLAN
    assert geopandas.read_parquet(tmp_path / "tiles.parquet").crs.to_epsg() == 4326
    assert list(tmp_path.iterdir()) == [tmp_path / "tiles.parquet"], "no other file is left behind"
    assert sum(status_counts(read_tiles(dataset)).values()) == len(before)
    assert status_counts(read_tiles(dataset))[KEPT] == status.to_pylist().count(KEPT)


def test_many_rows_are_written_in_parts_and_read_as_one(tmp_path: Path) -> None:
    """More rows than one part holds, some of them without a footprint."""
    number = 70_000
    x, y = np.arange(number, dtype=np.int32) % 16384, np.arange(number, dtype=np.int32) // 16384
    nothing = pa.nulls(number, pa.string())
    rows = pa.table(
        {
            "tile_id": pa.array([str(index) for index in range(number)]),
            "x": pa.array(x),
            "y": pa.array(y),
            "lon": pa.array(x / 100),
            "lat": pa.array(y / 100),
            "source": nothing,
            "block": nothing,
            "split": nothing,
            "status": pa.array([PLANNED] * number),
            "reason": nothing,
        }
    )

    def rings(part: slice) -> np.ndarray:
        corners = grid_rings(x[part], y[part])
        corners[::2] = np.nan
        return corners

    write_tiles(Place(str(tmp_path)), rows, rings, PLAN)
    statuses = pa.array([KEPT if index % 3 else EXCLUDED for index in range(number)])
    update_tiles(Place(str(tmp_path)), statuses, nothing)
    frame = geopandas.read_parquet(tmp_path / "tiles.parquet")
    assert frame["status"].tolist() == statuses.to_pylist()
    assert frame.geometry.isna().tolist() == [index % 2 == 0 for index in range(number)]
    assert frame.geometry[69_999].bounds[0] == x[69_999] * 360 / 16384 - 180


def test_a_plan_of_no_tile_is_a_table_too(tmp_path: Path, dataset: Place) -> None:
    empty = read_tiles(dataset).slice(0, 0)
    write_tiles(Place(str(tmp_path / "empty")), empty, lambda part: np.empty((0, 5, 2)), {})
    assert len(geopandas.read_parquet(tmp_path / "empty" / "tiles.parquet")) == 0


def test_without_a_plan_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `earthscribe plan` first"):
        read_columns(Place(str(tmp_path)), "tile_id")
    assert read_plan(Place(str(tmp_path))) is None


def test_what_fails_while_it_is_written_leaves_the_old_table(dataset: Place, tmp_path: Path) -> None:
    before = (tmp_path / "tiles.parquet").read_bytes()

    def broken(part: slice) -> np.ndarray:
        raise RuntimeError("no footprints")

    with pytest.raises(RuntimeError, match="no footprints"):
        write_tiles(dataset, read_tiles(dataset), broken, {})
    assert (tmp_path / "tiles.parquet").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "tiles.parquet"]

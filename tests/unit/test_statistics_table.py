"""The statistics' files: the contract's columns, and which of them are out of date."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.statistics.patches import PATCHES
from tasks.statistics.table import (
    CODE_VERSION,
    Provenance,
    all_counts,
    drop_stale,
    file_name,
    list_statistics,
    read_counts,
    statistics_folder,
    write_statistics,
)
from tasks.storage import Place

COUNTS = np.arange(3 * 6 * 12, dtype=np.int32).reshape(3, 6, 12)
IDS = pa.array(["8491_8186", "8492_8186", "a__b-c"])


def provenance(**sources: str) -> Provenance:
    return Provenance("worldcover-2020", "0123", sources=sources)


def written(dataset: Path, label: str, tile_ids: pa.Array = IDS, **sources: str) -> Place:
    where = statistics_folder(Place(str(dataset))).join(file_name(label, tile_ids))
    write_statistics(where, tile_ids, COUNTS[: len(tile_ids)], provenance(**sources))
    return where


def test_the_columns_are_those_of_the_contract(tmp_path: Path) -> None:
    table = pq.read_table(written(tmp_path, "a").url)
    types = {name: table.schema.field(name).type for name in table.column_names}
    assert list(types) == [
        "tile_id",
        "n_valid",
        "overall",
        "top_left",
        "top_right",
        "bottom_left",
        "bottom_right",
        "middle",
    ]
    assert types["tile_id"] == pa.string()
    assert types["n_valid"] == pa.int32()
    assert all(types[patch].value_type == pa.int32() and pa.types.is_list(types[patch]) for patch in PATCHES)
    for index, row in enumerate(table.to_pylist()):
        assert [row[patch] for patch in PATCHES] == COUNTS[index].tolist()
        assert row["n_valid"] == sum(row["overall"][1:])


def test_counts_are_read_as_they_were_written(tmp_path: Path) -> None:
    tile_ids, counts = read_counts(written(tmp_path, "a"))
    assert tile_ids.to_pylist() == IDS.to_pylist()
    assert counts.dtype == np.int32
    assert counts.tolist() == COUNTS.tolist()
    written(tmp_path, "b", pa.array(["1_1"]))
    found: dict[str, list[list[int]]] = {}
    for ids, some in all_counts(Place(str(tmp_path))):
        found |= dict(zip(ids.to_pylist(), some.tolist(), strict=True))
    assert found == dict(zip([*IDS.to_pylist(), "1_1"], [*COUNTS.tolist(), COUNTS[0].tolist()], strict=True))


def test_a_file_knows_what_it_was_made_from(tmp_path: Path) -> None:
    written(tmp_path, "a", **{"map.tif": "etag-1"})
    (file,) = list_statistics(Place(str(tmp_path)))
    assert file.tile_ids.to_pylist() == IDS.to_pylist()
    assert file.provenance == Provenance("worldcover-2020", "0123", CODE_VERSION, {"map.tif": "etag-1"})
    assert file.provenance.counted_alike(provenance(**{"other.tif": "2"}))
    assert not file.provenance.counted_alike(Provenance("worldcover-2020", "4567"))
    assert not file.provenance.counted_alike(Provenance("esri", "0123"))
    assert not file.provenance.counted_alike(Provenance("worldcover-2020", "0123", CODE_VERSION + 1))


def test_files_of_sources_that_have_changed_are_dropped(tmp_path: Path) -> None:
    for label, sources in {
        "same": {"a.tif": "1"},
        "changed": {"b.tif": "1"},
        "half": {"a.tif": "1", "b.tif": "1"},
        "gone": {"c.tif": "1"},
    }.items():
        written(tmp_path, label, pa.array([label]), **sources)
    dataset = Place(str(tmp_path))
    fresh = drop_stale(list_statistics(dataset), {"a.tif": "1", "b.tif": "2"})
    assert sorted(file.tile_ids[0].as_py() for file in fresh) == ["gone", "same"]
    assert [file.place for file in list_statistics(dataset)] == [file.place for file in fresh]


def test_names_are_readable_and_differ_by_their_tiles() -> None:
    assert file_name("ESA_N00E006_Map", IDS).startswith("ESA_N00E006_Map-")
    assert file_name("a", IDS) == file_name("a", IDS)
    assert file_name("a", IDS) != file_name("a", IDS[:2])
    name = file_name("a/b c: d (2 sources)" * 20, IDS)
    assert len(name) < 110
    assert "/" not in name
    assert " " not in name


@pytest.mark.parametrize("number", [0, 1])
def test_few_tiles_are_a_file_too(tmp_path: Path, number: int) -> None:
    tile_ids, counts = read_counts(written(tmp_path, "few", IDS[:number]))
    assert (len(tile_ids), counts.shape) == (number, (number, 6, 12))


def test_no_dataset_has_no_statistics(tmp_path: Path) -> None:
    assert list_statistics(Place(str(tmp_path / "none"))) == []

"""The kernel against one bincount per cell, over sizes, edges and types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasters import SATLAS, WORLDCOVER, noise, sliced_counts

from tasks.landcover.coding import UnknownCodeError, to_ids
from tasks.statistics.chips import count_map
from tasks.statistics.counting import count_cells
from tasks.statistics.patches import PATCHES, patch_counts

IDENTITY = {index: index for index in range(12)}


def by_bincount(
    codes: np.ndarray, rows: np.ndarray, columns: np.ndarray, row_edges: np.ndarray, column_edges: np.ndarray
) -> np.ndarray:
    picked = codes[np.ix_(rows, columns)].astype(np.int64)
    row_stops, column_stops = [*row_edges[1:], len(rows)], [*column_edges[1:], len(columns)]
    return np.array(
        [
            [
                np.bincount(picked[top:bottom, left:right].ravel(), minlength=12)
                for left, right in zip(column_edges, column_stops, strict=True)
            ]
            for top, bottom in zip(row_edges, row_stops, strict=True)
        ]
    )


def index_vectors(most: int) -> st.SearchStrategy[np.ndarray]:
    """Ascending, with rows that come twice or not at all, as nearest neighbours do."""
    return st.lists(st.integers(0, most - 1), max_size=most).map(lambda index: np.array(sorted(index), dtype=np.intp))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_counts_are_those_of_a_bincount_per_cell(data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "int16", "int32"]))
    few = data.draw(st.integers(1, 12))
    codes = noise((height, width), range(few), data.draw(st.integers(0, 99))).astype(dtype)
    rows, columns = data.draw(index_vectors(height)), data.draw(index_vectors(width))
    row_edges, column_edges = (
        np.array(
            [0, *sorted(data.draw(st.lists(st.integers(0, len(index)), max_size=4)))],
            dtype=np.intp,
        )
        for index in (rows, columns)
    )
    found = count_cells(codes, rows, columns, row_edges=row_edges, column_edges=column_edges, ids=IDENTITY)
    assert found.dtype == np.int32
    assert found.tolist() == by_bincount(codes, rows, columns, row_edges, column_edges).tolist()


@pytest.mark.parametrize("height", [254, 255, 256, 257, 511, 700])
@pytest.mark.parametrize("code", [0, 7])
def test_a_cell_higher_than_a_byte_can_count_is_counted_right(height: int, code: int) -> None:
    codes = np.full((height, 3), code, dtype=np.uint8)
    edges = np.array([0])
    counts = count_cells(codes, np.arange(height), np.arange(3), row_edges=edges, column_edges=edges, ids=IDENTITY)
    assert counts[0, 0, code] == counts.sum() == height * 3


def test_a_large_tile_of_one_class_does_not_run_over() -> None:
    """uint16 cannot hold 65,536."""
    ids = np.full((1024, 1024), 3, dtype=np.uint8)
    assert count_map(ids)[0].tolist() == [0, 0, 0, 1 << 20, *[0] * 8]
    assert count_map(ids[:256, :256])[0, 3] == 65_536


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_an_unknown_code_is_found_where_it_is(data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(st.integers(1, 300), st.integers(1, 30)))
    codes = noise((height, width), range(12), data.draw(st.integers(0, 9))).astype(
        data.draw(st.sampled_from(["uint8", "int16"]))
    )
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    codes[row, column] = 77
    edges = np.array([0])
    with pytest.raises(UnknownCodeError) as error:
        count_cells(codes, np.arange(height), np.arange(width), row_edges=edges, column_edges=edges, ids=IDENTITY)
    assert (error.value.code, error.value.row, error.value.column) == (77, row, column)
    assert error.value.reason(1000, 2000).startswith(f"pixel at row {1000 + row}, column {2000 + column} has code 77")


def test_an_unknown_code_beside_the_picked_pixels_is_nobodys_business() -> None:
    codes = np.array([[1, 77, 2], [77, 77, 77], [3, 77, 4]], dtype=np.uint8)
    picked, edges = np.array([0, 2]), np.array([0])
    counts = count_cells(codes, picked, picked, row_edges=edges, column_edges=edges, ids=IDENTITY)
    assert counts[0, 0].tolist() == [0, 1, 1, 1, 1, *[0] * 7]


def test_two_codes_of_one_class_add_up_and_codes_beyond_the_type_are_never_met() -> None:
    codes = np.array([[1, 2], [2, 3]], dtype=np.uint8)
    line, edges = np.arange(2), np.array([0])
    ids = {1: 5, 2: 5, 3: 0, -1: 0, 70_000: 4}
    counts = count_cells(codes, line, line, row_edges=edges, column_edges=edges, ids=ids)
    assert counts[0, 0].tolist() == [1, 0, 0, 0, 0, 3, *[0] * 6]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(0, 99))
def test_five_patches_are_slices_of_the_map(rows: int, columns: int, classes: int, seed: int) -> None:
    ids = noise((rows * 4, columns * 4), range(classes), seed)
    assert count_map(ids).tolist() == sliced_counts(ids).tolist()


@pytest.mark.parametrize("shape", [(4, 4), (224, 224), (1100, 8), (8, 1100), (256, 256)])
def test_chips_of_any_size_that_four_divides(shape: tuple[int, int]) -> None:
    ids = noise(shape, range(12))
    counts = count_map(ids)
    assert counts.tolist() == sliced_counts(ids).tolist()
    assert counts[:, :].sum(axis=1).tolist() == [shape[0] * shape[1], *[shape[0] * shape[1] // 4] * 5]


def test_each_cell_goes_into_its_patches() -> None:
    """A pixel in each of the 16 cells, told apart by class or number."""
    cells = np.zeros((4, 4, 12), dtype=np.int32)
    cells[..., 1] = 1 << np.arange(16).reshape(4, 4)
    counts = dict(zip(PATCHES, patch_counts(cells)[:, 1].tolist(), strict=True))

    def cells_of(*numbers: int) -> int:
        return sum(1 << number for number in numbers)

    assert counts == {
        "overall": (1 << 16) - 1,
        "top_left": cells_of(0, 1, 4, 5),
        "top_right": cells_of(2, 3, 6, 7),
        "bottom_left": cells_of(8, 9, 12, 13),
        "bottom_right": cells_of(10, 11, 14, 15),
        "middle": cells_of(5, 6, 9, 10),
    }


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 9))
def test_codes_become_ids_one_by_one(height: int, width: int, seed: int) -> None:
    codes = noise((height, width), sorted(WORLDCOVER.ids), seed)
    expected = [[WORLDCOVER.ids[int(code)] for code in row] for row in codes]
    assert to_ids(codes, WORLDCOVER.ids).tolist() == expected
    some = codes == codes[0, 0]
    assert (to_ids(codes, WORLDCOVER.ids, ~some)[some] == 0).all()


def test_an_unknown_code_is_no_matter_under_a_mask() -> None:
    codes = np.array([[1, 250], [2, 3]], dtype=np.uint8)
    assert to_ids(codes, SATLAS.ids, codes < 200).tolist() == [[1, 0], [2, 3]]
    with pytest.raises(UnknownCodeError) as error:
        to_ids(codes, SATLAS.ids)
    assert (error.value.code, error.value.row, error.value.column) == (250, 0, 1)

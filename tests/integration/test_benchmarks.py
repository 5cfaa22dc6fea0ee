"""The benchmarks themselves work: run at sizes too small to say anything about speed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tasks.configuration import load
from tasks.planning.choosing import choose, first_limit, survey_of
from tests.benchmarks import __main__ as command_line
from tests.benchmarks.commands import campaign
from tests.benchmarks.made import BLOCK, SIDE, corners, eleven_classes, listed, table, write_maps
from tests.benchmarks.measuring import Figure, interleaved, ratio
from tests.benchmarks.memory import area_of_blocks, area_of_tiles
from tests.benchmarks.registry import BENCHMARKS
from tests.benchmarks.sizes import QUICK

_OF_THIS_PROCESS = ("whole-blocks", "two-workers", "warped-tiles", "eleven-classes", "sparse-tiles", "chips-in-groups")


@pytest.mark.parametrize("name", _OF_THIS_PROCESS)
def test_gives_figures(name: str, tmp_path: Path) -> None:
    figures = BENCHMARKS[name](QUICK, tmp_path)
    assert figures
    assert all(figure.value > 0 and np.isfinite(figure.value) for figure in figures)


def test_a_command_is_run_and_its_task_runs_counted(tmp_path: Path) -> None:
    (chips,) = BENCHMARKS["task-runs-of-chips"](QUICK, tmp_path)
    # One for each chip, and at least one each for the list, the plan, the captions, their table and the page.
    assert QUICK.chips + 5 <= chips.value <= QUICK.chips + 20
    assert chips.holds
    took = json.loads((tmp_path / "campaign" / "took.json").read_text())
    assert 50 < took["peak_mb"] < 2_000


def test_a_command_asks_an_endpoint_and_bare_httpx_asks_it_too(tmp_path: Path) -> None:
    ratio_of_both, ours, bare = BENCHMARKS["dispatch"](QUICK, tmp_path)
    assert ratio_of_both.rounds == (ours.value / bare.value,)
    assert ours.value > 0


def test_areas_hold_what_is_asked_of_them(tmp_path: Path) -> None:
    write_maps(tmp_path / "maps", [(west, south) for west in (-180, 0, 3) for south in (0, 3)], [])
    for number, area, tiles in ((0, area_of_blocks(10), 10 * 256), (1, area_of_tiles(1_280), 1_280)):
        config = load(campaign(tmp_path / str(number), tmp_path / "maps", {"area": area}))
        planned = choose(config, survey_of(config), first_limit(config)).tiles
        assert len(planned) == tiles


def test_a_made_map_holds_its_blocks_in_turn(tmp_path: Path) -> None:
    blocks = eleven_classes(2)
    assert set(np.unique(blocks[0])) == {code for code, index in table().ids.items() if index}
    write_maps(tmp_path, [(-3, -6)], blocks)
    (raster,) = listed(tmp_path).rasters.values()
    with rasterio.open(raster.place.url) as dataset:
        assert dataset.shape == (SIDE, SIDE)
        assert dataset.bounds == pytest.approx((-3, -6, 0, -3))
        assert dataset.block_shapes == [(BLOCK, BLOCK)]
        window = rasterio.windows.Window(3 * BLOCK, 0, BLOCK, BLOCK)
        assert np.array_equal(dataset.read(1, window=window), blocks[1])


def test_maps_lie_side_by_side() -> None:
    assert corners(3) == [(-180, 0), (-177, 0), (-174, 0)]
    assert corners(121)[-1] == (-180, 3)


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    figure = ratio("x", [1.0, 8.0, 3.0], [1.0, 2.0, 1.0], "<=", 2.9)
    assert (figure.rounds, figure.value, figure.holds) == ((1.0, 4.0, 3.0), 3.0, False)
    assert Figure("y", 3.0, "x", ">=", 2.9).holds


def test_work_is_interleaved_after_a_round_to_warm_up() -> None:
    order: list[str] = []
    seconds = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert "".join(order) == "ababab"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2}


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["no-such"]) == 2
    assert "whole-blocks" in capsys.readouterr().err

"""Which scene a tile takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_scenes import MadeScene

from tasks.imagery.choosing import Wanted, season_of
from tasks.imagery.scenes import Scene, scene

BASE = scene(MadeScene("S").item())
TILE = (8488, 8190)


def made(number: int, cloud: int, month: int) -> Scene:
    return replace(BASE, id=f"S{number}", cloud=float(cloud), acquired=f"2020-{month:02}-01T10:00:00+00:00")


def chosen(scenes: list[Scene], shares: dict[str, float], *, seasons: bool) -> tuple[str | None, int]:
    """The scene that is chosen, and how many were looked at for it."""
    one = Wanted(TILE, "8488_8190", "b", np.zeros((256, 256), dtype=np.uint8), seasons)
    one.consider(scenes)
    looked = 0
    while not one.is_sure:
        seen = one.unseen.pop(0)
        one.admit(seen, shares[seen.id])
        looked += 1
    return (one.candidates[0].scene.id if one.candidates else None), looked


SCENES = st.lists(
    st.tuples(st.integers(0, 10), st.integers(1, 12), st.sampled_from([0.0, 0.0, 0.02, 0.05])), max_size=8
)


@given(SCENES, st.booleans(), st.randoms())
def test_it_is_the_best_of_all_whatever_their_order(
    drawn: list[tuple[int, int, float]], seasons: bool, order: st.random_module
) -> None:
    scenes = [made(number, cloud, month) for number, (cloud, month, _) in enumerate(drawn)]
    shares = {f"S{number}": share for number, (_, _, share) in enumerate(drawn)}
    own = season_of("8488_8190")
    best = min(
        scenes,
        key=lambda one: (seasons and one.season != own, shares[one.id], one.cloud, one.acquired, one.id),
        default=None,
    )
    shuffled = list(scenes)
    order.shuffle(shuffled)
    assert chosen(shuffled, shares, seasons=seasons)[0] == (best.id if best else None)


def test_after_a_clear_one_no_other_is_looked_at() -> None:
    scenes = [made(1, 9, 1), made(2, 1, 1), made(3, 5, 1)]
    assert chosen(scenes, {"S1": 0.0, "S2": 0.0, "S3": 0.0}, seasons=False) == ("S2", 1)
    assert chosen(scenes, {"S1": 0.0, "S2": 0.01, "S3": 0.0}, seasons=False) == ("S3", 2)


def test_seasons_are_shared_out_evenly_and_by_the_tile_alone() -> None:
    drawn = np.bincount([season_of(f"{x}_{y}") for x in range(40) for y in range(40)], minlength=4)
    assert drawn.min() > 350


def test_scenes_that_do_not_reach_the_tile_are_not_considered() -> None:
    one = Wanted((0, 0), "0_0", "b", np.zeros((256, 256), dtype=np.uint8), False)
    one.consider([BASE])
    assert not one.is_open
    assert one.without() == {
        "tile_id": "0_0",
        "status": "rejected",
        "reason": "no scene of the search covers it",
        "tried": [],
    }

"""How many task runs a flow run makes, and how what it leaves on Prefect's pages is called."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from flows.display.artifacts import artifact_key
from flows.runtime.steps import MOST_TASK_RUNS, share_out, step

NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")


@given(st.dictionaries(NAMES, st.integers(0, 200_000), min_size=1, max_size=20), st.integers(20, MOST_TASK_RUNS))
def test_captioners_share_the_task_runs_of_a_flow_run(wanted: dict[str, int], most: int) -> None:
    shares = share_out(wanted, most)
    assert shares.keys() == wanted.keys()
    assert sum(shares.values()) <= most
    assert all(1 <= share <= max(1, wanted[name]) for name, share in shares.items())
    if sum(wanted.values()) + list(wanted.values()).count(0) <= most:
        assert shares == {name: max(1, count) for name, count in wanted.items()}, "each request a task run of its own"


def test_who_wants_few_gets_them_all() -> None:
    assert share_out({"large": 10_000, "small": 50, "larger": 163_488}, 500) == {
        "small": 50,
        "large": 225,
        "larger": 225,
    }


@given(st.text(st.characters(codec="ascii"), min_size=1), NAMES)
def test_a_key_is_one_that_prefect_takes(stage: str, name: str) -> None:
    key = artifact_key("campaign", stage, name)
    assert re.fullmatch(r"[a-z0-9-]+", key)
    assert key == artifact_key("campaign", stage, name)


def test_a_step_outside_a_flow_run_is_just_done() -> None:
    assert step("one", lambda: 7, "tag") == 7

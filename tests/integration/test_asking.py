"""Claims, grants and answers against a real endpoint, without a flow around them."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from fake_llm_server import FakeLlm, serve_fake_llm

from tasks.asking.commits import GroupCommit
from tasks.asking.forecast import Allowance, Demand, days, days_to_go
from tasks.asking.granting import Books, Gate, LedgerGrants
from tasks.asking.requests import Questions
from tasks.asking.tiles import Asking, Progress, Tile
from tasks.captions.claims import Claims, Finish, Take, claimed
from tasks.captions.owners import dead, this_process
from tasks.captions.state import Caption, State, open_state
from tasks.captions.wanting import by_code, failures
from tasks.endpoints.client import Connection, Target
from tasks.endpoints.pool import Member, NoEndpointError, NoSlotError, Pool
from tasks.quota.ledger import open_ledger
from tasks.quota.terms import Ask, Grant
from tasks.quota.windows import Limits
from tasks.wording.prompts import TileView, load_recipe

NOW = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with open_state(f"sqlite:///{tmp_path}/state.db", str(tmp_path / "dataset")) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
def either_state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[State]:
    url = f"sqlite:///{tmp_path}/state.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    with open_state(url, str(tmp_path / "dataset")) as opened:
        yield opened


def tiles(count: int) -> list[Tile]:
    """Tiles that differ in their counts, so that their prompts differ."""
    made = []
    for number in range(count):
        counts = np.zeros((6, 12), np.int32)
        counts[:, 3], counts[:, 6] = 9000 + 7 * number, 7384 - 7 * number
        counts[0] *= 4
        made.append(Tile(TileView(f"{number}_0", counts)))
    return made


def ask(
    state: State,
    folder: Path,
    endpoints: Sequence[FakeLlm],
    wanted: Sequence[Tile],
    *,
    limits: Limits | None = None,
    gate: Gate | None = None,
    concurrency: int = 8,
    attempts: int = 5,
    ledger_url: str | None = None,
) -> Asking:
    """Asks about some tiles as a command does, and returns what has come of it."""
    questions = Questions(load_recipe("text"), 300, {})
    claims = Claims(state, "c", this_process())
    gate = gate or Gate()

    async def work() -> Asking:
        async with AsyncExitStack() as stack:
            books = Books(ledger)
            members = []
            for endpoint in endpoints:
                target = Target(endpoint.url, "m", concurrency=concurrency, timeout=5.0)
                connection = await stack.enter_async_context(Connection(target))
                template = Ask(endpoint.url, limits or Limits(), "k", "c", endpoint.url, claims.owner, 10.0)
                members.append(Member[Grant](connection, LedgerGrants(books, gate, template)))
            asking = Asking(questions, Pool(members, warn=print), claims, books, gate, attempts)
            await asking.ask([[tile] for tile in wanted])
            await books.drained()
            return asking

    with open_ledger(ledger_url or f"sqlite:///{folder}/ledger.db") as ledger:
        return asyncio.run(work())


def test_what_arrives_during_a_commit_shares_the_next() -> None:
    groups: list[int] = []
    begun = threading.Event()

    def commit(items: Sequence[int]) -> list[int]:
        groups.append(len(items))
        if len(groups) == 1:
            begun.set()
            release.wait(5)
        if 13 in items:
            raise ValueError("13")
        return [item * 2 for item in items]

    async def work() -> list[int | BaseException]:
        write: GroupCommit[int, int] = GroupCommit(commit)
        first = asyncio.create_task(write(0))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        later = [asyncio.create_task(write(number)) for number in range(1, 6)]
        await asyncio.sleep(0.01)
        release.set()
        done: list[int | BaseException] = [await first, *await asyncio.gather(*later)]
        return [*done, *await asyncio.gather(write(13), write(14), return_exceptions=True), await write(7)]

    release = threading.Event()
    results = asyncio.run(work())
    assert results[:6] == [0, 2, 4, 6, 8, 10]
    assert [type(result) for result in results[6:8]] == [ValueError, ValueError], "a group fails together"
    assert results[8] == 14, "and the next is not its victim"
    assert groups == [1, 5, 2, 1]


def caption(tile_id: str, version: int = 1) -> Caption:
    return Caption(tile_id, "c", f"text of {tile_id}", "unchecked", NOW, version=version)


def test_a_tile_is_claimed_once_and_its_claim_ends_with_its_caption(either_state: State) -> None:
    mine, theirs = Claims(either_state, "c", this_process()), Claims(either_state, "c", "elsewhere 1 1")
    assert mine.work([Take({"a": 1, "b": 1}), Take({"d": 1})]) == [{"a", "b"}, {"d"}]
    assert theirs.work([Take({"a": 1, "e": 1})]) == [{"e"}]
    assert claimed(either_state, "c") == {"a", "b", "d", "e"}
    mine.work([Finish((caption("a"),), ("a",)), Finish((), ("b",))])
    assert claimed(either_state, "c") == {"d", "e"}
    assert theirs.work([Take({"a": 1, "b": 1})]) == [{"b"}], "what has its caption is not claimed again"
    assert theirs.work([Take({"a": 2})]) == [{"a"}], "but for a further version"


def test_a_late_answer_is_kept_if_nobody_was_faster(either_state: State) -> None:
    slow, fast = Claims(either_state, "c", "slow 1 1"), Claims(either_state, "c", "fast 1 1")
    slow.work([Take({"a": 1, "b": 1})])
    slow.end_all()  # as if they had lapsed
    assert fast.work([Take({"a": 1, "b": 1})]) == [{"a", "b"}]
    slow.work([Finish((caption("a"),), ("a",))])
    assert claimed(either_state, "c") == {"a", "b"}, "nobody ends another's claim"
    fast.work([Finish((caption("a"), caption("b")), ("a", "b"))])
    slow.work([Finish((caption("b"),), ("b",))])
    assert [one.version for one in either_state.versions("c")] == [1, 1]


def test_the_dead_hold_nothing(either_state: State) -> None:
    code = "from tasks.captions.owners import this_process; print(this_process())"
    gone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    mine = this_process()
    recycled = f"{mine.rsplit(' ', 2)[0]} {mine.rsplit(' ', 2)[1]} 12"
    assert dead([gone, mine, recycled, "another-host/b 1 1"]) == [gone, recycled]
    Claims(either_state, "c", gone).work([Take({"a": 1})])
    assert claimed(either_state, "c") == set()
    claims = Claims(either_state, "c", mine)
    assert claims.drop_dead() == 1
    assert claims.work([Take({"a": 1})]) == [{"a"}]


def test_many_who_want_the_same_tiles_share_them(either_state: State) -> None:
    wanted = [str(number) for number in range(120)]

    def take(number: int) -> list[str]:
        claims = Claims(either_state, "c", f"elsewhere {number} 1")
        mixed = random.Random(number).sample(wanted, len(wanted))
        taken: list[str] = []
        for at in range(0, len(mixed), 5):
            (mine,) = claims.work([Take(dict.fromkeys(mixed[at : at + 5], 1))])
            claims.work([Finish(tuple(caption(tile_id) for tile_id in mine), tuple(mine))])
            taken += mine
        return taken

    with ThreadPoolExecutor(4) as threads:
        taken = [tile_id for one in threads.map(take, range(4)) for tile_id in one]
    assert sorted(taken) == sorted(wanted)
    assert claimed(either_state, "c") == set()


def test_each_tile_is_asked_once_and_counted(state: State, tmp_path: Path) -> None:
    with serve_fake_llm(tmp_path) as endpoint:
        asking = ask(state, tmp_path, [endpoint], tiles(60))
        assert asking.progress == Progress(done=60)
        again = ask(state, tmp_path, [endpoint], tiles(60))
        assert again.progress == Progress(busy=60), "they have their captions"
        assert endpoint.audit()["requests"] == 60
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        (sums,) = ledger.sums("k").values()
    assert (sums.sent, sums.answered) == (60, 60)
    assert claimed(state, "c") == set()


def test_a_days_quota_ends_it_without_a_refusal(state: State, tmp_path: Path) -> None:
    with serve_fake_llm(tmp_path, "--requests-per-day", "25") as endpoint:
        asking = ask(state, tmp_path, [endpoint], tiles(60), limits=Limits(requests_per_day=25))
        audit = endpoint.audit()
    assert isinstance(asking.end, NoSlotError)
    assert asking.progress == Progress(done=25)
    assert (audit["requests"], audit["refused"]) == (25, 0)
    assert claimed(state, "c") == set()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_wait_that_one_run_is_told_holds_for_all_that_share_the_account(
    state: State, tmp_path: Path, request: pytest.FixtureRequest, database: str
) -> None:
    ledger = f"sqlite:///{tmp_path}/l.db" if database == "sqlite" else request.getfixturevalue("postgres")
    first, *others = tiles(9)
    with (
        serve_fake_llm(tmp_path, "--faults", "rate_limit_minute*1", "--wait", "1.5") as endpoint,
        ThreadPoolExecutor(2) as runs,
    ):
        told = runs.submit(ask, state, tmp_path, [endpoint], [first], ledger_url=ledger)
        while endpoint.audit()["refused"] == 0:
            time.sleep(0.02)
        time.sleep(0.3)
        untold = runs.submit(ask, state, tmp_path, [endpoint], others, ledger_url=ledger)
        assert [told.result().progress.done, untold.result().progress.done] == [1, 8]
        refused, *answered = endpoint.entries()
    assert refused["status"] == 429
    assert [entry["status"] for entry in answered] == [200] * 9
    assert min(entry["time"] for entry in answered) - refused["time"] >= 1.5


def test_a_budget_counts_every_attempt(state: State, tmp_path: Path) -> None:
    with serve_fake_llm(tmp_path, "--faults", "500=0.3") as endpoint:
        asking = ask(state, tmp_path, [endpoint], tiles(60), gate=Gate(20))
        audit = endpoint.audit()
    assert audit["requests"] == 20
    assert asking.progress.done == audit["answered"]


def test_a_pool_goes_on_without_its_bad_endpoint(state: State, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    with serve_fake_llm(tmp_path) as good, serve_fake_llm(tmp_path / "bad", "--key", "sk-nobody-has-it") as bad:
        asking = ask(state, tmp_path, [bad, good], tiles(30))
        assert asking.progress == Progress(done=30)
        assert bad.audit()["requests"] <= 1
        alone = ask(state, tmp_path, [bad], [Tile(tile.view, 2) for tile in tiles(30)])
        assert isinstance(alone.end, NoEndpointError)
        assert bad.audit()["requests"] <= 2


def test_a_tile_has_its_attempts_and_then_a_code(state: State, tmp_path: Path) -> None:
    with serve_fake_llm(tmp_path, "--faults", "refusal") as endpoint:
        asking = ask(state, tmp_path, [endpoint], tiles(3), attempts=3)
        assert endpoint.audit()["requests"] == 9
    assert asking.progress.failed == {"refusal": 3}
    assert by_code(failures(state, "c", [tile.tile_id for tile in tiles(3)])) == {"refusal": 3}


def test_a_cut_off_answer_gets_more_room() -> None:
    questions = Questions(load_recipe("text"), 300, {})
    (tile,) = tiles(1)
    assert questions.request([tile.view]).answer_tokens == 300
    assert questions.request([tile.view], 2).content["max_tokens"] == 600
    own = Questions(load_recipe("text"), 300, {"max_completion_tokens": 500})
    assert own.request([tile.view], 2).content["max_completion_tokens"] == 1000
    assert own.key(tile.view) != questions.key(tile.view)


def test_the_published_campaign_takes_as_long_as_the_contract_says() -> None:
    quota = [Allowance("sliding", 10_000, left=10_000)]
    assert days(163_488, quota, "sliding") == 16
    assert days(163_488, quota, "bucket") == pytest.approx(15.35, abs=0.005)
    assert days(163_488, quota, "calendar") == 17
    assert days(10_000, quota, "sliding") == 0


def test_who_shares_an_account_comes_after_those_before() -> None:
    paid, other = Allowance("sliding", 100, left=100), Allowance("sliding", 100, left=100)
    first = Demand(250, {"paid": paid})
    assert days_to_go(first, []) == 2
    assert days_to_go(Demand(250, {"paid": paid}), [first]) == 4, "500 at 100 a day"
    assert days_to_go(Demand(250, {"other": other}), [first]) == 2, "an account of its own waits for nobody"
    assert days_to_go(Demand(0, {"paid": paid}), [first]) == 0
    both = Demand(200, {"paid": paid, "other": other})
    assert days_to_go(Demand(100, {"other": other}), [both]) == 1, "half of a pool's requests are for this account"
    free = Demand(1000, {"paid": paid, "free": Allowance("sliding")})
    assert days_to_go(Demand(100, {"paid": paid}), [free]) == 0, "what has no limit takes all there is"


def test_what_is_spent_today_is_counted() -> None:
    spent = Demand(250, {"paid": Allowance("bucket", 100, left=0)})
    assert [days_to_go(spent, [], kind) for kind in ("sliding", "bucket", "calendar")] == [3, 2.5, 4]

"""The client and the pool against real endpoints that answer, refuse, stall, break off and lie."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tasks.endpoints.answers import Answered, Fate, LimitReached, Outcome, RowFailed, SetUpWrong, Transient
from tasks.endpoints.client import Connection, Exchange, Target
from tasks.endpoints.headers import Remaining
from tasks.endpoints.pool import Delivery, Member, NoEndpointError, NoSlotError, Patience, Pool
from tasks.errors import InputError
from tests.fake_llm_server import serve_fake_llm
from tests.integration.scripted_endpoint import Endpoint, Request, answer, failure, reply, scripted_endpoint

KEY = "sk-abcdefghijklmnop"
SOON = Patience(backoff=0.01, park=0.05, most_park=0.1)


def body(model: str) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "a tile"}]}).encode()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


# One attempt


def attempt(
    script: Callable[[Request], Any], *, timeout: float = 5.0, key: str | None = KEY
) -> tuple[Exchange, Endpoint]:
    """What one attempt comes to against an endpoint that answers so."""
    found: list[tuple[Exchange, Endpoint]] = []

    async def work() -> None:
        async def answered(request: Request) -> bytes | None:
            told = script(request)
            return await told if asyncio.iscoroutine(told) else told

        async with (
            scripted_endpoint(answered) as endpoint,
            Connection(Target(endpoint.address, "m", key, timeout=timeout)) as connection,
        ):
            found.append((await connection.attempt(body("m")), endpoint))

    run(work())
    return found[0]


def test_an_answer_comes_with_all_that_is_worth_knowing() -> None:
    limits = {"limit": "500", "remaining": "499", "reset": "120ms"}
    headers = {f"x_ratelimit_{name}_requests": value for name, value in limits.items()}
    exchange, endpoint = attempt(lambda _: answer("Trees.", x_request_id="req-7", **headers))
    assert exchange.outcome == Answered("Trees.", "stop", "m-1", 10, 2)
    assert exchange.fate is Fate.ANSWERED
    assert exchange.remaining == (Remaining("requests", "minute", 500, 499, 0.12),)
    assert exchange.request_id == "req-7"
    assert [request.headers["authorization"] for request in endpoint.requests] == [f"Bearer {KEY}"]
    assert endpoint.requests[0].body["model"] == "m"


def test_without_a_key_none_is_sent() -> None:
    _, endpoint = attempt(lambda _: answer(), key=None)
    assert "authorization" not in endpoint.requests[0].headers


def test_a_proxy_of_the_environment_is_used_but_for_those_it_spares(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with scripted_endpoint(_answered) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.address.removesuffix("/v1"))
            monkeypatch.setenv("NO_PROXY", "spared.invalid")
            for host, fate in (("nowhere.invalid", Fate.ANSWERED), ("spared.invalid", Fate.UNSENT)):
                async with Connection(Target(f"http://{host}/v1", "m", KEY)) as connection:
                    assert (await connection.attempt(body("m"))).fate is fate
            assert [request.headers["host"] for request in proxy.requests] == ["nowhere.invalid"]

    async def _answered(_: Request) -> bytes:
        return answer()

    run(work())


def test_a_compressed_answer_is_read() -> None:
    whole = answer("Trees and grassland.")
    packed = gzip.compress(whole.split(b"\r\n\r\n", 1)[1])
    exchange, _ = attempt(lambda _: reply(200, packed, content_encoding="gzip"))
    assert isinstance(exchange.outcome, Answered)


async def stalls(_: Request) -> bytes:
    await asyncio.sleep(20)
    return b""


HOSTILE: dict[str, tuple[Callable[[Request], Any], type[Outcome], Fate]] = {
    "reset": (lambda _: None, Transient, Fate.UNKNOWN),
    "closed without an answer": (lambda _: b"connection: close", Transient, Fate.UNKNOWN),
    "stall": (stalls, Transient, Fate.UNKNOWN),
    "cut amid the body": (
        lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\nconnection: close\r\n\r\n{",
        Transient,
        Fate.UNKNOWN,
    ),
    "stall amid the body": (lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{", Transient, Fate.UNKNOWN),
    "no HTTP": (lambda _: b"SSH-2.0-OpenSSH_9.2\r\n\r\nconnection: close", Transient, Fate.UNKNOWN),
    "broken compression": (lambda _: reply(200, b"no gzip", content_encoding="gzip"), Transient, Fate.UNKNOWN),
    "an answer without end": (lambda _: reply(200, b"x" * 5_000_000), Transient, Fate.UNKNOWN),
    "no JSON": (lambda _: reply(200, b"<html>"), RowFailed, Fate.ANSWERED),
    "redirect": (lambda _: reply(302, b"", location="http://127.0.0.1:1/"), SetUpWrong, Fate.FAILED),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_whatever_an_endpoint_does_is_an_outcome(case: str) -> None:
    script, kind, fate = HOSTILE[case]
    exchange, endpoint = attempt(script, timeout=0.4)
    assert isinstance(exchange.outcome, kind)
    assert exchange.fate is fate
    assert len(endpoint.requests) == 1, "sent again behind the ledger's back"


def test_drops_of_an_answer_do_not_stretch_the_timeout() -> None:
    async def work() -> None:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" ")
                await asyncio.sleep(0.05)
            gone.set()

        gone = asyncio.Event()
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with Connection(Target(f"http://127.0.0.1:{port}/v1", "m", timeout=0.4)) as connection:
            exchange = await connection.attempt(body("m"))
        assert exchange.outcome == Transient("no answer within 0.4 s")
        assert exchange.seconds < 2
        await gone.wait()
        server.close()

    run(work())


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_where_nobody_listens_nothing_was_sent() -> None:
    async def work() -> None:
        for address in (f"http://127.0.0.1:{free_port()}/v1", "http://no-such-host.invalid/v1"):
            async with Connection(Target(address, "m")) as connection:
                exchange = await connection.attempt(body("m"))
            assert isinstance(exchange.outcome, Transient)
            assert exchange.fate is Fate.UNSENT

    run(work())


def test_the_key_is_in_no_message() -> None:
    exchange, _ = attempt(lambda _: failure(401, "invalid_api_key", message=f"Incorrect API key provided: {KEY}"))
    assert isinstance(exchange.outcome, SetUpWrong)
    assert KEY not in repr(exchange)
    assert KEY not in repr(Target("http://host/v1", "m", KEY))


@pytest.mark.parametrize("key", ["sk-a b", "sk-a\n", "sk-ä"])
def test_a_key_that_no_header_can_hold_is_named_and_not_shown(key: str) -> None:
    async def work() -> None:
        with pytest.raises(InputError, match=r"api_key of host: expected a key of printable ASCII") as caught:
            Connection(Target("http://host/v1", "m", key))
        assert key not in str(caught.value)

    run(work())


# Many requests, several endpoints


@dataclass(frozen=True)
class Slot:
    """A grant of the quota below."""

    number: int
    left: int | None


@dataclass
class Budget:
    """A quota in memory, with a book of all that is asked of it.

    Attributes:
        slots: how many requests it allows; None without end.
        back: seconds after which it says slots are back.
    """

    slots: int | None = None
    back: float = 3600.0
    granted: int = 0
    open: set[int] = field(default_factory=set)
    settled: list[Exchange] = field(default_factory=list)
    corrections: list[Remaining] = field(default_factory=list)
    parked: list[float] = field(default_factory=list)

    async def grant(self, tokens: int) -> Slot:
        await asyncio.sleep(0)
        left = None if self.slots is None else self.slots - self.granted
        if left == 0:
            raise NoSlotError(self.back)
        self.granted += 1
        self.open.add(self.granted)
        return Slot(self.granted, None if left is None else left - 1)

    async def park(self, seconds: float) -> None:
        self.parked.append(seconds)

    async def correct(self, grant: Slot, known: Sequence[Remaining]) -> None:
        self.corrections += known

    async def settle(self, grant: Slot, exchange: Exchange) -> None:
        self.open.remove(grant.number)
        self.settled.append(exchange)


@dataclass
class Rig:
    """A pool and what it is made of."""

    pool: Pool[Slot]
    budgets: list[Budget]
    warnings: list[str]

    async def ask(self) -> Delivery[Slot]:
        delivery = await self.pool.ask(body, 100)
        await delivery.settle()
        return delivery

    async def ask_many(self, count: int) -> list[Delivery[Slot]]:
        return await asyncio.gather(*(self.ask() for _ in range(count)))


@asynccontextmanager
async def rig(
    *addresses: str,
    budgets: Sequence[Budget] = (),
    concurrency: int = 8,
    patience: Patience = SOON,
    timeout: float = 5.0,
) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        kept = [*budgets, *(Budget() for _ in addresses[len(budgets) :])]
        members = [
            Member(
                await stack.enter_async_context(
                    Connection(Target(address, f"m{number}", KEY, concurrency=concurrency, timeout=timeout))
                ),
                budget,
            )
            for number, (address, budget) in enumerate(zip(addresses, kept, strict=True))
        ]
        warnings: list[str] = []
        yield Rig(Pool(members, warn=warnings.append, patience=patience), kept, warnings)
        assert not any(budget.open for budget in kept), "a grant was never settled"
        assert not any(member.in_flight for member in members), "a place was never given back"


def told(
    script: Callable[[Request], bytes | None], delay: float = 0.0
) -> Callable[[Request], Coroutine[Any, Any, bytes | None]]:
    async def answered(request: Request) -> bytes | None:
        await asyncio.sleep(delay)
        return script(request)

    return answered


def test_every_attempt_has_a_grant_and_faults_are_retried() -> None:
    async def work() -> None:
        faulty = {3, 7, 8, 20, 21}
        script = told(lambda request: failure(500, "server_error") if request.number in faulty else answer(), 0.002)
        async with scripted_endpoint(script) as endpoint, rig(endpoint.address) as made:
            deliveries = await made.ask_many(40)
            assert all(isinstance(one.exchange.outcome, Answered) for one in deliveries)
            assert len(endpoint.requests) == 45 == made.budgets[0].granted
            fates = [exchange.fate for exchange in made.budgets[0].settled]
            assert (fates.count(Fate.ANSWERED), fates.count(Fate.FAILED)) == (40, 5)
            assert endpoint.most <= 8
            assert made.warnings == []

    run(work())


def test_the_caller_settles_what_was_answered() -> None:
    async def work() -> None:
        async with scripted_endpoint(told(lambda _: answer())) as endpoint, rig(endpoint.address) as made:
            delivery = await made.pool.ask(body, 100)
            assert made.budgets[0].settled == []
            await delivery.settle()
            assert [one.fate for one in made.budgets[0].settled] == [Fate.ANSWERED]

    run(work())


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [
        (failure(429, "rate_limit_exceeded", "requests", retry_after="1"), 1.0),
        (failure(429, "rate_limit_exceeded", "requests", retry_after_ms="300"), 0.3),
        (failure(429, "rate_limit_exceeded", "requests", x_ratelimit_reset_requests="400ms"), 0.4),
        (failure(429, "slow_down", retry_after_ms="300"), 0.3),
        (failure(503, "server_is_overloaded", retry_after_ms="300"), 0.3),
    ],
)
def test_a_told_wait_is_honoured_exactly_by_all(refusal: bytes, seconds: float) -> None:
    async def work() -> None:
        script = told(lambda request: refusal if request.number == 1 else answer(), 0.02)
        async with scripted_endpoint(script) as endpoint, rig(endpoint.address, concurrency=2) as made:
            await made.ask_many(12)
            # The second request is refused 20 ms after it came; the third was under way by then.
            refused_at = endpoint.requests[1].at + 0.02
            later = [request.at - refused_at for request in endpoint.requests[2:] if request.at > refused_at + 0.01]
            assert seconds <= min(later) < seconds + 0.5

    run(work())


def test_a_wrong_key_costs_one_request_and_one_message() -> None:
    async def work() -> None:
        wrong = failure(401, "invalid_api_key", message=f"Incorrect API key provided: {KEY}.")
        async with scripted_endpoint(told(lambda _: wrong, 0.01)) as endpoint, rig(endpoint.address) as made:
            found = await asyncio.gather(*(made.ask() for _ in range(20)), return_exceptions=True)
            assert all(isinstance(one, NoEndpointError) for one in found)
            assert len(endpoint.requests) == 1
            assert len(made.warnings) == 1
            assert "invalid_api_key" in made.warnings[0]
            assert endpoint.address in made.warnings[0]
            assert KEY not in made.warnings[0] + str(found[0])

    run(work())


def test_the_rest_of_a_pool_goes_on_without_one_that_is_out_of_credit() -> None:
    async def work() -> None:
        broke = told(lambda request: failure(429, "insufficient_quota") if request.number >= 5 else answer(), 0.005)
        async with (
            scripted_endpoint(broke) as poor,
            scripted_endpoint(told(lambda _: answer(), 0.005)) as rich,
            rig(poor.address, rich.address, concurrency=2) as made,
        ):
            deliveries = await made.ask_many(60)
            assert all(isinstance(one.exchange.outcome, Answered) for one in deliveries)
            assert 6 <= len(poor.requests) <= 7
            assert len(made.warnings) == 1
            assert {request.body["model"] for request in rich.requests} == {"m1"}

    run(work())


def test_the_freest_takes_the_next_request() -> None:
    async def work() -> None:
        async with (
            scripted_endpoint(told(lambda _: answer(), 0.1)) as slow,
            scripted_endpoint(told(lambda _: answer(), 0.01)) as fast,
            rig(slow.address, fast.address, concurrency=4) as made,
        ):
            await made.ask_many(80)
            assert len(fast.requests) > 3 * len(slow.requests) > 0
            assert max(slow.most, fast.most) == 4

    run(work())


def test_a_parked_endpoint_is_passed_over() -> None:
    async def work() -> None:
        parked = failure(429, "rate_limit_exceeded", "requests", retry_after="3600")
        async with (
            scripted_endpoint(told(lambda _: parked)) as one,
            scripted_endpoint(told(lambda _: answer())) as other,
            rig(one.address, other.address) as made,
        ):
            await made.ask_many(30)
            assert len(one.requests) == 1
            assert len(other.requests) == 30
            assert [budget.parked for budget in made.budgets] == [[3600.0], []]

    run(work())


def test_a_long_wait_is_handed_to_the_caller() -> None:
    async def work() -> None:
        parked = failure(429, "rate_limit_exceeded", "requests", retry_after="3600")
        async with scripted_endpoint(told(lambda _: parked)) as endpoint, rig(endpoint.address) as made:
            found = await asyncio.gather(*(made.ask() for _ in range(10)), return_exceptions=True)
            assert all(isinstance(one, NoSlotError) and 3590 < one.wait <= 3600 for one in found)
            assert len(endpoint.requests) == 1

    run(work())


def test_spent_quotas_end_it_when_the_last_is_spent() -> None:
    async def work() -> None:
        budgets = [Budget(slots=5, back=100.0), Budget(slots=7, back=50.0)]
        async with (
            scripted_endpoint(told(lambda _: answer(), 0.005)) as one,
            scripted_endpoint(told(lambda _: answer(), 0.005)) as other,
            rig(one.address, other.address, budgets=budgets) as made,
        ):
            found = await asyncio.gather(*(made.ask() for _ in range(20)), return_exceptions=True)
            assert sum(isinstance(outcome, Delivery) for outcome in found) == 12
            assert all(49 < outcome.wait <= 50 for outcome in found if isinstance(outcome, NoSlotError))
            assert (len(one.requests), len(other.requests)) == (5, 7)

    run(work())


def test_a_dead_endpoint_is_given_up_and_named() -> None:
    async def work() -> None:
        async with rig(f"http://127.0.0.1:{free_port()}/v1") as made:
            found = await asyncio.gather(*(made.ask() for _ in range(10)), return_exceptions=True)
            assert all(isinstance(one, NoEndpointError) and "cannot be reached" in str(one) for one in found)
            assert made.budgets[0].granted <= 10
            assert {exchange.fate for exchange in made.budgets[0].settled} == {Fate.UNSENT}

    run(work())


def test_an_outage_is_waited_out_with_few_requests() -> None:
    async def work() -> None:
        ends = asyncio.get_running_loop().time() + 0.5

        def script(request: Request) -> bytes:
            down = request.number >= 10 and request.at < ends
            return failure(503, "server_is_overloaded") if down else answer()

        async with scripted_endpoint(told(script, 0.005)) as endpoint, rig(endpoint.address) as made:
            deliveries = await made.ask_many(40)
            answered = [one for one in deliveries if isinstance(one.exchange.outcome, Answered)]
            assert len(answered) >= 38
            assert len(endpoint.requests) < 40 + 45

    run(work())


def test_one_request_that_breaks_every_connection_fails_alone() -> None:
    async def work() -> None:
        def script(request: Request) -> bytes | None:
            return None if request.body["messages"][0]["content"] == "poison" else answer()

        def poison(model: str) -> bytes:
            return json.dumps({"model": model, "messages": [{"content": "poison"}]}).encode()

        async with scripted_endpoint(told(script, 0.005)) as endpoint, rig(endpoint.address) as made:
            await made.ask()
            others = asyncio.gather(*(made.ask() for _ in range(60)))
            delivery = await made.pool.ask(poison, 100)
            await delivery.settle()
            outcome = delivery.exchange.outcome
            assert isinstance(outcome, RowFailed)
            assert (outcome.code, outcome.again) == ("transport", True)
            assert all(isinstance(one.exchange.outcome, Answered) for one in await others)
            assert made.warnings == []

    run(work())


def test_an_address_that_answers_something_else_is_stopped() -> None:
    async def work() -> None:
        async with scripted_endpoint(told(lambda _: reply(200, b"<html>"))) as endpoint, rig(endpoint.address) as made:
            found = await asyncio.gather(*(made.ask() for _ in range(30)), return_exceptions=True)
            assert len(endpoint.requests) == 8
            assert sum(isinstance(one, NoEndpointError) for one in found) == 30 - 8

    run(work())


def test_too_fast_halves_what_is_in_flight() -> None:
    async def work() -> None:
        slow_down = failure(429, "slow_down", retry_after_ms="100")
        script = told(lambda request: slow_down if request.number == 30 else answer(), 0.02)
        async with scripted_endpoint(script) as endpoint, rig(endpoint.address) as made:
            await made.ask_many(60)
            refused_at = endpoint.requests[30].at
            later = [request for request in endpoint.requests if request.at > refused_at + 0.1]
            assert endpoint.most == 8
            assert max(request.together for request in later[:4]) <= 4
            assert len(endpoint.requests) == 61

    run(work())


def test_what_headers_tell_is_passed_on_before_the_next_request() -> None:
    async def work() -> None:
        limits = {"limit": "500", "remaining": "20", "reset": "57.6s"}
        headers = {f"x_ratelimit_{name}_requests": value for name, value in limits.items()}
        async with scripted_endpoint(told(lambda _: answer(**headers))) as endpoint, rig(endpoint.address) as made:
            delivery = await made.pool.ask(body, 100)
            assert made.budgets[0].corrections == [Remaining("requests", "minute", 500, 20, 57.6)]
            await delivery.settle()

    run(work())


def test_a_request_given_up_has_an_unknown_fate() -> None:
    async def work() -> None:
        async with scripted_endpoint(stalls) as endpoint, rig(endpoint.address) as made:
            asking = [asyncio.ensure_future(made.ask()) for _ in range(4)]
            while not endpoint.requests:
                await asyncio.sleep(0.01)
            for one in asking:
                one.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            assert [one.fate for one in made.budgets[0].settled] == [Fate.UNKNOWN]

    run(work())


def test_against_an_endpoint_with_all_faults_its_own_count_is_ours(tmp_path: Path) -> None:
    faults = "500=0.04,502=0.02,503=0.02,reset=0.02,close=0.02,truncated=0.02,malformed=0.02,408=0.01,slow_down=0.01"
    options = ("--faults", faults, "--latency", "5", "--wait", "0.05", "--seed", "3")
    with serve_fake_llm(tmp_path, *options) as fake:

        async def work() -> None:
            prompts = itertools.count()

            def numbered(model: str) -> bytes:
                content = f"The only class of note in the whole map is tree. Tile {next(prompts)}."
                return json.dumps({"model": model, "messages": [{"role": "user", "content": content}]}).encode()

            async with rig(fake.url, concurrency=32) as made:
                deliveries = await asyncio.gather(*(made.pool.ask(numbered, 100) for _ in range(400)))
                for one in deliveries:
                    await one.settle()
                failed = [one.exchange.outcome for one in deliveries if not isinstance(one.exchange.outcome, Answered)]
                assert all(isinstance(outcome, RowFailed) and outcome.code == "transport" for outcome in failed)
                assert len(failed) < 40
                settled = made.budgets[0].settled
                # A grant that came while the endpoint was being parked is given back, and was never sent.
                sent = [one for one in settled if one.fate is not Fate.UNSENT]
                assert len(sent) == len(fake.entries()) >= 400
                assert len(settled) == made.budgets[0].granted

        run(work())


def test_somebody_elses_spending_is_met_with_few_refusals(tmp_path: Path) -> None:
    """Half of what a minute allows is gone already, and no quota of ours knows: one round is refused, and waits."""
    with serve_fake_llm(tmp_path, "--requests-per-minute", "40", "--latency", "5") as fake:

        async def work() -> None:
            patience = Patience(backoff=0.01, wait=0.5)
            async with rig(fake.url, concurrency=4, patience=patience) as made:
                found = await asyncio.gather(*(made.ask() for _ in range(60)), return_exceptions=True)
                answered = [one for one in found if isinstance(one, Delivery)]
                assert len(answered) == 40
                assert all(isinstance(one, NoSlotError) for one in found if not isinstance(one, Delivery))
                refused = [one for one in made.budgets[0].settled if isinstance(one.outcome, LimitReached)]
                assert 1 <= len(refused) <= 4

        run(work())

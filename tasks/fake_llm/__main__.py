"""The command: ``python -m tasks.fake_llm``, and ``earthscribe fake-llm``."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import click

from tasks.errors import InputError
from tasks.fake_llm.answers import HEADER_FORMS, HeaderForm
from tasks.fake_llm.books import Books
from tasks.fake_llm.endpoint import Endpoint, Settings
from tasks.fake_llm.faults import Fault, parse_faults
from tasks.fake_llm.limits import Quota
from tasks.fake_llm.server import Wire, serve
from tasks.quota.days import day_seconds

_NUMBER = click.IntRange(min=1)
_DURATION = click.FloatRange(min=0)


def _window(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value not in ("sliding", "bucket", "utc"):
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            expected = "expected sliding, bucket, utc or a time zone such as Europe/Berlin"
            raise click.BadParameter(f"{value!r}: {expected}") from None
    return value


def _faults(_context: click.Context, _option: click.Parameter, value: str) -> tuple[Fault, ...]:
    try:
        return parse_faults(value)
    except InputError as error:
        raise click.BadParameter(str(error)) from None


@click.command("fake-llm")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port to listen on; default: a free one.")
@click.option("--requests-per-day", type=_NUMBER, metavar="N", help="Requests a day, for each model.")
@click.option(
    "--window", default="sliding", callback=_window, show_default=True, help="sliding, bucket, utc or a time zone."
)
@click.option("--requests-per-minute", type=_NUMBER, metavar="N", help="Requests in any 60 seconds.")
@click.option("--tokens-per-minute", type=_NUMBER, metavar="N", help="Tokens in any 60 seconds.")
@click.option("--tokens-per-day", type=_NUMBER, metavar="N", help="Tokens a day, in the same window as requests.")
@click.option("--refused-count", is_flag=True, help="Refused requests count against the day too.")
@click.option("--one-account", is_flag=True, help="All models spend from one account.")
@click.option("--faults", default="", callback=_faults, metavar="LIST", help="Such as 500=0.1,reset*3,slow_down@200.")
@click.option("--seed", type=int, default=0, show_default=True, help="Draws faults and words.")
@click.option("--latency", type=_DURATION, default=0, metavar="MS", help="Milliseconds before each reply.")
@click.option("--stall", type=_DURATION, default=3600, metavar="S", show_default=True, help="Length of a stall.")
@click.option("--wait", type=_DURATION, default=1, metavar="S", show_default=True, help="Wait that faults tell.")
@click.option(
    "--headers", type=click.Choice(HEADER_FORMS), default="auto", show_default=True, help="What headers tell of limits."
)
@click.option("--no-retry-after", is_flag=True, help="Refusals tell no wait in headers.")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="A key that is taken; default: any. Repeatable.")
@click.option(
    "--model", "models", multiple=True, metavar="NAME", help="A model that there is; default: any. Repeatable."
)
@click.option(
    "--log", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Adds a JSON line a request."
)
def fake_llm(
    host: str,
    port: int,
    requests_per_day: int | None,
    window: str,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    tokens_per_day: int | None,
    refused_count: bool,
    one_account: bool,
    faults: tuple[Fault, ...],
    seed: int,
    latency: float,
    stall: float,
    wait: float,
    headers: HeaderForm,
    no_retry_after: bool,
    keys: tuple[str, ...],
    models: tuple[str, ...],
    log: Path | None,
) -> NoReturn:
    """Serve a local endpoint that enforces quotas and injects faults, for rehearsals and tests.

    Its address is the first line of standard output. GET /audit at its root tells what it has counted.
    """
    quota = Quota(
        requests_per_day,
        window,
        requests_per_minute,
        tokens_per_minute,
        tokens_per_day,
        day_seconds(),
        refused_count,
    )
    settings = Settings(
        quota=quota,
        one_account=one_account,
        faults=faults,
        seed=seed,
        keys=frozenset(keys),
        models=models,
        headers=headers,
        retry_after=not no_retry_after,
        wait=wait,
    )
    books = Books(quota.day_seconds, log)
    endpoint = Endpoint(settings, books, _steady_clock())
    wire = Wire(host, port, latency / 1000, stall)
    number = asyncio.run(serve(endpoint, wire, click.echo))
    books.close()
    told = books.audit()
    counts = ", ".join(f"{told[outcome]} {outcome}" for outcome in ("answered", "refused", "failed", "broken"))
    click.echo(f"{told['requests']} requests: {counts}", err=True)
    raise click.exceptions.Exit(128 + number)


def _steady_clock() -> Callable[[], float]:
    """The time as it was at the start, and what has gone by since: a clock that is set does not move it."""
    start = time.time() - time.monotonic()
    return lambda: start + time.monotonic()


def main() -> NoReturn:
    """Runs the command by itself."""
    try:
        fake_llm.main(prog_name="fake-llm")
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()

"""The command line: ``earthscribe COMMAND CONFIG``.

Standard output carries results, standard error everything else. Exit codes: 0 done, 2 the configuration or input is
wrong, 3 a captioner has no usable endpoint, 4 finished with failures, 1 anything unexpected, 130 after Ctrl-C, 143
after SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from flows.runtime.ending import EXIT_CODES, end_on_signals, heed, tell_interrupted
from tasks.errors import EarthscribeError, InputError

if TYPE_CHECKING:
    from tasks.configuration import Campaign

# Flows, Prefect and Dask take seconds to import: a command imports what it needs once the configuration is known to be
# right and the server is on its way.
# ruff: noqa: PLC0415

_FAKE_LLM = "fake-llm"

_CODES = ("content_filter", "context_length", "cut_off", "refusal", "format", "transport")
"""Why a tile has no caption; as `tasks.endpoints.answers.Code` has them."""

_CONFIG = click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG")
_QUIET = click.option("--quiet", is_flag=True, help="Print results, warnings and errors only.")
_VERBOSE = click.option("--verbose", is_flag=True, help="Print Prefect's log too, and tracebacks of errors.")


class _Commands(click.Group):
    """Our commands; `fake-llm` is another program's worth of imports, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), _FAKE_LLM])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == _FAKE_LLM:
            from tasks.fake_llm.__main__ import fake_llm

            fake_llm.short_help = "Serve a local endpoint for rehearsals."
            return fake_llm
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="earthscribe")
def app() -> None:
    """Satellite image-text datasets as a campaign: a land-cover map in, captioned tiles out."""


@app.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("campaign.yaml"))
@_QUIET
def init(file: Path, quiet: bool) -> None:
    """Write a commented example configuration that runs.

    The small made map that it reads is written beside it.
    FILE is campaign.yaml where none is given.
    """
    from tasks.configuration.example import write_example
    from tasks.scene import write_scene

    write_example(file)
    landcover = file.parent / "landcover"
    if not landcover.exists():
        write_scene(landcover)
    if not quiet:
        print(f"wrote {file} and the made map {landcover}\nnow run: earthscribe run {file}", file=sys.stderr)


@app.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("earthscribe-demo"), metavar="DIR", help="The demo's folder."
)
@_QUIET
@_VERBOSE
def demo(out: Path, quiet: bool, verbose: bool) -> None:
    """Run a whole campaign on a small made scene.

    It needs no key, no service and no network.
    """
    from tasks.configuration.example import write_example
    from tasks.scene import write_scene

    config = out / "campaign.yaml"
    if not config.exists():
        if not quiet:
            print(f"making a land-cover map and a configuration in {out}", file=sys.stderr)
        write_scene(out / "landcover")
        write_example(config)
    _run_flow("campaign", config, quiet, verbose)


@app.command()
@_CONFIG
@click.option("--partial", is_flag=True, help="Release what there is, though something is still to be made.")
@_QUIET
@_VERBOSE
def run(config: Path, partial: bool, quiet: bool, verbose: bool) -> None:
    """Do what is missing of a campaign, from plan to release."""
    _run_flow("campaign", config, quiet, verbose, partial=partial)


@app.command()
@_CONFIG
@click.option("--explain", is_flag=True, help="List what statistics would read, from headers only; write nothing.")
@_QUIET
@_VERBOSE
def plan(config: Path, explain: bool, quiet: bool, verbose: bool) -> None:
    """Write the ordered candidate tiles; no pixel is read."""
    if not explain:
        _run_flow("plan", config, quiet, verbose)
    campaign = _load(config)
    _prepare(quiet, verbose)
    from flows.commands.explain import explain as explain_plan

    for line in explain_plan(campaign):
        print(line)


@app.command()
@_CONFIG
@_QUIET
@_VERBOSE
def statistics(config: Path, quiet: bool, verbose: bool) -> None:
    """Count the classes of planned tiles; decide which are kept."""
    _run_flow("statistics", config, quiet, verbose)


@app.command()
@_CONFIG
@_QUIET
@_VERBOSE
def imagery(config: Path, quiet: bool, verbose: bool) -> None:
    """Make the image chips of the kept tiles, and their previews."""
    _run_flow("imagery", config, quiet, verbose)


@app.command()
@_CONFIG
@click.option("--captioner", metavar="NAME", help="The only captioner to work.")
@click.option("--max-requests", type=click.IntRange(min=1), metavar="N", help="Most attempts at endpoints.")
@click.option("--wait", is_flag=True, help="Sleep until the quota returns, and go on until nothing is pending.")
@click.option("--renew", is_flag=True, help="Make anew what is of an older prompt, model or count.")
@click.option(
    "--retry-failed",
    is_flag=False,
    flag_value="any",
    type=click.Choice(["any", *_CODES]),
    help="Ask again about tiles that failed, with any code or with this one.",
)
@click.option("--reparse", is_flag=True, help="Read the stored answers again; send nothing.")
@_QUIET
@_VERBOSE
def caption(
    config: Path,
    captioner: str | None,
    max_requests: int | None,
    wait: bool,
    renew: bool,
    retry_failed: str | None,
    reparse: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Caption the kept tiles that have no caption yet.

    It ends when nothing is pending, or no daily quota is left.
    """
    _run_flow(
        "captions",
        config,
        quiet,
        verbose,
        wait=wait,
        captioner=captioner,
        max_requests=max_requests,
        renew=renew,
        retry_failed=retry_failed,
        reparse=reparse,
    )


@app.command()
@_CONFIG
@_QUIET
@_VERBOSE
def verify(config: Path, quiet: bool, verbose: bool) -> None:
    """Check captions against their statistics; mend and flag them.

    What cannot be mended is pending again, and the next `caption` asks for it.
    """
    _run_flow("verification", config, quiet, verbose)


@app.command()
@_CONFIG
@click.option("--partial", is_flag=True, help="Release what there is, though something is still to be made.")
@click.option("--include-unchecked", is_flag=True, help="Take in captions that no check has met.")
@_QUIET
@_VERBOSE
def release(config: Path, partial: bool, include_unchecked: bool, quiet: bool, verbose: bool) -> None:
    """Write the dataset in its published forms."""
    _run_flow("release", config, quiet, verbose, partial=partial, include_unchecked=include_unchecked)


@app.command()
@_CONFIG
@click.option("--format", "form", type=click.Choice(["jsonl", "parquet"]), default="jsonl", help="Form of the rows.")
@click.option("-o", "output", type=click.Path(path_type=Path), metavar="FILE", help="Default: standard output.")
def captions(config: Path, form: str, output: Path | None) -> None:
    """Print one row for each captioner and tile it describes.

    Only kept tiles are described; a tile without a caption yet has its row, too.
    """
    campaign = _load(config)
    from flows.commands.shown import write_shown

    write_shown(campaign, form, output)


@app.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--recipe", type=click.Choice(["text", "vision"]), default="text", help="Of rows that name none.", show_default=True
)
def check(file: Path, recipe: str) -> None:
    """Check any captions, given with their tiles' counts.

    FILE is JSON, one object a line, with `text`, the six columns of statistics, and perhaps `recipe`.
    Each is printed again with `flags` and `mended`. With - for FILE, rows come from standard input.
    """
    from tasks.checks.rows import check_rows

    check_rows(file, recipe, sys.stdout.buffer)


@app.command()
@_CONFIG
@click.argument("tile_id")
@click.option("--captioner", metavar="NAME", help="Default: the first that asks an endpoint.")
def prompt(config: Path, tile_id: str, captioner: str | None) -> None:
    """Print exactly what would be sent for a tile."""
    campaign = _load(config)
    from flows.commands.shown import request_for

    print(json.dumps(request_for(campaign, tile_id, captioner), indent=2, ensure_ascii=False))


@app.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status(config: Path, as_json: bool) -> None:
    """Tell where the campaign stands."""
    campaign = _load(config)
    from flows.display.status import in_words
    from flows.display.status import status as status_of

    found = status_of(campaign)
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else in_words(campaign, found))


@app.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def estimate(config: Path, as_json: bool) -> None:
    """Tell the requests, tokens, days and money to come."""
    campaign = _load(config)
    from flows.commands.estimate import estimate as estimate_of
    from flows.commands.estimate import in_words

    found = estimate_of(campaign)
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else in_words(campaign, found))


@app.command()
@_CONFIG
@click.option("--pool", metavar="NAME", help="An existing work pool; default: the process pool earthscribe.")
@_QUIET
@_VERBOSE
def deploy(config: Path, pool: str | None, quiet: bool, verbose: bool) -> None:
    """Register the campaign's deployments with Prefect's server.

    It can be done again after any change of the configuration.
    """
    from tasks.configuration import load_for_worker

    campaign = load_for_worker(config)
    _prepare(quiet, verbose)
    from flows.deploying.registering import register
    from flows.display.terminal import say

    registered = register(campaign, pool)
    for name in registered.removed:
        say(f"removed {name}: the configuration has no such captioner any more")
    for deployment in registered.deployments:
        print(deployment)
    say(f"they are run by a worker: prefect worker start --pool {registered.pool}")


@app.command()
@_CONFIG
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to serve on; others need a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8899, show_default=True, help="0 for any that is free.")
@click.option("--sample", type=click.IntRange(min=0), default=200, show_default=True, help="Unflagged ones.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sample.")
@_VERBOSE
def review(config: Path, host: str, port: int, sample: int, seed: int, verbose: bool) -> None:
    """Serve the page on which people judge captions.

    First come the flagged ones, then a sample of the others.
    """
    campaign = _load(config)
    _prepare(quiet=False, verbose=verbose)
    from flows.commands.review import review as serve_review

    serve_review(campaign, host=host, port=port, sample=sample, seed=seed)


def _load(config: Path) -> Campaign:
    from tasks.configuration import load

    return load(config)


def _prepare(quiet: bool, verbose: bool) -> None:
    """Settings that must stand before Prefect and Arrow are imported; the user's own go before ours."""
    # Arrow's own allocator keeps what tables took for as long as the command runs.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "INFO" if verbose else "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    from flows.display.terminal import show_at_terminal

    show_at_terminal(quiet=quiet)


def _run_flow(
    name: str, config: Path, quiet: bool, verbose: bool, *, wait: bool = False, **parameters: str | int | None
) -> NoReturn:
    """Runs one of our flows against Prefect's server, started where none is, and exits with the outcome's code.

    With `wait` it is run again, as a flow run of its own, whenever a quota that was out returns.
    """
    campaign = _load(config)
    from flows.runtime.server import begin, prefect_api

    begun = begin()
    try:
        _prepare(quiet, verbose)
        from flows.commands.running import run_flow, run_on

        with prefect_api(begun):
            outcome = run_flow(name, campaign, parameters)
            if wait:
                outcome = run_on(name, campaign, parameters, outcome)
    finally:
        if begun:
            begun.end()
    for line in outcome.results:
        print(line)
    raise click.exceptions.Exit(outcome.exit_code)


def main() -> NoReturn:
    """The command's entry point."""
    end_on_signals()
    try:
        code = _invoke(verbose="--verbose" in sys.argv)
    except (KeyboardInterrupt, click.Abort):
        tell_interrupted()
        code = EXIT_CODES[signal.SIGINT]
    except SystemExit as stop:
        # Ours after SIGTERM; otherwise click's, quietly, where nobody reads the output any more.
        code = stop.code if isinstance(stop.code, int) else 1
        if code == EXIT_CODES[signal.SIGTERM]:
            tell_interrupted()
    sys.exit(code)


def _invoke(*, verbose: bool) -> int:
    """Runs the command of the command line and tells its errors.

    Args:
        verbose: whether to tell where an error came from.

    Returns:
        The exit code.

    Raises:
        KeyboardInterrupt, SystemExit: it was told to end, be it that a library has made an error of that.
    """
    try:
        return app(standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        raise
    except Exception as error:
        heed()
        if verbose:
            traceback.print_exc()
        if isinstance(error, EarthscribeError):
            print(f"error: {error}", file=sys.stderr)
            return 2 if isinstance(error, InputError) else 1
        print(f"unexpected error: {type(error).__name__}: {error} (--verbose shows where)", file=sys.stderr)
        return 1

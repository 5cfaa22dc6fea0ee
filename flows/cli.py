"""The command line: ``earthscribe COMMAND CONFIG``.

Standard output carries results, standard error everything else. Exit codes: 0 done, 2 the configuration or input is
wrong, 4 finished with failures, 1 anything unexpected, 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import click
import typer

from tasks.errors import EarthscribeError, InputError

if TYPE_CHECKING:
    from tasks.configuration import Campaign

# Flows, Prefect and Dask take seconds to import: a command imports what it needs once the configuration is known to be
# right and the server is on its way.
# ruff: noqa: PLC0415

app = typer.Typer(
    name="earthscribe",
    help="Satellite image-text datasets as a campaign: a land-cover map in, captioned tiles out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The campaign's configuration, a YAML file.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print results, warnings and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print Prefect's log too, and tracebacks of errors.")]


@app.command()
def init(file: Annotated[Path, typer.Argument(metavar="[FILE]")] = Path("campaign.yaml"), quiet: Quiet = False) -> None:
    """Write a commented example configuration that runs, and the small made map that it reads."""
    from tasks.configuration.example import write_example
    from tasks.scene import write_scene

    write_example(file)
    landcover = file.parent / "landcover"
    if not landcover.exists():
        write_scene(landcover)
    if not quiet:
        print(f"{file}\nNow run: earthscribe run {file}", file=sys.stderr)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the demo's campaign.")] = Path(
        "earthscribe-demo"
    ),
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a whole campaign on a small made scene: no key, no service, no network."""
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
def run(config: Config, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Do what is missing of a campaign: plan, statistics, captions, and the preview page."""
    _run_flow("campaign", config, quiet, verbose)


@app.command()
def plan(
    config: Config,
    explain: Annotated[
        bool, typer.Option("--explain", help="List what statistics would read, from headers only; write nothing.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the ordered candidate tiles; no pixel is read."""
    if not explain:
        _run_flow("plan", config, quiet, verbose)
        return
    campaign = _load(config)
    _prepare(quiet, verbose)
    from flows.explain import explain as explain_plan

    for line in explain_plan(campaign):
        print(line)


@app.command()
def statistics(config: Config, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Count the classes of the planned tiles, and decide which are kept."""
    _run_flow("statistics", config, quiet, verbose)


@app.command()
def caption(
    config: Config,
    captioner: Annotated[str | None, typer.Option(metavar="NAME", help="The only captioner to work.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Caption the kept tiles that have no caption yet."""
    _run_flow("captions", config, quiet, verbose, captioner=captioner)


@app.command()
def captions(
    config: Config,
    output_format: Annotated[Literal["jsonl", "parquet"], typer.Option("--format", help="Form of the rows.")] = "jsonl",
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Write there, not to standard output.")] = None,
) -> None:
    """Print one row for each captioner and each kept tile that it is to describe."""
    campaign = _load(config)
    from flows.shown import write_shown

    write_shown(campaign, output_format, output)


@app.command()
def prompt(
    config: Config,
    tile_id: Annotated[str, typer.Argument(metavar="TILE_ID")],
    captioner: Annotated[str | None, typer.Option(metavar="NAME", help="Default: the first that asks an endpoint.")] = None,
) -> None:
    """Print exactly what would be sent for a tile."""
    campaign = _load(config)
    from flows.shown import request_for

    print(json.dumps(request_for(campaign, tile_id, captioner), indent=2, ensure_ascii=False))


@app.command()
def status(
    config: Config, as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False
) -> None:
    """Tell where the campaign stands."""
    campaign = _load(config)
    from flows.status import in_words
    from flows.status import status as status_of

    found = status_of(campaign)
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else in_words(campaign, found))


def _load(config: Path) -> Campaign:
    from tasks.configuration import load

    return load(config)


def _prepare(quiet: bool, verbose: bool) -> None:
    """Settings of Prefect's that must stand before it is imported; the user's own go before ours."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "INFO" if verbose else "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    from flows.terminal import console

    console.quiet = quiet


def _run_flow(name: str, config: Path, quiet: bool, verbose: bool, **parameters: str | None) -> NoReturn:
    """Runs one of our flows against Prefect's server, started where none is, and exits with the outcome's code."""
    campaign = _load(config)
    from flows.server import begin, prefect_api

    begun = begin()
    try:
        _prepare(quiet, verbose)
        from flows.running import run_flow

        with prefect_api(begun):
            outcome = run_flow(name, campaign, parameters)
    finally:
        if begun:
            begun.end()
    for line in outcome.summary:
        print(line, file=sys.stderr) if not quiet else None
    for line in outcome.results:
        print(line)
    raise typer.Exit(outcome.exit_code)


def main() -> NoReturn:
    """The command's entry point."""
    signal.signal(signal.SIGTERM, _terminated)
    verbose = "--verbose" in sys.argv
    try:
        code = app(standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("interrupted: what was done is kept; run the command again to go on", file=sys.stderr)
        code = 130
    except EarthscribeError as error:
        if verbose:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        code = 2 if isinstance(error, InputError) else 1
    except Exception as error:
        if verbose:
            traceback.print_exc()
        print(f"unexpected error: {type(error).__name__}: {error} (--verbose shows where)", file=sys.stderr)
        code = 1
    sys.exit(code)


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Ends the command in order after SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(143)

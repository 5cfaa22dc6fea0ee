"""``python -m infra.stack start|stop|status``: the local stack from the command line."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from infra.stack.layout import USER, Stack, is_stack, open_stack
from infra.stack.running import Standing, standings, start, stop
from tasks.errors import EarthscribeError, InputError

_folder = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".stack"),
    show_default=True,
    help="Where the stack lies.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Runs the parts of a deployment as processes of this machine."""


@main.command("start")
@_folder
def start_command(folder: Path) -> None:
    """Starts what does not run, waits until all is healthy, and prints how to use it."""
    stack = open_stack(folder)
    started = start(stack, _say)
    _say("the local stack is up" if started else "the local stack runs already")
    _print_use(stack, standings(stack))


@main.command("stop")
@_folder
def stop_command(folder: Path) -> None:
    """Ends all processes of the stack; its data stay."""
    ended = stop(_existing(folder))
    _say(f"ended {ended} parts; the data stay in {folder.absolute()}" if ended else "nothing of the local stack ran")


@main.command("status")
@_folder
def status_command(folder: Path) -> None:
    """Prints what runs and how to use it; exits 1 where a part does not run or is not healthy."""
    stack = _existing(folder)
    found = standings(stack)
    _print_use(stack, found)
    if not all(standing.healthy for standing in found):
        raise SystemExit(1)


def _existing(folder: Path) -> Stack:
    if not is_stack(folder):
        raise InputError(f"{folder.absolute()} holds no local stack: `make stack` makes one")
    return open_stack(folder)


def _print_use(stack: Stack, found: Sequence[Standing]) -> None:
    """Prints lines for a shell, all others as comments; no secret is among them, but the files that hold them."""
    for standing in found:
        state = "not running" if standing.pid is None else "healthy" if standing.healthy else "not healthy"
        pid = "" if standing.pid is None else f"pid {standing.pid}"
        click.echo(f"# {standing.name:<16} {state:<12} {standing.address or '':<18} {pid}".rstrip())
    click.echo(f"#\n# pages: {stack.ui}\n# logs:  {stack.folder / 'logs'}\n#")
    click.echo("# In the shell from which the stack is used:")
    secrets = {"AWS_SECRET_ACCESS_KEY": stack.folder / "secrets" / "s3"}
    for name, value in stack.client_settings().items():
        shown = f'"$(cat {shlex.quote(str(secrets[name]))})"' if name in secrets else shlex.quote(value)
        click.echo(f"export {name}={shown}")
    click.echo(
        "#\n# In a campaign's configuration:\n"
        f"# dataset: s3://{USER}/NAME\n"
        "# storage_options:\n"
        "#   {endpoint_url: '${AWS_ENDPOINT_URL}', key: '${AWS_ACCESS_KEY_ID}', secret: '${AWS_SECRET_ACCESS_KEY}'}\n"
        f"# state: {stack.database(USER)}\n"
        f"# cluster: {{address: '{stack.scheduler}'}}"
    )


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    try:
        main(prog_name="python -m infra.stack")
    except InputError as error:
        _say(str(error))
        sys.exit(2)
    except EarthscribeError as error:
        _say(str(error))
        sys.exit(1)

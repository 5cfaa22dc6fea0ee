"""Runs commands, each in a process of its own that is forked from this one, where the imports are done already.

A command alone takes three seconds to import Prefect and Dask; a campaign of tests has no time for that. What a forked
command does is the real thing: the same entry point, its own files for output, and an end by `sys.exit`.

Reads one JSON object a line: ``{"start": [ARGUMENT, ...], "folder": ..., "environment": {...}, "output": STEM}`` is
answered with the process ID, ``{"wait": PID}`` with the exit code. Holds the embedded server until its input ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from flows.cli import main
from flows.runtime.server import begin

NEEDED_BY_COMMANDS = (
    "flows.commands.running",
    "flows.commands.explain",
    "flows.commands.shown",
    "flows.display.status",
    # Of these, what a flow run imports when it begins.
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "anyio._backends._asyncio",
    "fastapi",
    "distributed.http.scheduler.prometheus.core",
    "distributed.http.worker.prometheus.core",
    "PIL.PngImagePlugin",
)


def serve() -> None:
    """Starts and awaits commands as it is told, until the input ends."""
    begun = begin()
    for module in NEEDED_BY_COMMANDS:
        importlib.import_module(module)
    gc.freeze()  # The end of a command need not look through what it did not make.
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        elif (answer := os.fork()) == 0:
            run(request)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    if begun:
        begun.end()


def run(request: Mapping[str, Any]) -> NoReturn:
    """Is a command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, suffix in ((1, ".out"), (2, ".err")):
        file = os.open(request["output"] + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, descriptor)
    sys.argv = ["earthscribe", *request["start"]]
    main()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve()

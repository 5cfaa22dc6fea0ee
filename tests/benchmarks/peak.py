"""Runs one of our commands and tells its peak memory: ``python -m tests.benchmarks.peak FILE COMMAND...``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from flows.cli import main


def peak_mb() -> float:
    """The most memory that this program has held.

    ``ru_maxrss`` will not do: it starts with what the process that started this one held.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    took = Path(sys.argv.pop(1))
    try:
        main()
    finally:
        took.write_text(json.dumps({"peak_mb": peak_mb()}))

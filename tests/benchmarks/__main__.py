"""Runs benchmarks at full size: ``python -m tests.benchmarks [NAME...]``, all of them where none is named."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.measuring import Figure
from tests.benchmarks.registry import BENCHMARKS
from tests.benchmarks.sizes import FULL

RESULTS = Path(__file__).parent / "results"


def main(names: Sequence[str]) -> int:
    """Runs benchmarks, prints a table and keeps the figures as JSON; 1 where a mark is missed, 2 for unknown names."""
    if unknown := [name for name in names if name not in BENCHMARKS]:
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    missed = 0
    for name in names or BENCHMARKS:
        print(f"\n{name}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            figures = BENCHMARKS[name](FULL, Path(scratch))
        for figure in figures:
            print(line(figure), flush=True)
        keep(name, figures)
        missed += sum(not figure.holds for figure in figures)
    return 1 if missed else 0


def line(figure: Figure) -> str:
    """A row of the table."""
    verdict = "" if figure.holds else "  MISSED"
    return f"  {figure.what:<72} {figure.value:9.3g} {figure.unit:<9} ({figure.sense} {figure.mark:g}){verdict}"


def keep(name: str, figures: Sequence[Figure]) -> None:
    """Writes a benchmark's figures to ``results/NAME.json``."""
    machine = {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}
    content = {
        "benchmark": name,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "figures": [{**asdict(figure), "holds": figure.holds} for figure in figures],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a batch of captions has come to, in words."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from flows.asking import Asked
from tasks.asking.granting import Gate


def summary(tiles: int, asked: Asked, failed: Counter[str], gate: Gate, days: float) -> list[str]:
    """One line for each thing worth knowing of a captioner's batch.

    Args:
        tiles: how many it is to describe.
        asked: what came of asking.
        failed: its tiles without a caption for good, by code.
        gate: what every attempt has passed.
        days: until the last of the tiles left is asked about.
    """
    lines = [f"{asked.done} captioned"]
    if asked.done + asked.left + asked.busy + asked.failed.total() + len(asked.unreadable) == 0:
        lines = [f"{tiles - failed.total()} there, none to do"]
    if failed:
        lines.append(f"{failed.total()} failed ({', '.join(f'{count} {code}' for code, count in failed.items())})")
    if asked.unreadable:
        lines.append(f"{len(asked.unreadable)} whose maps cannot be read")
    if asked.busy:
        lines.append(f"{asked.busy} asked by another run")
    if asked.left:
        lines.append(f"{asked.left} left")
    if asked.unusable:
        lines.append("no endpoint that can be used")
    if asked.left and gate.is_spent:
        lines.append("as many requests sent as --max-requests allows")
    elif asked.next_slot is not None:
        lines.append(
            f"the quota is out, next slot {datetime.fromtimestamp(asked.next_slot, UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
        lines.append(f"{days:g} days to go")
    return lines

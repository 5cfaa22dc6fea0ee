"""Verification: hold each new caption against the statistics that it was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
from prefect import flow
from prefect.client.schemas.objects import State as PrefectState

from flows.display.report import report_place, write_report
from flows.display.summary import show_summary
from flows.display.terminal import Bar, progress, say, warn
from flows.runtime.ending import heed
from flows.runtime.hooks import HOOKS
from flows.runtime.locking import stage
from flows.runtime.outcome import Outcome
from flows.runtime.slices import slices
from flows.runtime.steps import MOST_TASK_RUNS, step
from tasks.captions.claims import claimed
from tasks.captions.keeping import described, export, kept_ids, restore
from tasks.captions.state import State, Status, open_state
from tasks.captions.wanting import to_be_checked
from tasks.checks.verifying import verify
from tasks.configuration import Campaign, Captioner
from tasks.places import dataset_of
from tasks.statistics.table import StatisticsFile, list_statistics, read_counts
from tasks.storage import exists

_MOST_SLICES = 50
"""Task runs for one captioner, which needs but seconds for each."""


@flow(name="verification", flow_run_name="verification {config.name}", persist_result=False, **HOOKS)
def verification(config: Campaign) -> PrefectState[Outcome]:
    """Checks the captions that are not checked yet, mends what can be mended, and flags or puts back the others.

    Args:
        config: The campaign's configuration, as written.
    """
    with reporting_checks(config):
        verified = verify_captions(config)
    show_summary(config)
    return verified.outcome.state()


@dataclass(frozen=True)
class Verified:
    """What came of verifying.

    Attributes:
        outcome: for the person who watches.
        again: captioners that have captions to be asked again.
    """

    outcome: Outcome
    again: frozenset[str]


def verify_captions(config: Campaign, most: int = MOST_TASK_RUNS) -> Verified:
    """Checks what is not checked yet, captioner by captioner, and writes all captions to the dataset.

    Nothing is sent: what is to be asked again is pending then, and the next `caption` asks it.

    Args:
        config: the campaign.
        most: about as many task runs as this makes.

    Raises:
        InputError: there is no plan yet.
    """
    dataset = dataset_of(config)
    kept = kept_ids(dataset)
    outcome = Outcome()
    with open_state(config.state, config.dataset) as state:
        if restored := restore(state, dataset):
            warn(f"the state was empty: took back {restored} captions from {dataset.join('captions')}")
        each = max(1, min(_MOST_SLICES, most // max(1, len(config.captioners))))
        became: dict[str, Counter[Status]] = {captioner.name: Counter() for captioner in config.captioners}
        try:
            for captioner in config.captioners:
                made = became[captioner.name]
                _verify(config, captioner, described(captioner, kept), state, each, made)
                outcome = outcome.then(Outcome((say(f"checks of {captioner.name}: {_in_words(made)}"),)))
        finally:
            if any(became.values()):
                with stage(config):
                    step("write the captions", lambda: export(state, list(became), dataset), "verification")
    return Verified(outcome, frozenset(name for name, made in became.items() if made["pending"]))


@contextmanager
def reporting_checks(config: Campaign) -> Iterator[None]:
    """Writes the report of the checks when the block ends, however that is, if captions have changed or it is missing.

    Raises:
        InputError: there is no plan yet.
    """
    kept_ids(dataset_of(config))
    with open_state(config.state, config.dataset) as state:
        before = state.size()
        try:
            yield
        finally:
            if state.size() != before or not exists(report_place(dataset_of(config))):
                with stage(config):
                    step("write the report of the checks", lambda: write_report(config, state), "verification")


def _verify(
    config: Campaign, captioner: Captioner, tile_ids: list[str], state: State, most: int, became: Counter[Status]
) -> None:
    """Checks one captioner's captions; counts what becomes of them."""
    # What is being asked about at this moment is checked when it has come.
    wanted = to_be_checked(state, captioner.name, tile_ids) - claimed(state, captioner.name)
    if not wanted:
        return
    name = captioner.name
    with progress(config.name, f"checks of {name}", len(wanted), "captions") as bar:
        for label, files in slices(list_statistics(dataset_of(config)), pa.array(sorted(wanted), pa.string()), most):
            heed()
            work = partial(_check, captioner, files, wanted, state, became, bar)
            step(f"check {name}: {label}", work, "verification", name)


def _check(
    captioner: Captioner,
    files: Sequence[StatisticsFile],
    wanted: set[str],
    state: State,
    became: Counter[Status],
    bar: Bar,
) -> None:
    """Checks the captions of the wanted tiles of some files of statistics."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for file in files:
        tile_ids, counts = read_counts(file.place)
        rows = {tile_id: row for row, tile_id in enumerate(tile_ids.to_pylist()) if tile_id in wanted}
        versions = []
        for history in state.histories(captioner.name, list(rows)):
            version = verify(history, counts[rows[history[0].tile_id]].tolist(), captioner.recipe, now)
            if version is not None:
                versions.append(version)
        state.add(versions)
        became.update(version.status for version in versions)
        bar.advance(len(rows))


def _in_words(became: Counter[Status]) -> str:
    if not became:
        return "none to do"
    told: dict[Status, str] = {status: status for status in ("accepted", "mended", "flagged")}
    told["pending"] = "to be asked again"
    return ", ".join(f"{became[status]} {words}" for status, words in told.items() if became[status])

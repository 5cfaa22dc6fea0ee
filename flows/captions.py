"""Captions: say of each kept tile what its statistics hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Literal, TypeAlias

import pyarrow as pa
from prefect import flow, runtime
from prefect.client.schemas.objects import State as PrefectState
from pydantic import Field

from flows.asking import Asked, ask_endpoints, present_keys
from flows.batch import summary
from flows.display.artifacts import show_failed_tiles
from flows.display.summary import show_summary
from flows.display.terminal import Bar, progress, say, warn
from flows.runtime.ending import heed
from flows.runtime.hooks import HOOKS
from flows.runtime.locking import stage
from flows.runtime.outcome import Outcome
from flows.runtime.slices import slices
from flows.runtime.steps import MOST_TASK_RUNS, share_out, step
from tasks.asking.accounts import ledger_of
from tasks.asking.forecast import USUAL_TOKENS, Demand, days_to_go, demand
from tasks.asking.granting import Gate
from tasks.asking.material import gather
from tasks.asking.reparsing import reparse
from tasks.captions.by_rules import MODEL, rules_captions, rules_key
from tasks.captions.keeping import described, export, kept_ids, restore
from tasks.captions.owners import dead
from tasks.captions.state import Caption, State, open_state
from tasks.captions.wanting import Again, Versions, by_code, failures, missing, outdated, to_be_asked_again
from tasks.captions.wanting import failed as failed_ones
from tasks.configuration import Campaign, Captioner
from tasks.errors import InputError
from tasks.places import dataset_of
from tasks.quota.ledger import Ledger
from tasks.statistics.table import StatisticsFile, list_statistics, read_counts
from tasks.storage import Place

_MOST_SLICES = 50
"""Task runs for one captioner by rules, which needs but seconds for each."""


Failure: TypeAlias = Literal["any", "content_filter", "context_length", "cut_off", "refusal", "format", "transport"]
"""What may be asked again: `tasks.captions.wanting.ANY`, or one `tasks.endpoints.answers.Code`."""


@dataclass(frozen=True)
class Wishes:
    """What is wanted of a run beyond the captions that are missing.

    Attributes:
        only: name of the only captioner to work; None for all of them.
        max_requests: most attempts at endpoints; None for any number.
        renew: whether captions of an older prompt or model, or of older counts by rules, are made anew.
        retry_failed: the code of failures that are asked again, or `tasks.captions.wanting.ANY`; None for none.
        reparse: whether the stored raw answers are read again, and nothing is sent.
    """

    only: str | None = None
    max_requests: int | None = None
    renew: bool = False
    retry_failed: str | None = None
    reparse: bool = False


@dataclass(frozen=True)
class _Part:
    """One captioner's part of a run.

    Attributes:
        captioner: the captioner.
        tile_ids: the tiles that it is to describe, done or not.
        wanted: those that are to be captioned now, with the version that the caption will be.
        again: those that are to be asked about again, after the others.
    """

    captioner: Captioner
    tile_ids: list[str]
    wanted: Versions
    again: Mapping[str, Again] = field(default_factory=dict)

    @property
    def task_runs(self) -> int:
        """How many it would make, if there were no end of them."""
        if self.captioner.recipe == "rules":
            return min(_MOST_SLICES, len(self.wanted))
        return -(-(len(self.wanted) + len(self.again)) // self.captioner.images_per_request)


def _run_name() -> str:
    """Such as "captions sao-tome by gpt-3.5"."""
    parameters = runtime.flow_run.parameters
    captioner = parameters.get("captioner")
    return f"captions {parameters['config'].name}" + (f" by {captioner}" if captioner else "")


@flow(name="captions", flow_run_name=_run_name, persist_result=False, **HOOKS)
def captions(
    config: Campaign,
    captioner: str | None = None,
    max_requests: Annotated[int, Field(ge=1)] | None = None,
    renew: bool = False,
    retry_failed: Failure | None = None,
    reparse: bool = False,
) -> PrefectState[Outcome]:
    """Captions the kept tiles that have no caption yet, until none is left or the day's quota is out.

    Args:
        config: The campaign's configuration, as written.
        captioner: Name of the only captioner to work; all of them where absent.
        max_requests: Most attempts at endpoints; any number where absent.
        renew: Make anew captions of an older prompt or model, and those by rules of older counts.
        retry_failed: Code of the failures that are asked again, `any` for all; none where absent.
        reparse: Read the stored raw answers again; nothing is sent.
    """
    outcome = caption_tiles(config, Wishes(captioner, max_requests, renew, retry_failed, reparse))
    show_summary(config)
    return outcome.state()


def caption_tiles(config: Campaign, wishes: Wishes | None = None, most: int = MOST_TASK_RUNS) -> Outcome:
    """Captions what has no caption yet, captioner by captioner, and writes all captions to the dataset.

    Args:
        config: the campaign.
        wishes: what is wanted beyond that.
        most: about as many task runs as this makes.

    Raises:
        InputError: there is no captioner of that name, or no plan yet.
    """
    wishes = wishes or Wishes()
    names = [captioner.name for captioner in config.captioners]
    if wishes.only is not None and wishes.only not in names:
        raise InputError(f"no captioner is called {wishes.only!r}; the configuration has {', '.join(names) or 'none'}")
    dataset = dataset_of(config)
    kept = kept_ids(dataset)
    chosen = [captioner for captioner in config.captioners if wishes.only in {None, captioner.name}]
    outcome = Outcome()
    with open_state(config.state, config.dataset) as state, _ledger(config, chosen) as ledger:
        if restored := restore(state, dataset):
            warn(f"the state was empty: took back {restored} captions from {dataset.join('captions')}")
        gate = Gate(wishes.max_requests)
        parts = [_part(config, captioner, described(captioner, kept), wishes, state) for captioner in chosen]
        shares = share_out({part.captioner.name: part.task_runs for part in parts}, most)
        ahead: list[Demand] = []
        try:
            for part in parts:
                share = shares[part.captioner.name]
                if part.captioner.recipe == "rules":
                    outcome = outcome.then(_caption_by_rules(config, part, state, share))
                elif wishes.reparse:
                    outcome = outcome.then(_reparse(config, part, state))
                elif ledger is not None:
                    outcome = outcome.then(_caption_by_asking(config, part, state, ledger, gate, share, ahead))
        finally:
            with stage(config):
                step("write the captions", lambda: export(state, names, dataset))
    if wishes.max_requests is not None and gate.budget is not None:
        outcome = outcome.then(Outcome(attempts=wishes.max_requests - gate.budget))
    return outcome


@contextmanager
def _ledger(config: Campaign, chosen: Sequence[Captioner]) -> Iterator[Ledger | None]:
    """The ledger where it is needed. What dead processes have left in it is given up."""
    with ledger_of(config, chosen, warn) as ledger:
        if ledger is not None and (gone := dead(ledger.owners())):
            ledger.abandon(gone)
        yield ledger


def _part(config: Campaign, captioner: Captioner, tile_ids: list[str], wishes: Wishes, state: State) -> _Part:
    """What one captioner has to do; tiles whose claims are another's are found out when they are claimed."""
    name, asks = captioner.name, captioner.recipe != "rules"
    if asks and wishes.reparse:
        return _Part(captioner, tile_ids, {})
    wanted = missing(state, name, tile_ids)
    if asks and wishes.retry_failed:
        wanted |= failed_ones(state, name, tile_ids, wishes.retry_failed)
    if wishes.renew:
        models = {endpoint.model for endpoint in captioner.pool} if asks else {MODEL}
        keys = partial(present_keys, config, captioner) if asks else _present_rules(dataset_of(config), tile_ids)
        wanted |= outdated(state, name, tile_ids, models, keys)
    again = to_be_asked_again(state, name, set(tile_ids) - wanted.keys()) if asks else {}
    return _Part(captioner, tile_ids, wanted, again)


def _reparse(config: Campaign, part: _Part, state: State) -> Outcome:
    name = part.captioner.name
    changed = reparse(state, name, gather(dataset_of(config), part.tile_ids, placed=False))
    return Outcome((say(f"captions by {name}: {changed} read anew from the stored answers"),))


def _caption_by_asking(
    config: Campaign,
    part: _Part,
    state: State,
    ledger: Ledger,
    gate: Gate,
    task_runs: int,
    ahead: list[Demand],
) -> Outcome:
    """One captioner's batch; adds what it leaves to what those before it have left."""
    captioner, name = part.captioner, part.captioner.name
    asked = Asked()
    if part.wanted or part.again:
        total, pending = len(part.tile_ids), len(part.wanted) + len(part.again)
        with progress(config.name, f"captions by {name}", total, "captions", total - pending) as bar:
            asked = _ask(config, part, state, ledger, gate, bar, task_runs)
    failed = failures(state, name, part.tile_ids)
    show_failed_tiles(config, name, failed)
    codes = by_code(failed)
    left = demand(captioner, asked.left, USUAL_TOKENS, ledger)
    lines = summary(len(part.tile_ids), asked, codes, gate, days_to_go(left, ahead))
    ahead.append(left)
    line = say(f"captions by {name}: " + ", ".join(lines))
    return Outcome(
        (line,),
        failed={f"{name} {code}": f"{count} tiles" for code, count in codes.items()} | dict(asked.unreadable),
        unusable={name: asked.unusable} if asked.unusable else {},
        next_slots={name: asked.next_slot} if asked.next_slot is not None else {},
    )


def _ask(config: Campaign, part: _Part, state: State, ledger: Ledger, gate: Gate, bar: Bar, task_runs: int) -> Asked:
    """Asks for the captions that are missing, and then, if there is still quota, for those that were faulty."""
    asked = Asked()
    if part.wanted:
        asked = ask_endpoints(config, part.captioner, part.wanted, state, ledger, gate, bar, task_runs)
    if not part.again:
        return asked
    if not asked.is_open or gate.is_spent:
        return asked.then(Asked(left=len(part.again)))
    versions = {tile_id: again.version for tile_id, again in part.again.items()}
    faults = {tile_id: again.fault for tile_id, again in part.again.items()}
    return asked.then(ask_endpoints(config, part.captioner, versions, state, ledger, gate, bar, task_runs, faults))


def _present_rules(dataset: Place, tile_ids: list[str]) -> Callable[[Sequence[str]], dict[str, str]]:
    """Gives the keys under which the rules' captions of some tiles would be kept today."""
    material = gather(dataset, tile_ids, placed=False)
    counts = material.counts(range(len(material.tile_ids)))
    rows = {tile_id: row for row, tile_id in enumerate(material.tile_ids)}
    return lambda some: {tile_id: rules_key(tile_id, counts[rows[tile_id]]) for tile_id in some if tile_id in rows}


def _caption_by_rules(config: Campaign, part: _Part, state: State, task_runs: int) -> Outcome:
    name, total = part.captioner.name, len(part.tile_ids)
    if not part.wanted:
        return Outcome((say(f"captions by {name}: {total} there, none to do"),))
    with progress(config.name, f"captions by {name}", total, "captions", total - len(part.wanted)) as bar:
        wanted = pa.array(list(part.wanted), pa.string())
        for label, files in slices(list_statistics(dataset_of(config)), wanted, task_runs):
            heed()
            step(f"{name}: {label}", partial(_say, name, files, part.wanted, state, bar), "captions", name)
    return Outcome((say(f"captions by {name}: {len(part.wanted)} made"),))


def _say(captioner: str, files: Sequence[StatisticsFile], wanted: Versions, state: State, bar: Bar) -> None:
    """Captions the wanted tiles of some files of statistics by rules."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for file in files:
        tile_ids, counts = read_counts(file.place)
        ids = tile_ids.to_pylist()
        rows = [row for row, tile_id in enumerate(ids) if tile_id in wanted]
        tiles = {ids[row]: wanted[ids[row]] for row in rows}
        state.add(_counted(rules_captions(captioner, tiles, counts[rows], now), bar))


def _counted(made: Iterator[Caption], bar: Bar) -> Iterator[Caption]:
    for caption in made:
        bar.advance(1)
        yield caption

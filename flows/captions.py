"""Captions: say of each kept tile what its statistics hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State as PrefectState
from pydantic import Field

from flows.asking import Asked, ask_endpoints, present_keys
from flows.batch import summary
from flows.ending import heed
from flows.locking import stage
from flows.outcome import Outcome
from flows.steps import step
from flows.terminal import Bar, progress, say, warn
from tasks.asking.accounts import ledger_of
from tasks.asking.forecast import USUAL_TOKENS, Demand, days_to_go, demand
from tasks.asking.granting import Gate
from tasks.asking.material import gather
from tasks.asking.reparsing import reparse
from tasks.captions.by_rules import MODEL, rules_captions, rules_key
from tasks.captions.keeping import described, export, kept_ids, restore
from tasks.captions.owners import dead
from tasks.captions.state import Caption, State, open_state
from tasks.captions.wanting import Versions, failures, missing, outdated
from tasks.captions.wanting import failed as failed_ones
from tasks.configuration import Campaign, Captioner
from tasks.errors import InputError
from tasks.places import dataset_of
from tasks.quota.ledger import Ledger
from tasks.statistics.table import StatisticsFile, list_statistics, read_counts
from tasks.storage import Place

_MOST_SLICES = 50
"""Task runs for one captioner: a flow run has some 500 to share."""


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


@flow(name="captions", flow_run_name="captions {config.name}", persist_result=False)
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
    return caption_tiles(config, Wishes(captioner, max_requests, renew, retry_failed, reparse)).state()


def caption_tiles(config: Campaign, wishes: Wishes | None = None) -> Outcome:
    """Captions what has no caption yet, captioner by captioner, and writes all captions to the dataset.

    Args:
        config: the campaign.
        wishes: what is wanted beyond that.

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
        ahead: list[Demand] = []
        try:
            for captioner in chosen:
                mine = described(captioner, kept)
                if captioner.recipe == "rules":
                    outcome = outcome.then(_caption_by_rules(captioner, mine, wishes, state, dataset))
                elif ledger is not None:
                    outcome = outcome.then(
                        _caption_by_asking(config, captioner, mine, wishes, state, ledger, gate, ahead)
                    )
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


def _caption_by_asking(
    config: Campaign,
    captioner: Captioner,
    tile_ids: list[str],
    wishes: Wishes,
    state: State,
    ledger: Ledger,
    gate: Gate,
    ahead: list[Demand],
) -> Outcome:
    """One captioner's batch; adds what it leaves to what those before it have left."""
    name = captioner.name
    if wishes.reparse:
        changed = reparse(state, name, gather(dataset_of(config), tile_ids, placed=False))
        return Outcome((say(f"captions by {name}: {changed} read anew from the stored answers"),))
    wanted = _wanted(config, captioner, tile_ids, wishes, state)
    asked = Asked()
    if wanted:
        asked = ask_endpoints(config, captioner, wanted, state, ledger, gate)
    failed = failures(state, name, tile_ids)
    left = demand(captioner, asked.left, USUAL_TOKENS, ledger)
    lines = summary(len(tile_ids), asked, failed, gate, days_to_go(left, ahead))
    ahead.append(left)
    key = f"captions-{name}".lower().replace(".", "-").replace("_", "-")
    create_markdown_artifact(
        "\n".join([f"# Captions by {name}", "", *(f"- {line}" for line in lines)]),
        key=key,
        description=f"The last batch of {name}",
    )
    line = say(f"captions by {name}: " + ", ".join(lines))
    return Outcome(
        (line,),
        failed={f"{name} {code}": f"{count} tiles" for code, count in failed.items()} | dict(asked.unreadable),
        unusable={name: asked.unusable} if asked.unusable else {},
        next_slots={name: asked.next_slot} if asked.next_slot is not None else {},
    )


def _wanted(config: Campaign, captioner: Captioner, tile_ids: list[str], wishes: Wishes, state: State) -> Versions:
    """The tiles to be asked about; those whose claims are another's are found out when they are claimed."""
    wanted = missing(state, captioner.name, tile_ids)
    if wishes.retry_failed:
        wanted |= failed_ones(state, captioner.name, tile_ids, wishes.retry_failed)
    if wishes.renew:
        models = {endpoint.model for endpoint in captioner.pool}
        keys = partial(present_keys, config, captioner)
        wanted |= outdated(state, captioner.name, tile_ids, models, keys)
    return wanted


def _caption_by_rules(
    captioner: Captioner, tile_ids: list[str], wishes: Wishes, state: State, dataset: Place
) -> Outcome:
    name = captioner.name
    to_do = missing(state, name, tile_ids)
    if wishes.renew:
        to_do |= outdated(state, name, tile_ids, {MODEL}, _present_rules(dataset, tile_ids))
    if not to_do:
        return Outcome((say(f"captions by {name}: {len(tile_ids)} there, none to do"),))
    with progress(f"captions by {name}", len(to_do), "captions") as bar:
        wanted = pa.array(list(to_do), pa.string())
        for label, files in _slices(list_statistics(dataset), wanted):
            heed()
            step(f"{name}: {label}", partial(_say, name, files, to_do, state, bar))
    return Outcome((say(f"captions by {name}: {len(to_do)} made"),))


def _present_rules(dataset: Place, tile_ids: list[str]) -> Callable[[Sequence[str]], dict[str, str]]:
    """Gives the keys under which the rules' captions of some tiles would be kept today."""
    material = gather(dataset, tile_ids, placed=False)
    counts = material.counts(range(len(material.tile_ids)))
    rows = {tile_id: row for row, tile_id in enumerate(material.tile_ids)}
    return lambda some: {tile_id: rules_key(tile_id, counts[rows[tile_id]]) for tile_id in some if tile_id in rows}


def _slices(files: Sequence[StatisticsFile], wanted: pa.Array) -> Iterator[tuple[str, Sequence[StatisticsFile]]]:
    """Files that hold wanted tiles, in at most `_MOST_SLICES` groups, with labels."""
    holding = [file for file in files if pc.any(pc.is_in(file.tile_ids, value_set=wanted)).as_py()]
    each = -(-len(holding) // _MOST_SLICES) or 1
    for start in range(0, len(holding), each):
        group = holding[start : start + each]
        name = group[0].place.url.rsplit("/", 1)[-1].rsplit("-", 1)[0]
        yield name if len(group) == 1 else f"{name} and {len(group) - 1} more", group


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

"""Captions: say of each kept tile what its statistics hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from prefect import flow
from prefect.client.schemas.objects import State as PrefectState

from flows.locking import stage
from flows.outcome import Outcome
from flows.steps import step
from flows.terminal import Bar, progress, say, warn
from tasks.captions.by_rules import rules_captions
from tasks.captions.keeping import described, export, kept_ids, restore
from tasks.captions.state import Caption, State, open_state
from tasks.configuration import Campaign, Captioner
from tasks.errors import InputError
from tasks.places import dataset_of
from tasks.statistics.table import StatisticsFile, list_statistics, read_counts
from tasks.storage import Place

_MOST_SLICES = 50
"""Task runs for one captioner: a flow run has some 500 to share."""


@flow(name="captions", flow_run_name="captions {config.name}", persist_result=False)
def captions(config: Campaign, captioner: str | None = None) -> PrefectState[Outcome]:
    """Captions the kept tiles that have no caption yet.

    Args:
        config: The campaign's configuration, as written.
        captioner: Name of the only captioner to work; all of them where absent.
    """
    return caption_tiles(config, captioner).state()


def caption_tiles(config: Campaign, only: str | None = None) -> Outcome:
    """Captions what has no caption yet, captioner by captioner, and writes all captions to the dataset.

    Args:
        config: the campaign.
        only: the name of the only captioner to work; None for all of them.

    Raises:
        InputError: there is no captioner of that name, or no plan yet.
    """
    names = [captioner.name for captioner in config.captioners]
    if only is not None and only not in names:
        raise InputError(f"no captioner is called {only!r}; the configuration has {', '.join(names) or 'none'}")
    dataset = dataset_of(config)
    kept = kept_ids(dataset)
    outcome = Outcome()
    with open_state(config.state, config.dataset) as state:
        if restored := restore(state, dataset):
            warn(f"the state was empty: took back {restored} captions from {dataset.join('captions')}")
        for captioner in config.captioners:
            if only in {None, captioner.name}:
                outcome = outcome.then(_caption(captioner, described(captioner, kept), state, dataset))
        with stage(dataset):
            step("write the captions", lambda: export(state, names, dataset))
    return outcome


def _caption(captioner: Captioner, tile_ids: list[str], state: State, dataset: Place) -> Outcome:
    missing = state.missing(captioner.name, tile_ids)
    if not missing:
        return Outcome((say(f"captions by {captioner.name}: {len(tile_ids)} there, none to do"),))
    if captioner.recipe != "rules":
        reason = f"{len(missing)} tiles wait: asking endpoints comes with a later release"
        warn(f"captioner {captioner.name}: {reason}")
        return Outcome((f"captions by {captioner.name}: {reason}",), waiting={captioner.name: reason})
    with progress(f"captions by {captioner.name}", len(missing), "captions") as bar:
        wanted = pa.array(missing, pa.string())
        for label, files in _slices(list_statistics(dataset), wanted):
            step(f"{captioner.name}: {label}", partial(_say, captioner.name, files, wanted, state, bar))
    return Outcome((say(f"captions by {captioner.name}: {len(missing)} made"),))


def _slices(files: Sequence[StatisticsFile], wanted: pa.Array) -> Iterator[tuple[str, Sequence[StatisticsFile]]]:
    """Files that hold wanted tiles, in at most `_MOST_SLICES` groups, with labels."""
    holding = [file for file in files if pc.any(pc.is_in(file.tile_ids, value_set=wanted)).as_py()]
    each = -(-len(holding) // _MOST_SLICES) or 1
    for start in range(0, len(holding), each):
        group = holding[start : start + each]
        name = group[0].place.url.rsplit("/", 1)[-1].rsplit("-", 1)[0]
        yield name if len(group) == 1 else f"{name} and {len(group) - 1} more", group


def _say(captioner: str, files: Sequence[StatisticsFile], wanted: pa.Array, state: State, bar: Bar) -> None:
    """Captions the wanted tiles of some files of statistics by rules."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for file in files:
        tile_ids, counts = read_counts(file.place)
        rows = pc.is_in(tile_ids, value_set=wanted).to_numpy(zero_copy_only=False)
        made = rules_captions(captioner, tile_ids.filter(pa.array(rows)).to_pylist(), counts[rows], now)
        state.add(_counted(made, bar))


def _counted(made: Iterator[Caption], bar: Bar) -> Iterator[Caption]:
    for caption in made:
        bar.advance(1)
        yield caption

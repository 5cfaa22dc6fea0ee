"""The report of the checks: what they found in a campaign's captions, and how people judged them."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from flows.display.artifacts import artifact_key
from tasks.captions.keeping import described, kept_ids
from tasks.captions.state import State
from tasks.configuration import Campaign
from tasks.pages.markdown import code
from tasks.places import dataset_of
from tasks.report.gathering import Gathering, Report
from tasks.report.markdown import in_markdown
from tasks.report.page import render
from tasks.statistics.table import all_counts
from tasks.storage import Place, write


def report_place(dataset: Place) -> Place:
    """Where a dataset keeps the report of its checks."""
    return dataset.join("report.html")


def write_report(config: Campaign, state: State) -> Place:
    """Writes the report's page, and leaves the same on Prefect's pages, shorter; returns the page's place."""
    report = gather(config, state)
    content = render(config.name, report)
    where = report_place(dataset_of(config))
    write(where, lambda stream: stream.write(content))
    if FlowRunContext.get():
        lines = [f"# Checks of {code(config.name)}", "", *in_markdown(report), "", f"The page: {code(where.url)}"]
        key = artifact_key(config.name, "checks")
        create_markdown_artifact("\n".join(lines), key=key, description="What the checks found, and how people judged")
    return where


def gather(config: Campaign, state: State) -> Report:
    """The report's figures, from every version of every kept tile's captions."""
    dataset = dataset_of(config)
    kept = kept_ids(dataset)
    mine = {captioner.name: set(described(captioner, kept)) for captioner in config.captioners}
    gathering = Gathering([captioner.name for captioner in config.captioners])
    for tile_ids, counts in all_counts(dataset):
        rows = {tile_id: row for row, tile_id in enumerate(tile_ids.to_pylist())}
        for captioner in config.captioners:
            wanted = [tile_id for tile_id in rows if tile_id in mine[captioner.name]]
            for history in state.histories(captioner.name, wanted):
                gathering.add(history, counts[rows[history[0].tile_id]], captioner.recipe)
    return gathering.report()

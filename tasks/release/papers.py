"""Everything of a release but its parts: captions by captioner, footprints, what was left out, card and licences."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.configuration import Campaign
from tasks.release.caption_files import publish_captions
from tasks.release.card import Facts, card
from tasks.release.croissant import croissant
from tasks.release.footprints import publish_items
from tasks.release.licences import attribution_text, licence_text, sources_of
from tasks.release.likeness import Leak, leaks
from tasks.release.map import map_svg
from tasks.release.publishing import Published, Written, publish, release_folder
from tasks.release.samples import Sources
from tasks.release.selection import Selection


def write_papers(
    config: Campaign,
    selection: Selection,
    sources: Sources,
    written: Mapping[str, Written],
    checks: Sequence[str],
) -> list[Published]:
    """Writes what goes with the parts of a release.

    Args:
        config: the campaign.
        selection: what the release holds.
        sources: where its samples come from.
        written: what each part has left behind.
        checks: what the checks found, lines of Markdown.

    Returns:
        All files of the release, its parts among them; but not the sums, which come last.
    """
    release = release_folder(sources.dataset)
    layout = sources.found.table.layout
    names = [captioner.name for captioner in config.captioners]
    rows = [row for part in selection.parts for row in part.rows]
    dates = _told_of_images(sources, rows, "acquired")
    found = sources_of(config, sources.found.table, sorted({date[:4] for date in dates}))
    models = sorted({model for one in selection.taken.values() for model in one.models} - {"rules", "unknown"})
    alike = _leaks(selection, sources, written)
    files = [file for one in written.values() for file in one.files]
    files += publish_captions(release, names, selection.parts, sources)
    items = publish_items(release, config.name, layout.year if layout else None, selection.parts, sources)
    plan = sources.tiles.take(pa.array(rows))
    lon, lat = (_floats(plan.column(axis)) for axis in ("lon", "lat"))
    drawn = map_svg(lon, lat, f"Where the tiles of {config.name} lie")
    facts = Facts(
        config=config,
        selection=selection,
        sources=found,
        counts=sources.counts[rows],
        splits=plan.column("split").to_pylist(),
        blocks=plan.column("block").to_pylist(),
        leaks=alike,
        examples=[next(sources.facts(selection.parts[0]))],
        checks=checks,
        has_map=drawn is not None,
        has_items=bool(items),
        unplaced=int(np.isnan(lon).sum()),
        scenes=len(set(_told_of_images(sources, rows, "scene"))),
        months=_months(dates),
    )
    texts = {
        "README.md": card(facts),
        "LICENSE": licence_text(config.name, found, models).encode(),
        "ATTRIBUTION.md": attribution_text(config.name, found).encode(),
        "leakage.json": _leakage(alike, rows, sources),
    } | ({"map.svg": drawn} if drawn is not None else {})
    files += items
    files += [publish(release, path, partial(_put, content)) for path, content in texts.items()]
    files.append(publish(release, "excluded.jsonl", partial(_put_lines, _left_out(selection))))
    described = croissant(
        config.name,
        f"{len(rows)} tiles of land cover, each described in English. {found[0].attribution}",
        [source.address or source.licence for source in found],
        " ".join(source.attribution for source in found),
        files,
        imagery=sources.images is not None,
    )
    content = json.dumps(described, indent=1, ensure_ascii=False).encode()
    files.append(publish(release, "croissant.json", partial(_put, content)))
    return files


def _put(content: bytes, stream: BinaryIO) -> None:
    stream.write(content)


def _put_lines(lines: Iterator[bytes], stream: BinaryIO) -> None:
    for line in lines:
        stream.write(line + b"\n")


def _leaks(selection: Selection, sources: Sources, written: Mapping[str, Written]) -> list[Leak]:
    """What is alike across splits; tiles are named by their place in the release."""
    rows = [row for part in selection.parts for row in part.rows]

    def texts(places: Sequence[int]) -> list[str]:
        captions = sources.captions.of([rows[place] for place in places])
        return [str(captions[rows[place]][0]["text"]) for place in places]

    splits = [part.split for part in selection.parts for _ in part.rows]
    compared = [one for part in selection.parts for one in written[part.name].likeness]
    return list(leaks(compared, splits, texts))


def _leakage(found: Sequence[Leak], rows: Sequence[int], sources: Sources) -> bytes:
    """The content of ``leakage.json``: pairs of tiles, in order."""
    ids = sources.tiles.column("tile_id").take(pa.array(rows)).to_pylist()
    pairs = sorted((leak.kind, *sorted((ids[leak.one], ids[leak.other]))) for leak in found)
    listed = [{"kind": kind, "tiles": [one, other]} for kind, one, other in pairs]
    return json.dumps(listed, indent=1).encode() + b"\n"


def _left_out(selection: Selection) -> Iterator[bytes]:
    """The lines of ``excluded.jsonl``."""
    tiles = selection.tiles.select(["tile_id", "split", "status"])
    for row, reason in selection.reasons.items():
        told = tiles.slice(row, 1).to_pylist()[0] | {"reason": reason}
        yield json.dumps(told, ensure_ascii=False).encode()


def _told_of_images(sources: Sources, rows: Sequence[int], column: str) -> list[str]:
    """One thing that is known of the chips in the release, where it is; nothing without imagery."""
    if sources.images is None:
        return []
    found: list[str] = sources.images.column(column).take(pa.array(rows)).drop_null().to_pylist()
    return found


def _months(dates: Sequence[str]) -> Counter[int]:
    """Images by month."""
    return Counter(int(date[5:7]) for date in dates if date[4:5] == "-" and date[5:7].isdigit())


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    values: NDArray[np.float64] = pc.fill_null(column, np.nan).to_numpy()
    return values

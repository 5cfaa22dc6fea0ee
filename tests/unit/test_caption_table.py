"""Captions as tables: one row per tile, nothing lost on the way to a file and back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.captions.state import Caption, open_state
from tasks.captions.table import SHOWN, VERSIONS, read_versions, shown_rows, write_jsonl, write_parquet, write_versions
from tasks.errors import InputError

CONTRACT = ["tile_id", "captioner", "kind", "variant", "text", "raw", "status", "flags"]
CONTRACT += ["model", "prompt_sha256", "request_id", "created_at", "reviewer", "reviewed_at"]


def caption(tile_id: str = "1_1", **values: Any) -> Caption:
    return replace(Caption(tile_id, "rules", "Open water.", "unchecked", "2024-05-01T12:00:00+00:00"), **values)


tile_ids = st.text("019_Bé", min_size=1, max_size=4)
texts = st.none() | st.text(max_size=30)
histories = st.dictionaries(
    st.tuples(tile_ids, st.integers(1, 3)),
    st.builds(
        caption,
        text=texts,
        raw=texts,
        status=st.sampled_from(["unchecked", "mended", "edited", "failed"]),
        flags=st.lists(st.sampled_from(["cut-off", "absent-class:snow"]), max_size=3).map(tuple),
        model=texts,
        reason=texts,
        reviewer=texts,
        revises=st.none() | st.integers(1, 3),
    ),
).map(lambda found: [replace(found[place], tile_id=place[0], version=place[1]) for place in sorted(found)])


@settings(deadline=None)
@given(st.lists(tile_ids), st.dictionaries(tile_ids, texts))
def test_each_tile_to_describe_has_one_row(wanted: list[str], described: dict[str, str | None]) -> None:
    current = [caption(tile_id, text=described[tile_id]) for tile_id in sorted(described)]
    rows = list(shown_rows("rules", iter(wanted), iter(current)))
    assert [row["tile_id"] for row in rows] == sorted(set(wanted))
    for row in rows:
        there = row["tile_id"] in described
        assert row["status"] == ("unchecked" if there else "pending")
        assert row["text"] == described.get(row["tile_id"])


def test_a_pending_tile_has_its_names_and_nothing_else() -> None:
    (row,) = shown_rows("gpt", ["1_1"], [])
    known = {
        "tile_id": "1_1",
        "captioner": "gpt",
        "kind": "description",
        "variant": 0,
        "status": "pending",
        "flags": [],
    }
    assert row == dict.fromkeys(CONTRACT) | known


@settings(deadline=None)
@given(histories)
def test_both_formats_hold_the_same_rows(history: list[Caption]) -> None:
    current = list({one.tile_id: one for one in history}.values())
    wanted = ["0", "another", *(one.tile_id for one in current)]
    as_json, as_parquet = io.BytesIO(), io.BytesIO()
    write_jsonl(shown_rows("rules", wanted, current), as_json)
    write_parquet(shown_rows("rules", wanted, current), as_parquet)
    lines = as_json.getvalue().decode().splitlines()  # which also splits where only Unicode sees a line's end
    rows = [json.loads(line) for line in lines]
    assert all(list(row) == CONTRACT for row in rows)
    assert pq.read_table(as_parquet).to_pylist() == rows
    assert [row["tile_id"] for row in rows] == sorted(set(wanted))


def test_json_is_readable_text_in_which_no_control_character_acts() -> None:
    file = io.BytesIO()
    hostile = 'São Tomé 🌊 "quoted"\nline\u2028end\u0085\x1b[2J\x9b2J\x7f</script>'
    write_jsonl(shown_rows("rules", ["1_1"], [caption(text=hostile)]), file)
    line = file.getvalue().decode()
    assert 'São Tomé 🌊 \\"quoted\\"' in line
    assert len(line.splitlines()) == 1
    assert line.rstrip("\n").isprintable()
    assert json.loads(line)["text"] == hostile


class Pipe(io.RawIOBase):
    """A stream as standard output is when it is piped: it takes bytes and knows no position."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.taken += data
        return len(data)


def test_parquet_goes_through_a_pipe_in_several_row_groups() -> None:
    pipe = Pipe()
    write_parquet(shown_rows("rules", map(str, range(12_000)), []), pipe)  # bytes go in raw
    written = pq.ParquetFile(io.BytesIO(bytes(pipe.taken)))
    assert written.metadata.num_rows == 12_000
    assert written.metadata.num_row_groups > 1
    assert written.schema_arrow.names == CONTRACT


def test_a_campaign_without_tiles_is_a_table_without_rows() -> None:
    as_json, as_parquet = io.BytesIO(), io.BytesIO()
    write_jsonl([], as_json)
    write_parquet([], as_parquet)
    assert as_json.getvalue() == b""
    assert pq.read_table(as_parquet).schema.equals(SHOWN)


@settings(deadline=None)
@given(histories)
def test_every_version_comes_back_as_it_was(history: list[Caption]) -> None:
    file = io.BytesIO()
    write_versions(history, file)
    assert list(read_versions(file, "rules.parquet")) == history


def written(captions: list[Caption]) -> io.BytesIO:
    file = io.BytesIO()
    write_versions(captions, file)
    return file


def test_an_empty_state_is_filled_from_the_files_of_all_captioners(tmp_path: Path) -> None:
    rules = [
        caption("1_1", request_id="q1", raw="Open  water.", model="m", prompt_sha256="f" * 64),
        caption(
            "1_1", request_id="q1", version=2, revises=1, status="edited", reviewer="Ana", reviewed_at="2024-05-02"
        ),
        caption("1_2", text=None, status="failed", reason="content_filter", flags=("refusal",)),
    ]
    gpt = [caption("1_1", captioner="gpt")]
    with open_state(f"sqlite:///{tmp_path}/campaign.db", str(tmp_path)) as state:
        files = [written(rules), written(gpt)]
        assert state.restore(chain.from_iterable(read_versions(file, "a file") for file in files)) == 4
        assert list(state.versions("rules")) == rules
        assert list(state.versions("gpt")) == gpt
        assert written(list(state.versions("rules"))).getvalue() == files[0].getvalue()


def test_a_state_that_holds_captions_is_left_alone(tmp_path: Path) -> None:
    with open_state(f"sqlite:///{tmp_path}/campaign.db", str(tmp_path)) as state:
        state.add([caption()])
        assert state.restore(read_versions(written([caption("1_2")]), "a file")) == 0
        assert list(state.versions("rules")) == [caption()]


def test_a_restore_that_breaks_off_leaves_the_state_empty(tmp_path: Path) -> None:
    """Half a history would pass for the whole at the next start, and the other half be bought again."""

    def broken() -> Iterator[Caption]:
        yield from (caption(str(number)) for number in range(2500))
        yield from read_versions(io.BytesIO(b"PAR1 and then nothing"), "gpt.parquet")

    with open_state(f"sqlite:///{tmp_path}/campaign.db", str(tmp_path)) as state:
        with pytest.raises(InputError, match=r"gpt\.parquet: not a readable table of captions"):
            state.restore(broken())
        assert state.is_empty()


def test_a_file_that_is_no_table_of_captions_is_named() -> None:
    other = io.BytesIO()
    pq.write_table(pa.table({"tile_id": ["1_1"], "captioner": ["rules"]}), other)
    with pytest.raises(InputError, match=r"tiles\.parquet: expected a table of captions, but it has no column kind, "):
        list(read_versions(other, "tiles.parquet"))
    cut = io.BytesIO(written([caption()]).getvalue()[:-20])
    with pytest.raises(InputError, match=r"rules\.parquet: not a readable table"):
        list(read_versions(cut, "rules.parquet"))
    nulls = io.BytesIO()
    pq.write_table(pa.table({name: pa.nulls(1, VERSIONS.field(name).type) for name in VERSIONS.names}), nulls)
    with pytest.raises(InputError, match=r"nulls\.parquet: not a readable table"):
        list(read_versions(nulls, "nulls.parquet"))

"""The state: no version lost, none kept twice, whoever writes and however they end."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Connection, create_engine, make_url, text

from tasks.captions.schema import UPGRADES
from tasks.captions.state import RAW_BYTES, Caption, State, campaign_key, open_state
from tasks.database import open_database, writing
from tasks.errors import EarthscribeError, InputError

NOON = "2024-05-01T12:00:00+00:00"


def caption(tile_id: str = "1_1", **values: Any) -> Caption:
    return replace(Caption(tile_id, "rules", "Open water covers the tile.", "unchecked", NOON), **values)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/campaign.db"


@pytest.fixture
def state(url: str, tmp_path: Path) -> Iterator[State]:
    with open_state(url, str(tmp_path)) as opened:
        yield opened


# Every string that Python can hold, half a surrogate pair and NUL among them.
any_text = st.text(st.characters(exclude_categories=()), max_size=20)
captions = st.builds(
    Caption,
    tile_id=st.sampled_from(["1_1", "1_10", "10_1", "B", "a", "é"]),
    captioner=st.sampled_from(["rules", "gpt"]),
    text=st.none() | any_text,
    status=st.sampled_from(["unchecked", "accepted", "failed"]),
    created_at=st.just(NOON),
    raw=st.none() | any_text,
    flags=st.lists(st.sampled_from(["cut-off", "absent-class:snow", "é"]), max_size=2).map(tuple),
    model=st.sampled_from([None, "old", "new"]),
    request_id=st.none() | st.sampled_from(["q1", "q2", "q3"]),
    reason=st.none() | any_text,
    variant=st.sampled_from([0, 0, 0, 1]),
    version=st.integers(1, 4),
    revises=st.none() | st.integers(1, 4),
)


def as_kept(given: Caption) -> Caption:
    cleaned = {name: getattr(given, name) for name in ("text", "raw", "reason")}
    cleaned = {name: value and re.sub("[\0\ud800-\udfff]", "\ufffd", value) for name, value in cleaned.items()}
    return replace(given, **cleaned)


class Histories(RuleBasedStateMachine):
    """Any sequence of additions and reopenings leaves what a dictionary would hold."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.kept: dict[tuple[str, int, str, int], Caption] = {}
        self.answered: set[tuple[str, str]] = set()
        self.open()

    def open(self) -> None:
        self.opened = open_state(f"sqlite:///{self.folder.name}/campaign.db", self.folder.name)
        self.state = self.opened.__enter__()

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)
        self.folder.cleanup()

    @rule()
    def reopen(self) -> None:
        self.opened.__exit__(None, None, None)
        self.open()

    @rule(batch=st.lists(captions, max_size=8))
    def add(self, batch: list[Caption]) -> None:
        batch = sorted(batch, key=lambda one: (one.captioner, one.variant, one.tile_id, one.version))
        assert self.state.add(batch) == sum(self.keeps(one) for one in batch)

    def keeps(self, one: Caption) -> bool:
        place = (one.captioner, one.variant, one.tile_id, one.version)
        answer = (one.request_id, one.tile_id) if one.request_id and one.revises is None else None
        if place in self.kept or answer in self.answered:
            return False
        self.kept[place] = as_kept(one)
        if answer:
            self.answered.add(answer)
        return True

    @invariant()
    def everything_is_there(self) -> None:
        for captioner in ("rules", "gpt"):
            expected = [self.kept[place] for place in sorted(self.kept) if place[0] == captioner]
            assert list(self.state.versions(captioner)) == expected
        assert self.state.is_empty() == (not self.kept)

    @invariant()
    def one_version_of_each_tile_is_shown(self) -> None:
        described = [one for one in self.kept.values() if one.captioner == "gpt" and one.variant == 0]
        best: dict[str, Caption] = {}
        for one in sorted(described, key=lambda one: (one.text is not None, one.model == "new", one.version)):
            best[one.tile_id] = one
        shown = list(self.state.current("gpt", lambda _tile, model, _prompt: model == "new"))
        assert shown == [best[tile_id] for tile_id in sorted(best)]
        wanted = ["a", "unknown", "1_1"]
        assert self.state.missing("gpt", wanted) == [tile_id for tile_id in wanted if tile_id not in best]


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)


def test_the_first_caption_of_a_tile_stays(state: State) -> None:
    assert state.add([caption()]) == 1
    assert state.add([caption(text="Another text.")]) == 0
    assert [one.text for one in state.current("rules")] == ["Open water covers the tile."]


def test_a_request_has_one_answer_for_a_tile_which_revisions_go_on_naming(state: State) -> None:
    answer = caption(request_id="q1")
    mended = replace(answer, version=2, revises=1, status="mended", text="Water covers the tile.")
    assert state.add([answer]) == 1
    assert state.add([replace(answer, version=2)]) == 0
    assert state.add([mended]) == 1
    assert state.add([replace(answer, tile_id="1_2")]) == 1
    assert list(state.current("rules")) == [mended, replace(answer, tile_id="1_2")]


def test_a_failed_renewal_hides_no_caption(state: State) -> None:
    state.add([caption(), caption(version=2, text=None, status="failed", reason="content_filter")])
    assert [one.version for one in state.current("rules")] == [1]
    assert state.counts("rules", ["1_1"]) == Counter(unchecked=1)


def test_shown_is_the_newest_of_the_present_prompt_else_the_newest(state: State) -> None:
    state.add(caption(tile, version=version) for tile in ("a", "b") for version in (1, 2))
    state.add(caption(tile, version=3, prompt_sha256=tile) for tile in ("a", "b"))
    state.add(caption(tile, version=4, prompt_sha256="other") for tile in ("a", "b"))
    asked_now = {"a": "a", "b": "nothing yet"}
    shown = state.current("rules", lambda tile_id, _model, prompt: prompt == asked_now[tile_id])
    assert [(one.tile_id, one.version) for one in shown] == [("a", 3), ("b", 4)]


def test_counts_are_of_the_tiles_given(state: State) -> None:
    state.add([caption("a"), caption("b", text=None, status="failed"), caption("elsewhere")])
    assert state.counts("rules", ["a", "b", "c", "d"]) == Counter(unchecked=1, failed=1, pending=2)
    assert state.counts("gpt", ["a"]) == Counter(pending=1)


def test_a_failed_tile_is_not_missing_and_the_order_given_is_kept(state: State) -> None:
    state.add([caption("b", text=None, status="failed")])
    assert state.missing("rules", ["c", "b", "a"]) == ["c", "a"]
    assert state.missing("gpt", ["c", "b", "a"]) == ["c", "b", "a"]


def test_an_endless_answer_is_cut_and_the_caption_kept_whole(state: State) -> None:
    state.add([caption(raw="é" * 20_000, text="é" * 20_000)])
    (kept,) = state.current("rules")
    assert kept.raw is not None
    assert RAW_BYTES - 3 <= len(kept.raw.encode()) <= RAW_BYTES
    assert kept.raw.endswith("é…")
    assert kept.text == "é" * 20_000


def test_campaigns_in_one_database_are_apart(url: str, tmp_path: Path) -> None:
    with open_state(url, str(tmp_path / "one")) as one, open_state(url, str(tmp_path / "two")) as two:
        one.add([caption(request_id="1")])
        assert two.is_empty()
        assert list(two.versions("rules")) == list(two.current("rules")) == []
        assert two.missing("rules", ["1_1"]) == ["1_1"]
        assert two.add([caption(request_id="1")]) == 1


def test_a_dataset_moved_with_its_state_keeps_its_captions(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    with open_state(f"sqlite:///{before}/campaign.db", str(before)) as state:
        state.add([caption()])
    before.rename(after)
    with open_state(f"sqlite:///{after}/campaign.db", f"file://{after}") as state:
        assert list(state.current("rules")) == [caption()]


@pytest.mark.parametrize(
    ("database", "dataset", "key"),
    [
        ("sqlite:////data/a.db", "/data/sao-tome", "sao-tome"),
        ("sqlite:////data/sets/campaign.db", "/data/sets/", "."),
        ("sqlite:////data/a.db", "s3://bucket/prefix/", "s3://bucket/prefix"),
        ("postgresql+psycopg://host/db", "/data/sao-tome", "/data/sao-tome"),
        ("postgresql+psycopg://host/db", "s3://bucket/prefix", "s3://bucket/prefix"),
    ],
)
def test_what_a_campaign_goes_by(database: str, dataset: str, key: str) -> None:
    assert campaign_key(make_url(database), dataset) == key


# --- Other processes ------------------------------------------------------------------------------

WRITER = """
import sys
from tasks.captions.state import Caption, open_state

url, writer, count, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
tiles = [f"{number}" for number in range(count)]
print("ready", flush=True)
sys.stdin.readline()
with open_state(url, "dataset") as state:
    for start in range(0, count, batch):
        added = state.add(
            Caption(tile, "rules", f"by {writer}", "unchecked", "2024-05-01T12:00:00+00:00")
            for tile in tiles[start : start + batch]
        )
        print(added, flush=True)
"""


def start_writer(url: str, name: str, count: int, batch: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, url, name, str(count), str(batch)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_who_write_the_same_tiles_at_once_both_end_well(url: str) -> None:
    writers = [start_writer(url, name, count=3000, batch=100) for name in ("one", "two")]
    for writer in writers:
        go(writer)
    added = [sum(map(int, writer.communicate(timeout=60)[0].split())) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    with open_state(url, "dataset") as state:
        authors = Counter(one.text for one in state.versions("rules"))
    assert sum(added) == authors.total() == 3000
    assert [authors["by one"], authors["by two"]] == added


OPENERS = """
import multiprocessing, sys
from tasks.captions.state import Caption, open_state

def open_each(barrier):
    for number in range(30):
        barrier.wait(60)
        with open_state(f"sqlite:///{sys.argv[1]}/{number}.db", "dataset") as state:
            state.add([Caption("1_1", "rules", "x", "unchecked", "now")])

fork = multiprocessing.get_context("fork")
barrier = fork.Barrier(4)
openers = [fork.Process(target=open_each, args=[barrier]) for _ in range(4)]
for opener in openers:
    opener.start()
for opener in openers:
    opener.join()
print([opener.exitcode for opener in openers])
"""


def test_a_database_made_by_several_at_the_same_instant_is_made_once(tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, "-c", OPENERS, tmp_path], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[0, 0, 0, 0]", result.stderr


@pytest.mark.parametrize("batches_seen", [1, 7, 40])
def test_a_killed_writer_leaves_whole_batches(url: str, tmp_path: Path, batches_seen: int) -> None:
    with start_writer(url, "one", count=1_000_000, batch=50) as writer:
        go(writer)
        assert writer.stdout is not None
        for _ in range(batches_seen):
            assert writer.stdout.readline() == "50\n"
        os.kill(writer.pid, signal.SIGKILL)
    with open_state(url, "dataset") as state:
        kept = sum(1 for _ in state.versions("rules"))
    assert kept >= 50 * batches_seen
    assert kept % 50 == 0
    connection = sqlite3.connect(tmp_path / "campaign.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


LARGE = """
import resource, sys
from tasks.captions.state import Caption, open_state

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

with open_state(sys.argv[1], "dataset") as state:
    state.add([Caption("0", "rules", "x", "unchecked", "now")])
    before = peak()
    tiles = [str(number) for number in range(100_000)]
    added = state.add(Caption(tile, "rules", tile * 200, "unchecked", "now") for tile in tiles)
    shown = sum(1 for _ in state.current("rules"))
    counts = state.counts("rules", tiles)
    missing = state.missing("rules", [*tiles, "another"])
    print(added, shown, counts["unchecked"], missing == ["another"], peak() - before < 80, peak() - before)
"""


def test_a_large_campaign_is_streamed(url: str) -> None:
    """A gigabyte of text for a million tiles, here a tenth of it, passes through a memory of a few batches."""
    result = subprocess.run([sys.executable, "-c", LARGE, url], capture_output=True, text=True, check=True)
    assert result.stdout.split()[:5] == ["99999", "100000", "100000", "True", "True"], result.stdout


# --- The schema -----------------------------------------------------------------------------------


def add_more(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE more (tile_id TEXT PRIMARY KEY)"))


def fail(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE half (a TEXT)"))
    connection.execute(text("INSERT INTO nowhere VALUES (1)"))


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        names = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
    engine.dispose()
    return names


def test_a_database_of_an_older_version_is_upgraded_and_keeps_its_captions(url: str, tmp_path: Path) -> None:
    with open_state(url, str(tmp_path)) as state:
        state.add([caption()])
    for _ in range(2):  # the second time there is nothing to do
        open_database(url, "captions", (*UPGRADES, add_more)).dispose()
    assert tables(url) == {"captions", "claims", "schema_versions", "more"}
    with pytest.raises(InputError, match=r"campaign\.db: written by a newer earthscribe"), open_state(url, "any"):
        pass


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(url: str, tmp_path: Path) -> None:
    with open_state(url, str(tmp_path)) as state:
        state.add([caption()])
    with pytest.raises(InputError, match="no such table: nowhere"):
        open_database(url, "captions", (*UPGRADES, add_more, fail))
    assert tables(url) == {"captions", "claims", "schema_versions"}
    with open_state(url, str(tmp_path)) as state:
        assert list(state.current("rules")) == [caption()]


def test_parts_that_share_a_database_have_their_versions_apart(url: str, tmp_path: Path) -> None:
    open_database(url, "ledger", (add_more, lambda _: None, lambda _: None)).dispose()
    with open_state(url, str(tmp_path)) as state:
        assert state.add([caption()]) == 1


def test_an_empty_file_and_a_missing_folder_are_as_good_as_no_database(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    for file in (tmp_path / "empty.db", tmp_path / "not" / "yet" / "there.db"):
        with open_state(f"sqlite:///{file}", str(tmp_path)) as state:
            assert state.add([caption()]) == 1


def test_what_is_committed_is_on_the_disk(state: State) -> None:
    with state.engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2


def test_who_writes_has_the_lock_from_the_start_and_readers_go_on(state: State, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "campaign.db", isolation_level=None, timeout=0)
    with writing(state.engine).begin():
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        assert state.is_empty()
    with state.engine.begin():
        other.execute("BEGIN IMMEDIATE")
    other.close()


# --- What a user can get wrong --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("sqlite:///{folder}/text.db", r"text\.db: the file is no SQLite database"),
        ("sqlite:///{folder}", "cannot be opened"),
        ("sqlite:///{folder}/text.db/inside.db", r"inside\.db: its folder cannot be made"),
        ("sqlite://", "names no file"),
        ("sqlite:///{folder}/a.db?timeout=long", r"a\.db: an option of its URL cannot be read"),
        ("mysql://me:s3cret@host/db", "mysql: not a kind of database"),
        ("postgresql://me:s3cret@host:port/db", "cannot be read"),
        ("postgresql://me:s3cret@127.0.0.1:1/db?sslpassword=s3cret", r"postgresql://me:\*\*\*@127\.0\.0\.1:1/db: "),
    ],
)
def test_a_database_that_cannot_be_used_is_named(tmp_path: Path, wrong: str, message: str) -> None:
    (tmp_path / "text.db").write_text("This is no database, but a text that is longer than a header.\n" * 40)
    with pytest.raises(InputError, match=message) as caught, open_state(wrong.format(folder=tmp_path), "dataset"):
        pass
    assert "s3cret" not in str(caught.value)


def test_a_locked_database_can_be_read_and_says_that_it_is_locked(state: State, url: str, tmp_path: Path) -> None:
    state.add([caption()])
    other = sqlite3.connect(tmp_path / "campaign.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with open_state(f"{url}?timeout=0.1", str(tmp_path)) as second:
        assert list(second.current("rules")) == [caption()]
        with pytest.raises(EarthscribeError, match=r"campaign\.db: another program keeps it locked"):
            second.add([caption("1_2")])
        other.execute("ROLLBACK")
        assert second.add([caption("1_2")]) == 1
    other.close()


def test_a_read_only_database_can_be_read_and_says_that_it_cannot_be_written(url: str, tmp_path: Path) -> None:
    with open_state(url, str(tmp_path)) as state:
        state.add([caption()])
    with open_state(f"sqlite:///file:{tmp_path}/campaign.db?mode=ro&uri=true", str(tmp_path)) as state:
        assert list(state.current("rules")) == [caption()]
        with pytest.raises(EarthscribeError, match="cannot be written"):
            state.add([caption("1_2")])


def test_a_message_never_shows_what_was_written(state: State) -> None:
    with state.engine.begin() as connection:
        connection.execute(text("DROP TABLE captions"))
    with pytest.raises(EarthscribeError, match="no such table: captions") as caught:
        state.add([caption(text="a private text")])
    assert "private" not in f"{caught.value} {caught.value.__cause__}"

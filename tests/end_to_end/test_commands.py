"""What commands have in common: exit codes, what goes where, and help."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import ENDPOINT, Commands, Demo, write_config

COMMANDS = [
    "init",
    "demo",
    "run",
    "plan",
    "statistics",
    "imagery",
    "caption",
    "captions",
    "verify",
    "check",
    "review",
    "release",
    "deploy",
    "prompt",
    "status",
    "estimate",
    "fake-llm",
]


def test_the_demo_tells_where_its_dataset_and_its_page_are(demo: Demo) -> None:
    assert demo.ended.code == 0, demo.ended.stderr
    dataset = demo.folder / "dataset"
    assert demo.ended.stdout == f"dataset: {dataset}\npreview: {dataset / 'preview.html'}\n"
    assert (dataset / "tiles.parquet").is_file()
    assert "<html" in (dataset / "preview.html").read_text()
    assert (demo.folder / "campaign.yaml").is_file()
    stages = [line.split(":")[0] for line in demo.ended.stderr.splitlines() if not line.startswith(" ")]
    made = "making a land-cover map and a configuration in here"
    assert stages == [made, "plan", "statistics", "captions by rules", "checks of rules", "release"]


def test_the_first_command_leaves_no_process_behind(demo: Demo) -> None:
    assert demo.left_running == []


@pytest.fixture
def copied(demo: Demo, tmp_path: Path) -> Path:
    """A copy of the demo's folder."""
    return Path(shutil.copytree(demo.folder, tmp_path / "copied"))


def test_the_demo_again_has_nothing_to_do(earthscribe: Commands, demo: Demo, copied: Path) -> None:
    def written() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (copied / "dataset" / "statistics").iterdir()}

    before = written()
    again = earthscribe("demo", "--out", copied.name, "--quiet", folder=copied.parent)
    assert (again.code, again.stdout) == (0, demo.ended.stdout.replace(str(demo.folder), str(copied)))
    assert again.stderr == "", "--quiet leaves results, warnings and errors"
    changed = {name for name, time in written().items() if before[name] != time}
    assert changed <= {"sources.json"}


def test_a_reader_that_has_seen_enough_is_no_error_worth_a_word(earthscribe: Commands, copied: Path) -> None:
    with earthscribe.cold("captions", copied / "campaign.yaml", folder=copied) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()  # as `| head` does
        assert command.stderr.read() == ""
    assert command.returncode == 1


def test_the_example_runs(earthscribe: Commands, demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "landcover").symlink_to(demo.folder / "landcover")  # painted once is enough
    assert earthscribe("init", folder=tmp_path).code == 0
    ended = earthscribe("plan", "campaign.yaml", "--explain", folder=tmp_path)
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1].split()[0] == "80"
    assert ended.stdout.splitlines()[-1].endswith("in all")
    again = earthscribe("init", folder=tmp_path)
    assert again.code == 2
    assert "campaign.yaml" in again.stderr


@pytest.mark.parametrize("arguments", [["run", "c", "--nope"], ["paint"], ["run"], ["captions", "c", "--format=x"]])
def test_a_command_line_that_is_wrong_ends_with_2(earthscribe: Commands, tmp_path: Path, arguments: list[str]) -> None:
    ended = earthscribe(*arguments, folder=tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    assert "Error: " in ended.stderr
    assert "--help" in ended.stderr


def test_help_tells_every_command_in_a_sentence(earthscribe: Commands, tmp_path: Path) -> None:
    ended = earthscribe("--help", folder=tmp_path, COLUMNS="80")
    assert ended.code == 0
    listed = dict(line.split(maxsplit=1) for line in ended.stdout.split("Commands:")[1].strip().splitlines())
    assert sorted(listed) == sorted(COMMANDS)
    assert not [text for text in listed.values() if text.endswith("...") or not text.endswith(".")], listed
    for command in COMMANDS:
        helped = earthscribe(command, "--help", folder=tmp_path)
        assert helped.code == 0
        options = helped.stdout.split("Options:")[1]
        assert "-h, --help" in options


def test_mistakes_in_a_configuration_are_told_all_at_once(earthscribe: Commands, tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        landcover={"product": "worldcover-2020", "source": "./nowhere", "sauce": 1},
        tiles={"min_valid": 2, "area": [7, 0, 7, 1]},
        captioners=[ENDPOINT | {"api_key": "${UNSET}"}] * 2,
    )
    ended = earthscribe("run", config, folder=tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    paths = {line.strip().split(":")[0] for line in ended.stderr.splitlines()[1:]}
    expected = {"landcover.sauce", "landcover.source", "tiles.min_valid", "tiles.area", "captioners[0].api_key"}
    assert expected <= paths, ended.stderr
    assert any(path.startswith("captioners[1]") for path in paths), "two captioners of one name"
    assert not (tmp_path / "c").exists(), "nothing was started"
    assert "Traceback" not in ended.stderr


def test_what_needs_a_plan_says_so(earthscribe: Commands, tmp_path: Path, made_worldcover: Path) -> None:
    config = write_config(tmp_path, landcover={"product": "worldcover-2020", "source": str(made_worldcover)})
    for command in (["captions", config], ["captions", config, "-o", "rows.jsonl"], ["caption", config]):
        ended = earthscribe(*command, folder=tmp_path)
        assert (ended.code, ended.stdout) == (2, ""), command
        assert f"{tmp_path / 'c' / 'tiles.parquet'}: no such file; run `earthscribe plan` first" in ended.stderr
    assert not (tmp_path / "rows.jsonl").exists()
    status = earthscribe("status", config, folder=tmp_path)
    assert status.code == 0
    assert "0 planned, 0 kept" in status.stdout


def test_an_unknown_captioner_is_told_from_the_known(
    earthscribe: Commands, tmp_path: Path, made_worldcover: Path
) -> None:
    config = write_config(tmp_path, landcover={"product": "worldcover-2020", "source": str(made_worldcover)})
    for command in (["caption", config], ["prompt", config, "8486_8179"]):
        ended = earthscribe(*command, "--captioner", "gpt", folder=tmp_path)
        assert (ended.code, ended.stdout) == (2, "")
        assert "no captioner is called 'gpt'; the configuration has rules" in ended.stderr

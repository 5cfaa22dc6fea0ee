"""Where a stack lies: its folder, its ports and its secrets, which stay the same from one start to the next."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tasks.errors import InputError

USUAL_PORTS: Final = {
    "postgres": 5432,
    "redis": 6379,
    "prefect": 4200,
    "worker": 8080,
    "dask": 8786,
    "dask-http": 8787,
    "s3": 9000,
}
"""Ports that are taken where they are free when a stack is made."""

USER: Final = "earthscribe"
"""PostgreSQL's user, the S3 key, and the name of the campaigns' database and bucket."""

POOL: Final = "earthscribe"
"""The work pool that ``earthscribe deploy`` deploys to."""


@dataclass(frozen=True)
class Stack:
    """A stack's addresses and secrets.

    Attributes:
        folder: holds all that the stack writes: ``logs``, ``run`` (process IDs), ``secrets``, and the parts' data.
        ports: port of each part on the loopback interface.
        secrets: password of each store, by part.
    """

    folder: Path
    ports: Mapping[str, int]
    secrets: Mapping[str, str]

    def address(self, name: str) -> str:
        """Host and port of a part."""
        return f"127.0.0.1:{self.ports[name]}"

    @property
    def ui(self) -> str:
        """Prefect's pages."""
        return f"http://{self.address('prefect')}"

    @property
    def scheduler(self) -> str:
        """The Dask scheduler, as ``cluster.address`` names it."""
        return f"tcp://{self.address('dask')}"

    def database(self, name: str, scheme: str = "postgresql") -> str:
        """A database's URL without the password, which is in the file that ``PGPASSFILE`` names."""
        return f"{scheme}://{USER}@{self.address('postgres')}/{name}"

    def client_settings(self) -> dict[str, str]:
        """What a process needs in its environment to use the stack."""
        return {
            "PREFECT_API_URL": f"{self.ui}/api",
            "AWS_ENDPOINT_URL": f"http://{self.address('s3')}",
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": self.secrets["s3"],
            "PGPASSFILE": str(self.folder / "secrets" / "pgpass"),
        }


def open_stack(folder: Path) -> Stack:
    """Reads where a stack lies, or settles it where there is none yet.

    Raises:
        InputError: the folder is there and is no stack's.
    """
    folder = folder.absolute()
    made = folder / "ports.json"
    if not made.exists():
        _make(folder)
    kept = {path.name: path.read_text().strip() for path in (folder / "secrets").iterdir() if path.name != "pgpass"}
    return Stack(folder, json.loads(made.read_text()), kept)


def is_stack(folder: Path) -> bool:
    """Whether a stack was made in a folder."""
    return (folder / "ports.json").exists()


def _make(folder: Path) -> None:
    """Makes a stack's folder; its list of ports, written last, says that all of it is there."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "secrets").exists():
        raise InputError(f"{folder} is not empty and holds no local stack: name another folder")
    for name in ("logs", "run", "s3"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "s3" / USER).mkdir(exist_ok=True)
    (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
    ports = _free_ports()
    kept = {name: secrets.token_urlsafe(24) for name in ("postgres", "redis", "s3")}
    for name, secret in kept.items():
        write_private(folder / "secrets" / name, f"{secret}\n")
    write_private(folder / "secrets" / "pgpass", f"127.0.0.1:{ports['postgres']}:*:{USER}:{kept['postgres']}\n")
    fresh = folder / "ports.json.new"
    fresh.write_text(json.dumps(ports, indent=1) + "\n")
    fresh.replace(folder / "ports.json")


def write_private(path: Path, content: str) -> None:
    """Writes a file that only its owner can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123 - no mode there
        file.write(content)


def is_free(port: int) -> bool:
    """Whether a port of the loopback interface can be listened on."""
    with socket.socket() as listener:
        # As servers do: a connection of an earlier one that has not quite ended is not in the way.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_ports() -> dict[str, int]:
    """The usual ports, and others in the place of those that are taken."""
    ports: dict[str, int] = {}
    for name, usual in USUAL_PORTS.items():
        port = usual
        while port in ports.values() or not is_free(port):
            # Below the range from which the system gives ports to connections, which could take them back at any time.
            port = 20_000 + secrets.randbelow(12_000)
        ports[name] = port
    return ports

"""Where files lie: local folders and S3 buckets, through fsspec and GDAL.

Access options (keys, endpoint, anonymous or not) stay in a register of this process. What travels through task graphs,
parameters and logs is a `Place`: the URL and the name under which the options are known. Dask workers get the options
by a plugin (`tasks.statistics.access`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import fsspec

_ACCESS: dict[str, Mapping[str, Any]] = {}

_GDAL_HABITS: dict[str, str | int] = {
    # An open costs one small read: no listing of the folder, the header in one go.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    # Every source block is read once: a cache would only be contended for.
    "GDAL_CACHEMAX": 0,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
    # A long-lived worker must see that a file was replaced.
    "CPL_VSIL_CURL_NON_CACHED": "/vsis3/",
    "GDAL_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Place:
    """A folder or file, local or ``s3://``, with the name of its access options (never the options themselves)."""

    url: str
    access: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine's file systems."""
        return "://" not in self.url

    def join(self, *parts: str) -> Place:
        """The place of something below this one."""
        return Place("/".join([self.url.rstrip("/"), *parts]), self.access)

    @property
    def gdal_path(self) -> str:
        """How GDAL names it."""
        return self.url.replace("s3://", "/vsis3/", 1) if self.url.startswith("s3://") else self.url

    def __str__(self) -> str:
        return self.url


def place(url: str | Path, options: Mapping[str, Any] | None = None) -> Place:
    """Registers access options for a URL and returns the place that stands for both."""
    if not options:
        return Place(str(url))
    for name, known in _ACCESS.items():
        if known == options:
            return Place(str(url), name)
    name = secrets.token_hex(8)
    _ACCESS[name] = dict(options)
    return Place(str(url), name)


def access_options(where: Place) -> Mapping[str, Any]:
    """The fsspec options of a place; secrets among them, so never to be logged or stored."""
    return _ACCESS.get(where.access, {}) if where.access else {}


def register_access(options: Mapping[str, Mapping[str, Any]]) -> None:
    """Makes access options known in this process, by name."""
    _ACCESS.update(options)


def filesystem(where: Place) -> tuple[Any, str]:
    """The fsspec file system of a place and the path there."""
    options = dict(access_options(where))
    if where.url.startswith("s3://"):
        # Answers of a listing must be today's, also in a process that lives for weeks.
        options = {"use_listings_cache": False, "skip_instance_cache": True} | options
    return cast(tuple[Any, str], fsspec.core.url_to_fs(where.url, **options))


def gdal_environment(where: Place) -> contextlib.AbstractContextManager[Any]:
    """GDAL's settings for reading below a place: to be entered in the thread that reads."""
    import rasterio  # noqa: PLC0415 - loading GDAL costs a second that commands without rasters need not pay
    from rasterio.session import Session  # noqa: PLC0415

    options = access_options(where)

    class _S3Session(Session):  # type: ignore[misc]  # rasterio ships no types
        # Rasterio's own AWS session needs boto3 only to look up keys that are given here.
        def get_credential_options(self) -> dict[str, str]:
            return _s3_settings(options)

    if where.is_local:
        return cast(contextlib.AbstractContextManager[Any], rasterio.Env(**_GDAL_HABITS))
    return cast(contextlib.AbstractContextManager[Any], rasterio.Env(session=_S3Session(), **_GDAL_HABITS))


def _s3_settings(options: Mapping[str, Any]) -> dict[str, str]:
    """The s3fs options that we understand as GDAL's settings."""
    client = options.get("client_kwargs") or {}
    settings: dict[str, str] = {}
    if options.get("anon"):
        settings["AWS_NO_SIGN_REQUEST"] = "YES"
    for names, setting in (
        (("key", "username"), "AWS_ACCESS_KEY_ID"),
        (("secret", "password"), "AWS_SECRET_ACCESS_KEY"),
        (("token",), "AWS_SESSION_TOKEN"),
    ):
        value = next((options[name] for name in names if options.get(name)), None)
        if value is not None:
            settings[setting] = str(value)
    region = options.get("region_name") or client.get("region_name")
    if region:
        settings["AWS_REGION"] = str(region)
    endpoint = options.get("endpoint_url") or client.get("endpoint_url")
    if endpoint:
        parts = urlsplit(str(endpoint))
        settings["AWS_S3_ENDPOINT"] = parts.netloc + parts.path.rstrip("/")
        settings["AWS_HTTPS"] = "NO" if parts.scheme == "http" else "YES"
        settings["AWS_VIRTUAL_HOSTING"] = "FALSE"
    if options.get("requester_pays"):
        settings["AWS_REQUEST_PAYER"] = "requester"
    return settings


def exists(where: Place) -> bool:
    """Whether a file is there."""
    filesystem_, path = filesystem(where)
    return bool(filesystem_.isfile(path))


def read_bytes(where: Place) -> bytes:
    """The whole content of a file."""
    filesystem_, path = filesystem(where)
    return cast(bytes, filesystem_.cat_file(path))


@contextlib.contextmanager
def reading(where: Place) -> Iterator[BinaryIO]:
    """A file open for reading, seekable."""
    filesystem_, path = filesystem(where)
    with filesystem_.open(path, "rb") as stream:
        yield stream


def write(where: Place, produce: Callable[[BinaryIO], object]) -> None:
    """Writes a file so that it is there whole or not at all.

    Locally: a temporary name beside it, fsync, rename. On S3: one upload, completed last.

    Args:
        where: the file's place; folders above it are made.
        produce: writes the content to the stream that it is given.
    """
    if not where.is_local:
        _upload(where, produce)
        return
    target = Path(where.url)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            produce(stream)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _upload(where: Place, produce: Callable[[BinaryIO], object]) -> None:
    # Written to a scratch file first: a failure while producing then leaves no upload at all.
    filesystem_, path = filesystem(where)
    with tempfile.TemporaryFile() as scratch:
        produce(cast(BinaryIO, scratch))
        scratch.seek(0)
        with filesystem_.open(path, "wb") as target:
            while piece := scratch.read(8 << 20):
                target.write(piece)


def remove(where: Place) -> None:
    """Removes a file, if it is there."""
    filesystem_, path = filesystem(where)
    with contextlib.suppress(FileNotFoundError):
        filesystem_.rm_file(path)


def list_files(where: Place, suffix: str = "") -> list[Place]:
    """The files directly below a folder whose names end with ``suffix``, by name; none where the folder is missing."""
    filesystem_, path = filesystem(where)
    try:
        found = filesystem_.ls(path, detail=True)
    except FileNotFoundError:
        return []
    names = (str(entry["name"]).rsplit("/", 1)[-1] for entry in found if entry["type"] == "file")
    return [where.join(name) for name in sorted(names) if name.endswith(suffix) and not name.startswith(".")]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Where files lie: local folders, S3 buckets and, to be read only, web servers, through fsspec.

Access options (keys, endpoint, anonymous or not) stay in a register of this process. What travels through task graphs,
parameters and logs is a `Place`: the URL and the name under which the options are known. Dask workers get the options
by a plugin (`tasks.statistics.access`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec
from botocore.exceptions import NoCredentialsError  # type: ignore[import-untyped]  # botocore ships no types

from tasks.errors import ClusterLostError, EarthscribeError, RefusedError, StoreError

_ACCESS: dict[str, Mapping[str, Any]] = {}

_MANNERS: dict[str, Any] = {
    # Answers of a listing must be today's, also in a process that lives for weeks.
    "use_listings_cache": False,
    # Clients are kept here, for all threads: fsspec would make one for each.
    "skip_instance_cache": True,
}

_CONNECTION: dict[str, Any] = {
    "connect_timeout": 3,
    "retries": {"mode": "standard", "total_max_attempts": 3},
    # Stores that are not Amazon's keep the checksum of a whole object and send it with a part of it too, or know none.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}

_ANSWER_SECONDS = 4
"""Longest silence of a store that is asked. Six tries (s3fs doubles botocore's three) give it up in half a minute."""

_UPLOAD_SECONDS = 300
"""Longest time for one request that uploads: the client counts the store's silence from the upload's first byte."""

_CLIENTS: dict[tuple[str, int], Any] = {}
_MAKING = threading.Lock()


@dataclass(frozen=True)
class Place:
    """A folder or file, local or ``s3://``, with the name of its access options (never the options themselves)."""

    url: str
    access: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine's file systems."""
        return "://" not in self.url

    @property
    def is_web(self) -> bool:
        """Whether it lies on a web server."""
        return self.url.startswith(("http://", "https://"))

    def join(self, *parts: str) -> Place:
        """The place of something below this one."""
        return Place("/".join([self.url.rstrip("/"), *parts]), self.access)

    def __str__(self) -> str:
        return self.url


def place(url: str | Path, options: Mapping[str, Any] | None = None) -> Place:
    """Registers access options for a URL and returns the place that stands for both."""
    if not options:
        return Place(str(url))
    for name, known in list(_ACCESS.items()):
        if known == options:
            return Place(str(url), name)
    name = secrets.token_hex(8)
    _ACCESS[name] = dict(options)
    return Place(str(url), name)


def access_options(where: Place) -> Mapping[str, Any]:
    """The fsspec options of a place; secrets among them, so never to be logged or stored.

    Raises:
        ClusterLostError: they are not known here: this is a Dask worker, and a scheduler that has been started anew has
            not told it.
    """
    if not where.access:
        return {}
    try:
        return _ACCESS[where.access]
    except KeyError:
        raise ClusterLostError(f"{where}: this worker has not been told how to open it") from None


def register_access(options: Mapping[str, Mapping[str, Any]]) -> None:
    """Makes access options known in this process, by name."""
    _ACCESS.update(options)


def forget_access(names: Collection[str]) -> None:
    """Makes access options unknown in this process again, with the clients that were made of them."""
    with _MAKING:
        for name in names:
            _ACCESS.pop(name, None)
        for known in [known for known in _CLIENTS if known[0] in names]:
            del _CLIENTS[known]


def filesystem(where: Place) -> tuple[Any, str]:
    """The fsspec file system of a place and the path there."""
    if where.is_local:
        return cast(tuple[Any, str], fsspec.core.url_to_fs(where.url))
    return _client(where, _ANSWER_SECONDS)


def _client(where: Place, patience: int) -> tuple[Any, str]:
    """The client of a bucket that bears so many seconds of silence, or of the web, and the path there."""
    with _MAKING:
        key = (where.access, 0 if where.is_web else patience)
        client = _CLIENTS.get(key)
        if client is None:
            options = access_options(where)
            client = _web_client(options) if where.is_web else _bucket_client(options, patience)
            _CLIENTS[key] = client
    return client, str(client._strip_protocol(where.url))


def _bucket_client(options: Mapping[str, Any], patience: int) -> Any:  # noqa: ANN401 - fsspec ships no types
    # The user's options go before ours.
    connection = _CONNECTION | {"read_timeout": patience} | dict(options.get("config_kwargs") or {})
    client = fsspec.filesystem("s3", **(_MANNERS | dict(options) | {"config_kwargs": connection}))
    client.retries = 2
    return client


def _web_client(options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    # What is meant for a bucket that a web server stands before is nothing to the web server.
    known = {name: value for name, value in options.items() if name in {"client_kwargs", "headers", "encoded"}}
    return fsspec.filesystem("https", **(_MANNERS | known))


@contextlib.contextmanager
def asking(where: Place) -> Iterator[None]:
    """Puts what a bucket's client raises into words; that a file is not there is left to the caller.

    Raises:
        RefusedError: the bucket refuses.
        StoreError: it does not answer, or not as it should.
    """
    try:
        yield
    except (FileNotFoundError, EarthscribeError):
        raise
    except Exception as error:
        if where.is_local:
            raise
        reason = f"{where}: {_in_words(error, access_options(where))}"
        if isinstance(error, PermissionError | NoCredentialsError):
            raise RefusedError(f"{reason}; check its storage_options") from error
        raise StoreError(reason) from error


def _in_words(error: Exception, options: Mapping[str, Any]) -> str:
    """What went wrong, in one line and without a secret."""
    words = " ".join(str(error).split()) or type(error).__name__
    for name in ("key", "secret", "token", "username", "password"):
        value = str(options.get(name) or "")
        # Shorter ones would be found in any word.
        words = words.replace(value, "***") if len(value) >= 6 else words
    return words


def exists(where: Place) -> bool:
    """Whether a file is there."""
    files, path = filesystem(where)
    try:
        with asking(where):
            # Not `isfile`, for which a bucket that refuses or is silent holds no file.
            return bool(files.info(path)["type"] == "file")
    except FileNotFoundError:
        return False


def read_bytes(where: Place) -> bytes:
    """The whole content of a file."""
    if where.is_local:
        return Path(where.url).read_bytes()
    files, path = filesystem(where)
    with asking(where):
        return cast(bytes, files.cat_file(path))


@contextlib.contextmanager
def reading(where: Place) -> Iterator[BinaryIO]:
    """A file open for reading, seekable."""
    files, path = filesystem(where)
    with asking(where), files.open(path, "rb") as stream:
        yield stream


def write(where: Place, produce: Callable[[BinaryIO], object]) -> None:
    """Writes a file so that it is there whole or not at all.

    Locally: a temporary name beside it, fsync, rename. On S3: one upload, completed last.

    Args:
        where: the file's place; folders above it are made.
        produce: writes the content to the stream that it is given.

    Raises:
        StoreError: the disk is full or may not be written, or the bucket does not take it.
    """
    if not where.is_local:
        _upload(where, produce)
        return
    try:
        _replace(Path(where.url), produce)
    except EarthscribeError:
        raise
    except OSError as error:
        raise StoreError(f"{where}: cannot be written: {error.strerror or error}") from error


def _replace(target: Path, produce: Callable[[BinaryIO], object]) -> None:
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
    # Written to a scratch file first: a failure while producing then leaves no upload at all, and a failure of the
    # upload what was there before.
    files, path = _client(where, _UPLOAD_SECONDS)
    with tempfile.NamedTemporaryFile() as scratch:
        produce(cast(BinaryIO, scratch))
        scratch.flush()
        try:
            with asking(where):
                files.put_file(scratch.name, path)
        except FileNotFoundError as error:
            raise RefusedError(f"{where}: there is no such bucket; make it, or name another") from error


def remove(where: Place) -> None:
    """Removes a file, if it is there."""
    files, path = filesystem(where)
    with contextlib.suppress(FileNotFoundError), asking(where):
        files.rm_file(path)


def list_files(where: Place, suffix: str = "") -> list[Place]:
    """The files directly below a folder whose names end with ``suffix``, by name; none where the folder is missing."""
    files, path = filesystem(where)
    try:
        with asking(where):
            found = files.ls(path, detail=True)
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

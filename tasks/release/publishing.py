"""Files of a release: written whole or not at all, and their digests kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import BinaryIO, cast

from tasks.release.likeness import Likeness
from tasks.storage import Place, exists, list_files, read_bytes, remove, write

SUMS = "SHA256SUMS"


def release_folder(dataset: Place) -> Place:
    """Where a dataset's release lies."""
    return dataset.join("release")


@dataclass(frozen=True)
class Published:
    """A file of the release: its path below it, its SHA-256 and its size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Written:
    """What a part of the release left behind, kept beside it so that it need not be written again.

    Attributes:
        digest: of all that it was made from.
        files: its files.
        likeness: what is compared of its tiles, in their order.
    """

    digest: str
    files: tuple[Published, ...]
    likeness: tuple[Likeness, ...]


class _Digesting:
    """A stream that keeps a digest of what is written to it; what is written cannot be sought in."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        self.size += len(content)
        self._stream.write(content)
        return len(content)

    def flush(self) -> None:
        self._stream.flush()

    def tell(self) -> int:
        return self.size

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def publish(release: Place, path: str, produce: Callable[[BinaryIO], object]) -> Published:
    """Writes a file of the release.

    Args:
        release: the release's folder.
        path: the file's path below it.
        produce: writes the content to the stream that it is given, from the beginning to the end.
    """
    made: list[_Digesting] = []

    def digest(stream: BinaryIO) -> None:
        made.append(_Digesting(stream))
        produce(cast(BinaryIO, made[-1]))

    write(release.join(*path.split("/")), digest)
    return Published(path, made[-1].sha256.hexdigest(), made[-1].size)


def read_written(dataset: Place, part: str) -> Written | None:
    """What a part has left behind; None where it has not been written, or its files are gone."""
    where = _manifest(dataset, part)
    if not exists(where):
        return None
    content = json.loads(read_bytes(where))
    files = tuple(Published(**file) for file in content["files"])
    written = Written(content["digest"], files, tuple(Likeness(**one) for one in content["likeness"]))
    there = all(exists(release_folder(dataset).join(*file.path.split("/"))) for file in written.files)
    return written if there else None


def keep_written(dataset: Place, part: str, written: Written) -> None:
    """Keeps what a part has left behind; after its files, so that they are there where this is."""
    content = json.dumps(asdict(written)).encode()
    write(_manifest(dataset, part), lambda stream: stream.write(content))


def _manifest(dataset: Place, part: str) -> Place:
    return dataset.join("releasing", f"{part}.json")


def begin(dataset: Place) -> list[str]:
    """Takes the sums away, without which a release is none; returns the files of the release that was there."""
    where = release_folder(dataset).join(SUMS)
    if not exists(where):
        return []
    listed = [line.split("  ", 1)[1] for line in read_bytes(where).decode().splitlines()]
    remove(where)
    return listed


def finish(dataset: Place, files: list[Published], before: list[str]) -> None:
    """Removes what was of an earlier release and is of this one no more, then writes the sums."""
    own = {file.path for file in files}
    release = release_folder(dataset)
    for path in before:
        if path not in own:
            remove(release.join(*path.split("/")))
    parts = {file.path.rsplit("/", 1)[-1].partition(".")[0] for file in files}
    for manifest in list_files(dataset.join("releasing"), ".json"):
        if manifest.url.rsplit("/", 1)[-1].removesuffix(".json") not in parts:
            remove(manifest)
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in sorted(files, key=lambda file: file.path))
    write(release.join(SUMS), lambda stream: stream.write(lines.encode()))

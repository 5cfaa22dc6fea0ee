"""Fixtures that tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.scene import write_scene


@pytest.fixture(scope="session")
def real_data() -> Path | None:
    """The folder of real data: ``EARTHSCRIBE_TEST_DATA``, else ``../shared/data`` beside the checkout; or None."""
    given = os.environ.get("EARTHSCRIBE_TEST_DATA")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def made_worldcover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out like the public bucket, with one made map; never to be changed."""
    folder = tmp_path_factory.mktemp("worldcover")
    write_scene(folder)
    return folder


@pytest.fixture(scope="session")
def worldcover(real_data: Path | None, made_worldcover: Path) -> Path:
    """A folder laid out like the public bucket: the real file where it is at hand, else the made one."""
    return real_data / "worldcover" if real_data else made_worldcover

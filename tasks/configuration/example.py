"""The commented example that `earthscribe init` writes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from tasks.errors import InputError

EXAMPLE = files("tasks.configuration").joinpath("example.yaml").read_text("utf-8")
"""A configuration that runs once a made map lies in the folder ``landcover`` beside it (`tasks.scene.write_scene`)."""


def write_example(path: Path) -> None:
    """Writes the example; a file that is there is left alone.

    Raises:
        InputError: there is something at that path, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(EXAMPLE)
    except FileExistsError:
        raise InputError(f"{path} is there already and is left as it is; name another file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error

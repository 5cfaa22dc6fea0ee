"""Reading a configuration file."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tasks.configuration import paths
from tasks.configuration.masking import Loc, secret_variables
from tasks.configuration.mistakes import path_of
from tasks.configuration.models import Campaign
from tasks.errors import ConfigurationError

_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_PLACE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BRACED = re.compile("\\$\ue000([A-Za-z0-9_]+)\ue001")


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, in which a date stays a text, and ``${NAME}`` needs no quotes between braces.

    There YAML would take its braces for its own: while it reads, characters that mean nothing to it stand for them, one
    for one, so that lines and columns stay true.
    """

    def __init__(self, text: str) -> None:
        super().__init__(_PLACE.sub("$\ue000\\1\ue001", text))

    def compose_scalar_node(self, anchor: dict[str, yaml.Node]) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        node.value = _BRACED.sub(r"${\1}", node.value)
        return node


_Loader.yaml_implicit_resolvers = {
    character: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for character, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(path: Path) -> Campaign:
    """Reads and checks a configuration file.

    Args:
        path: the YAML file; relative paths in it are relative to its folder, and its stem is the default name.

    Raises:
        ConfigurationError: the file cannot be read, or holds mistakes: all of them are listed.
    """
    return _checked(Path(path), *_read(Path(path)), os.environ)


def load_for_worker(path: Path) -> Campaign:
    """Reads and checks a configuration file that a worker is to run.

    As `load`, but the variables of secrets need not be set here: the worker's environment has them. So the campaign is
    good for all but asking.
    """
    content, mistakes = _read(Path(path))
    elsewhere = dict.fromkeys(secret_variables(content), "known-to-the-worker")
    return _checked(Path(path), content, mistakes, elsewhere | os.environ)


def _checked(path: Path, content: Any, mistakes: list[tuple[str, str]], environment: Mapping[str, str]) -> Campaign:  # noqa: ANN401 - what YAML holds
    if isinstance(content, dict):
        content = {"name": _default_name(path), **content}
        paths.make_absolute(content, path.absolute().parent)
    try:
        campaign = Campaign.model_validate(content, context=environment)
    except ConfigurationError as error:
        mistakes += error.mistakes
    if mistakes:
        raise ConfigurationError(str(path), mistakes)
    return campaign


def _default_name(path: Path) -> str:
    """The file's name without suffix, accents dropped, other characters than a name may have as dashes."""
    letters = unicodedata.normalize("NFKD", path.stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", letters)[:100].strip(".-_") or "campaign"


def _read(path: Path) -> tuple[Any, list[tuple[str, str]]]:
    """What a file says, and the keys that it says twice.

    Raises:
        ConfigurationError: it is no file, or no YAML; the line and column are told, never the line itself.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise _unreadable(path, "there is no such file; `earthscribe init FILE` writes an example") from None
    except UnicodeDecodeError:
        raise _unreadable(path, "expected YAML in UTF-8") from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, f"cannot be read: {getattr(error, 'strerror', None) or 'not a path'}") from None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise _unreadable(path, "is empty; `earthscribe init FILE` writes an example")
        # Before construction, which writes the keys that `<<` merges among a mapping's own: these may override them.
        twice = list(_keys_given_twice(node, (), ()))
        return loader.construct_document(node), twice
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise _unreadable(path, f"{place}not YAML: {_harmless(error)}") from None
    except (yaml.YAMLError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        # A character that YAML forbids, a tagged value that is not what its tag says, lists nested without end.
        raise _unreadable(path, "not YAML that can be read") from None


def _unreadable(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(str(path), [("file", reason)])


def _harmless(error: yaml.MarkedYAMLError) -> str:
    """YAML's words without what they quote of the file: an unquoted key may begin with a character of YAML's."""
    text = ", ".join(filter(None, [error.context, error.problem]))
    return re.sub(r"'([^']*)'", lambda quoted: quoted[0] if len(quoted[1]) <= 1 else "a value", text)


def _keys_given_twice(node: yaml.Node, loc: Loc, above: tuple[yaml.Node, ...]) -> Iterator[tuple[str, str]]:
    if any(node is ancestor for ancestor in above):
        return
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _keys_given_twice(item, (*loc, index), (*above, node))
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, item in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            line = key.start_mark.line + 1
            if name in lines and key.tag != _MERGE:
                yield path_of((*loc, name)), f"given twice, in lines {lines[name]} and {line}; keep one of them"
            lines.setdefault(name, line)
            yield from _keys_given_twice(item, (*loc, name), (*above, node))

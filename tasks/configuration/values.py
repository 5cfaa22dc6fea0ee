"""The small types that the configuration's keys are made of: numbers, names, addresses, areas.

YAML's own types are kept apart where Python would mix them (``true`` is no number), while a text that holds a number is
one, because that is what an expanded ``${NAME}`` is.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from tasks.configuration.masking import (
    DATABASE_FORM,
    PLAIN_FORM,
    REFERENCE_FORM,
    SECRET_BLOCK,
    SECRET_KEY_FORM,
    mask,
)

MERCATOR_LATITUDE = 85.0511287798066
"""Web Mercator ends at this latitude, in degrees: arctan(sinh(pi))."""

S3 = "s3://"
DATABASES = ("sqlite:///", "postgresql://")
CALENDAR_FREE_WINDOWS = ("sliding", "bucket")


def mistaken(expected: str) -> PydanticCustomError:
    """The error that validators of this package raise: its text says what was expected, and never repeats the input."""
    return PydanticCustomError("mistake", "{expected}", {"expected": expected})


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise mistaken("expected a number")
    return value


def _truth(value: object) -> object:
    if not isinstance(value, bool | str):
        raise mistaken("expected true or false")
    return value


# Bounds stand before what is done first: so they are bounds in the JSON schema, too, of which Prefect makes its forms.
Whole = Annotated[int, BeforeValidator(_number)]
Count = Annotated[int, Field(ge=1), BeforeValidator(_number)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(_number)]
Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_number)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_number)]
Truth = Annotated[bool, BeforeValidator(_truth)]
Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""Safe as a file's name and as a Prefect name."""

ClassToken = Literal[
    "water",
    "developed_area",
    "tree",
    "shrub",
    "grass",
    "crop",
    "bare_land",
    "snow",
    "wetland",
    "mangroves",
    "moss",
]


class Options(dict[str, Any]):
    """Options for somebody else, which may hold credentials: used like any dict, shown with its secrets masked."""

    def __repr__(self) -> str:
        return repr(mask(dict(self)))


_DEEPEST = 3
"""Mappings within each other that a form's schema looks into."""


def _without_secrets(depth: int) -> dict[str, Any]:
    """The schema of a mapping of somebody else's that holds no secret."""
    secret = {"type": ["string", "boolean", "null"], "pattern": rf"^$|{REFERENCE_FORM}"}
    other = {"pattern": PLAIN_FORM, **(_without_secrets(depth - 1) if depth else {})}
    return {"patternProperties": {SECRET_KEY_FORM: secret}, "additionalProperties": other}


_OPEN = {"type": "object", **_without_secrets(_DEEPEST - 1)}

OpenMapping = Annotated[dict[str, Any], AfterValidator(Options), WithJsonSchema(_OPEN)]
"""Keys of somebody else's: fsspec's options, a model's parameters. As for `Key`, a form takes no secrets in them."""

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east crosses the antimeridian."""


def _area(value: object) -> object:
    """Accepts the path of a file, or a box that holds something."""
    if value is None or (isinstance(value, str) and value and "://" not in value):
        return value
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise mistaken("expected [west, south, east, north] in degrees, or the path of a file of this machine")
    west, south, east, north = (_degrees(number) for number in value)
    if not (abs(west) <= 180 and abs(east) <= 180):
        raise mistaken("expected longitudes between -180 and 180")
    if not (abs(south) <= 90 and abs(north) <= 90):
        raise mistaken("expected latitudes between -90 and 90")
    if west == east or (west == 180 and east == -180):
        raise mistaken("expected west and east to differ: this area is empty")
    if south >= north:
        raise mistaken("expected south below north: this area is empty")
    if south >= MERCATOR_LATITUDE or north <= -MERCATOR_LATITUDE:
        raise mistaken("expected an area within 85.0511 degrees north and south, where the tiles' grid ends")
    return west, south, east, north


def _degrees(value: object) -> float:
    try:
        return float(str(_number(value)))
    except (ValueError, PydanticCustomError):
        raise mistaken("expected four numbers: [west, south, east, north] in degrees") from None


Area = Annotated[Bounds | Text | None, BeforeValidator(_area)]


def _http(value: str) -> str:
    expected = "expected an address that begins with http:// or https:// and names a host"
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise mistaken(expected) from None
    if not usable:
        raise mistaken(expected)
    return value


def _key(value: SecretStr) -> SecretStr:
    if value.get_secret_value() in {"", SECRET_BLOCK}:
        raise mistaken("expected a key that is not empty: ${NAME} or prefect-secret:BLOCK")
    return value


Key = Annotated[SecretStr, AfterValidator(_key), WithJsonSchema({"type": "string", "pattern": REFERENCE_FORM})]
"""A file may hold the key itself. A form takes references alone: Prefect stores what it is given."""

HttpAddress = Annotated[str, AfterValidator(_http)]


def _database(value: str) -> str:
    if not value.startswith(DATABASES) or value in DATABASES:
        raise mistaken("expected sqlite:///FILE or postgresql://USER@HOST/DATABASE")
    if value.startswith(DATABASES[0]) and not value.startswith(DATABASES[0] + "/"):
        raise mistaken("expected an absolute path where a variable holds the whole address: sqlite:////FOLDER/FILE")
    return value


_NO_PASSWORD = {"type": "string", "pattern": DATABASE_FORM}

Database = Annotated[str, AfterValidator(_database), WithJsonSchema(_NO_PASSWORD)]
"""As for `Key`, a form takes a password as ``${NAME}`` alone."""


def _folder_or_bucket(value: str) -> str:
    bucket = value.removeprefix(S3).split("/")[0]
    if "://" in value and not (value.startswith(S3) and bucket):
        raise mistaken("expected a path of this machine or s3://BUCKET/PREFIX")
    return value


Store = Annotated[Text, AfterValidator(_folder_or_bucket)]


def _local(value: str) -> str:
    if "://" in value:
        raise mistaken("expected a path of this machine")
    return value


LocalPath = Annotated[Text, AfterValidator(_local)]


def _catalogue(value: str) -> str:
    if "://" in value and not value.startswith(("http://", "https://", S3)):
        raise mistaken("expected an http:// or https:// address, s3://BUCKET/FILE, or a path of this machine")
    return value


Catalogue = Annotated[Text, AfterValidator(_catalogue)]


def _window(value: str) -> str:
    if value in {*CALENDAR_FREE_WINDOWS, "utc"}:
        return value
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise mistaken("expected sliding, bucket, utc or the name of a time zone such as Europe/Berlin") from None
    return value


Window = Annotated[Text, AfterValidator(_window)]


def _scheduler(value: str) -> str:
    if not re.fullmatch(r"(tcp|tls|ucx|ws|wss)://[^/\s]+", value):
        raise mistaken("expected a Dask scheduler's address, such as tcp://scheduler:8786")
    return value


Scheduler = Annotated[str, AfterValidator(_scheduler)]

_MOMENT = r"(\.\.|\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2}))?)"


def _interval(value: str) -> str:
    if not re.fullmatch(rf"{_MOMENT}(/{_MOMENT})?", value) or value in {"..", "../.."}:
        raise mistaken("expected a date or an interval of dates, such as 2020-01-01/2020-12-31")
    return value


Interval = Annotated[str, AfterValidator(_interval)]

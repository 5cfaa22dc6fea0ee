"""The configuration of a campaign as one frozen value: `Campaign`, and the parts it is made of.

A `Campaign` is made from the mapping as written (``${NAME}`` unexpanded) and is written out as that mapping again, with
secrets masked; in between, its fields hold the expanded values. So it can be a Prefect flow's parameter as it is.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Tag,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from tasks.configuration import checks, expansion, files, mistakes, paths
from tasks.configuration.base import Part
from tasks.configuration.captioners import Captioner
from tasks.configuration.masking import mask, written_secrets
from tasks.configuration.values import (
    Area,
    Catalogue,
    ClassToken,
    Count,
    Database,
    Interval,
    LocalPath,
    Name,
    Number,
    OpenMapping,
    Options,
    Scheduler,
    Seed,
    Share,
    Store,
    Text,
    Truth,
    Whole,
)
from tasks.errors import ConfigurationError

PUBLIC_BUCKET = "s3://esa-worldcover"
"""Where the WorldCover products lie, for anyone to read."""


def _default_source(data: dict[str, Any]) -> str:
    return PUBLIC_BUCKET if checks.is_public(str(data.get("product"))) else ""


def _default_source_options(data: dict[str, Any]) -> dict[str, Any]:
    return Options(anon=True) if str(data.get("source")).rstrip("/") == PUBLIC_BUCKET else Options()


class LandCover(Part):
    """The map that the statistics are counted on."""

    product: Text = Field(
        description="worldcover-2020, worldcover-2021, esri, dynamic-world, terramesh, satlas, or a class table's path."
    )
    source: Store = Field(
        default_factory=_default_source,
        description="Bucket or folder of rasters, one raster, or a folder of chips; for WorldCover the public bucket.",
    )
    storage_options: OpenMapping = Field(
        default_factory=_default_source_options, description="fsspec options for the source; {anon: true} if public."
    )


class Sample(Part):
    """Which of the candidate tiles are taken."""

    strategy: Literal["all", "random"] = Field("all", description="All candidates, or a seeded random draw.")
    count: Count | None = Field(None, description="With random: number of tiles that pass the gates.")
    seed: Seed = Field(0, description="With random: seed of the draw.")


def _open_sea() -> dict[ClassToken, float]:
    return {"water": 0.95}


class Tiles(Part):
    """Which tiles the campaign is about, and the gates that they must pass."""

    grid: Literal["webmercator", "chips"] = Field(
        "webmercator", description="Zoom-14 tiles of 256 px, or each raster file under the source as one tile."
    )
    area: Area = Field(
        None, description="[west, south, east, north] in degrees, or a file: GeoJSON, GeoParquet, tile IDs one a line."
    )
    include: LocalPath | None = Field(
        None, description="File of points (lon, lat) or tile IDs that are always planned."
    )
    sample: Sample = Field(default_factory=Sample, description="All candidates or a random sample of them.")
    min_valid: Share = Field(0.5, description="Least share of pixels that carry a class; 0 turns the gate off.")
    max_share: dict[ClassToken, Share] = Field(
        default_factory=_open_sea, description="Most share of one class; {} turns the gate off."
    )
    min_classes: Whole = Field(1, ge=0, le=11, description="Least number of classes with 1 % or more of the pixels.")


class Splits(Part):
    """How tiles are shared out to train, val and test."""

    train: Share = Field(0.6, description="Share of the training split.")
    val: Share = Field(0.1, description="Share of the validation split.")
    test: Share = Field(0.3, description="Share of the test split.")
    by: Literal["block", "tile", "none"] = Field(
        "block", description="What is drawn: zoom-10 blocks, single tiles, or nothing (all in train)."
    )
    seed: Seed = Field(0, description="Seed of the draw.")


class StacImagery(Part):
    """Sentinel-2 scenes from a STAC catalogue."""

    stac: Catalogue = Field(description="A STAC API's address, an ItemCollection or a stac-geoparquet file.")
    collection: Text = Field("sentinel-2-l2a", description="The collection's name.")
    datetime: Interval | None = Field(None, description="Interval of dates, such as 2020-01-01/2020-12-31.")
    max_cloud: Number = Field(10, ge=0, le=100, description="Most cloud cover of a scene, and of a chip, in percent.")
    seasons: Truth = Field(False, description="Whether tiles are spread over the seasons.")
    storage_options: OpenMapping = Field(default_factory=Options, description="fsspec options for the scenes' files.")


class ChipImagery(Part):
    """Ready-made image chips, one for each land-cover chip, by name."""

    source: LocalPath = Field(description="Folder of the chips.")
    bands: tuple[Text, ...] = Field(min_length=1, description="Names of the files' bands in their order.")


def _kind_of_imagery(value: object) -> str:
    chips = isinstance(value, ChipImagery) or (isinstance(value, Mapping) and {"source", "bands"} & value.keys())
    return ChipImagery.__name__ if chips else StacImagery.__name__


Imagery = Annotated[
    Annotated[StacImagery, Tag(StacImagery.__name__)] | Annotated[ChipImagery, Tag(ChipImagery.__name__)],
    Discriminator(_kind_of_imagery),
]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Cluster(Part):
    """The Dask cluster: threads of this process, worker processes of this machine, or one that runs elsewhere."""

    threads: Count = Field(default_factory=_cores, description="Threads, of each worker; default: one a core.")
    workers: Count | None = Field(None, description="Number of worker processes; absent: inside this process.")
    address: Scheduler | None = Field(None, description="Address of a running Dask scheduler, tcp://host:port.")


class Campaign(Part):
    """A whole configuration, checked: every path exists, every `${NAME}` is filled in.

    Validation raises `tasks.errors.ConfigurationError` with all mistakes at once, never pydantic's own error, whose
    text would repeat what was typed. To change a campaign, change its mapping and validate that.
    """

    name: Name = Field(description="Name of the campaign; default: the file's name without suffix.")
    dataset: Store = Field(description="Folder or s3://bucket/prefix under which everything lies that is made.")
    storage_options: OpenMapping = Field(default_factory=Options, description="fsspec options for the dataset.")
    state: Database = Field(
        default_factory=lambda data: f"sqlite:///{data.get('dataset')}/campaign.db",
        description="Database of the captions; default: DATASET/campaign.db.",
    )
    ledger: Database = Field(
        default_factory=lambda data: paths.default_ledger(data.get("state")),
        description="Database of the requests; default: the state's if PostgreSQL, else one file of this user.",
    )
    landcover: LandCover = Field(description="The land-cover map.")
    tiles: Tiles = Field(default_factory=Tiles, description="The tiles and their gates.")
    splits: Splits = Field(default_factory=Splits, description="Shares of train, val and test.")
    imagery: Imagery | None = Field(None, description="The image chips; absent: none.")
    cluster: Cluster = Field(default_factory=Cluster, description="The Dask cluster.")
    captioners: tuple[Captioner, ...] = Field((), description="The captioners, in the order of a release's choice.")

    _written: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _from_written(cls, given: Any, validate: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:  # noqa: ANN401 - any input
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            raise ConfigurationError("configuration", [("(top level)", "expected a mapping of keys")])
        written, found = expansion.plain(given)
        paths.make_absolute(written, Path.cwd())
        # A context is the environment to fill in from, where it is not this process's.
        expanded, unset = expansion.expand(written, os.environ if info.context is None else info.context)
        found += unset
        campaign: Self | None = None
        try:
            campaign = validate(expanded)
        except ValidationError as error:
            found += mistakes.from_pydantic(error, cls)
        found += checks.across(expanded)
        found += files.missing(expanded)
        if campaign is None or found:
            raise ConfigurationError("configuration", mistakes.rendered(found, mask(written)))
        campaign._written = written
        return campaign

    @model_serializer(mode="plain")
    def _as_written(self) -> dict[str, Any]:
        masked: dict[str, Any] = mask(self._written)
        return masked

    @property
    def written(self) -> dict[str, Any]:
        """The mapping as written, `${NAME}` unexpanded and secrets in clear: to derive another campaign from."""
        return copy.deepcopy(self._written)

    @property
    def local_keys(self) -> list[str]:
        """The key paths of what lies on this machine, given or by default: another one would not find it there."""
        imagery = self.imagery
        places = {
            "dataset": self.dataset,
            "state": self.state,
            "ledger": self.ledger,
            "landcover.product": None if paths.is_built_in(self.landcover.product) else self.landcover.product,
            "landcover.source": self.landcover.source,
            "tiles.area": self.tiles.area,
            "tiles.include": self.tiles.include,
            "imagery.stac": imagery.stac if isinstance(imagery, StacImagery) else None,
            "imagery.source": imagery.source if isinstance(imagery, ChipImagery) else None,
        }
        for index, captioner in enumerate(self.captioners):
            places[f"captioners[{index}].prompt"] = captioner.prompt if captioner.prompt != captioner.recipe else None
        return [key for key, value in places.items() if isinstance(value, str) and paths.is_local(value)]

    @property
    def written_secrets(self) -> list[str]:
        """The key paths of the secrets that are written out in the configuration instead of referred to."""
        return [mistakes.path_of(loc) for loc in written_secrets(self._written)]

"""Whom a release is to be attributed to, and under which terms its parts may be passed on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.configuration import Campaign, StacImagery
from tasks.landcover.classes import ClassTable

_CC_BY = ("CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/legalcode")
_CC_BY_SA = ("CC-BY-SA-4.0", "https://creativecommons.org/licenses/by-sa/4.0/legalcode")
_SENTINEL = (
    "Copernicus Sentinel data terms",
    "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice",
)


@dataclass(frozen=True)
class Source:
    """Something that a release is made from.

    Attributes:
        name: what it is called.
        part: what of the release is made from it.
        licence: its licence's name, an SPDX identifier where there is one.
        address: where the licence is to be read; empty where that is not known.
        attribution: the wording that it asks for.
        note: what else is to be known; may be empty.
    """

    name: str
    part: str
    licence: str
    address: str
    attribution: str
    note: str = ""


_ADAPTED = "Class codes were translated, and pixels resampled to the tiles' grid."

_PRODUCTS = {
    "esri": Source(
        "Sentinel-2 land use/land cover by Impact Observatory, Microsoft and Esri",
        "land-cover maps, statistics and captions",
        *_CC_BY,
        "Impact Observatory, Microsoft and Esri. Contains modified Copernicus Sentinel data.",
        _ADAPTED,
    ),
    "dynamic-world": Source(
        "Dynamic World V1",
        "land-cover maps, statistics and captions",
        *_CC_BY,
        "This dataset is produced for the Dynamic World Project by Google in partnership with National Geographic "
        "Society and the World Resources Institute. Contains modified Copernicus Sentinel data.",
        _ADAPTED,
    ),
    "terramesh": Source(
        "TerraMesh",
        "land-cover maps, statistics and captions; the images, where they are TerraMesh's too",
        *_CC_BY_SA,
        "TerraMesh (CC BY-SA 4.0). Contains modified Copernicus Sentinel data.",
        "Share alike: what is made from it must be passed on under the same licence. Class codes were translated.",
    ),
}


def sources_of(config: Campaign, table: ClassTable, years: Sequence[str]) -> list[Source]:
    """What a campaign's release is made from.

    Args:
        config: the campaign.
        table: its land-cover product.
        years: the years in which its images were taken.
    """
    found = [_landcover(table)]
    if isinstance(config.imagery, StacImagery):
        when = f" [{', '.join(years)}]" if years else ""
        found.append(
            Source(
                "Copernicus Sentinel-2 level 2A",
                "image chips and pictures",
                *_SENTINEL,
                f"Contains modified Copernicus Sentinel data{when}",
                "Bands were resampled to the tiles' grid, and ESA's radiometric offset taken off.",
            )
        )
    elif config.imagery is not None:
        found.append(
            Source(
                "The images of the campaign's own folder",
                "image chips and pictures",
                "the terms of their owner",
                "",
                "Where they are Sentinel-2's: Contains modified Copernicus Sentinel data"
                + (f" [{', '.join(years)}]" if years else ""),
                "Whoever passes this release on must know where they are from.",
            )
        )
    return found


def _landcover(table: ClassTable) -> Source:
    part = "land-cover maps, statistics and captions"
    if table.layout is not None:
        name = f"ESA WorldCover {table.layout.year} {table.layout.version}"
        return Source(name, part, *_CC_BY, table.attribution, _ADAPTED)
    if table.name in _PRODUCTS:
        return _PRODUCTS[table.name]
    wording = table.attribution or f"the owner of the land-cover map {table.name}"
    return Source(f"The land-cover map {table.name}", part, "the terms of its owner", "", wording)


def spdx(found: Iterable[Source]) -> str:
    """What the whole may be passed on under, in the words of the Hugging Face hub: the strictest of the parts'."""
    licences = {source.licence for source in found}
    if any(licence.startswith("the terms") for licence in licences):
        return "other"
    return "cc-by-sa-4.0" if "CC-BY-SA-4.0" in licences else "cc-by-4.0"


def licence_text(name: str, found: Sequence[Source], models: Sequence[str]) -> str:
    """The content of ``LICENSE``."""
    lines = [f"Licence of the dataset {name}", ""]
    lines += ["This dataset is made from several sources. Each part is under the terms of what it was made from:", ""]
    for source in found:
        lines += [f"- {source.part}: {source.name}, {source.licence}"]
        lines += [f"  {source.address}"] if source.address else []
    lines += ["", "Where one of these asks that it be passed on under the same terms, that holds for the whole."]
    lines += ["The attributions that they require stand in ATTRIBUTION.md and must go with every copy."]
    if models:
        lines += ["", "Captions were written by " + ", ".join(models) + "; the terms of these models' providers apply"]
        lines += ["to what may be done with their output."]
    lines += ["", "The dataset is provided as it is, without warranty of any kind."]
    return "\n".join(lines) + "\n"


def attribution_text(name: str, found: Sequence[Source]) -> str:
    """The content of ``ATTRIBUTION.md``."""
    lines = [f"# Attribution of {name}", "", "To go with every copy of the dataset, and of what is made from it.", ""]
    for source in found:
        lines += [f"## {source.name}", "", f"> {source.attribution}", ""]
        licence = f"[{source.licence}]({source.address})" if source.address else source.licence
        lines += [f"- For: {source.part}", f"- Terms: {licence}"]
        lines += [f"- {source.note}"] if source.note else []
        lines += [""]
    return "\n".join(lines)

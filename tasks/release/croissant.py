"""The release described in Croissant 1.0, for machines that load datasets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tasks.release.publishing import Published
from tasks.release.selection import SPLITS
from tasks.release.viewer import columns

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_FORMATS = {
    "parquet": "application/x-parquet",
    "tar": "application/x-tar",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "md": "text/markdown",
    "svg": "image/svg+xml",
}

_TYPES = {"string": "sc:Text", "float64": "sc:Float", "int32": "sc:Integer", "bool": "sc:Boolean"}
_PICTURES = ("image", "landcover")


def croissant(
    name: str,
    description: str,
    licences: Sequence[str],
    citation: str,
    files: Iterable[Published],
    *,
    imagery: bool,
) -> dict[str, Any]:
    """The content of ``croissant.json``.

    Args:
        name: the campaign's.
        description: what the dataset is, in a paragraph.
        licences: addresses, or names, of the licences of its sources.
        citation: how it is to be attributed.
        files: the release's files.
        imagery: whether its tiles have images.
    """
    listed = sorted(files, key=lambda file: file.path)
    splits = [split for split in SPLITS if any(file.path.startswith(f"data/{split}-") for file in listed)]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "license": list(licences),
        "citeAs": citation,
        "isLiveDataset": False,
        "distribution": [*(_file_object(file) for file in listed), *(_file_set(split) for split in splits)],
        "recordSet": [_record_set(split, imagery=imagery) for split in splits],
    }


def _file_object(file: Published) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "contentSize": f"{file.size} B",
        "encodingFormat": _FORMATS.get(file.path.rsplit(".", 1)[-1], "text/plain"),
        "sha256": file.sha256,
    }


def _file_set(split: str) -> dict[str, Any]:
    """The Parquet files of a split."""
    return {
        "@type": "cr:FileSet",
        "@id": f"{split}-files",
        "name": f"{split}-files",
        "encodingFormat": _FORMATS["parquet"],
        "includes": f"data/{split}-*.parquet",
    }


def _record_set(split: str, *, imagery: bool) -> dict[str, Any]:
    """The rows of a split: what their columns are called, and of what type."""
    told = columns(imagery=imagery)
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "key": {"@id": f"{split}/tile_id"},
        # Lists of mappings are beyond Croissant 1.0; `text` holds what most need.
        "field": [_field(split, column, kind) for column, kind in told.items() if column != "captions"],
    }


def _field(split: str, column: str, kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a column's type in plain values
    source: dict[str, Any] = {"fileSet": {"@id": f"{split}-files"}, "extract": {"column": column}}
    if column in _PICTURES:
        source["transform"] = {"jsonPath": "bytes"}
    repeated = isinstance(kind, list)
    field = {
        "@type": "cr:Field",
        "@id": f"{split}/{column}",
        "name": f"{split}/{column}",
        "dataType": "sc:ImageObject" if column in _PICTURES else _TYPES[kind[0] if repeated else kind],
        "source": source,
    }
    return field | ({"repeated": True} if repeated else {})

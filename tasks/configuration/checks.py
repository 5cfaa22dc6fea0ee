"""What single fields cannot say: how keys go together.

The checks read the expanded mapping, not the models, so that they work however much else is wrong: a value of the wrong
type is the models' mistake, and passes here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from tasks.configuration.captioners import BUILT_IN_PROMPTS, Captioner, Quota, default_account
from tasks.configuration.masking import SECRET_BLOCK, Loc
from tasks.configuration.mistakes import Mistake, path_of
from tasks.landcover.classes import built_in_products

Found = Iterator[Mistake]

_OF_ASKING = {
    key: field.default for key, field in Captioner.model_fields.items() if key not in {"name", "prompt", "tiles"}
}
_ONE_ENDPOINT = {key: _OF_ASKING[key] for key in ("endpoint", "model", "api_key", "concurrency", "price", "quota")}
_NO_DRAW = {"count": None, "seed": 0}
_DEFAULT_SPLITS = {"train": 0.6, "val": 0.1, "test": 0.3}


def across(given: Mapping[str, Any]) -> Found:
    """How the keys go together, in the whole configuration."""
    chips = _mapping(given, "tiles").get("grid") == "chips"
    yield from _stores(given)
    yield from _landcover(_mapping(given, "landcover"))
    yield from _tiles(_mapping(given, "tiles"))
    yield from _splits(_mapping(given, "splits"))
    yield from _imagery(_mapping(given, "imagery"), chips=chips)
    yield from _cluster(_mapping(given, "cluster"))
    for loc, captioner in _captioners(given):
        yield from _captioner(loc, captioner)
    yield from _names(given)
    yield from _accounts(given)
    yield from _blocks(given, ())


def _stores(given: Mapping[str, Any]) -> Found:
    if str(given.get("dataset", "")).startswith("s3://") and given.get("state") is None:
        yield Mistake(
            ("state",), "is missing: a dataset on S3 needs a database beside it, sqlite:///FILE or postgresql://..."
        )


def _landcover(landcover: Mapping[str, Any]) -> Found:
    product = landcover.get("product")
    if isinstance(product, str) and landcover.get("source") is None and not is_public(product):
        yield Mistake(
            ("landcover", "source"),
            "is missing: only the WorldCover products have a public bucket; name the folder, raster or bucket of yours",
        )


def is_public(product: str) -> bool:
    """Whether a product lies in the public bucket: the WorldCover products do."""
    table = built_in_products().get(product)
    return table is not None and table.layout is not None


def _tiles(tiles: Mapping[str, Any]) -> Found:
    if tiles.get("grid") == "chips" and tiles.get("area") is not None:
        yield Mistake(
            ("tiles", "area"), "expected no area with grid: chips, whose files may lie nowhere; all of them are planned"
        )
    sample = _mapping(tiles, "sample")
    strategy = sample.get("strategy", "all")
    if strategy == "random" and sample.get("count") is None:
        yield Mistake(("tiles", "sample", "count"), "is missing: the number of tiles that strategy: random draws")
    if strategy == "all":
        for key in _said(sample, _NO_DRAW):
            yield Mistake(
                ("tiles", "sample", key), "expected only with strategy: random; strategy: all takes every tile"
            )


def _splits(splits: Mapping[str, Any]) -> Found:
    shares = {name: _number(splits.get(name, default)) for name, default in _DEFAULT_SPLITS.items()}
    known = [share for share in shares.values() if share is not None]
    if splits.get("by") == "none" or len(known) < len(shares):
        return
    if abs(sum(known) - 1) > 1e-9:
        listed = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        yield Mistake(("splits",), f"expected shares that sum to 1; {listed} sum to {sum(known):g}", False)


def _imagery(imagery: Mapping[str, Any], *, chips: bool) -> Found:
    if chips and "stac" in imagery:
        yield Mistake(("imagery", "stac"), "expected {source: FOLDER, bands: [...]} with tiles.grid: chips", False)
    if not chips:
        for key in {"source", "bands"} & imagery.keys():
            yield Mistake(("imagery", key), "expected only with tiles.grid: chips; else name a stac catalogue", False)


def _cluster(cluster: Mapping[str, Any]) -> Found:
    if cluster.get("address") is not None:
        for key in ("threads", "workers"):
            if cluster.get(key) is not None:
                yield Mistake(("cluster", key), "expected nothing beside address: that cluster has its own workers")
    elif cluster.get("workers") is not None and cluster.get("threads") is None:
        yield Mistake(("cluster", "threads"), "is missing: the number of threads of each worker process")


def _captioner(loc: Loc, captioner: Mapping[str, Any]) -> Found:
    prompt = captioner.get("prompt")
    if not isinstance(prompt, str):
        return
    if prompt == "rules":
        for key in _said(captioner, _OF_ASKING):
            yield Mistake((*loc, key), "expected no such key with prompt: rules, which asks no endpoint", False)
        return
    yield from _recipe(loc, captioner, is_folder=prompt not in BUILT_IN_PROMPTS)
    yield from _asked(loc, captioner)
    recipe = captioner.get("recipe") if prompt not in BUILT_IN_PROMPTS else prompt
    images = _number(captioner.get("images_per_request", 1))
    if recipe == "text" and images is not None and images > 1:
        yield Mistake((*loc, "images_per_request"), "expected 1 with the text prompt, which has no images")


def _recipe(loc: Loc, captioner: Mapping[str, Any], *, is_folder: bool) -> Found:
    recipe = captioner.get("recipe")
    if is_folder and recipe is None:
        yield Mistake((*loc, "recipe"), "is missing: text or vision, the prompt that your templates stand in for")
    elif is_folder and recipe == "rules":
        yield Mistake((*loc, "recipe"), "expected text or vision")
    elif not is_folder and recipe is not None:
        yield Mistake((*loc, "recipe"), "expected only beside a folder of your own templates")


def _asked(loc: Loc, captioner: Mapping[str, Any]) -> Found:
    """A captioner asks one endpoint or a pool."""
    if captioner.get("endpoints") is not None:
        for key in _said(captioner, _ONE_ENDPOINT):
            yield Mistake((*loc, key), "expected in each of endpoints, or here without endpoints; not both", False)
        return
    for key, meaning in (("endpoint", "the address to ask, or endpoints"), ("model", "the model's name there")):
        if captioner.get(key) is None:
            yield Mistake((*loc, key), f"is missing: {meaning}")


def _names(given: Mapping[str, Any]) -> Found:
    """Names part the captioners' files and, dots as dashes, their deployments; some file systems know no case."""
    seen: dict[str, Loc] = {}
    for loc, captioner in _captioners(given):
        name = captioner.get("name")
        if isinstance(name, str):
            first = seen.setdefault(name.lower().replace(".", "-"), loc)
            if first != loc:
                yield Mistake(
                    (*loc, "name"),
                    f"expected a name of its own, also with dots as dashes and in lower case: {path_of(first)} has it",
                )


def _accounts(given: Mapping[str, Any]) -> Found:
    """One account has one set of limits."""
    seen: dict[str, tuple[Loc, Quota]] = {}
    for loc, endpoint in _endpoints(given):
        try:
            quota = Quota.model_validate(endpoint.get("quota") or {})
            account = quota.shared_as or default_account(endpoint["endpoint"], endpoint["model"])
        except (ValidationError, ValueError, KeyError, AttributeError, TypeError):
            continue  # the models tell that mistake
        limits = quota.model_copy(update={"shared_as": None})
        first, expected = seen.setdefault(account, (loc, limits))
        if limits != expected:
            yield Mistake(
                (*loc, "quota"),
                f"expected the limits and window of {path_of(first)}, which uses the same account; "
                "shared_as parts accounts, or joins them",
                False,
            )


def _endpoints(given: Mapping[str, Any]) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
    for loc, captioner in _captioners(given):
        if captioner.get("prompt") == "rules":
            continue
        if captioner.get("endpoints") is None:
            yield loc, captioner
        else:
            yield from _mappings(captioner["endpoints"], (*loc, "endpoints"))


def _blocks(value: object, loc: Loc) -> Found:
    """Only an endpoint's key is looked up in a Secret block of Prefect."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _blocks(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _blocks(item, (*loc, index))
    elif isinstance(value, str) and value.startswith(SECRET_BLOCK) and loc[-1] != "api_key":
        yield Mistake(loc, f"{SECRET_BLOCK}BLOCK is for api_key alone; use ${{NAME}} here", False)


def _captioners(given: Mapping[str, Any]) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
    return _mappings(given.get("captioners"), ("captioners",))


def _mappings(values: object, loc: Loc) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
    for index, value in enumerate(values if isinstance(values, list) else ()):
        if isinstance(value, Mapping):
            yield (*loc, index), value


def _said(part: Mapping[str, Any], defaults: Mapping[str, object]) -> Iterator[str]:
    """Those keys of the defaults with which a part says something else: Prefect's forms fill in every default."""
    for key, default in defaults.items():
        if part.get(key) not in (None, {}, default):
            yield key


def _mapping(given: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = given.get(key)
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    """The number that a value is or, from the environment, spells; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None

"""Searches for scenes: by an API, in an ItemCollection, in stac-geoparquet; kept, and never made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_scenes import MadeScene, write_items
from stac_geoparquet.arrow import parse_stac_items_to_parquet
from stac_server import serve_stac

from tasks.configuration import StacImagery
from tasks.errors import InputError, StoreError
from tasks.imagery.scenes import Scene
from tasks.imagery.stac import cell_of, scenes, search
from tasks.storage import Place, place

CELL = cell_of(8488, 8190)
ITEMS = [
    MadeScene("early", acquired="2020-01-01T00:00:00Z").item(),
    MadeScene("late", acquired="2020-12-31T23:59:59Z").item(),
    MadeScene("next-year", acquired="2021-01-01T00:00:00Z").item(),
    MadeScene("cloudy", cloud=10.5).item(),
    MadeScene("far", north=4_000_000).item(),
    MadeScene("other").item() | {"collection": "sentinel-2-l1c"},
]


def terms(where: str, **more: Any) -> StacImagery:
    return StacImagery.model_validate({"stac": where, "datetime": "2020-01-01/2020-12-31"} | more)


def found(imagery: StacImagery, dataset: Place) -> list[Scene]:
    assert list(search(imagery, [CELL], dataset)) in ([CELL], [])
    usable, unusable = scenes(imagery, CELL, dataset)
    assert unusable == {}
    return usable


def test_an_api_is_asked_once_for_all_its_pages(tmp_path: Path) -> None:
    absolute = [item | {"assets": {key: {"href": f"https://x/{key}.tif"} for key in item["assets"]}} for item in ITEMS]
    dataset = place(tmp_path)
    with serve_stac(absolute) as api:
        first = found(terms(api.address), dataset)
        asked = len(api.searches)
        assert asked == 2
        again = found(terms(api.address), dataset)
        assert len(api.searches) == asked
    assert [scene.id for scene in first] == ["early", "late"]
    assert again == first
    # Without the API, too.
    assert found(terms(api.address), dataset) == first


def test_an_api_that_fails_is_named(tmp_path: Path) -> None:
    with serve_stac(ITEMS) as api:
        api.status = 404
        with pytest.raises(InputError, match=rf"imagery\.stac {api.address}.*404"):
            found(terms(api.address), place(tmp_path))
    with pytest.raises(StoreError, match=rf"imagery\.stac {api.address}: does not answer"):
        found(terms(api.address), place(tmp_path))
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("form", ["items.json", "items.parquet"])
def test_a_file_gives_what_an_api_gives(form: str, tmp_path: Path) -> None:
    catalogue = write_items(tmp_path / "catalogue", ITEMS)
    if form == "items.parquet":
        parse_stac_items_to_parquet(ITEMS, output_path=catalogue.with_suffix(".parquet"))
        catalogue = catalogue.with_suffix(".parquet")
    usable = found(terms(str(catalogue)), place(tmp_path / "dataset"))
    assert [scene.id for scene in usable] == ["early", "late"]
    assert usable[0].assets["B02"] == f"{tmp_path}/catalogue/early/B02.tif"
    # Offline from here on: the search is kept.
    catalogue.unlink()
    assert found(terms(str(catalogue)), place(tmp_path / "dataset")) == usable


def test_what_is_kept_is_a_catalogue_itself(tmp_path: Path) -> None:
    catalogue = write_items(tmp_path / "catalogue", ITEMS)
    first = found(terms(str(catalogue)), place(tmp_path / "first"))
    (kept,) = (tmp_path / "first").rglob("*.json")
    assert found(terms(str(kept)), place(tmp_path / "second")) == first


def test_other_terms_are_not_mixed_with_those_of_a_kept_search(tmp_path: Path) -> None:
    catalogue = write_items(tmp_path / "catalogue", ITEMS)
    found(terms(str(catalogue)), place(tmp_path / "dataset"))
    with pytest.raises(InputError, match="keeps a search of other terms"):
        found(terms(str(catalogue), max_cloud=20), place(tmp_path / "dataset"))


def test_signed_addresses_are_not_kept(tmp_path: Path) -> None:
    item = MadeScene("signed").item()
    for asset in item["assets"].values():
        asset["href"] = "https://host/B02.tif?sig=PLANTED-SIGNATURE"
    imagery = terms(str(write_items(tmp_path / "catalogue", [item])))
    dataset = place(tmp_path / "dataset")
    assert list(search(imagery, [CELL], dataset)) == [CELL]
    usable, unusable = scenes(imagery, CELL, dataset)
    assert usable == []
    assert "signed" in unusable["signed"]
    assert not [
        file for file in (tmp_path / "dataset").rglob("*") if file.is_file() and b"PLANTED" in file.read_bytes()
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [("<html>", "not JSON"), ('{"type": "Catalog"}', "no features"), (json.dumps({"features": []}), "no STAC item")],
)
def test_what_is_no_catalogue_is_named(content: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "items.json"
    file.write_text(content)
    with pytest.raises(InputError, match=rf"imagery\.stac .*{reason}"):
        found(terms(str(file)), place(tmp_path / "dataset"))


def test_a_file_that_is_no_geoparquet_is_named(tmp_path: Path) -> None:
    file = tmp_path / "items.parquet"
    file.write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match=r"imagery\.stac .*not readable"):
        found(terms(str(file)), place(tmp_path / "dataset"))

"""Class tables: each product's codes as published, and every mistake in a user's own table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.landcover.classes import COLOUR_WORDS, COLOURS, ID_OF_TOKEN, N_IDS, TOKENS, built_in_products, class_table

# Written down by hand from the specification, product by product; ids: 0 no data, 1 water, 2 developed area, 3 tree,
# 4 shrub, 5 grass, 6 crop, 7 bare land, 8 snow, 9 wetland, 10 mangroves, 11 moss.
WORLDCOVER = {0: 0, 80: 1, 50: 2, 10: 3, 20: 4, 30: 5, 40: 6, 60: 7, 70: 8, 90: 9, 95: 10, 100: 11}
PRODUCTS = {
    "worldcover-2020": WORLDCOVER,
    "worldcover-2021": WORLDCOVER,
    "esri": {0: 0, 1: 1, 2: 3, 3: 5, 4: 9, 5: 6, 6: 4, 7: 2, 8: 7, 9: 8, 10: 0, 11: 5},
    "dynamic-world": {0: 1, 1: 3, 2: 5, 3: 9, 4: 6, 5: 4, 6: 2, 7: 7, 8: 8},
    "terramesh": {1: 1, 2: 3, 3: 9, 4: 6, 5: 2, 6: 7, 7: 8, 8: 0, 9: 5},
    "satlas": {code: code for code in range(12)},
}


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_the_products_are_those_of_the_contract() -> None:
    assert set(built_in_products()) == set(PRODUCTS)


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_products_codes_as_published(product: str) -> None:
    table = class_table(product)
    assert dict(table.ids) == PRODUCTS[product]
    assert table.name == product
    assert table.attribution


def test_the_twelve_ids_with_the_legends_colours() -> None:
    assert N_IDS == len(TOKENS) == len(COLOURS) == len(COLOUR_WORDS) == 12
    legend = {token: (COLOURS[index], COLOUR_WORDS[index]) for index, token in enumerate(TOKENS)}
    assert legend == {
        "no_data": ((0, 0, 0), "black"),
        "water": ((0, 0, 255), "blue"),
        "developed_area": ((255, 0, 0), "red"),
        "tree": ((0, 192, 0), "dark green"),
        "shrub": ((200, 170, 120), "brown"),
        "grass": ((0, 255, 0), "green"),
        "crop": ((255, 255, 0), "yellow"),
        "bare_land": ((128, 128, 128), "grey"),
        "snow": ((255, 255, 255), "white"),
        "wetland": ((0, 255, 255), "cyan"),
        "mangroves": ((255, 0, 255), "pink"),
        "moss": ((128, 0, 128), "purple"),
    }
    assert [(TOKENS[index], index) for index in range(1, 12)] == list(ID_OF_TOKEN.items())


def test_worldcovers_layouts() -> None:
    layouts = {name: table.layout for name, table in built_in_products().items() if table.layout}
    assert {name: (layout.directory, layout.version, layout.year) for name, layout in layouts.items()} == {
        "worldcover-2020": ("v100/2020/map", "v100", 2020),
        "worldcover-2021": ("v200/2021/map", "v200", 2021),
    }


YAML_TABLE = """
name: mine
nodata: [255, -1]
classes: {1: water, 2: tree, 7: tree}
colours: {"0,0,255": 1, "9, 8, 7": 255}
"""
JSON_TABLE = {
    "name": "mine",
    "nodata": [255, -1],
    "classes": {"1": "water", "2": "tree", "7": "tree"},
    "colours": {"0,0,255": 1, "9, 8, 7": 255},
}


@pytest.mark.parametrize(("suffix", "content"), [("yaml", YAML_TABLE), ("json", JSON_TABLE)])
def test_a_table_of_ones_own(tmp_path: Path, suffix: str, content: object) -> None:
    table = class_table(written(tmp_path / f"table.{suffix}", content))
    assert table.name == "mine"
    assert dict(table.ids) == {255: 0, -1: 0, 1: 1, 2: 3, 7: 3}
    assert dict(table.colours) == {(0, 0, 255): 1, (9, 8, 7): 0}
    assert table.layout is None


def test_colours_and_nodata_can_be_left_out(tmp_path: Path) -> None:
    table = class_table(written(tmp_path / "table.yaml", "name: mine\nclasses: {0: water}"))
    assert dict(table.ids) == {0: 1}
    assert dict(table.colours) == {colour: index for index, colour in enumerate(COLOURS)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name: mine\nclasses: {1: water}\ncolors: {}", "unknown key 'colors'"),
        ("classes: {1: water}", "name: expected a text"),
        ("name: 7\nclasses: {1: water}", "name: expected a text"),
        ("name: mine\nnodata: 0\nclasses: {1: water}", "nodata: expected a list of whole numbers"),
        ("name: mine\nnodata: [a]\nclasses: {1: water}", "nodata: expected a list of whole numbers"),
        ("name: mine\nnodata: [true]\nclasses: {1: water}", "nodata: expected a list of whole numbers"),
        ("name: mine", "classes: expected a mapping"),
        ("name: mine\nclasses: {}", "classes: expected a mapping"),
        ("name: mine\nclasses: [water]", "classes: expected a mapping"),
        ("name: mine\nclasses: {one: water}", "classes.one: expected a whole number"),
        ("name: mine\nclasses: {1.5: water}", "classes.1.5: expected a whole number"),
        ("name: mine\nclasses: {1: forest}", "classes.1: 'forest' is no class; expected one of water, developed_area"),
        ("name: mine\nclasses: {1: no_data}", "classes.1: 'no_data' is no class"),
        ("name: mine\nclasses: {1: [water]}", "is no class"),
        ("name: mine\nnodata: [1]\nclasses: {1: water}", "classes.1: the code stands twice"),
        ("name: mine\nclasses: {1: water, '1': tree}", "classes.1: the code stands twice"),
        ("name: mine\nclasses: {1: water}\ncolours: [1]", "colours: expected a mapping"),
        ('name: mine\nclasses: {1: water}\ncolours: {"0,0": 1}', "colours.0,0: expected"),
        ('name: mine\nclasses: {1: water}\ncolours: {"0,0,256": 1}', "colours.0,0,256: expected"),
        ('name: mine\nclasses: {1: water}\ncolours: {"0,0,²": 1}', "colours.0,0,²: expected"),
        ('name: mine\nclasses: {1: water}\ncolours: {"0,0,1": 2}', "code 2 stands neither"),
        ('name: mine\nclasses: {1: water}\ncolours: {"0,0,1": [1]}', "stands neither"),
        ("- 1", "expected a mapping with name"),
        ("", "expected a mapping with name"),
        ("{", "not a readable class table"),
        ("name: !!python/object:os.system {}", "not a readable class table"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        class_table(written(tmp_path / "table.yaml", content))
    assert said in str(error.value)
    assert "table.yaml" in str(error.value)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        class_table(written(tmp_path / "table.yaml", "nodata: 1\nclasses: {1: forest, x: water}\nmore: 1"))
    for said in ("unknown key 'more'", "name:", "nodata:", "classes.1:", "classes.x:"):
        assert said in str(error.value)


def test_an_unknown_product_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"worldcover-2020, worldcover-2021, esri, .*or the path of a class table"):
        class_table(tmp_path / "missing.yaml")


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.yaml").write_bytes(b"\xff\xfe\xff\x00")
    with pytest.raises(InputError, match="not a readable class table"):
        class_table(tmp_path / "table.yaml")


def test_a_digest_tells_tables_apart_by_what_they_count(tmp_path: Path) -> None:
    def digest(content: str) -> str:
        return class_table(written(tmp_path / "table.yaml", content)).digest()

    one = digest("{name: a, nodata: [0], classes: {1: water, 2: tree}}")
    assert one == digest("{name: b, classes: {2: tree, 1: water}, nodata: [0]}")
    assert one != digest("{name: a, nodata: [0], classes: {1: water, 2: crop}}")
    assert one != digest('{name: a, nodata: [0], classes: {1: water, 2: tree}, colours: {"1,1,1": 1}}')

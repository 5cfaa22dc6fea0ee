"""Text from outside on Prefect's pages stays text, whatever it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tasks.pages.markdown import code, table

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
TEXTS = st.text(st.sampled_from("`|\\<>[]()!*_#~&; \n\r\t\u2028\0ahtp:/.w@é"), max_size=40) | st.text(max_size=40)


def pieces(markdown: str) -> list[Token]:
    """What stands in the lines, all blocks together."""
    return [piece for block in MARKDOWN.parse(markdown) for piece in block.children or []]


@given(TEXTS)
@example("`")
@example("``a` ```")
@example("[a](http://evil.example)")
@example("<img src=x onerror=alert(1)>")
@example("www.evil.example")
def test_a_text_is_one_code_span_and_nothing_else(text: str) -> None:
    found = pieces(f"# {code(text)}\n\n- {code(text)} follows")
    spans = [piece.content.strip() for piece in found if piece.type == "code_inline"]
    others = {piece.type for piece in found if piece.type != "code_inline"}
    assert others <= {"text"}
    assert len(set(spans)) <= 1
    if spans:
        visible = "".join(letter for letter in text if letter.isprintable() and not letter.isspace())
        assert spans[0].replace(" ", "") == visible
    assert "".join(piece.content for piece in found if piece.type == "text").strip() == "follows"


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_a_table_keeps_its_cells_apart(rows: list[tuple[str, str]]) -> None:
    lines = table(("a", "b"), [[code(cell) for cell in row] for row in rows])
    blocks = [token.type for token in MARKDOWN.parse("\n".join(lines))]
    assert blocks.count("tr_open") == 1 + len(rows)
    assert blocks.count("td_open") == 2 * len(rows)
    assert {piece.type for piece in pieces("\n".join(lines))} <= {"text", "code_inline"}


def test_no_bar_stands_behind_an_even_number_of_backslashes() -> None:
    # Some readers pair them, and take the bar behind for the cell's end.
    *_, row = table(("a",), [[code("a\\\\| b \\\\\\| | c")]])
    assert all(len(slashes) == 1 for slashes in re.findall(r"(\\*)\|", row[1:-1]))


def test_a_long_text_is_cut() -> None:
    assert len(code("a" * 5000)) < 310
    assert code("a" * 5000).endswith("…`")
    assert len(code("a" * 5000, 1000)) == 1002


@pytest.mark.parametrize("text", ["", " ", "\n", "\0"])
def test_nothing_is_shown_of_nothing(text: str) -> None:
    assert code(text) == ""

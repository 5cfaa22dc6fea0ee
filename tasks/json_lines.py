"""Rows as JSON, one object a line, which terminals and every reader of lines can be given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# JSON leaves these as they are, but terminals obey some of them, some readers take others for a line's end, and the
# last stand for no character.
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000))}


def json_line(row: Mapping[str, Any]) -> bytes:
    """One row in UTF-8, with the line's end."""
    return json.dumps(row, ensure_ascii=False).translate(_ESCAPES).encode() + b"\n"

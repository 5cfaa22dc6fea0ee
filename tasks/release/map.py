"""A picture of where a release's tiles lie, for its card."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from tasks.preview.tile_map import draw

_CELL = 6
_STRENGTHS = {1: 0.35, 2: 0.65, 3: 1.0}


def map_svg(lon: NDArray[np.floating], lat: NDArray[np.floating], title: str) -> bytes | None:
    """A map in Web-Mercator as SVG; None where no tile has coordinates.

    Args:
        lon: the tiles' centres in degrees east, NaN without georeference.
        lat: in degrees north, likewise.
        title: what is shown, for those who do not see it.
    """
    drawn = draw(lon, lat, np.ones(len(lon), dtype=np.uint8))
    if drawn is None:
        return None
    width, height = drawn.columns * _CELL, drawn.rows * _CELL
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#f3f5f7"/>',
        f'<g transform="scale({_CELL})" fill="#1f6f5c">',
        *(f'<path fill-opacity="{_STRENGTHS[layer.strength]}" d="{layer.path}"/>' for layer in drawn.layers),
        '</g><g stroke="#667" stroke-opacity="0.4">',
        *(f'<line x1="{line.at}%" y1="0" x2="{line.at}%" y2="100%"/>' for line in drawn.meridians),
        *(f'<line x1="0" y1="{line.at}%" x2="100%" y2="{line.at}%"/>' for line in drawn.parallels),
        "</g>",
        *(f'<text x="{line.at}%" y="12" text-anchor="middle">{line.label}</text>' for line in drawn.meridians),
        *(f'<text x="4" y="{line.at}%" dy="-3">{line.label}</text>' for line in drawn.parallels),
        "</svg>",
    ]
    return "\n".join(lines).encode() + b"\n"

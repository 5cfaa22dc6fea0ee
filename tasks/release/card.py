"""The dataset card: `README.md` of a release, which the Hugging Face hub reads too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from numpy.typing import NDArray

from tasks.configuration import Campaign, Captioner, StacImagery
from tasks.landcover.classes import NO_DATA, TOKENS
from tasks.release.captions import RELEASED, Taken
from tasks.release.licences import Source, spdx
from tasks.release.likeness import NEAR_BITS, NEAR_TEXT, Leak, summary
from tasks.release.samples import Sample
from tasks.release.selection import SPLITS, Part, Selection
from tasks.wording.prompts import load_recipe

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_KINDS = ("picture", "near picture", "near text")


@dataclass(frozen=True)
class Facts:
    """What a card tells of a release.

    Attributes:
        config: the campaign.
        selection: what the release holds.
        sources: what it is made from.
        counts: statistics of its tiles in the order of the parts, shape (n, 6, 12).
        splits: their splits.
        blocks: their blocks.
        leaks: what is alike across splits.
        examples: some of its samples, without their files.
        checks: what the checks found, lines of Markdown.
        has_map: whether there is a picture of where the tiles lie.
        has_items: whether there is an index of footprints.
        unplaced: tiles without georeference.
        scenes: how many scenes its images are from; 0 without imagery.
        months: images by month of the year, 1 to 12.
    """

    config: Campaign
    selection: Selection
    sources: Sequence[Source]
    counts: NDArray[np.int32]
    splits: Sequence[str]
    blocks: Sequence[str]
    leaks: Sequence[Leak]
    examples: Sequence[Sample]
    checks: Sequence[str]
    has_map: bool
    has_items: bool
    unplaced: int
    scenes: int
    months: Mapping[int, int]


@dataclass(frozen=True)
class CaptionerRow:
    """A captioner as the card tells of it."""

    name: str
    prompt: str
    models: str
    parameters: str
    captions: int
    left_out: str
    system: str


@dataclass(frozen=True)
class ClassRow:
    """A class: its share of the pixels, and the tiles in which it is there, and in which it is the largest."""

    token: str
    share: str
    present: int
    dominant: int


def card(facts: Facts) -> bytes:
    """The card in UTF-8."""
    return (
        _template()
        .render(
            facts=facts,
            config=facts.config,
            version=version("earthscribe"),
            tiles=len(facts.selection),
            first_part=facts.selection.parts[0].name,
            splits=[(split, facts.splits.count(split)) for split in SPLITS if split in facts.splits],
            size=next((name for most, name in _SIZES if len(facts.splits) < most), "1M<n<10M"),
            licence=spdx(facts.sources),
            captioners=[_captioner(one, facts.selection.taken[one.name]) for one in facts.config.captioners],
            classes=_classes(facts.counts),
            captions=sum(len(one.rows) for one in facts.selection.taken.values()),
            unchecked=sum(one.unchecked for one in facts.selection.taken.values()),
            statuses=RELEASED,
            imagery=facts.config.imagery,
            by_stac=isinstance(facts.config.imagery, StacImagery),
            leaks=_leaks(facts),
            shared_blocks=_shared_blocks(facts),
            excluded=_excluded(facts.selection),
            near_bits=NEAR_BITS,
            near_text=NEAR_TEXT,
        )
        .encode()
    )


def _captioner(captioner: Captioner, taken: Taken) -> CaptionerRow:
    if captioner.recipe == "rules":
        prompt, system = "rules: fixed sentences from the statistics, no model", ""
    else:
        recipe = load_recipe(captioner.prompt, captioner.recipe, captioner.overall)
        own = captioner.prompt not in {"text", "vision"}
        # Where a user's templates lie is no one else's business.
        prompt = f"own templates for the {recipe.kind} recipe" if own else f"the {recipe.kind} recipe, {recipe.origin}"
        system = recipe.system
    asked = dict(captioner.parameters) if captioner.pool else {}
    parameters = ", ".join(f"{name} {value}" for name, value in sorted(asked.items()))
    left_out = ", ".join(f"{count} {status}" for status, count in sorted(taken.statuses.items()))
    models = ", ".join(f"{model} ({count:,})" for model, count in sorted(taken.models.items()))
    return CaptionerRow(captioner.name, prompt, models, parameters, len(taken.rows), left_out, system.strip())


def _classes(counts: NDArray[np.int32]) -> list[ClassRow]:
    whole = counts[:, 0].astype(np.int64)
    total = max(int(whole[:, 1:].sum()), 1)
    dominant = whole[:, 1:].argmax(axis=1) + 1
    return [
        ClassRow(
            token,
            f"{100 * int(whole[:, index].sum()) / total:.2f}",
            int((whole[:, index] > 0).sum()),
            int((dominant == index).sum()),
        )
        for index, token in enumerate(TOKENS)
        if index != NO_DATA
    ]


def _leaks(facts: Facts) -> list[tuple[str, str, list[int]]]:
    """Rows of the leakage report: a split, another, and by kind how many of its tiles have something alike there."""
    found = summary(facts.leaks, facts.splits)
    pairs = [(one, other) for one in SPLITS for other in SPLITS if one != other]
    known = set(facts.splits)
    return [
        (one, other, [found.get((one, other), Counter())[kind] for kind in _KINDS])
        for one, other in pairs
        if {one, other} <= known
    ]


def _shared_blocks(facts: Facts) -> int:
    """Blocks whose tiles lie in several splits."""
    seen: dict[str, set[str]] = {}
    for block, split in zip(facts.blocks, facts.splits, strict=True):
        seen.setdefault(block, set()).add(split)
    return sum(len(splits) > 1 for splits in seen.values())


def _excluded(selection: Selection) -> list[tuple[str, int]]:
    """Why tiles do not go in, the commonest first: by the beginning of the reason."""
    kinds = Counter(reason.partition(":")[0] for reason in selection.reasons.values())
    return sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))


def parts_of(selection: Selection, split: str) -> list[Part]:
    """The parts of a split."""
    return [part for part in selection.parts if part.split == split]


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("tasks.release", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, in which texts from outside pass the filters below
    )
    environment.filters["thousands"] = "{:,}".format
    environment.filters["cell"] = _cell
    environment.filters["quote"] = _quote
    return environment.get_template("card.md.j2")


def _cell(text: object) -> str:
    """A text as it stands in a table's cell or a line: nothing in it is Markdown or HTML."""
    plain = " ".join(str(text).split())
    escaped = "".join(f"\\{letter}" if letter in "\\`*_{}[]()#|!" else letter for letter in plain)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quote(text: str) -> str:
    """A text of several lines as a quoted block, likewise."""
    return "\n".join(f"    {line}" for line in text.replace("\t", " ").splitlines())

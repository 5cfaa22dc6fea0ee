"""Places in brackets behind a class: "water (in the north)"."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.wording.marks import Mark
from tasks.wording.regions import Extent
from tasks.wording.tokens import Tokens


def without_brackets(tokens: Tokens, marks: Sequence[Mark]) -> Sequence[Mark]:
    """The marks without brackets that say where the class before them is: "water (in the north)"."""
    rest: list[Mark] = []
    at = 0
    while at < len(marks):
        end = at + 1
        if tokens.words[marks[at].first] == "(" and rest and (mention := rest[-1].mention):
            while end < len(marks) and tokens.words[marks[end].first] != ")":
                end += 1
            inside = marks[at + 1 : end]
            regions = [mark.meaning.region for mark in inside if mark.meaning.region]
            if regions and not any(mark.mention for mark in inside):
                mention.regions = [region for region in regions if region.extent is not Extent.SAME]
                mention.bracketed = True
                at = end + 1
                continue
            end = at + 1
        rest += marks[at:end]
        at = end
    return rest

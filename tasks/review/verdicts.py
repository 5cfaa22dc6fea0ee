"""What a reviewer says of a caption, as a further version of it.

Reviewers judge the machine's text, each for himself: a verdict is made from the newest version that no reviewer wrote,
so that two of them judge the same words. The newest verdict is the one that stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, get_args

from tasks.captions.state import Caption, Status
from tasks.errors import InputError

Judgement = Literal["accept", "edit", "reject"]
"""What a reviewer can say."""

JUDGEMENTS: Final[tuple[Judgement, ...]] = get_args(Judgement)

STATUS: Final[dict[Judgement, Status]] = {"accept": "accepted", "edit": "edited", "reject": "rejected"}
"""How a caption stands after each."""

UNDONE: Final = "verdict taken back"
"""The reason of a version that takes a verdict back."""

MOST_CHARACTERS: Final = 10_000
"""Longest text that an edit may leave."""


def judged(versions: Sequence[Caption]) -> Caption | None:
    """The version that reviewers judge: the newest text that is not a reviewer's.

    Args:
        versions: all versions of one tile's caption, oldest first.
    """
    return next((version for version in reversed(versions) if version.reviewer is None and version.text), None)


def standing(versions: Sequence[Caption], reviewer: str) -> Caption | None:
    """A reviewer's verdict on the text that is judged now; None where there is none, or it was taken back."""
    text = judged(versions)
    for version in reversed(versions):
        if text is not None and version.reviewer == reviewer and version.revises == text.version:
            return None if version.reason == UNDONE else version
    return None


def judgement(verdict: Caption) -> Judgement | None:
    """What a reviewer's version says; None where it takes a verdict back."""
    if verdict.reason == UNDONE:
        return None
    return next((name for name, status in STATUS.items() if status == verdict.status), None)


def verdict(
    versions: Sequence[Caption], *, reviewer: str, says: Judgement, text: str | None, reason: str | None, now: str
) -> Caption:
    """The version that a verdict makes.

    Args:
        versions: all versions of one tile's caption, oldest first.
        reviewer: who judges.
        says: the verdict.
        text: the text that an edit leaves.
        reason: why; needed to reject.
        now: ISO 8601 in UTC.

    Raises:
        InputError: there is nothing to judge, an edit changes nothing, or a rejection has no reason.
    """
    base = judged(versions)
    if base is None:
        raise InputError("there is no caption to judge: its tile has no answer yet")
    if not reviewer.strip():
        raise InputError("a verdict needs a reviewer's name")
    if says == "edit":
        text = " ".join((text or "").split())
        if not text or len(text) > MOST_CHARACTERS:
            raise InputError(f"an edited caption has 1 to {MOST_CHARACTERS} characters, this one {len(text)}")
        if text == base.text:
            raise InputError("the text is unchanged: accept it instead")
    else:
        text = base.text
    if says == "reject" and not (reason or "").strip():
        raise InputError("a rejection needs a reason")
    return _after(base, versions, STATUS[says], text, reviewer.strip(), (reason or "").strip() or None, now)


def undone(versions: Sequence[Caption], *, reviewer: str, now: str) -> Caption:
    """The version that takes a reviewer's verdict back: what stood without it stands again.

    Raises:
        InputError: the reviewer has no verdict on the text that is judged now.
    """
    base, mine = judged(versions), standing(versions, reviewer)
    if base is None or mine is None:
        raise InputError(f"{reviewer} has no verdict on this caption that could be taken back")
    others = {version.reviewer for version in versions} - {None, reviewer}
    kept = [found for other in others if other and (found := standing(versions, other))]
    stands = max(kept, key=lambda version: version.version, default=base)
    return _after(base, versions, stands.status, stands.text, reviewer, UNDONE, now)


def _after(
    base: Caption,
    versions: Sequence[Caption],
    status: Status,
    text: str | None,
    reviewer: str,
    reason: str | None,
    now: str,
) -> Caption:
    return replace(
        base,
        version=versions[-1].version + 1,
        revises=base.version,
        status=status,
        text=text,
        reviewer=reviewer,
        reviewed_at=now,
        created_at=now,
        reason=reason,
    )

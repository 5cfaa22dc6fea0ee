"""What becomes of a caption once it is checked: the next version in its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.captions.history import shown, taken_back
from tasks.captions.state import Caption, Status
from tasks.checks.checking import check
from tasks.checks.facts import Counts
from tasks.checks.flags import Recipe, names
from tasks.checks.mending import mend
from tasks.checks.reasons import in_words

AGAIN = 2
"""How often a caption is asked again at most."""

CHECKED = "checked"
"""Why an accepted version is there."""


def is_to_be_checked(history: Sequence[Caption]) -> bool:
    """Whether the shown version waits for its check, or for an answer that has failed to come."""
    caption = shown(history)
    if caption is None:
        return False
    return caption.status == "unchecked" or (caption.status == "pending" and history[-1].status == "failed")


def verify(history: Sequence[Caption], counts: Counts, recipe: Recipe, now: str) -> Caption | None:
    """The version that a check adds: accepted, mended, flagged, or pending again with the reason for the model.

    A caption by rules is flagged at once. One by a model is asked again, twice at most under one prompt; where the
    answer to that has failed, the old text is flagged.

    Args:
        history: the versions of one tile's caption, oldest first.
        counts: the tile's pixels by patch and class id.
        recipe: how it was made.
        now: when, ISO 8601 in UTC.

    Returns:
        None where there is nothing to be checked.
    """
    caption = shown(history)
    if caption is None or caption.text is None or not is_to_be_checked(history):
        return None
    version = replace(
        caption,
        version=history[-1].version + 1,
        revises=caption.version,
        created_at=now,
        reviewer=None,
        reviewed_at=None,
    )
    if caption.status == "pending":
        code = history[-1].reason or "unknown"
        return replace(version, status="flagged", reason=f"{caption.reason}; asked again in vain: {code}")
    flags = check(caption.text, counts, recipe)
    errors = [flag for flag in flags if flag.is_error]
    found = tuple(names(flags))
    if not errors:
        return replace(version, status="accepted", flags=found, reason=CHECKED)
    mended = mend(caption.text, counts, recipe, flags)
    reason = in_words(caption.text, errors)
    if mended is not None:
        left = tuple(names(check(mended, counts, recipe)))
        return replace(version, text=mended, status="mended", flags=left, reason=f"mended: {reason}")
    status: Status = "pending" if recipe != "rules" and _asked_again(history, caption) < AGAIN else "flagged"
    return replace(version, status=status, flags=found, reason=reason)


def _asked_again(history: Sequence[Caption], caption: Caption) -> int:
    """How often a caption was asked again under its prompt: one that is pending as before after a verdict was not."""
    copies = taken_back(history)
    return sum(
        one.status == "pending" and one.prompt_sha256 == caption.prompt_sha256 and one.version not in copies
        for one in history
    )

"""What a reviewer says of a caption, as a further version of it.

Reviewers judge the machine's text, each for himself: a verdict is made from the newest version that no reviewer wrote,
so that two of them judge the same words. The newest verdict is the one that stands.

Taking a verdict back puts on top what stands without it, whole, with whoever said it and when: a copy that revises the
verdict which it takes back. Nothing else revises a verdict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal, get_args

from tasks.captions.history import taken_back
from tasks.captions.state import Caption, Status
from tasks.errors import InputError

Judgement = Literal["accept", "edit", "reject"]
"""What a reviewer can say."""

JUDGEMENTS: Final[tuple[Judgement, ...]] = get_args(Judgement)

STATUS: Final[dict[Judgement, Status]] = {"accept": "accepted", "edit": "edited", "reject": "rejected"}
"""How a caption stands after each."""

_SAYS: Final = {status: says for says, status in STATUS.items()}

MOST_CHARACTERS: Final = 10_000
"""Longest text that an edit may leave."""


def judged(versions: Sequence[Caption]) -> Caption | None:
    """The version that reviewers judge: the newest text that is not a reviewer's.

    Args:
        versions: all versions of one tile's caption, oldest first.
    """
    copies = taken_back(versions)
    machine_made = (version for version in reversed(versions) if version.reviewer is None and version.text)
    return next((version for version in machine_made if version.version not in copies), None)


def verdicts_by_text(versions: Sequence[Caption]) -> dict[int, dict[str, Caption]]:
    """The verdicts that are not taken back, by the version that was judged, then by reviewer; of several the newest.

    Args:
        versions: all versions of one tile's caption, oldest first.
    """
    copies = taken_back(versions)
    found: dict[int, dict[str, Caption]] = defaultdict(dict)
    for version in versions:
        verdict = copies.get(version.version, version)
        if verdict.reviewer is None or verdict.revises is None or verdict.status not in _SAYS:
            continue
        if verdict is version:
            found[verdict.revises][verdict.reviewer] = verdict
        else:
            found[verdict.revises].pop(verdict.reviewer, None)
    return dict(found)


def standing(versions: Sequence[Caption], reviewer: str) -> Caption | None:
    """A reviewer's verdict on the text that is judged now; None where there is none, or it was taken back."""
    return present(versions).get(reviewer)


def present(versions: Sequence[Caption]) -> dict[str, Caption]:
    """The verdicts on the text that is judged now, by reviewer."""
    base = judged(versions)
    return {} if base is None else verdicts_by_text(versions).get(base.version, {})


def judgement(verdict: Caption) -> Judgement:
    """What a verdict says."""
    return _SAYS[verdict.status]


def verdict(
    versions: Sequence[Caption],
    *,
    reviewer: str,
    says: Judgement,
    text: str | None,
    reason: str | None,
    now: str,
    found: Callable[[str], Iterable[str]],
) -> Caption:
    """The version that a verdict makes.

    Args:
        versions: all versions of one tile's caption, oldest first.
        reviewer: who judges.
        says: the verdict.
        text: the text that an edit leaves.
        reason: why; needed to reject.
        now: ISO 8601 in UTC.
        found: the flags that the checks raise in an edited text.

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
    return replace(
        base,
        version=versions[-1].version + 1,
        revises=base.version,
        status=STATUS[says],
        text=text,
        flags=tuple(found(text)) if says == "edit" and text else base.flags,
        reviewer=reviewer.strip(),
        reviewed_at=now,
        created_at=now,
        reason=(reason or "").strip() or None,
    )


def undone(versions: Sequence[Caption], *, reviewer: str, now: str) -> Caption:
    """The version that takes a reviewer's verdict back: what stood without it stands again.

    Raises:
        InputError: the reviewer has no verdict on the text that is judged now.
    """
    base, mine = judged(versions), standing(versions, reviewer)
    if base is None or mine is None:
        raise InputError(f"{reviewer} has no verdict on this caption that could be taken back")
    others = [verdict for other, verdict in present(versions).items() if other != reviewer]
    stands = max(others, key=_order, default=base)
    return replace(stands, version=versions[-1].version + 1, revises=mine.version, created_at=now)


def is_new(versions: Sequence[Caption], brought: Caption) -> bool:
    """Whether a verdict from elsewhere says anything: what its reviewer has said or taken back since outlasts it.

    Args:
        versions: all versions of one tile's caption, oldest first.
        brought: the version that the verdict would make, with its own time.
    """
    stands = standing(versions, brought.reviewer or "")
    if stands is not None and _says(stands) == _says(brought):
        return False
    said = [one for one in versions if (one.reviewer, one.revises) == (brought.reviewer, brought.revises)]
    if any((_says(one), one.reviewed_at) == (_says(brought), brought.reviewed_at) for one in said):
        return False
    numbers = {one.version for one in said}
    since = [_given_at(one) for one in said] + [_time(one.created_at) for one in versions if one.revises in numbers]
    return all(_given_at(brought) >= time for time in since)


def restated(versions: Sequence[Caption], now: str) -> Caption | None:
    """The version that puts the newest verdict on top of an older one; None where that is not needed.

    Args:
        versions: all versions of one tile's caption, oldest first.
        now: ISO 8601 in UTC.
    """
    verdicts = present(versions).values()
    newest = max(verdicts, key=_order, default=None)
    top = versions[-1]
    if newest is None or newest is top or top not in verdicts:
        return None
    return replace(newest, version=top.version + 1, created_at=now)


def _says(verdict: Caption) -> tuple[Status, str | None, str | None]:
    return verdict.status, verdict.text, verdict.reason


def _order(verdict: Caption) -> tuple[datetime, int]:
    return _given_at(verdict), verdict.version


def _given_at(verdict: Caption) -> datetime:
    return _time(verdict.reviewed_at or verdict.created_at)


def _time(written: str) -> datetime:
    return datetime.fromisoformat(written)

"""A reviewer's desk: what lies in the queue, one caption with all that belongs to it, and the verdicts given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.captions.history import taken_back
from tasks.captions.state import Caption, State
from tasks.checks.checking import check
from tasks.checks.flags import Recipe, names
from tasks.errors import InputError
from tasks.landcover.classes import COLOURS, NO_DATA
from tasks.landcover.pictures import palette_png
from tasks.preview.cards import PARTS, ClassShare, class_shares
from tasks.review.agreement import agreements, disagreed, judgements
from tasks.review.labels import Question, Verdict
from tasks.review.queue import Entry
from tasks.review.spans import spans
from tasks.review.verdicts import (
    Judgement,
    is_new,
    judged,
    judgement,
    present,
    restated,
    standing,
    undone,
    verdict,
)
from tasks.statistics.patches import Counts

Json = dict[str, Any]


class Material(Protocol):
    """What is known of the tiles beside their captions."""

    def counts(self, tile_id: str) -> Counts:
        """Its statistics (6, 12)."""

    def place(self, tile_id: str) -> str | None:
        """Its centre, for people; None without georeference."""

    def land_cover(self, tile_id: str) -> NDArray[np.uint8]:
        """Its map, class ids of shape (rows, columns)."""

    def photograph(self, tile_id: str) -> bytes | None:
        """Its RGB preview as a PNG; None where there is no imagery."""


@dataclass(frozen=True)
class Desk:
    """What reviewers see of a campaign, and where their verdicts go.

    Attributes:
        state: the campaign's captions.
        material: what is known of its tiles.
        recipes: the recipe of each captioner, by name.
        entries: the queue.
        now: the present time, ISO 8601 in UTC.
    """

    state: State
    material: Material
    recipes: Mapping[str, Recipe]
    entries: Sequence[Entry]
    now: Callable[[], str]

    def queue(self, reviewer: str) -> Json:
        """The queue as a reviewer sees it: each caption with his own verdict, and whether others disagree."""
        verdicts: dict[tuple[str, str], dict[str, Judgement]] = {}
        every: list[dict[str, Judgement]] = []
        for versions in self._reviewed():
            said = judgements(versions)
            every += said.values()
            base = judged(versions)
            if base is not None:
                # What was said of a text that another has replaced is no verdict on that one.
                verdicts[base.captioner, base.tile_id] = said.get(base.version, {})
        return {
            "entries": [
                {
                    "captioner": entry.captioner,
                    "tile_id": entry.tile_id,
                    "why": entry.why,
                    "verdict": said.get(reviewer),
                    "disagreed": disagreed(said),
                }
                for entry in self.entries
                for said in [verdicts.get((entry.captioner, entry.tile_id), {})]
            ],
            "agreement": [vars(agreement) for agreement in agreements(every)],
        }

    def item(self, captioner: str, tile_id: str, reviewer: str) -> Json:
        """One caption with its tile.

        Raises:
            InputError: there is no such caption.
        """
        versions = self._versions(captioner, tile_id)
        base = judged(versions)
        if base is None:
            raise InputError(f"tile {tile_id} has no caption by {captioner}")
        mine = standing(versions, reviewer)
        counts = self.material.counts(tile_id)
        text = (mine or base).text or ""
        return {
            "captioner": captioner,
            "tile_id": tile_id,
            "place": self.material.place(tile_id),
            "version": base.version,
            "text": text,
            "status": (mine or base).status,
            "verdict": judgement(mine) if mine else None,
            "reason": mine.reason if mine else None,
            "flags": list(base.flags),
            "spans": [vars(span) for span in spans(text, counts, self.recipes[captioner])],
            "found": self._found(captioner, tile_id, text),
            "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in COLOURS],
            "parts": list(PARTS),
            "shares": [_share(share) for share in class_shares(counts)],
            "no_data": int(counts[0, NO_DATA]),
            "has_photograph": self.material.photograph(tile_id) is not None,
            "history": _history(versions),
        }

    def judge(
        self,
        captioner: str,
        tile_id: str,
        *,
        version: int,
        reviewer: str,
        says: Judgement,
        text: str | None,
        reason: str | None,
    ) -> Json:
        """Keeps a verdict; returns the caption as it stands then.

        Raises:
            InputError: the verdict lacks something, or the caption is another one by now.
        """
        given = Verdict(captioner, tile_id, version, reviewer, says, text, reason)
        self._keep(captioner, tile_id, lambda versions: self._made(versions, given, self.now()))
        return self.item(captioner, tile_id, reviewer)

    def undo(self, captioner: str, tile_id: str, reviewer: str) -> Json:
        """Takes a reviewer's verdict back; returns the caption as it stands then.

        Raises:
            InputError: there is none.
        """
        self._keep(captioner, tile_id, lambda versions: undone(versions, reviewer=reviewer, now=self.now()))
        return self.item(captioner, tile_id, reviewer)

    def verdicts(self) -> Iterator[Verdict]:
        """The verdict of each reviewer on each text that is judged now."""
        for versions in self._reviewed():
            yield from _verdicts(versions)

    def questions(self) -> Iterator[Question]:
        """The queue, each text with its map and the verdicts that it has."""
        for entry in self.entries:
            versions = self._versions(entry.captioner, entry.tile_id)
            base = judged(versions)
            if base is not None and base.text is not None:
                yield Question(
                    entry.captioner,
                    entry.tile_id,
                    base.version,
                    base.text,
                    base.flags,
                    self.picture(entry.tile_id),
                    tuple(_verdicts(versions)),
                )

    def take_in(self, verdicts: Iterable[Verdict]) -> Json:
        """Keeps verdicts that were given elsewhere, each with its own time: the newest stands, whenever it is brought.

        Returns:
            ``kept``; ``known``, those that are here already, or whose reviewer has said something newer here; and
            ``refused``: what could not be kept, with the reason.
        """
        kept = known = 0
        refused: list[str] = []
        for given in verdicts:
            try:
                if self._take_in(given):
                    kept += 1
                else:
                    known += 1
            except InputError as error:
                refused.append(f"{given.captioner} {given.tile_id}: {error}")
        return {"kept": kept, "known": known, "refused": refused}

    def picture(self, tile_id: str) -> bytes:
        """The land-cover map of a tile as a PNG."""
        return palette_png(self.material.land_cover(tile_id))

    def _reviewed(self) -> Iterator[list[Caption]]:
        """The versions of each caption that a reviewer has judged."""
        return chain.from_iterable(map(self.state.reviewed, self.recipes))

    def _versions(self, captioner: str, tile_id: str) -> list[Caption]:
        if captioner not in self.recipes:
            raise InputError(f"no captioner is called {captioner!r}")
        return self.state.history(captioner, tile_id)

    def _take_in(self, given: Verdict) -> bool:
        """Keeps a verdict if it says anything new, and puts the newest one on top again."""
        place = given.captioner, given.tile_id
        now = self.now()
        given_at = _given_at(given, now)

        def make(versions: Sequence[Caption]) -> Caption | None:
            made = replace(self._made(versions, given, now), reviewed_at=given_at)
            return made if is_new(versions, made) else None

        if not self._keep(*place, make):
            return False
        self._keep(*place, lambda versions: restated(versions, now))
        return True

    def _made(self, versions: Sequence[Caption], given: Verdict, now: str) -> Caption:
        """The version that a verdict makes of the text that it was given on."""
        base = judged(versions)
        if base is not None and base.version != given.version:
            raise InputError("this caption was replaced while you read it; look at the new text, then judge that")
        return verdict(
            versions,
            reviewer=given.reviewer,
            says=given.verdict,
            text=given.text,
            reason=given.reason,
            now=now,
            found=partial(self._found, given.captioner, given.tile_id),
        )

    def _found(self, captioner: str, tile_id: str, text: str) -> list[str]:
        """The flags that the checks raise in a text."""
        return names(check(text, self.material.counts(tile_id).tolist(), self.recipes[captioner]))

    def _keep(self, captioner: str, tile_id: str, make: Callable[[Sequence[Caption]], Caption | None]) -> bool:
        """Adds a version, if any is made; of two who write at once, the second makes his from what the first left."""
        while (made := make(self._versions(captioner, tile_id))) is not None:
            if self.state.add([made]):
                return True
        return False


def _given_at(given: Verdict, now: str) -> str:
    """When a verdict was given: now where it does not say, and never later, as by a clock that runs ahead."""
    if given.reviewed_at is None:
        return now
    try:
        when = datetime.fromisoformat(given.reviewed_at)
        when = when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(f"`reviewed_at` is {given.reviewed_at!r}; expected a time as ISO 8601 has it") from None
    return min(when, datetime.fromisoformat(now)).isoformat()


def _verdicts(versions: Sequence[Caption]) -> Iterator[Verdict]:
    base = judged(versions)
    if base is None:
        return
    for reviewer, given in present(versions).items():
        says = judgement(given)
        yield Verdict(
            given.captioner,
            given.tile_id,
            base.version,
            reviewer,
            says,
            given.text if says == "edit" else None,
            given.reason,
            given.reviewed_at,
        )


def _share(share: ClassShare) -> Json:
    return {
        "class": share.class_id,
        "name": share.name,
        "overall": share.overall,
        "parts": share.parts,
    }


def _history(versions: Sequence[Caption]) -> list[Json]:
    """The versions as people read them: what stands again was said before, so that who brought it back is told."""
    undone_by = {number: verdict.reviewer for number, verdict in taken_back(versions).items()}
    return [
        {
            "version": version.version,
            "status": version.status,
            "text": version.text,
            "flags": list(version.flags),
            "reason": "verdict taken back" if version.version in undone_by else version.reason,
            "by": undone_by.get(version.version) or version.reviewer or version.model or version.captioner,
            "at": version.created_at if version.version in undone_by else version.reviewed_at or version.created_at,
        }
        for version in versions
    ]

"""What the versions of one tile's caption say together."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.captions.state import Caption


def shown(versions: Sequence[Caption]) -> Caption | None:
    """The version that is shown: the newest with a text; None where none has one.

    Args:
        versions: all versions of one tile's caption, oldest first.
    """
    return next((caption for caption in reversed(versions) if caption.text is not None), None)


def taken_back(versions: Sequence[Caption]) -> dict[int, Caption]:
    """The verdicts that were taken back, by the number of the version that does so.

    Args:
        versions: all versions of one tile's caption.
    """
    verdicts = {version.version: version for version in versions if version.reviewer is not None}
    return {version.version: verdicts[version.revises] for version in versions if version.revises in verdicts}

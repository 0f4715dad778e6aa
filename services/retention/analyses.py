"""What of the analyses of songs is needed, and what may go.

Beside a song lie the analyses that renders made, one for each version and guidance, and the corrections of its owners.
An analysis can be made again and goes by its age; a correction goes once it counts for nobody and no job has it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.models import OPEN, RETRYABLE, CorrectionRow, JobRow
from services.storage.object_keys import is_correction, is_correction_pointer


@dataclass
class Needed:
    """What jobs and owners need of what lies beside a song."""

    analyses: bool = False  # an open job may be about to read one, or a correction stands on one
    corrections: set[str] = field(default_factory=set)  # their sha256
    unknown: bool = False  # files tell which corrections count, as in earlier versions

    def holds(self, key: str) -> bool:
        """Whether a file is needed."""
        if is_correction_pointer(key):
            return True
        if is_correction(key):
            return self.unknown or key.rpartition("/")[2].partition(".")[0] in self.corrections
        return self.analyses


async def analyses_in_use(session: AsyncSession, songs: Collection[str]) -> dict[str, Needed]:
    """What is needed of the analyses of songs, by their sha256. A job that failed keeps its correction for a retry."""
    needed = {song: Needed() for song in songs}
    current = select(CorrectionRow.sha256, CorrectionRow.digest).where(CorrectionRow.sha256.in_(songs))
    for song, digest in await session.execute(current):
        needed[song].unknown |= digest is None
        if digest is not None:
            needed[song].analyses = True
            needed[song].corrections.add(digest)
    audio = JobRow.scene["audio"].as_string()
    jobs = select(audio, JobRow.scene["analysis"].as_string(), JobRow.status)
    for song, digest, status in await session.execute(
        jobs.where(or_(JobRow.status.in_(OPEN), JobRow.status.in_(RETRYABLE)), audio.in_(songs))
    ):
        needed[song].analyses |= status in OPEN
        if digest is not None:
            needed[song].corrections.add(digest)
    return needed

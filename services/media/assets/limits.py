"""Limits of assets. Imports no decoder."""

from __future__ import annotations

import errno

MOST_BYTES = {"image": 50_000_000, "font": 20_000_000, "lyrics": 1_000_000}  # a video: as any upload
LONGEST_SIDE, MOST_PIXELS = 8192, 50_000_000  # of a picture
LONGEST_VIDEO_SIDE, MOST_VIDEO_PIXELS = 4096, 4096 * 2304
LONGEST_VIDEO = 60.0  # seconds: whoever uploads it waits until it is encoded anew
FASTEST_VIDEO = 120.0  # frames per second
STORED_VIDEO_SIDE, STORED_VIDEO_FPS = 1920, 30  # what larger and faster ones become, at most
MOST_LINES, LONGEST_LINE = 10_000, 1000  # of lyrics; letters
PICTURE_MEMORY = 1200 << 20  # bytes: a picture of the most pixels, turned, with what its decoder needs besides
VIDEO_MEMORY = 1 << 30  # bytes: the frames that a decoder of a video of the most pixels refers to
CHUNK = 1 << 20  # bytes of a message, at most
FULL = (errno.ENOSPC, errno.EDQUOT)  # of a disk

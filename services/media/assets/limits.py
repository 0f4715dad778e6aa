"""Limits of assets. Imports no decoder."""

from __future__ import annotations

MOST_BYTES = {"image": 50_000_000, "font": 20_000_000, "lyrics": 1_000_000}  # a video: as any upload
LONGEST_SIDE, MOST_PIXELS = 8192, 50_000_000  # of a picture
LONGEST_VIDEO_SIDE, MOST_VIDEO_PIXELS = 4096, 4096 * 2304
LONGEST_VIDEO = 600.0  # seconds
FASTEST_VIDEO = 120.0  # frames per second
MOST_LINES, LONGEST_LINE = 10_000, 1000  # of lyrics; letters
PICTURE_MEMORY = 1200 << 20  # bytes: a picture of the most pixels, turned, with what its decoder needs besides
CHUNK = 1 << 20  # bytes of a message, at most

"""Limits of a decoding process. Imports no FFmpeg."""

from __future__ import annotations

MAX_SONG_SECONDS = 3 * 3600  # seconds
MEMORY_LIMIT = 512 << 20  # bytes
CPU_LIMIT = 120  # seconds of CPU time
CHUNK_SAMPLES = 1 << 15  # samples per channel and message, at most

"""Modules that PyAV loads with its first file; import this before entering the sandbox."""

from __future__ import annotations

import av.audio.stream
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream  # noqa: F401 - see above

"""The modules that PyAV loads with its first file: to be imported before a process is confined, which can load none."""

from __future__ import annotations

import av.audio.stream
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream  # noqa: F401 - see above

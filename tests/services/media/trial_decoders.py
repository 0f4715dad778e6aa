"""Decoders for tests: what they do is written in the file that they are given."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import IO

import numpy as np

from services.media.sandbox.messages import Channel

MODULES = (json, os, resource, signal, sys, time, np)  # for the code in the file


def execute(path: Path, channel: Channel) -> None:
    """Execute the file; ``channel`` and ``stream``, which it writes to, are at hand."""
    stream: IO[bytes] = channel._stream
    exec(path.read_text(), {**globals(), "channel": channel, "stream": stream})


def begin_and_execute(path: Path, channel: Channel) -> None:
    """Send the beginning of a song, and execute the file."""
    channel.say(rate=44_100, channels=2, layout="stereo", seconds=1)
    channel.send(np.zeros((2, 100), np.float32).data)
    execute(path, channel)


def send_file(path: Path, channel: Channel) -> None:
    """Send the file as if its bytes were messages."""
    channel._stream.write(path.read_bytes())


def execute_rest(path: Path, channel: Channel) -> None:
    """Execute what follows ``#EXECUTE`` in the file, which may begin like any other."""
    code = path.read_bytes().split(b"#EXECUTE\n", 1)[1].decode()
    exec(code, {**globals(), "channel": channel})

"""probe(): duration and format of an untrusted song, found by a sandboxed process."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ecs_core.errors import AudioError
from services.media.decoding_limits import CPU_LIMIT, exit_error

_log = logging.getLogger("motes.probing")
# The process inherits nothing else of our environment: no passwords and no keys.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL")
_FACTS = {"duration": float, "sample_rate": int, "channels": int}


async def probe(path: Path, name: str) -> dict[str, float | int]:
    """Decode a file, up to the longest duration allowed: {duration} in seconds, {sample_rate} and {channels}.

    Raises:
        AudioError: it is no song; the message calls it ``name``.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.media.probe_process", str(path), str(os.getpid())),
        env={key: os.environ[key] for key in _ENVIRONMENT if key in os.environ} | {"OPENBLAS_NUM_THREADS": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(2 * CPU_LIMIT):
            answer = _parse(await process.stdout.readline())
            if answer is None:
                raise _probe_error(await process.wait(), name)
    except TimeoutError:
        raise AudioError(f"{name}: cannot be decoded in {2 * CPU_LIMIT} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if "error" in answer:
        raise AudioError(str(answer["error"]).replace(str(path), name))
    if answer["lacking"]:
        _warn(str(answer["lacking"]))
    return {key: kind(answer[key]) for key, kind in _FACTS.items()}


@cache
def _warn(lacking: str) -> None:
    """Warn once about restrictions that the kernel or the container does not support."""
    _log.warning("decoding is not fully sandboxed, it keeps access to %s: see docs/untrusted-media.md", lacking)


def _parse(line: bytes) -> Mapping[str, object] | None:
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and ("error" in answer or _FACTS.keys() <= answer.keys()) else None


def _probe_error(code: int, name: str) -> AudioError:
    why = exit_error(code, name)
    return why if isinstance(why, AudioError) else AudioError(f"{name}: the decoder was killed; try again")

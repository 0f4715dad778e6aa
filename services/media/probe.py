"""probe(): whether a client's file is a song, and what kind, found out by a confined process of its own."""

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
# All that the process gets of our environment: no password, no key.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL")
_FACTS = {"duration": float, "sample_rate": int, "channels": int}


async def probe(path: Path, name: str) -> dict[str, float | int]:
    """Decode a file, to its end or for as long as any may be: {duration} in seconds, {sample_rate} and {channels}.

    Raises:
        AudioError: it is no song, by the ``name`` that the client knows.
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
    """Say once what the kernel, or the container, cannot take from processes that decode what clients send."""
    _log.warning("what decodes clients' files keeps its access to %s: docs/untrusted-media.md", lacking)


def _parse(line: bytes) -> Mapping[str, object] | None:
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and ("error" in answer or _FACTS.keys() <= answer.keys()) else None


def _probe_error(code: int, name: str) -> AudioError:
    why = exit_error(code, name)
    return why if isinstance(why, AudioError) else AudioError(f"{name}: what decodes it was killed; try again")

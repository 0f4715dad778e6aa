"""check_sandbox(): what the sandbox lacks on this machine, found by a process that enters it, and logged."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ecs_core.errors import MotesError
from services.media.sandbox.decoding import Decoding, run_with_report
from services.media.sandbox.decoding_processes import DecodingServer

_log = logging.getLogger("motes.sandbox")
_found: list[Sequence[str]] = []  # it does not change while this process runs
_NOTHING = Decoding(
    decoder="services.media.sandbox.decoding_server:decode_nothing",
    path=Path(os.devnull),
    name="nothing",
    required=False,
)


async def check_sandbox(*, required: bool) -> Sequence[str]:
    """What this machine lacks: landlock, seccomp, libseccomp; or sandbox, if it cannot be entered at all.

    If ``required``, what is missing is logged as an error: then files of clients are refused.
    """
    if not _found:
        _found.append(await _missing())
    missing = " and ".join(_found[0])
    if missing and required:
        _log.error("songs are refused, as decoders cannot be sandboxed for lack of %s: see MOTES_SANDBOX", missing)
    elif missing:
        _log.warning("decoders are not fully sandboxed, for lack of %s: see docs/untrusted-media.md", missing)
    return _found[0]


async def _missing() -> Sequence[str]:
    server = DecodingServer()  # not kept, as a worker decodes in other processes
    try:
        return (await run_with_report(_NOTHING, server=server))[0]
    except (MotesError, OSError) as error:
        _log.error("the sandbox cannot be entered: %s", error)
        return ["sandbox"]
    finally:
        server.close()

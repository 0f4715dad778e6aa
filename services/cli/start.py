"""The entry point of ``motes``: Ctrl-C ends it without a traceback even while modules are loading."""

from __future__ import annotations

import signal


def main() -> int:
    """Load the command line and run it; returns the exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from services.cli.main import main as run  # after the signal handler is set

    return run()

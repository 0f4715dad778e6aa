"""``motes warmup``: compile kernels before the first render."""

from __future__ import annotations

import argparse

HELP = "Compile Motes for this processor, so that the first render need not."
EXAMPLES = """\
examples:
  motes warmup
  motes warmup --type enhanced
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--type", metavar="TYPE", help="only what a video of this particle type needs (default: all)")


def run(arguments: argparse.Namespace) -> None:
    """Compile what is missing."""
    from ecs_core.warmup import warm_up  # slow to load, so only after the arguments are checked

    warm_up(arguments.type)

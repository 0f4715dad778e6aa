"""File names that Windows reserves for devices."""

from __future__ import annotations

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def is_reserved(name: str) -> bool:
    """Whether Windows takes this file name for a device, whatever follows its first dot."""
    return name.partition(".")[0].rstrip().lower() in _RESERVED

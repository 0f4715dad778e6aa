"""Names that clients give to files."""

from __future__ import annotations

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def is_reserved(name: str) -> bool:
    """Whether Windows takes the name of a file for a device, whatever follows its first dot."""
    return name.partition(".")[0].rstrip().lower() in _RESERVED

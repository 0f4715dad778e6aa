"""The environment of every process that renders. Imports nothing, so that whoever starts one needs no FFmpeg."""

from __future__ import annotations

ENVIRONMENT = {  # of every process that renders
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # glibc keeps freed memory for the next encoder; otherwise page faults cost 5 % of a render.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
}

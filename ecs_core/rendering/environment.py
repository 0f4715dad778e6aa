"""The environment of every process that renders. Imports nothing, so that whoever starts one needs no FFmpeg."""

from __future__ import annotations

ENVIRONMENT = {  # of every process that renders
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # glibc keeps freed memory for the next encoder; otherwise page faults cost 5 % of a render.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
    # x264's AVX-512 code for mbtree reads uninitialised memory, and its decisions would depend on what an earlier segment
    # left there. Without AVX-512 it does not, but takes 5 % longer than with this.
    "MALLOC_PERTURB_": "255",  # new memory is filled with the complement of this, 0
}

"""Pictures as large as they may be: what reading them takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

READ_ALL = """
import resource, sys
from ecs_core.raster.picture_file import read_picture
for path in sys.argv[1:]:
    assert read_picture(path).shape == (6300, 6300, 4)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
def test_largest_pictures_are_read_one_at_a_time_in_less_than_500_megabytes(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, path in enumerate(paths):
        Image.new("RGB", (6300, 6300), (number, 0, 0)).save(path, compress_level=1)
    done = subprocess.run([sys.executable, "-c", READ_ALL, *paths], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500

"""Pictures as large as they may be: what reading them takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

READ_ALL = """
import re, sys
from pathlib import Path
from ecs_core.raster.picture_file import read_picture
for path in sys.argv[1:]:
    assert read_picture(path).shape == (6300, 6300, 4)
# Not ru_maxrss, which a process inherits from the one that started it.
print(int(re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_largest_pictures_are_read_one_at_a_time_in_less_than_500_megabytes(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, path in enumerate(paths):
        Image.new("RGB", (6300, 6300), (number, 0, 0)).save(path, compress_level=1)
    done = subprocess.run([sys.executable, "-c", READ_ALL, *paths], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500

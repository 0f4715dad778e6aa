"""Print what Motes and its service need: for the Dockerfile, which installs that before the sources."""

import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
print(*project["dependencies"], *project["optional-dependencies"]["service"], sep="\n")

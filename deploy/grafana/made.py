"""All dashboards as the JSON that Grafana reads."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.api import api
from deploy.grafana.capacity import capacity
from deploy.grafana.overview import overview
from deploy.grafana.workers import workers

FOLDER = Path(__file__).with_name("dashboards")


def made() -> dict[str, str]:
    """JSON by file name in ``FOLDER``."""
    return {
        f"{build.__name__}.json": json.dumps(build().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for build in (overview, workers, api, capacity)
    }

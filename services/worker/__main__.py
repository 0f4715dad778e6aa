"""``python -m services.worker``: a worker, until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import os

from services.settings import ServiceSettings
from services.worker.main import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=os.cpu_count() or 1, help="tasks at a time")
    parser.add_argument("--name", help="of this worker, if it keeps it when it is started again")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    arguments = parser.parse_args()
    run(ServiceSettings(), size=arguments.size, name=arguments.name)

"""A real Prometheus that watches a real stack, with time gone faster: windows and waits of seconds instead of hours."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.deploy.observing import PROMETHEUS, RULES, debian
from tests.fork_server import HANG
from tests.service import reserved_port
from tests.services.stack.conftest import Stack, until

WINDOW = 30  # seconds, of every rate and every increase
AHEAD = 60  # seconds that predictions look into the future
FULL = 50_000_000  # bytes free that are too few


def faster(text: str) -> str:
    """PromQL or rules with every window, wait and threshold for a test of a minute."""
    text = re.sub(r"\[(\d+[smhd]|\$__rate_interval|\$__range)\]", f"[{WINDOW}s]", text)
    text = re.sub(r"^( +for): \w+$", r"\1: 1s", text, flags=re.MULTILINE)
    return text.replace("6 * 3600", str(AHEAD)).replace("5e9", str(FULL))


class Watching:
    """Prometheus, as it runs."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=HANG, trust_env=False)

    def is_ready(self) -> bool:
        """Whether it answers questions already."""
        return self._client.get("/-/ready").is_success

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The samples that it answers; none that is no number."""
        answer = self._client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        return [each for each in answer["data"]["result"] if not math.isnan(float(each["value"][1]))]

    def firing(self, within: str) -> set[str]:
        """Alerts that fired at any time within so long, those of an objective with its name."""
        found = [each["metric"] for each in self.ask(f'max_over_time(ALERTS{{alertstate="firing"}}[{within}])')]
        return {" ".join([labels["alertname"], *([labels["slo"]] if "slo" in labels else [])]) for labels in found}

    def close(self) -> None:
        """No more questions."""
        self._client.close()


@contextmanager
def watched(stack: Stack, folder: Path, workers: list[int]) -> Iterator[Watching]:
    """The stack's API and the workers at these ports, watched with the rules of deploy/prometheus."""
    targets = [
        {"targets": [f"127.0.0.1:{stack.client.base_url.port}"], "labels": {"process": "api"}},
        *({"targets": [f"127.0.0.1:{port}"], "labels": {"process": "worker"}} for port in workers),
    ]
    found = folder / "prometheus.json"
    found.write_text(json.dumps(targets))
    for path in RULES:
        (folder / path.name).write_text(faster(path.read_text(encoding="utf-8")))
    config = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
    config = config.replace("/srv/motes/prometheus.json", str(found)).replace("interval: 15s", "interval: 1s")
    (folder / "prometheus.yml").write_text(config)
    port = reserved_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            (
                debian("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    watching = Watching(f"http://127.0.0.1:{port}")
    try:
        until(watching.is_ready, stack)
        # It takes some seconds to find its targets, and says until then that there are none.
        until(lambda: watching.ask("motes_worker_slots") and not watching.firing("3s"), stack)
        yield watching
    finally:
        watching.close()
        process.terminate()
        process.wait(HANG)


def every_part(expression: str) -> list[str]:
    """What an alert asks for, as expressions that are answered whether or not it fires, if only all of it is there."""
    asked = expression.replace("absent(", "(")
    asked = re.sub(r" (>=|<=|==|!=|>|<) ", r" \1 bool ", asked)
    asked = re.sub(r"\bunless\b", "and", asked)
    return re.split(r"\s+or\s+", asked)

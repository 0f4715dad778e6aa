"""What tests of the API ask for again and again."""

from __future__ import annotations

from typing import Any

from tests.services.stack.conftest import Stack

SMALL = {"width": 160, "height": 90, "duration": 2.0, "particle_count": 50}
LONG = {"width": 640, "height": 360, "duration": 60.0, "particle_count": 500}
PROBLEM = "application/problem+json"


def create(stack: Stack, particle_type: str = "enhanced", **config: Any) -> str:
    answer = stack.client.post("/create", json={"particle_type": particle_type, "config": config})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["system_id"])


def submit(stack: Stack, system: str, **body: Any) -> str:
    answer = stack.client.post(f"/systems/{system}/render", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def rendered(stack: Stack, system: str, **body: Any) -> str:
    job = submit(stack, system, **body)
    assert stack.wait_for(job, "completed", "failed")["status"] == "completed"
    return job

"""A job's webhook: heard when a real job is over, and seen in the list of its deliveries."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook

from tests.service import wait_for
from tests.services.stack.api_calls import LONG, SMALL, create, submit
from tests.services.stack.conftest import Stack
from tests.services.webhooks.test_delivery import SECRET, receiver

pytestmark = pytest.mark.debian("redis-server")


def test_webhook_reports_completion_and_cancellation(stack: Stack) -> None:
    with receiver() as server:
        done = submit(stack, create(stack, **SMALL, seed=71), webhook_url=server.url)
        stopped = submit(stack, create(stack, **LONG, seed=72), webhook_url=server.url)
        stack.client.post(f"/jobs/{stopped}/cancel").raise_for_status()
        wait_for(lambda: len(server.received) == 2, 60)
    told = [Webhook(SECRET).verify(body.decode(), headers) for headers, body in server.received]
    assert {(each["type"], each["data"]["job_id"], each["data"]["status"]) for each in told} == {
        ("job.completed", done, "completed"),
        ("job.cancelled", stopped, "cancelled"),
    }
    wait_for(lambda: stack.client.get(f"/jobs/{done}/deliveries").json()[0]["status"] == "delivered")
    [delivery] = stack.client.get(f"/jobs/{done}/deliveries").json()
    assert (delivery["event"], delivery["url"], len(delivery["attempts"])) == ("job.completed", server.url, 1)


def test_invalid_webhook_is_refused(stack: Stack) -> None:
    answer = stack.client.post(f"/systems/{create(stack, **SMALL)}/render", json={"webhook_url": "ftp://example.com"})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("webhook_url: 'ftp://example.com': must begin with https://")

"""Metrics: named and documented as they are, by Prometheus' conventions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import services.api.routes.metrics  # noqa: F401 - whoever registers metrics has done so
from services.observability import metrics

DOCUMENT = (Path(__file__).parents[3] / "docs/metrics.md").read_text(encoding="utf-8")


def test_table_of_labels_lists_every_label() -> None:
    used = {label for metric in metrics.catalogue() for label in metric.labels} - {"version", "python"}
    table = DOCUMENT.partition("| Label | Values |")[2].partition("\n\n")[0]
    told = {name for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", table, re.M) for name in re.findall(r"\w+", row)}
    assert told == used


def test_names_follow_the_conventions() -> None:
    for metric in metrics.catalogue():
        assert re.fullmatch(r"motes(_[a-z]+)+", metric.name)
        assert (metric.type == "counter") == metric.name.endswith("_total")
        assert metric.type != "histogram" or metric.name.endswith("_seconds")
        assert not {"id", "job", "owner", "key"} & set(metric.labels)
        assert metric.help.endswith(".")


def test_unavailable_values_are_absent() -> None:
    registry, looked = CollectorRegistry(), metrics.CollectedGauges()
    registry.register(looked)
    looked.values = {"motes_queue_tasks": {("high",): 3}, "motes_database_up": {(): 1}}
    text = generate_latest(registry).decode()
    assert 'motes_queue_tasks{priority="high"} 3.0' in text
    assert "motes_database_up 1.0" in text
    assert "motes_storage_bytes" not in text


def listeners() -> float | None:
    return metrics.API.get_sample_value("motes_listeners", {"kind": "events"})


def test_broken_connection_decrements_the_listeners() -> None:
    before = listeners() or 0.0

    def follow() -> None:
        with metrics.track_listener("events"):
            assert listeners() == before + 1
            raise ConnectionError

    with pytest.raises(ConnectionError):
        follow()
    assert listeners() == before

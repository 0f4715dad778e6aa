"""Dashboards: what Grafana reads is what Python makes, and what a person can read."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.made import FOLDER, made
from tests.deploy.observing import BOARDS, ROOT, panels


def test_files_are_up_to_date() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert there == made(), "run make dashboards"


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_files_round_trip_through_the_grafana_model(path: Any) -> None:
    register_default_plugins()
    read = json.loads(path.read_text(encoding="utf-8"))
    again = json.loads(json.dumps(Dashboard.from_json(read), cls=JSONEncoder))
    assert again == read


@pytest.mark.parametrize(("name", "panel"), panels(), ids=[name for name, _ in panels()])
def test_panel_has_a_description_and_a_unit(name: str, panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"]
    assert all(target["legendFormat"] for target in panel["targets"]) or panel["type"] != "timeseries"


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_panels_fill_rows_and_do_not_overlap(path: Any) -> None:
    places = [panel["gridPos"] for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]]
    for one, other in combinations(places, 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
    height = max(place["y"] + place["h"] for place in places)
    assert sum(place["w"] * place["h"] for place in places) == 24 * height


def test_panel_ids_and_titles_are_unique() -> None:
    names = [name for name, _ in panels()]
    for path in BOARDS:
        read = json.loads(path.read_text(encoding="utf-8"))
        numbers = [panel["id"] for panel in read["panels"] if panel["type"] != "row"]
        assert len(set(numbers)) == len(numbers)
    assert len({json.loads(path.read_text(encoding="utf-8"))["uid"] for path in BOARDS}) == 4
    assert len(names) >= 60


def test_provisioning_has_the_required_fields() -> None:
    """Without Grafana only the version and the fields required by its manual can be checked."""
    folder = ROOT / "deploy/grafana/provisioning"
    [source] = yaml.safe_load((folder / "datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    assert {"name", "uid", "type", "access", "url"} <= set(source)
    [provider] = yaml.safe_load((folder / "dashboards/motes.yml").read_text(encoding="utf-8"))["providers"]
    assert (provider["type"], provider["options"]) == ("file", {"path": "/var/lib/grafana/dashboards"})

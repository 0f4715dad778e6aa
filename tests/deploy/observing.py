"""What tests of dashboards and rules share: every expression of them, and what stands where."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
RULES = sorted(PROMETHEUS.glob("*rules*.yml"))
BOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
_METRIC = re.compile(r"\bmotes_[a-z_]+|\b[a-z_]*:motes_[a-z0-9_:]+|\bmotes:[a-z0-9_:]+")


def debian(program: str) -> str:
    """The path of a program of the package prometheus; skips the test, loudly (see the marker), where it is missing."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program} of the Debian package prometheus")
    return found


def rules() -> list[dict[str, Any]]:
    """All rules, each with the name of its group."""
    read = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    return [{**rule, "group": group["name"]} for file in read for group in file["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Alerting rules by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def panels() -> list[tuple[str, dict[str, Any]]]:
    """Every panel of every dashboard, with a name for it."""
    read = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in BOARDS}
    every = [(name, panel) for name, board in read.items() for panel in board["panels"] if panel["type"] != "row"]
    return [(f"{name} / {panel['title']}", panel) for name, panel in every]


def expressions() -> list[tuple[str, str]]:
    """Every expression of dashboards and rules, with what it is of."""
    shown = [(f"{name} / {target['refId']}", target["expr"]) for name, panel in panels() for target in panel["targets"]]
    return shown + [
        (rule.get("alert") or f"{rule['record']} {rule.get('labels', '')}", rule["expr"]) for rule in rules()
    ]


def metrics_in(expression: str) -> set[str]:
    """The names of metrics of Motes in PromQL, those that rules record among them."""
    return set(_METRIC.findall(expression))

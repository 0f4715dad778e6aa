"""Rules and alerts: Prometheus takes them, each alert fires when it must and only then, and has its runbook."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections import defaultdict
from typing import Any

import pytest
import yaml

from services.cli.main import build_parser
from services.observability.metrics import catalogue
from tests.deploy.observing import PROMETHEUS, ROOT, RULES, alerts, debian, expressions, metrics_in, rules
from tests.waiting import HANG

CASES = sorted(PROMETHEUS.glob("*_test.yml"))
RUNBOOKS = ROOT / "docs/runbooks.md"
SUFFIXES = ("_bucket", "_count", "_sum")


def promtool(*arguments: object) -> None:
    done = subprocess.run(
        (debian("promtool"), *map(str, arguments)), capture_output=True, text=True, timeout=HANG, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.debian("prometheus")
def test_prometheus_accepts_its_configuration() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.debian("prometheus")
def test_prometheus_accepts_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *RULES)


@pytest.mark.debian("prometheus")
@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_alerts_fire_exactly_when_expected(cases: Any) -> None:
    promtool("test", "rules", cases)


def test_every_alert_has_a_firing_and_a_silent_case() -> None:
    found: dict[str, set[bool]] = defaultdict(set)
    for path in CASES:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for case in test["alert_rule_test"]:
                found[case["alertname"]].add(bool(case["exp_alerts"]))
    assert found == {name: {True, False} for name in alerts()}


def test_cases_evaluate_groups_in_dependency_order() -> None:
    """Otherwise promtool picks any order, and a rule may run before the recording rule that it needs."""
    order = list(dict.fromkeys(rule["group"] for rule in sorted(rules(), key=lambda rule: "alert" in rule)))
    for path in CASES:
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["group_eval_order"] == order


@pytest.mark.parametrize("name", alerts())
def test_alert_has_severity_annotations_and_runbook(name: str) -> None:
    alert = alerts()[name]
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"


def test_alerts_and_runbooks_correspond() -> None:
    text = RUNBOOKS.read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### (Motes\w+)", text, re.MULTILINE)) == sorted(alerts())


@pytest.mark.parametrize("name", alerts())
def test_runbook_has_all_four_sections(name: str) -> None:
    found = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    assert re.findall(r"^\*\*(.+?)\*\*", found[1], re.MULTILINE) == ["Means.", "Causes.", "Look.", "Do."]


def test_runbook_commands_are_valid() -> None:
    shell = "".join(re.findall(r"^```sh\n(.*?)^```", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    commands = re.findall(r"\b(motes [a-z].*)", shell)
    assert len(commands) > 10
    for command in commands:
        build_parser().parse_args(shlex.split(command, comments=True)[1:])


def test_objective_is_the_same_over_every_window() -> None:
    by_window: dict[str, list[object]] = defaultdict(list)
    for rule in rules():
        if match := re.fullmatch(r"motes:slo_errors:ratio_rate(\w+)", rule.get("record", "")):
            by_window[match[1]].append((rule["labels"], rule["expr"].replace(f"[{match[1]}]", "[…]")))
    assert set(by_window) == {"5m", "30m", "1h", "6h", "3d"}
    assert len({repr(rules_of) for rules_of in by_window.values()}) == 1


def test_expressions_use_only_existing_metrics_and_labels() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    labels = {each.name: {*each.labels, "job", "instance"} for each in catalogue()}
    for each in catalogue():
        if each.type == "histogram":
            labels |= {f"{each.name}{suffix}": labels[each.name] | {"le"} for suffix in SUFFIXES}
            del labels[each.name]
    for name, expression in expressions():
        assert metrics_in(expression) <= {*labels, *recorded}, name
        for metric, selector in re.findall(r"\b(motes_\w+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)\s*(?:=|!)", re.sub(r'"[^"]*"', "", selector))) <= labels[metric], name


def test_every_metric_and_recording_rule_is_used() -> None:
    used = set().union(*(metrics_in(expression) for _, expression in expressions()))
    bare = used | {metric.removesuffix(suffix) for metric in used for suffix in SUFFIXES}
    assert {each.name for each in catalogue()} - bare == set()
    assert {rule["record"] for rule in rules() if "record" in rule} - used == set()

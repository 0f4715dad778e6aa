"""What deploys Motes, as far as that can be checked without a daemon: it parses, it fits its schemas, what it names is
there, and it is not less strict than the documents say."""

from __future__ import annotations

import functools
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from services.cli.main import build_parser
from services.media.sandbox import seccomp
from services.observability.metrics import catalogue
from services.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
KUBERNETES = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
VARIABLES = {f"MOTES_{name.upper()}" for name in ServiceSettings.model_fields}
CACHE = {"NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_CACHE_DIR"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def accepted(arguments: list[str]) -> bool:
    """Whether the command line takes them; else argparse exits."""
    return bool(build_parser().parse_args(arguments).run)


def variables(text: str) -> set[str]:
    return set(re.findall(r"\bMOTES_[A-Z_]+", text))


# --- the image ---


def instructions(name: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^{name} (.+)$", joined, re.MULTILINE)


def test_dockerfile_is_linted() -> None:
    done = run(tool("hadolint"), "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_files_copied_by_the_image_exist_and_are_not_ignored() -> None:
    copied = [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert copied
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(copied) == set(kept)
    assert all((ROOT / path).exists() for path in copied)


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    return {
        pin.name: str(pin.specifier)
        for pin in (Requirement(line) for line in lines if line and not line.lstrip().startswith("#"))
    }


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def test_image_has_the_locked_versions() -> None:
    assert any("--requirement requirements.lock" in line for line in instructions("RUN"))


@pytest.mark.parametrize(("lock", "extras"), [("requirements.lock", ["service"]), ("requirements-dev.lock", EXTRAS)])
def test_lock_is_up_to_date(lock: str, extras: list[str]) -> None:
    """``make lock`` has been run since the last change of a dependency."""
    pinned = pins(lock)
    named = (*PROJECT["project"]["dependencies"], *(each for extra in extras for each in EXTRAS[extra]))
    needed = [Requirement(each) for each in (*named, *PROJECT["build-system"]["requires"])]
    missing = [
        str(each)
        for each in needed
        if not each.specifier.contains(pinned.get(canonicalize_name(each.name), "==0").removeprefix("=="))
    ]
    assert missing == []


def test_released_versions_are_the_tested_ones() -> None:
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


def test_image_runs_unprivileged_without_build_tools() -> None:
    assert instructions("USER") == ["10001"]
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert not re.search(r"\b(pip|apt-get|gcc|make)\b", last)
    assert accepted([*yaml.safe_load(instructions("CMD")[-1])])
    assert variables(DOCKERFILE) <= VARIABLES


def test_image_is_not_built_without_libseccomp() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert f"CDLL('{seccomp._LIBRARY}')" in last


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_let_decoders_sandbox_themselves(unit: Path) -> None:
    allowed = re.findall(r"^SystemCallFilter=(.+)$", unit.read_text(encoding="utf-8"), re.MULTILINE)[0].split()
    assert set(allowed) >= {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"}


def test_image_stages_agree_on_the_kernel_cache() -> None:
    """numba's cache depends on the processor and the folder, so both stages must set the same values."""
    build, last = re.sub(r"\\\n\s*", "", DOCKERFILE).split("\nFROM ")[1:]
    said = [{name: re.findall(rf"{name}=(\S+)", stage) for name in CACHE | {"CPU"}} for stage in (build, last)]
    assert said[0] == said[1]
    assert all(len(values) == 1 for name, values in said[0].items()), said[0]


# --- compose ---


def test_compose_file_fits_its_schema() -> None:
    done = run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    assert done.returncode == 0, done.stdout


def test_compose_uses_existing_commands_and_settings() -> None:
    ours = [service for service in SERVICES.values() if service.get("image") == "motes"]
    assert len(ours) == 2
    for service in ours:
        assert accepted(service["command"])
        assert {name for name in service["environment"] if name.startswith("MOTES_")} <= VARIABLES
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert set(service["depends_on"]) <= set(SERVICES)
    assert all(SERVICES[name].get("healthcheck") for name in ("redis", "postgres", "worker"))


def test_files_mounted_by_compose_exist() -> None:
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    files = [mount for mount in mounts if mount.startswith(".")]
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert {mount for mount in mounts if not mount.startswith(".")} == set(COMPOSE["volumes"])


def test_compose_publishes_ports_only_on_localhost() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_prometheus_targets_and_rules_exist() -> None:
    config = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text(encoding="utf-8"))
    asked = {
        scrape["job_name"]: (lookup["names"][0], lookup["port"])
        for scrape in config["scrape_configs"]
        for lookup in scrape["dns_sd_configs"]
    }
    port = int(SERVICES["worker"]["environment"]["MOTES_METRICS_PORT"])
    assert asked == {"motes-api": ("api", 8000), "motes-worker": ("worker", port)}
    mounted = {volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]}
    assert {f"/etc/prometheus/{rules}" for rules in config["rule_files"]} <= mounted
    assert SERVICES["grafana"]["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"


@pytest.mark.debian("prometheus")
def test_prometheus_accepts_the_compose_configuration(tmp_path: Path) -> None:
    for volume in SERVICES["prometheus"]["volumes"]:
        if volume.startswith("."):
            source, target, _ = volume.split(":")
            (tmp_path / Path(target).name).write_bytes((ROOT / source).read_bytes())
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool")
    done = run("promtool", "check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


# --- systemd ---


@pytest.mark.debian("systemd")
def test_units_are_verified(tmp_path: Path) -> None:
    """Checked by systemd itself, with this environment's motes in place of an installed one."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/opt/motes/bin/motes", tool("motes"))
        (tmp_path / unit.name).write_text(text)
        done = run("systemd-analyze", "verify", "--man=no", tmp_path / unit.name.replace("@.", "@1."))
        assert (done.returncode, [line for line in done.stderr.splitlines() if "motes" in line]) == (0, []), unit.name
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=25", tmp_path / unit.name)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_unit_runs_a_valid_command_and_allows_the_sandbox(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    [command] = re.findall(r"^ExecStart=/opt/motes/bin/motes (.+)$", text, re.MULTILINE)
    assert accepted(shlex.split(command.replace("%i", "1")))
    assert "NoNewPrivileges=yes" in text
    assert "ProtectSystem=strict" in text
    [calls] = re.findall(r"^SystemCallFilter=@system-service (.+)$", text, re.MULTILINE)
    assert {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"} <= set(calls.split())
    assert "MemoryDenyWriteExecute" not in text  # kernels are compiled
    assert variables(text + (ROOT / "deploy/systemd/motes.env").read_text(encoding="utf-8")) <= VARIABLES


# --- Kubernetes ---


@functools.cache
def objects() -> list[dict[str, Any]]:
    found = [each for path in KUBERNETES for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    assert found
    return found


def of(kind: str) -> Iterator[dict[str, Any]]:
    return (each for each in objects() if each["kind"] == kind)


def containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for deployment in of("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        yield from ((pod, container) for container in pod["containers"])


def test_objects_fit_the_schemas_of_kubernetes() -> None:
    import kubernetes_validate

    for each in objects():
        if each["kind"] not in ("ScaledObject", "PodMonitor"):  # not its own
            kubernetes_validate.validate(each, "1.31", strict=True)


def test_containers_use_existing_commands_and_settings() -> None:
    [config] = of("ConfigMap")
    shared = set(config["data"])
    for pod, container in containers():
        assert accepted(container["args"])
        names = shared | {each["name"] for each in container["env"]}
        assert {name for name in names if name.startswith("MOTES_")} <= VARIABLES
        assert {"MOTES_DATABASE_URL", "MOTES_STORAGE_URL", "MOTES_REDIS_URL", "MOTES_WEBHOOK_SECRET"} <= names
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == int(instructions("USER")[0])
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["livenessProbe"]
        assert container["startupProbe"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_secrets_are_referenced_not_inlined() -> None:
    for _, container in containers():
        for each in container["env"]:
            secret = re.search(r"SECRET|PASSWORD|DATABASE_URL|ACCESS_KEY", each["name"])
            assert ("valueFrom" in each) == bool(secret), each["name"]
    told = (ROOT / "deploy/kubernetes/motes.yaml").read_text(encoding="utf-8")
    named = [each["valueFrom"] for _, container in containers() for each in container["env"] if "valueFrom" in each]
    assert {each["secretKeyRef"]["key"] for each in named} == set(re.findall(r"--from-literal=([\w-]+)=", told))


def test_pod_monitors_use_existing_ports_and_job_names() -> None:
    ports = {each["name"]: {port["name"] for port in each["ports"]} for _, each in containers()}
    named = set()
    for monitor in of("PodMonitor"):
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] in ports[monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]]
        named |= {each["replacement"] for each in endpoint["relabelings"]}
    config = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text(encoding="utf-8"))
    assert named == {scrape["job_name"] for scrape in config["scrape_configs"]}


def test_selectors_match_their_pods() -> None:
    labels = {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in of("Deployment")}
    for each in objects():
        selector = each.get("spec", {}).get("selector", {})
        selector = selector.get("matchLabels", selector)
        if selector:
            assert selector == labels[each["metadata"]["name"]], each["metadata"]["name"]


def test_workers_scale_on_existing_metrics_and_slots() -> None:
    [scaled] = of("ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["name"] in {each["metadata"]["name"] for each in of("Deployment")}
    [trigger] = scaled["spec"]["triggers"]
    asked = set(re.findall(r"motes_\w+", trigger["metadata"]["query"]))
    assert "motes_queue_backlog_seconds" in asked
    assert asked <= {metric.name for metric in catalogue()}
    [worker] = [container for _, container in containers() if container["name"] == "worker"]
    assert worker["args"] == ["worker", "--size", trigger["metadata"]["threshold"]]
    assert worker["resources"]["limits"]["cpu"] == trigger["metadata"]["threshold"]


# --- what people are told to type ---

TOLD = [ROOT / "docs/operations.md", ROOT / "compose.yaml", *KUBERNETES, ROOT / "deploy/systemd/motes.env"]


@pytest.mark.parametrize("path", TOLD, ids=lambda path: path.name)
def test_commands_of_motes_are_accepted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)) if path.suffix == ".md" else text
    commands = re.findall(r"(?:^|[ /(])motes ((?:keys|backup|restore|serve|db|render|jobs) [^#|)\n]*)", blocks, re.M)
    assert all(accepted(shlex.split(command)) for command in commands)
    assert commands or path.suffix != ".md"

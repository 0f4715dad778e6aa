"""The secret that webhooks are signed with, where the operator set none: made once, kept, for nobody else to read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from ecs_core.errors import MotesError
from services.processes.supervisor import environment_of
from services.settings import ServiceSettings


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOTES_WEBHOOK_SECRET", raising=False)
    monkeypatch.setenv("MOTES_REDIS_URL", "redis://127.0.0.1:1/0")


def environment(data: Path) -> Mapping[str, str]:
    """Of the API and workers that ``motes serve`` would start."""
    data.mkdir(exist_ok=True)
    return environment_of(ServiceSettings(data=data), data)


def test_secret_is_generated_once_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = environment(tmp_path)["MOTES_WEBHOOK_SECRET"]
    assert environment(tmp_path)["MOTES_WEBHOOK_SECRET"] == secret
    assert secret.startswith("whsec_")
    assert Webhook(secret)
    monkeypatch.setenv("MOTES_WEBHOOK_SECRET", secret)
    assert ServiceSettings().webhook_secret is not None


def test_secrets_differ_between_installations(tmp_path: Path) -> None:
    found = [environment(tmp_path / name)["MOTES_WEBHOOK_SECRET"] for name in ("one", "two")]
    assert found[0] != found[1]


def test_only_the_owner_can_read_the_secret(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        environment(tmp_path)
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == ["webhook-secret"]
    assert stat.S_IMODE((tmp_path / "webhook-secret").stat().st_mode) == 0o600


def test_operators_secret_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTES_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert environment(tmp_path)["MOTES_WEBHOOK_SECRET"] == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert list(tmp_path.iterdir()) == []


def test_half_written_secret_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".webhook-secret.part").write_text("whsec_")
    assert len(environment(tmp_path)["MOTES_WEBHOOK_SECRET"]) > 40
    assert [path.name for path in tmp_path.iterdir()] == ["webhook-secret"]


def test_unreadable_secret_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "webhook-secret").mkdir()
    with pytest.raises(MotesError, match=r"^cannot use the webhook secret in .*/webhook-secret: Is a directory; make"):
        environment(tmp_path)

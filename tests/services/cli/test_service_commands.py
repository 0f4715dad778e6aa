"""``motes config``, ``db``, ``jobs``, ``api`` and ``worker``: on real databases and with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from services.cli.service_database import one_line_errors
from services.database.engine import Sessions, open_database
from services.database.migrations import upgrade
from services.database.models import JobRow, new_id
from services.jobs.lifecycle import Jobs
from services.jobs.render_spec import build_spec, spec_key
from services.processes.listener import listen
from services.settings import ServiceSettings
from tests.service import MOTES, ROOT, environment_of, running_redis, wait_for
from tests.services.board import Board
from tests.services.cli.conftest import Run
from tests.waiting import HANG


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of a test, and nothing left where the tests run."""
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(f"MOTES_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", ["api", "worker", "config", "db", "jobs"])
def test_help_shows_examples(run: Run, command: str) -> None:
    text = run(command, "--help").stdout
    assert "examples:" in text
    assert f"motes {command}" in text.partition("examples:")[2]


@pytest.mark.parametrize("command", ["config", "db current", "jobs list", "api", "worker", "serve"])
def test_missing_service_packages_are_a_one_line_error(command: str) -> None:
    code = (
        "import sys\n"
        "for name in ('pydantic_settings', 'sqlalchemy', 'fastapi', 'uvicorn', 'httpx'): sys.modules[name] = None\n"
        "from services.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        (sys.executable, "-c", code, *command.split()), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("motes: error: the service is not installed (")
    assert done.stderr.endswith(" is missing): in the folder of Motes' sources, pip install '.[service]'\n")


class TestConfig:
    def test_lists_every_setting_by_name_and_variable(self, run: Run) -> None:
        lines = run("config").stdout.splitlines()
        assert [tuple(line.split()[:2]) for line in lines[1:]] == [
            (name, f"MOTES_{name.upper()}") for name in ServiceSettings.model_fields
        ]

    def test_json_has_value_default_and_description(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTES_PORT", "9000")
        found = {each["name"]: each for each in json.loads(run("config", "--json").stdout)}
        assert list(found) == list(ServiceSettings.model_fields)
        assert found["port"] == {
            "name": "port",
            "variable": "MOTES_PORT",
            "value": "9000",
            "default": "8000",
            "given": True,
            "description": ServiceSettings.model_fields["port"].description,
        }
        assert not found["host"]["given"]

    def test_misspelled_variable_is_a_warning(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTES_MAXFPS", "30")
        monkeypatch.setenv("MOTES_GLITTER_COLOUR", "red")  # a plugin may read it
        outcome = run("config")
        assert outcome.code == 0
        assert outcome.stderr == "motes: warning: MOTES_MAXFPS is not a setting; did you mean MOTES_MAX_FPS?\n"

    def test_shows_the_default_of_an_empty_url(self, run: Run, tmp_path: Path) -> None:
        found = {each["name"]: each["value"] for each in json.loads(run("config", "--json").stdout)}
        assert found["database_url"] == f"sqlite+aiosqlite:///{tmp_path}/motes-data/motes.db"

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("MOTES_DATABASE_URL", "postgresql+asyncpg://motes:hush@db/motes"),
            ("MOTES_REDIS_URL", "redis://:hush@queue/0"),
            ("MOTES_STORAGE_URL", "s3://bucket/motes?aws_secret_access_key=hush&region=eu"),
        ],
    )
    def test_secrets_are_not_shown(self, run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
        monkeypatch.setenv(variable, value)
        for text in (run("config").stdout, run("config", "--json").stdout):
            assert "hush" not in text
            assert value.replace("hush", "********") in text

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("STORAGE_URL", "ftp://x", "must be file:///folder or s3://bucket/prefix,"),
            ("STORAGE_URL", "/srv/motes", "must be file:///folder or s3://bucket/prefix,"),
            ("STORAGE_URL", "file://srv/motes", "must be file:///folder or s3://bucket/prefix,"),
            ("STORAGE_URL", "s3:///prefix", "must be file:///folder or s3://bucket/prefix,"),
            ("STORAGE_URL", "s3://[x", "must be file:///folder or s3://bucket/prefix,"),
            ("STORAGE_URL", "gopher://x?token=********", "must be file:///folder or s3://bucket/prefix,"),
            ("KEEP_FREE", "abc", "must be bytes, such as 2000000000, or a percentage below 100, such as 7.5%;"),
            ("RESERVE", "150%", "must be bytes, such as 2000000000, or a percentage below 100, such as 7.5%;"),
            ("RESERVE", "-1", "must be bytes, such as 2000000000, or a percentage below 100, such as 7.5%;"),
            ("KEEP_VIDEOS", "30w", "must be seconds, or a number with a unit, such as 30d, 12h, 30m or 45s;"),
            ("PORT", "many", "must be a whole number between 0 and 65535;"),
            ("PORT", "99999", "must be between 0 and 65535;"),
            ("METRICS_OPEN", "perhaps", "must be true or false;"),
            ("LOG_FORMAT", "xml", "must be 'auto', 'json' or 'text';"),
            ("MAX_FPS", "500", "must be between 1 and 240;"),
            ("MAX_SECONDS", "86401", "must be over 0 and at most 86400;"),
            ("MAX_PARTICLES", "1000001", "must be between 1000 and 1000000;"),
            ("MAX_PIXELS", "33177601", "must be between 256 and 33177600;"),
        ],
    )
    def test_error_states_what_is_allowed(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
    ) -> None:
        monkeypatch.setenv(f"MOTES_{name}", value.replace("********", "hush"))
        outcome = run("config")
        assert outcome.code == 2
        assert outcome.error.startswith(f"MOTES_{name} = {value}: {said}")

    @pytest.mark.parametrize(
        ("variable", "value", "allowed"),
        [
            ("MOTES_REDIS_URL", "nonsense", "must be redis://host:port/number"),
            ("MOTES_REDIS_URL", "", "must be redis://host:port/number"),
            ("MOTES_REDIS_URL", "redis://queue:many/0", "must be redis://host:port/number"),
            ("MOTES_REDIS_URL", "unix://socket", "must be redis://host:port/number"),
            (
                "MOTES_DATABASE_URL",
                "mysql://db/motes",
                "must be postgresql+asyncpg://host:port/name, with user:password@",
            ),
            ("MOTES_DATABASE_URL", "postgresql+psycopg://db/motes", "must be postgresql+asyncpg://"),
            ("MOTES_DATABASE_URL", "postgresql+asyncpg://db:many/motes", "must be postgresql+asyncpg://"),
            ("MOTES_MEDIA_ROOT", "/nope", "must be an existing folder"),
        ],
    )
    def test_invalid_url_is_named_with_what_is_allowed(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
    ) -> None:
        monkeypatch.setenv(variable, value)
        outcome = run("config")
        assert outcome.code == 2
        assert outcome.error.startswith(f"{variable} = {value}: {allowed}")

    @pytest.mark.parametrize("command", ["serve", "api", "worker"])
    def test_no_command_starts_with_an_invalid_url(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, command: str
    ) -> None:
        monkeypatch.setenv("MOTES_REDIS_URL", "nonsense")
        assert run(command).error.startswith("MOTES_REDIS_URL = nonsense: must be redis://")

    def test_invalid_url_is_shown_without_its_password(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTES_DATABASE_URL", "mysql://motes:hush@db/motes")
        assert run("config").error.startswith("MOTES_DATABASE_URL = mysql://motes:********@db/motes: must be")

    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("postgres://m:a/b#c@db:5432/motes", "postgresql+asyncpg://m:a/b#c@db:5432/motes"),
            ("postgres://m:a@b:c@db:5432/motes?x=d@e", "postgresql+asyncpg://m:a%40b:c@db:5432/motes?x=d@e"),
            ("postgresql://[::1]/motes?sslmode=require", "postgresql+asyncpg://[::1]/motes?ssl=require"),
            ("postgresql+asyncpg:///motes?host=/run/pg", "postgresql+asyncpg:///motes?host=/run/pg"),
            ("sqlite:////srv/motes.db", "sqlite+aiosqlite:////srv/motes.db"),
        ],
    )
    def test_common_database_url_forms_are_accepted(self, given: str, meant: str) -> None:
        assert ServiceSettings(database_url=given).database == meant

    @pytest.mark.parametrize(
        "url",
        ["redis://", "redis://queue/0", "rediss://:hush@[::1]:6380/0", "unix:///run/redis", "unix://u@/run/redis"],
    )
    def test_every_redis_url_scheme_is_accepted(self, url: str) -> None:
        assert ServiceSettings(redis_url=url).redis_url == url

    @pytest.mark.parametrize(("given", "seconds"), [("30d", 2_592_000), ("12h", 43_200), ("30m", 1800), ("45s", 45)])
    def test_times_may_have_a_unit(self, monkeypatch: pytest.MonkeyPatch, given: str, seconds: int) -> None:
        monkeypatch.setenv("MOTES_KEEP_UPLOADS", given)
        assert ServiceSettings().keep_uploads == seconds

    def test_times_without_a_unit_are_seconds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTES_KEEP_UPLOADS", "90")
        assert ServiceSettings().keep_uploads == 90

    def test_empty_media_root_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It does not mean the current folder."""
        monkeypatch.setenv("MOTES_MEDIA_ROOT", "")
        assert ServiceSettings().media_root is None

    def test_wrong_argument_is_named(self, run: Run) -> None:
        assert run("serve", "--port", "99999").error.startswith("--port = 99999: must be between 0 and 65535;")


class TestApi:
    @pytest.mark.parametrize("supervised", [True, False])
    def test_application_knows_its_port(self, run: Run, monkeypatch: pytest.MonkeyPatch, supervised: bool) -> None:
        for name in ("DATA", "HOST", "PORT"):
            monkeypatch.setenv(f"MOTES_{name}", "0")  # so that what is set is set back
        monkeypatch.setattr("services.cli.api.prepare", lambda settings: None)
        told: list[tuple[int, int]] = []

        class Server:
            def run(self, sockets: list[socket.socket]) -> None:
                told.append((sockets[0].getsockname()[1], ServiceSettings().port))

        monkeypatch.setattr("services.cli.api._server", lambda settings, url: Server())
        with listen("127.0.0.1", 0) as listener:
            given = ("--fd", str(os.dup(listener.fileno()))) if supervised else ("--host", "127.0.0.1")
            assert run("api", *given).code == 0
        [(listens, said)] = told
        assert said == listens


class TestDatabase:
    def test_upgrade_creates_it_and_current_reports_it(self, run: Run) -> None:
        assert "none, this Motes needs" in run("db", "current").stdout
        assert not Path("motes-data").exists()
        assert re.search(r": none → \d{4}$", run("db", "upgrade").stdout.strip())
        assert run("db", "upgrade").stdout.endswith(": up to date\n")
        assert re.search(r": \d{4}, up to date$", run("db", "current").stdout.strip())

    def test_data_folder_can_be_given(self, run: Run, tmp_path: Path) -> None:
        run("db", "upgrade", "--data", tmp_path / "elsewhere")
        assert (tmp_path / "elsewhere/motes.db").exists()

    def test_newer_one_is_refused(self, run: Run) -> None:
        run("db", "upgrade")
        with sqlite3.connect("motes-data/motes.db") as database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
            database.execute("UPDATE compatibility SET oldest = '9999'")
        database.close()
        outcome = run("db", "upgrade")
        assert outcome.code == 2
        assert "schema revision 9999 is newer than this Motes knows" in outcome.error
        assert "has schema revision 9999, this Motes needs" in run("jobs", "list").error

    @pytest.mark.parametrize("command", [("db", "current"), ("db", "upgrade"), ("jobs", "list"), ("worker",), ("api",)])
    def test_unreachable_is_a_one_line_error(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
    ) -> None:
        monkeypatch.setenv("MOTES_DATABASE_URL", "postgresql+asyncpg://motes:hush@127.0.0.1:1/motes")
        monkeypatch.setenv("MOTES_PORT", "0")
        outcome = run(*command)
        assert outcome.code == 2
        assert outcome.error.startswith("the database postgresql+asyncpg://motes:********@127.0.0.1:1/motes: ")
        assert "hush" not in outcome.error

    @pytest.mark.parametrize("password", ["s3cr/etPW", "s3cr%2FetPW", "a@b:c/d?e#f", "100%", "so me", "[::1]:etPW"])
    @pytest.mark.parametrize("command", [("db", "current"), ("--debug", "db", "current"), ("config",), ("worker",)])
    def test_a_password_may_have_any_characters(
        self,
        run: Run,
        monkeypatch: pytest.MonkeyPatch,
        command: tuple[str, ...],
        password: str,
    ) -> None:
        monkeypatch.setenv("MOTES_DATABASE_URL", f"postgresql+asyncpg://motes:{password}@127.0.0.1:1/motes")
        outcome = run(*command)
        said = outcome.stdout + outcome.stderr
        assert "motes:********@127.0.0.1:1/motes" in said
        for each in (password, "s3cr", "etPW", quote(password, safe="")):
            assert each not in said

    @pytest.mark.parametrize("url", ["nonsense", "mysql://db/motes", "oracle+nothing://x/y"])
    def test_invalid_url_is_a_one_line_error(self, run: Run, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        monkeypatch.setenv("MOTES_DATABASE_URL", url)
        assert url in run("db", "current").error

    def test_broken_pipe_is_not_a_database_error(self) -> None:
        with pytest.raises(BrokenPipeError), one_line_errors(ServiceSettings()):
            raise BrokenPipeError


def change(do: Callable[[Sessions], Awaitable[Any]]) -> Any:
    """Do something to the database in the default place, as the service would."""

    async def doing() -> Any:
        settings = ServiceSettings()
        settings.data.mkdir(exist_ok=True)
        await upgrade(settings.database)
        engine, sessions = open_database(settings.database)
        try:
            return await do(sessions)
        finally:
            await engine.dispose()

    return asyncio.run(doing())


def submit(seed: int = 0, *, kind: str = "video", job_id: str | None = None, webhook_url: str | None = None) -> str:
    """A new job."""
    scene = build_spec("snow", {"seed": seed, "duration": 4}, None, "draft")
    row = JobRow(
        id=job_id or new_id(),
        fairness_key="x",
        kind=kind,
        system_id="x",
        scene=scene,
        scene_key=spec_key(scene),
        output_path=f"{seed}.mp4",
        priority="normal",
        webhook_url=webhook_url,
    )
    change(lambda sessions: Jobs(sessions).submit(row, tasks=3))
    return row.id


class TestJobs:
    def test_list_shows_the_newest_first(self, run: Run) -> None:
        first, second = submit(1), submit(2)
        lines = run("jobs", "list").stdout.splitlines()
        assert lines[0].split() == ["JOB", "STATUS", "STAGE", "DONE", "PRIORITY", "CREATED", "TOOK", "OUTPUT", "ERROR"]
        assert [line.split()[:2] for line in lines[1:]] == [[second[:8], "queued"], [first[:8], "queued"]]
        assert [each["job_id"] for each in json.loads(run("jobs", "list", "--json").stdout)] == [second, first]

    def test_list_filters_by_status_and_limit(self, run: Run) -> None:
        failed, *_ = submit(1), submit(2), submit(3)
        change(lambda sessions: Jobs(sessions).fail(failed, "no reason"))
        assert [each["job_id"] for each in json.loads(run("jobs", "list", "--status", "failed", "--json").stdout)] == [
            failed
        ]
        assert "no reason" in run("jobs", "list", "--status", "failed").stdout
        assert len(json.loads(run("jobs", "list", "--limit", "2", "--json").stdout)) == 2
        assert run("jobs", "list", "--status", "cancelled").stdout == "no jobs\n"
        assert "--limit 0" in run("jobs", "list", "--limit", "0").error

    def test_list_shows_previews_and_frames_when_asked(self, run: Run) -> None:
        submit(1, kind="frame")
        assert run("jobs", "list").stdout == "no jobs\n"
        assert len(json.loads(run("jobs", "list", "--all", "--json").stdout)) == 1

    def test_show_lists_tasks_and_events(self, run: Run) -> None:
        job = submit()
        change(lambda sessions: Board(sessions).tasks.claim("here"))
        text = run("jobs", "show", job).stdout
        assert re.search(rf"^job_id +{job}$", text, re.M)
        assert re.search(r"^plan +running +1 +0 +– +here$", text, re.M)
        assert re.search(r"^\d+ +rendering +analysing +0 +0 ", text, re.M)
        told = json.loads(run("jobs", "show", job, "--json").stdout)
        assert [task["kind"] for task in told["tasks"]] == ["plan"]
        assert [event["status"] for event in told["events"]] == ["queued", "rendering"]
        assert [
            event["status"]
            for event in json.loads(run("jobs", "show", job, "--json", "--events", "1").stdout)["events"]
        ] == ["rendering"]

    def test_show_lists_the_outputs_of_a_job_that_has_several(self, run: Run) -> None:
        job = change(lambda sessions: Board(sessions).submit_outputs("tall", song=None))
        change(lambda sessions: Board(sessions).tasks.claim("here"))
        text = run("jobs", "show", job[:13]).stdout
        assert re.search(r"^main +rendering +0 % +320x180 +mp4 +–$", text, re.M)
        assert re.search(r"^tall +queued +0 % +90x160 +mp4 +–$", text, re.M)
        assert re.search(r"^main: plan +running +1 +0 +– +here$", text, re.M)
        told = json.loads(run("jobs", "show", job, "--json").stdout)
        assert [(task["output"], task["status"]) for task in told["tasks"]] == [("main", "running"), ("tall", "ready")]
        listed = json.loads(run("jobs", "list", "--all", "--json").stdout)
        assert [(each["job_id"], len(each["outputs"])) for each in listed] == [(job, 2)]

    def test_show_lists_webhook_deliveries(self, run: Run) -> None:
        job = submit(webhook_url="https://example.com/heard?token=hush")
        change(lambda sessions: Jobs(sessions).fail(job, "no reason"))
        text = run("jobs", "show", job).stdout
        assert re.search(r"^webhook_url +https://example.com/heard\?token=\*{8}$", text, re.M)
        assert re.search(r"^job\.failed +pending +0 +–$", text, re.M)
        [delivery] = json.loads(run("jobs", "show", job, "--json").stdout)["deliveries"]
        assert (delivery["event"], delivery["attempts"]) == ("job.failed", [])

    def test_cancel_and_retry(self, run: Run) -> None:
        job = submit()
        assert run("jobs", "retry", job).error == (
            f"job {job} is queued: only failed and cancelled jobs can be retried"
        )
        assert run("jobs", "cancel", job).stdout.startswith(f"job {job}: cancelled")
        assert run("jobs", "cancel", job).error == f"job {job} is cancelled already"
        assert run("jobs", "retry", job).stdout.startswith(f"job {job}: queued again")
        told = json.loads(run("jobs", "show", job, "--json").stdout)
        assert (told["status"], [task["status"] for task in told["tasks"]]) == ("queued", ["ready"])

    def test_unique_id_prefix_is_accepted(self, run: Run) -> None:
        submit(1, job_id="aaaa1111-0000-4000-8000-000000000000")
        submit(2, job_id="aaaa2222-0000-4000-8000-000000000000")
        assert "aaaa1111-0000" in run("jobs", "show", "aaaa1").stdout
        assert run("jobs", "show", "aaaa").error.startswith("'aaaa' is the beginning of several jobs: aaaa1111-0000")

    @pytest.mark.parametrize("job", ["nope", "", "%", "a_"])
    def test_unknown_job_is_a_one_line_error(self, run: Run, job: str) -> None:
        submit(job_id="aaaa1111-0000-4000-8000-000000000000")
        assert run("jobs", "show", job).error.startswith(f"there is no job {job!r}; motes jobs list")

    def test_missing_database_is_a_one_line_error_and_creates_none(self, run: Run) -> None:
        outcome = run("jobs", "list")
        assert outcome.code == 2
        assert "start the service (motes serve), or say where it is" in outcome.error
        assert not Path("motes-data").exists()


class TestWorker:
    @pytest.mark.parametrize("arguments", [("--size", "0"), ("--size", "1000"), ("--nice", "-1"), ("--nice", "20")])
    def test_bad_argument_is_named(self, run: Run, arguments: tuple[str, str]) -> None:
        assert run("worker", *arguments).error.startswith(f"{' '.join(arguments)}: must be between")

    @pytest.mark.parametrize("port", ["0", "65536", "-1"])
    def test_bad_port_for_metrics_is_named(self, run: Run, port: str) -> None:
        assert run("worker", "--metrics-port", port).error.startswith(f"--metrics-port = {port}: must be between 1 and")

    def test_ports_for_metrics_must_be_enough(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTES_METRICS_PORT", "65534")
        assert run("serve", "--workers", "3").error.startswith("MOTES_METRICS_PORT = 65534: every worker needs a port")

    def test_bad_storage_is_a_one_line_error(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTES_STORAGE_URL", "file:///dev/null/x?secret=hush")
        outcome = run("worker")
        assert outcome.error.startswith("the storage file:///dev/null/x?secret=********: ")


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with running_redis(tmp_path) as url:
        yield url


@pytest.mark.debian("redis-server")
def test_api_and_workers_started_separately_render_together(tmp_path: Path, redis_url: str) -> None:
    environment = environment_of(tmp_path, {"MOTES_REDIS_URL": redis_url, "MOTES_LOG_LEVEL": "warning"})
    commands = [("worker", "--size", "1", "--name", "a"), ("api", "--port", "0"), ("worker", "--nice", "5")]
    with (tmp_path / "log").open("w") as log:
        running = [
            subprocess.Popen((*MOTES, *command), env=environment, cwd=ROOT, stdout=log, stderr=log)
            for command in commands
        ]
    try:
        url = wait_for(lambda: re.search(r"is ready: (http://\S+)/particles", (tmp_path / "log").read_text()))[1]
        with httpx.Client(base_url=f"{url}/particles", trust_env=False, timeout=HANG) as client:
            wait_for(lambda: client.get("/health").status_code == 200)
            config = {"width": 160, "height": 90, "duration": 6.0}
            made = client.post("/create", json={"particle_type": "snow", "config": config}).json()
            job = client.post(f"/systems/{made['system_id']}/render", json={}).json()["job_id"]
            wait_for(lambda: client.get(f"/jobs/{job}").json()["status"] == "completed")
        for process in running:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(HANG) for process in running] == [0, 0, 0]
        assert (tmp_path / "log").read_text() == (
            f"The API is ready: {url}/particles (docs: {url}/docs); Ctrl-C stops it\n"
        )
    finally:
        for process in running:
            process.kill()
            process.wait()
        print((tmp_path / "log").read_text())


class TestWebhookSecret:
    def test_secret_is_printed_and_rotated(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        submit()  # there is a database
        monkeypatch.setenv("MOTES_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        first = run("keys", "webhook-secret", "alice").stdout.strip()
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", first)
        assert run("keys", "webhook-secret", "alice").stdout.strip() == first
        assert run("keys", "webhook-secret", "bob").stdout.strip() != first
        second = json.loads(run("keys", "webhook-secret", "alice", "--rotate", "--json").stdout)
        assert second["previous_secret"] == first != second["secret"]
        assert "was rotated already" in run("keys", "webhook-secret", "alice", "--rotate").error
        third = json.loads(run("keys", "webhook-secret", "alice", "--rotate", "--overlap", "0s", "--json").stdout)
        assert third["previous_secret"] is None

    def test_unknown_secret_and_owner_are_refused(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        submit()
        monkeypatch.delenv("MOTES_WEBHOOK_SECRET", raising=False)
        assert "must set MOTES_WEBHOOK_SECRET" in run("keys", "webhook-secret", "alice").error
        assert "must be a letter or digit" in run("keys", "webhook-secret", "a b").error

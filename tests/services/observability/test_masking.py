"""Whatever a password or a signature is, no output has it: neither as it is, nor quoted, nor cut by a driver."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.observability import logs
from services.observability.masking import HIDDEN, learn_secrets, masked, masked_value

ANY = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
LONG = ANY.filter(lambda text: len(text) >= 6 and text.strip() == text)
FAULT = "s3cr/etPW"
slow = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def url_with(password: str, how: str = "postgresql+asyncpg") -> str:
    return f"{how}://user:{password}@127.0.0.1:5432/db?ssl=require"


def quoted(text: str) -> set[str]:
    """A text as it is, and as programs write it."""
    forms = {text, quote(text), quote(text, safe=""), quote_plus(text)}
    forms.add(re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")))
    return forms | {repr(each)[1:-1] for each in forms} | {json.dumps(each)[1:-1] for each in forms}


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    learn_secrets()
    yield
    learn_secrets()


@given(ANY)
def test_a_value_is_the_same_whatever_the_password_is(password: str) -> None:
    assert masked_value(url_with(password)) == masked_value(url_with("x")) == url_with(HIDDEN)
    assert masked_value(url_with(quote(password, safe=""))) == url_with(HIDDEN)


@given(ANY, st.sampled_from(["'{}'", '"{}"', "{!r}", "cannot connect to {}: refused", "{}\n"]))
@slow
def test_a_text_that_quotes_a_known_url_never_has_its_password(
    monkeypatch: pytest.MonkeyPatch, password: str, around: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("MOTES_DATABASE_URL", url_with(password))
        learn_secrets()
        said = masked(around.format(url_with(password)))
        # A text with a single quote is shown in double ones.
        assert said.replace('"', "'") == around.format(url_with(HIDDEN)).replace('"', "'")


@given(LONG)
@slow
def test_nothing_quotes_a_password_of_the_environment(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("MOTES_REDIS_URL", url_with(quote(password, safe=""), "redis"))
        learn_secrets()
        if password in url_with("", "redis") or password in HIDDEN:
            return
        for form in quoted(password):
            said = masked(f"password authentication failed: <{form}>")
            assert said == f"password authentication failed: <{HIDDEN}>", form


@pytest.mark.parametrize("piece", ["s3cr/etPW", "s3cr%2FetPW", "s3cr%2fetPW", "etPW-long", "Port could not be: 's3cr'"])
def test_pieces_that_drivers_make_are_hidden(monkeypatch: pytest.MonkeyPatch, piece: str) -> None:
    monkeypatch.setenv("MOTES_DATABASE_URL", url_with("s3cr/etPW"))
    monkeypatch.setenv("OTHER", url_with("s3cr/etPW-long"))
    learn_secrets()
    said = masked(f"no host named {piece}@127.0.0.1")
    assert "etPW" not in said


SIGNED = [
    "https://a.blob.core.windows.net/c?sv=2024&sig=hush%2Fhush%3D&se=1",
    "https://b.s3.amazonaws.com/k?X-Amz-Credential=hush%2F2026&X-Amz-Signature=hush",
    "https://b.s3.amazonaws.com/k?X-Amz-Security-Token=hush//hush",
    "https://storage.googleapis.com/b/k?X-Goog-Signature=hush",
    "az://container/prefix?sig=hush",
    "https://hush@hooks.example.org/in",
    "https://hush:hush@hooks.example.org/in",
    "https://hooks.example.org/in?access_token=hush&more=1",
    "postgresql+asyncpg://user@server:hu/s:h@hush@db:5432/x",
    "redis://:hu/sh@db/0?password=hush",
]


@pytest.mark.parametrize("url", SIGNED)
@pytest.mark.parametrize("around", ["{}", "error for '{}': 403", 'GET "{}" 403', "<{}>, again"])
def test_signatures_and_tokens_in_addresses_are_hidden(url: str, around: str) -> None:
    for said in (masked(around.format(url)), masked_value(url)):
        assert "hush" not in said.replace("hooks", ""), said
        assert HIDDEN in said
        host = urlsplit(url.rpartition("@")[2]).path if "@" in url else urlsplit(url).netloc
        assert host.partition("/")[0].partition("?")[0] in said


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/prefix",
        "postgresql+asyncpg://user@db:5432/motes",
        "sqlite+aiosqlite:////srv/a:b@c/motes.db",
        "http://127.0.0.1:8000/particles?limit=3",
        "wrote song.mp3 at 12:30 for me@example.org",
        "unix:///run/redis.sock",
        "",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert masked(text) == masked_value(text) == text


def test_masking_twice_changes_nothing() -> None:
    for url in SIGNED:
        assert masked(masked_value(url)) == masked_value(url)
        assert masked(masked(url)) == masked(url)


def test_words_by_the_name_of_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalr/XUtn+FEMI")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-honeycomb=abcdefghi")
    monkeypatch.setenv("SOME_FOLDER", "/srv/somewhere")
    learn_secrets()
    said = masked("wJalr/XUtn+FEMI wJalr%2FXUtn%2BFEMI x-honeycomb=abcdefghi /srv/somewhere whsec_abcdefghijklmnop")
    assert said == f"{HIDDEN} {HIDDEN} {HIDDEN} /srv/somewhere whsec_{HIDDEN}"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.usefixtures("own_logging")
def test_logs_hide_them_in_messages_and_tracebacks(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    password = 'say "s3cr/et" \\ ü'
    monkeypatch.setenv("MOTES_DATABASE_URL", url_with(password))
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    logs.set_up(form=form, level="info")
    try:
        raise ValueError(f"no such database: {url_with(password)!r} ({password})")
    except ValueError:
        logging.getLogger("motes.x").exception(
            'failed at "%s"', "https://x?sig=abc", extra={"about": {"url": url_with(password)}}
        )
    text = said.getvalue()
    if form == "json":
        text = str(json.loads(text))
    assert "s3cr" not in text
    assert "abc" not in text
    assert text.count(HIDDEN) >= 4

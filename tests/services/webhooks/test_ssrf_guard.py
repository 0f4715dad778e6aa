"""Webhooks go to public addresses alone, to the one that was checked, and with TLS to nobody but whom they name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.database.models import DeliveryRow
from services.webhooks.delivery import Deliverer, check_target
from services.webhooks.ssrf_guard import TargetRefusedError, is_public
from tests.services.webhooks.test_delivery import deliver, delivering, message, receiver, settings_of, stored, until
from tests.waiting import eventually

PUBLIC = "93.184.215.14"


@dataclass
class Names:
    """A name server: for every name the addresses it has, one list after the other, the last one for ever."""

    answers: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        found = self.answers[host]
        return found.pop(0) if len(found) > 1 else found[0]


def names(**addresses: str) -> Names:
    return Names({name.replace("_", "."): [[address]] for name, address in addresses.items()})


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.255.255",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:100.64.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::10.0.0.1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_internal_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", PUBLIC, "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"],
)
def test_internet_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], [PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], ["2606:4700:4700::1111", "::1"]]
)
def test_name_with_a_non_public_address_is_refused(tmp_path: Path, addresses: list[str]) -> None:
    server = Names({"inside.example.com": [addresses]})
    with pytest.raises(TargetRefusedError) as refused:
        asyncio.run(check_target("https://inside.example.com/x", settings_of(tmp_path), resolve=server.resolve))
    said = "webhook_url: inside.example.com: is not a public address; a public http or https address is allowed"
    assert str(refused.value) == said  # and no word of which address it is


def test_unresolvable_name_is_refused(tmp_path: Path) -> None:
    async def silent(host: str, port: int) -> Sequence[str]:
        raise TimeoutError

    with pytest.raises(
        TargetRefusedError, match=r"^webhook_url: example.com: its name servers do not answer within 5 s; "
    ):
        asyncio.run(check_target("https://example.com/", settings_of(tmp_path), resolve=silent))


def test_rebound_name_is_not_called(tmp_path: Path) -> None:
    with receiver() as server:
        rebound = Names({"rebound.example.com": [[PUBLIC], ["127.0.0.1"]]})
        url = f"http://rebound.example.com:{server.port}/"
        asyncio.run(check_target(url, settings_of(tmp_path), resolve=rebound.resolve))
        row = deliver(tmp_path, url, backoff=(), private=False, resolve=rebound.resolve)
    assert (server.received, row.status) == ([], "failed")
    assert row.attempts[0]["error"] == "rebound.example.com: is not a public address"


def test_request_goes_to_the_checked_address(tmp_path: Path) -> None:
    """The name is resolved once per attempt; later changes have no effect."""
    with receiver() as server:
        named = Names({"hook.example.com": [["127.0.0.1"], ["127.0.0.99"]]})
        row = deliver(tmp_path, f"http://hook.example.com:{server.port}/x", backoff=(), resolve=named.resolve)
    assert (row.status, named.asked) == ("delivered", ["hook.example.com"])
    assert [headers["host"] for headers, _ in server.received] == [f"hook.example.com:{server.port}"]


def test_unreachable_address_falls_back_to_the_next(tmp_path: Path) -> None:
    with receiver() as server:
        several = Names({"hook.example.com": [["127.0.0.98", "127.0.0.99", "127.0.0.1"]]})
        row = deliver(tmp_path, f"http://hook.example.com:{server.port}/", backoff=(), resolve=several.resolve)
    assert (row.status, len(row.attempts), len(server.received)) == ("delivered", 1, 1)


def test_unicode_name_is_called_by_its_idna_form(tmp_path: Path) -> None:
    with receiver() as server:
        named = Names({"xn--fa-hia.example.com": [["127.0.0.1"]]})
        row = deliver(tmp_path, f"http://faß.example.com:{server.port}/", backoff=(), resolve=named.resolve)
    assert row.status == "delivered"
    assert [headers["host"] for headers, _ in server.received] == [f"xn--fa-hia.example.com:{server.port}"]


def test_receiver_with_an_ipv6_address_is_called(tmp_path: Path) -> None:
    with receiver(host="::1") as server:
        row = deliver(tmp_path, server.url, backoff=())
    assert row.status == "delivered"
    assert [headers["host"] for headers, _ in server.received] == [f"[::1]:{server.port}"]


def test_proxies_of_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with receiver() as server:
        assert deliver(tmp_path, server.url, backoff=()).status == "delivered"


def test_cookies_of_one_receiver_are_not_sent_to_another(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with message(tmp_path, url) as (sessions, first), delivering(sessions, tmp_path):
            await until(sessions, lambda row: row.status == "delivered")
            async with sessions.begin() as session:
                row = await session.get_one(DeliveryRow, first)
                session.add(DeliveryRow(job_id=row.job_id, url=url, event=row.event, payload=row.payload))
            await eventually(lambda: len(server.received) == 2)

    with receiver() as server:
        asyncio.run(main(server.url))
    assert [headers.get("cookie") for headers, _ in server.received] == [None, None]


# --- TLS ---


@dataclass(frozen=True)
class Certificate:
    """Of good.example.com, signed by itself."""

    served: ssl.SSLContext
    trusted: ssl.SSLContext  # whoever believes it
    path: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=motes")
    today = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, today - timedelta(1), today + timedelta(1))
    of = x509.SubjectAlternativeName([x509.DNSName("good.example.com")])
    signed = builder.add_extension(of, critical=False).sign(key, hashes.SHA256())
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.write_bytes(key.private_bytes(*plain) + signed.public_bytes(Encoding.PEM))
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(path)
    return Certificate(served, ssl.create_default_context(cafile=str(path)), path)


def test_receiver_with_a_certificate_for_its_name_is_called(tmp_path: Path, certificate: Certificate) -> None:
    asked: list[str | None] = []
    certificate.served.sni_callback = lambda _, name, __: asked.append(name)
    named = names(good_example_com="127.0.0.1")
    with receiver(tls=certificate.served) as server:
        url = f"https://good.example.com:{server.port}/"
        row = deliver(tmp_path, url, backoff=(), trust=certificate.trusted, resolve=named.resolve)
    assert (row.status, row.attempts[0]["error"]) == ("delivered", None)
    assert asked == ["good.example.com"]  # the name, though we connected to an address


@pytest.mark.parametrize("host", ["other.example.com", "127.0.0.1"])
def test_certificate_of_another_name_is_refused(tmp_path: Path, certificate: Certificate, host: str) -> None:
    named = Names({host: [["127.0.0.1"]]})
    with receiver(tls=certificate.served) as server:
        url = f"https://{host}:{server.port}/"
        row = deliver(tmp_path, url, backoff=(), trust=certificate.trusted, resolve=named.resolve)
    assert (row.status, server.received) == ("failed", [])
    assert "CERTIFICATE_VERIFY_FAILED" in row.attempts[0]["error"]


def test_untrusted_certificate_is_refused(tmp_path: Path, certificate: Certificate) -> None:
    named = names(good_example_com="127.0.0.1")
    with receiver(tls=certificate.served) as server:
        row = deliver(tmp_path, f"https://good.example.com:{server.port}/", backoff=(), resolve=named.resolve)
    assert (row.status, server.received) == ("failed", [])
    assert "CERTIFICATE_VERIFY_FAILED" in row.attempts[0]["error"]


def test_certificate_authority_can_be_added(
    tmp_path: Path, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    named = names(good_example_com="127.0.0.1")
    with receiver(tls=certificate.served) as server:
        row = deliver(tmp_path, f"https://good.example.com:{server.port}/", backoff=(), resolve=named.resolve)
    assert row.status == "delivered"


def test_missing_certificates_are_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))

    async def main() -> None:
        async with message(tmp_path, "https://good.example.com/") as (sessions, _):
            delivering = asyncio.create_task(Deliverer(sessions, settings_of(tmp_path)).run())
            told = "no webhooks are sent: the certificates in SSL_CERT_FILE or SSL_CERT_DIR cannot be used"
            await eventually(lambda: told in caplog.text)
            assert not delivering.done(), "its worker would end"
            delivering.cancel()

    asyncio.run(main())


def test_connection_is_not_reused_for_another_name(tmp_path: Path, certificate: Certificate) -> None:
    """Both names have the same address, and the first was just called there."""
    named = names(good_example_com="127.0.0.1", other_example_com="127.0.0.1")

    async def main(port: int) -> Any:
        options = {"backoff": (), "trust": certificate.trusted, "resolve": named.resolve}
        async with (
            message(tmp_path, f"https://good.example.com:{port}/") as (sessions, _),
            delivering(sessions, tmp_path, **options),
        ):
            await until(sessions, lambda row: row.status == "delivered")
            async with sessions.begin() as session:
                row = await session.get_one(DeliveryRow, (await stored(sessions)).id)
                row.url, row.status, row.attempts = f"https://other.example.com:{port}/", "pending", []
            return await until(sessions, lambda row: row.status != "pending")

    with receiver(tls=certificate.served) as server:
        row = asyncio.run(main(server.port))
    assert (row.status, len(server.received)) == ("failed", 1)
    assert "CERTIFICATE_VERIFY_FAILED" in row.attempts[0]["error"]

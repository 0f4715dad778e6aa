"""Addresses at which a client gets a file from an object store by itself, for a short time.

obstore signs them with whatever credentials it has. What it cannot have signed are the headers of the answer, so for S3
the address is signed once more with them, if the credentials are in the environment rather than a role's. Other stores
answer with the headers that the object has.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlsplit

import obstore
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

VALID_FOR = timedelta(minutes=15)  # to begin a download, and to seek in a video, as browsers keep the address
_KEY_ID, _SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


def presigned_url(store: ObjectStore, key: str, *, headers: Mapping[str, str]) -> str | None:
    """The address of an object, whose answer has these headers if possible (``Content-Type``, ``Content-Disposition``);
    None if the store has no such addresses. Blocking.
    """
    if not isinstance(store, S3Store | GCSStore | AzureStore):
        return None
    url = obstore.sign(store, "GET", key, VALID_FOR)
    secret = os.environ.get(_SECRET, "")
    if isinstance(store, S3Store) and secret and f"X-Amz-Credential={_quoted(os.environ.get(_KEY_ID, ''))}%2F" in url:
        return signed_again(url, secret, {f"response-{name.lower()}": value for name, value in headers.items()})
    return url


def signed_again(url: str, secret: str, more: Mapping[str, str]) -> str:
    """A presigned address of S3 with more parameters (AWS Signature Version 4)."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    given.pop("X-Amz-Signature")
    query = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted({**given, **more}.items()))
    request = f"GET\n{parts.path}\n{query}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    scope = given["X-Amz-Credential"].partition("/")[2]
    text = f"{given['X-Amz-Algorithm']}\n{given['X-Amz-Date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}&X-Amz-Signature={key.hex()}"


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")

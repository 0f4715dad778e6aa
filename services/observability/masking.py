"""Masking: every text that leaves a process passes through ``masked``, which hides what is secret in it.

Three things are hidden: secrets of this process's environment, wherever a text quotes them; passwords and signatures in
whatever looks like a URL; and what has the form of a key. A password may hold any character, as people do not quote
them: a driver that is given such a URL cuts it in the wrong place and quotes the pieces.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "********"
SECRET_NAME = re.compile(r"(?i)(secret|token|passw(or)?d|passphrase|credentials?|_key|^key|otlp_headers)s?$")
_SHORTEST = 6  # characters of a secret that is hidden wherever it stands: less would hide parts of words
_SECRET_PARAMETER = r"[^=&;\s?]*(?:secret|token|passw|pwd|key|sig|credential|auth)[^=&;\s]*="
# What ends a sentence is not part of a value.
_PARAMETERS = re.compile(rf"(?i)([?&;]{_SECRET_PARAMETER})[^&;\s\"'<>]+?(?=[:,.)]*(?:[&;\s\"'<>]|$))")
# A URL that is a whole value ends where the value does, so that nothing in its password can end it.
_WHOLE = re.compile(r"(?s)^([^:/\s]+://(?!/)[^:]*:).*@")
_WHOLE_PARAMETERS = re.compile(rf"(?is)([?&;]{_SECRET_PARAMETER})[^&]*")
_PASSWORD = re.compile(r"(://(?!/)[^:/\s\"']*:)[^\s\"'<>]*@")
_USER = re.compile(r"(https?://)[^/?#\s\"'<>]+@")  # may be a token
_KEYS = re.compile(
    r"(motes_[a-z0-9]{8}_)[A-Za-z0-9_-]{43}|(whsec_)[A-Za-z0-9+/=]{8,}|((?i:\bbearer|\bbasic) )[\w.~+/=-]{8,}"
)
_PIECES = re.compile(r"[/@:?#\[\]&;,\s]+")


def masked(text: str, *urls: str) -> str:
    """A text without secrets: those of the environment and of these URLs, and whatever looks like one."""
    secrets = _secrets_of_environment()
    text = (secrets.and_those_of(*map(_Secrets.of_url, urls)) if urls else secrets).hide(text)
    text = _PASSWORD.sub(rf"\1{HIDDEN}@", text)
    text = _USER.sub(rf"\1{HIDDEN}@", text)
    text = _PARAMETERS.sub(rf"\1{HIDDEN}", text)
    return _KEYS.sub(lambda found: f"{found[1] or found[2] or found[3]}{HIDDEN}", text)


def learn_secrets() -> None:
    """Read the environment again, which a process does once it is complete."""
    _secrets_of_environment.cache_clear()


def masked_value(text: str) -> str:
    """A setting's value without secrets: if it is a URL, that is all of it, whatever its password holds."""
    text = _WHOLE.sub(rf"\1{HIDDEN}@", text)
    text = re.sub(r"(?s)^(https?://)[^/?#]+@", rf"\1{HIDDEN}@", text)
    return masked(_WHOLE_PARAMETERS.sub(rf"\1{HIDDEN}", text) if "://" in text else text)


def mask_record(record: logging.LogRecord) -> bool:
    """A filter of a logger that is not formatted by ``services.observability.logs``."""
    record.msg = masked(record.msg) if isinstance(record.msg, str) else record.msg
    if isinstance(record.args, tuple):
        record.args = tuple(masked(each) if isinstance(each, str) else each for each in record.args)
    return True


class _Secrets:
    """Texts to look for, with what to write instead."""

    def __init__(self, replacements: Mapping[str, str]) -> None:
        self._replacements = dict(replacements)
        longest_first = sorted(self._replacements, key=len, reverse=True)
        self._found = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @staticmethod
    def of_url(url: str) -> _Secrets:
        """A URL is hidden as a whole first, then its password, and pieces of it."""
        replacements = dict[str, str]()
        passwords = [(found[0], found[0][len(found[1]) : -1])] if (found := _WHOLE.match(url)) else []
        for before, password in passwords:
            shown = f"{before[: -len(password) - 1]}{HIDDEN}@"
            replacements |= dict.fromkeys(_written(before), shown)
            for form in _forms(password):
                replacements |= {f":{each}@": f":{HIDDEN}@" for each in _written(form)}
            rest = url.replace(password, "") if password else url
            replacements |= _hidden(password, rest)
            for piece in _PIECES.split(password):
                replacements |= _hidden(piece, rest)
        for parameter in re.finditer(rf"(?is)[?&]{_SECRET_PARAMETER}([^&]*)", url):
            replacements |= _hidden(parameter[1], "")
        return _Secrets(replacements)

    @staticmethod
    def of_word(word: str) -> _Secrets:
        """A key or a token."""
        return _Secrets(_hidden(word, ""))

    def and_those_of(self, *others: _Secrets) -> _Secrets:
        """All of them."""
        replacements = dict(self._replacements)
        for each in others:
            replacements |= each._replacements
        return _Secrets(replacements)

    def hide(self, text: str) -> str:
        """The text without them."""
        return self._found.sub(lambda found: self._replacements[found[0]], text)


def _hidden(secret: str, rest: str) -> dict[str, str]:
    """What hides a secret that is long enough, unless the rest of its URL tells it, such as a user of that name."""
    if len(secret) < _SHORTEST or secret in rest:
        return {}
    return {each: HIDDEN for form in _forms(secret) for each in _written(form) if len(each) >= _SHORTEST}


def _forms(secret: str) -> set[str]:
    """A secret quoted as URLs are, and as drivers understand it."""
    plain = {secret, unquote(secret), unquote_plus(secret)}
    quoted = {how(each) for each in plain for how in (quote, quote_plus, _all_quoted)}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), each) for each in quoted}
    return plain | quoted | lower


def _all_quoted(text: str) -> str:
    return quote(text, safe="")


def _written(text: str) -> Iterator[str]:
    """A text as it stands in others: in Python's and JSON's strings, and in one line."""
    yield text
    yield repr(text)[1:-1]
    yield repr(text.encode(errors="surrogateescape"))[2:-1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield " ".join(text.split())
    yield text.strip()


@cache
def _secrets_of_environment() -> _Secrets:
    """Words that are secret by their variable's name, and URLs."""
    found = list[_Secrets]()
    for name, value in os.environ.items():
        if "://" in value:
            found.append(_Secrets.of_url(value))
        elif SECRET_NAME.search(name):
            found.append(_Secrets.of_word(value))
    return _Secrets({}).and_those_of(*found)

"""Errors as responses: what does not answer just now can be asked again."""

from __future__ import annotations

import json

import pytest
from obstore.exceptions import GenericError
from sqlalchemy.exc import OperationalError

from services.api.errors import KNOWN, problem_of


@pytest.mark.parametrize(
    ("error", "who"),
    [
        (GenericError("error sending request for http://10.0.0.7:9000/motes/scenes/1"), "storage"),
        (OperationalError("SELECT 1", {}, Exception("10.0.0.8 refused")), "database"),
    ],
)
def test_storage_and_database_that_do_not_answer_are_503(error: Exception, who: str) -> None:
    assert isinstance(error, KNOWN)
    answer = problem_of(error)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert json.loads(bytes(answer.body))["detail"] == f"The {who} does not answer; try again"

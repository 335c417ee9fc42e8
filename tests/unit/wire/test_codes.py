import json

import pytest

from retinue.wire.codes import (
    MAX_BODY,
    MAX_ERRORS,
    MESSAGES,
    Code,
    Diagnostic,
    error_body,
    read_errors,
)


def test_every_code_has_a_message() -> None:
    assert set(Code) == set(MESSAGES)


def test_a_body_reads_back() -> None:
    body = error_body(Code.NAME_INVALID, "no", {"name": "A"})
    assert [Diagnostic("NAME_INVALID", "no", {"name": "A"})] == read_errors(body)


def test_the_default_message_is_the_codes_own() -> None:
    document = json.loads(error_body(Code.DENIED))
    assert {"errors": [{"code": "DENIED", "message": MESSAGES[Code.DENIED]}]} == document


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{",
        b'{"errors": 1}',
        b'{"errors": [1]}',
        b"{}",
        b'{"a":' * 100_000,
        b'{"errors":[]}' + b" " * MAX_BODY,
        b"\xff\xfe{",
    ],
)
def test_a_body_that_is_no_error_document_has_no_errors(body: bytes) -> None:
    assert read_errors(body) == []


def test_errors_of_others_are_bounded_and_cannot_steer_a_terminal() -> None:
    body = json.dumps({"errors": [{"code": "X", "message": "\x1b[2Jgone" + "a" * 2000}] * 99})
    found = read_errors(body.encode())
    assert len(found) == MAX_ERRORS
    assert found[0].message.startswith("[2Jgone")
    assert len(found[0].message) <= 1024


def test_odd_fields_are_tolerated() -> None:
    assert [Diagnostic("UNKNOWN", "", None)] == read_errors(b'{"errors":[{"code":7,"message":[]}]}')

import json
import logging
import sys

import pytest

import rsgi
from retinue.registry.access.principal import Principal
from retinue.registry.config import Config, secret_parts
from retinue.registry.http.exchange import Request
from retinue.registry.http.logs import AccessLine, Human, Machine, set_up


def record(message: str, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("retinue.http", logging.ERROR, __file__, 1, message, (), None)
    made.__dict__.update(more)
    return made


def line() -> AccessLine:
    fields = rsgi.Fields({"authorization": "hush"})
    scope = rsgi.Scope("GET", "/v2/\x1b[2J", "token=hush", fields, client="1.2.3.4:5")
    request = Request(scope.method, scope.path, scope, fields, rsgi.Wire(), "id-1")
    request.principal = Principal("alice")
    return AccessLine(request, 200)


def test_machines_get_one_object_per_line_with_the_request_id() -> None:
    text = Machine().format(record("two\nlines", request="id-1"))
    assert "\n" not in text
    found = json.loads(text)
    assert (found["message"], found["request"], found["level"]) == ("two\nlines", "id-1", "error")


def test_a_traceback_is_part_of_the_line() -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        made = record("failed", exc_info=sys.exc_info())
    assert "ZeroDivisionError" in json.loads(Machine().format(made))["traceback"]
    assert "ZeroDivisionError" in Human().format(made)


@pytest.mark.parametrize("form", [Human(), Machine()])
def test_requests_are_told_without_query_or_headers_or_control_characters(
    form: logging.Formatter,
) -> None:
    text = form.format(record("", line=line()))
    assert "hush" not in text
    assert "\x1b" not in text
    for word in ("GET", "alice", "200", "id-1", "1.2.3.4"):
        assert word in text


def test_what_others_send_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in Human().format(record("name \x1b[2J\x07"))


@pytest.mark.parametrize("form", ["human", "json"])
def test_no_log_says_what_is_secret_in_a_url(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = Config(
        traces="http://otel/v1?token=h%75sh1", database="postgresql://a:hush2@db/x?passfile=hush3"
    )
    names = ("retinue.server", "opentelemetry.exporter", "urllib3.connectionpool")
    before = {name.partition(".")[0]: logging.getLogger(name.partition(".")[0]) for name in names}
    kept = {name: (logger.handlers[:], logger.propagate) for name, logger in before.items()}
    try:
        set_up(form, "info", secret_parts(config))
        for name in names:
            logging.getLogger(name).warning("no answer from url: /v1?token=h%%75sh1 (hush2)")
            logging.getLogger(name).warning("http://elsewhere/?key=hush4 says hush1, hush3")
    finally:
        for name, (handlers, propagate) in kept.items():
            before[name].handlers[:], before[name].propagate = handlers, propagate
    told = capsys.readouterr().err
    assert told.count("no answer from") == len(names)
    assert "hush" not in told
    assert "h%75sh" not in told

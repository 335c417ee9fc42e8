"""Log lines, for people or for machines. No header, query or body is ever part of one."""

import json
import logging
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from retinue.registry.http.exchange import Request
from retinue.wire.masks import MASK, masked

MAX_PATH = 512
LIBRARIES = ("opentelemetry", "psycopg", "requests", "urllib3")
"""Loggers of what the registry connects to others with."""


class AccessLine(Struct, frozen=True):
    request: Request
    status: int

    def fields(self) -> dict[str, Any]:
        request = self.request
        return {
            "method": request.method[:16],
            "path": request.path[:MAX_PATH],
            "status": self.status,
            "peer": request.peer,
            "user": request.principal.name,
            "request": request.request_id,
        }


class Machine(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **_fields(record),
        }
        if message := record.getMessage():
            line["message"] = message
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


class Human(logging.Formatter):
    """Time, level, message; control characters of others never reach the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = _fields(record)
        text = record.getMessage()
        if "status" in fields:
            words = ("status", "method", "path", "user", "peer")
            text = " ".join(str(fields[word]) for word in words)
        if "request" in fields:
            text += f" [{fields['request']}]"
        line = f"{time} {record.levelname.lower():7} {_printable(text)}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    line = getattr(record, "line", None)
    if isinstance(line, AccessLine):
        return line.fields()
    request = getattr(record, "request", None)
    return {} if request is None else {"request": request}


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)


class Discreet(logging.Formatter):
    """Another one's lines, without `secrets`, and without what stands secretly in URLs."""

    def __init__(self, lines: logging.Formatter, secrets: Collection[str]) -> None:
        super().__init__()
        self._lines = lines
        self._secrets = sorted(secrets, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        text = self._lines.format(record)
        for each in self._secrets:
            text = text.replace(each, MASK)
        return masked(text)


def set_up(form: str, level: str, secrets: Collection[str] = ()) -> None:
    """Send the logs of this process to standard error. `form`: human or json.

    What libraries warn of comes the same way: an exporter of traces names its URL, secrets and all.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(Discreet(Machine() if form == "json" else Human(), secrets))
    for name, least in {"retinue": level.upper(), **dict.fromkeys(LIBRARIES, "WARNING")}.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(least)
        logger.propagate = False

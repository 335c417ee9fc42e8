"""Every statement of the program."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

COLLECT = """
import importlib, json, pkgutil
import retinue.registry
from retinue.registry.catalog.db import ALL

for module in pkgutil.walk_packages(retinue.registry.__path__, "retinue.registry."):
    importlib.import_module(module.name)
print(json.dumps(
    [[sql.sqlite, sql.postgres, sql.names, sql.scans, sql.grows, sql.idle] for sql in ALL]
))
"""


@dataclass(frozen=True, slots=True)
class Statement:
    sqlite: str
    postgres: str
    names: Sequence[str]
    scans: bool
    grows: str
    idle: bool


def every_statement() -> Sequence[Statement]:
    """All of the program's, and none of the tests': from a process of their own."""
    output = subprocess.check_output([sys.executable, "-c", COLLECT])
    return [Statement(*each) for each in json.loads(output)]

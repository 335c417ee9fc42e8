"""`retinue admin`: look after a registry's store."""

import argparse
from dataclasses import dataclass
from importlib import import_module

from retinue.cli.options import Parser


@dataclass(frozen=True, slots=True)
class Task:
    """`module` has `arguments(parser)` and `run(args) -> int`."""

    module: str
    help: str


TASKS = {
    "gc": Task("gc", "remove what nothing needs any more"),
    "fsck": Task("fsck", "check every link and every byte, and repair what is safe"),
    "backup": Task("backup", "write a consistent copy of the store, while it serves"),
    "restore": Task("restore", "make a store out of a backup"),
    "config": Task("config", "print each option in force, and where it came from"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_subparsers(
        dest="task", metavar="TASK", required=True, title="tasks", parser_class=Parser
    )
    for name, task in TASKS.items():
        module = import_module(f"retinue.cli.admin.{task.module}")
        own = tasks.add_parser(
            name,
            help=task.help,
            does=task.help,
            text=module.__doc__ or "",
        )
        module.arguments(own)


def run(args: argparse.Namespace) -> int:
    code: int = import_module(f"retinue.cli.admin.{TASKS[args.task].module}").run(args)
    return code

"""A verb with tasks of its own, as `retinue admin gc`: a table, each module imported when needed."""

import argparse
from collections.abc import Mapping
from importlib import import_module

from msgspec import Struct

from retinue.cli.options import Parser


class Task(Struct, frozen=True):
    """`module` (below retinue.cli) has `arguments(parser)` and `run(args) -> int`."""

    module: str
    help: str


def add(parser: argparse.ArgumentParser, tasks: Mapping[str, Task]) -> None:
    """Give a verb's parser its tasks."""
    below = parser.add_subparsers(
        dest="task", metavar="TASK", required=True, title="tasks", parser_class=Parser
    )
    for name, task in tasks.items():
        module = import_module(f"retinue.cli.{task.module}")
        own = below.add_parser(name, help=task.help, does=task.help, text=module.__doc__ or "")
        module.arguments(own)


def run(args: argparse.Namespace, tasks: Mapping[str, Task]) -> int:
    """Do the task that was named."""
    code: int = import_module(f"retinue.cli.{tasks[args.task].module}").run(args)
    return code

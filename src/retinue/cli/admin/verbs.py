"""`retinue admin`: look after a registry's store."""

import argparse

from retinue.cli import tasks
from retinue.cli.tasks import Task

TASKS = {
    "gc": Task("admin.gc", "remove what nothing needs any more"),
    "fsck": Task("admin.fsck", "check every link and every byte, and repair what is safe"),
    "backup": Task("admin.backup", "write a consistent copy of the store, while it serves"),
    "restore": Task("admin.restore", "make a store out of a backup"),
    "config": Task("admin.config", "print each option in force, and where it came from"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    tasks.add(parser, TASKS)


def run(args: argparse.Namespace) -> int:
    return tasks.run(args, TASKS)

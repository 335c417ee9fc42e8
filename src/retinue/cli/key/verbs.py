"""`retinue key`: make, import and show signing keys."""

import argparse

from retinue.cli import tasks
from retinue.cli.tasks import Task

TASKS = {
    "generate": Task("key.generate", "make a new key pair"),
    "import": Task("key.take", "encrypt a private key that was made elsewhere"),
    "public": Task("key.public", "print the public key of a key"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    tasks.add(parser, TASKS)


def run(args: argparse.Namespace) -> int:
    return tasks.run(args, TASKS)

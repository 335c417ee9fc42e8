"""`retinue policy`: what a policy says, before it is in force and after."""

import argparse

from retinue.cli import tasks
from retinue.cli.tasks import Task

TASKS = {
    "check": Task("policy.check", "look for mistakes in a policy file"),
    "explain": Task("policy.explain", "show every reason of the decision about an image"),
    "import": Task("policy.take", "make a policy of another tool's"),
    "report": Task("policy.report", "list what a policy would refuse, before it is enforced"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    tasks.add(parser, TASKS)


def run(args: argparse.Namespace) -> int:
    return tasks.run(args, TASKS)

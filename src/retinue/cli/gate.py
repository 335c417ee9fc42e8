"""`retinue gate`: hold images to a policy before a container runs.

All gates judge by the same policy file as `retinue verify --policy`, for the
operation `admission`. What cannot be judged is refused.
"""

import argparse

from retinue.cli import tasks
from retinue.cli.tasks import Task

TASKS = {
    "kubernetes": Task("gates.kubernetes", "serve admission webhooks: /validate and /mutate"),
    "gatekeeper": Task("gates.gatekeeper", "serve Gatekeeper's external data: /provide"),
    "containerd": Task("gates.containerd", "judge one image for containerd's image verifier"),
    "doctor": Task("gates.doctor", "find what in containerd's configuration bypasses the gate"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    tasks.add(parser, TASKS)


def run(args: argparse.Namespace) -> int:
    return tasks.run(args, TASKS)

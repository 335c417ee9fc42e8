"""`retinue gate kubernetes`: admission webhooks that hold Pods to a policy.

  /validate  refuses Pods whose images the policy refuses, and warns of workloads
  /mutate    pins the images of Pods to the digests that were judged
  /healthz   says whether it runs, /readyz whether it has a policy

Manifests to start from are in docs/guides/admission.md. Policy, revocation list
and certificates are read again when they change.
"""

import argparse
from typing import TYPE_CHECKING

from retinue.cli.gates import asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retinue.gates.judging import Judge
    from retinue.gates.server import Handler


def arguments(parser: argparse.ArgumentParser) -> None:
    asked.judging(parser, 8)
    asked.serving(parser)
    parser.add_argument(
        "--allow-tags",
        action="store_true",
        help="judge images without a digest as their tags are now, instead of refusing them",
    )


def run(args: argparse.Namespace) -> int:
    from retinue.cli.gates import serving

    return serving.serve(args, lambda judge: _handlers(judge, tags=args.allow_tags))


def _handlers(judge: "Judge", *, tags: bool) -> "Mapping[str, Handler]":
    from retinue.gates import admission

    return {
        "/validate": lambda body, seconds: admission.validate(body, judge, seconds, tags=tags),
        "/mutate": lambda body, seconds: admission.mutate(body, judge, seconds),
    }

"""`retinue gate gatekeeper`: a provider of external data for Gatekeeper.

POST /provide takes images as keys. The value of one that the policy allows is its
reference with the digest that was judged; of one that it refuses, the error says
why. Gatekeeper shows a certificate: name its authority with --client-ca.
"""

import argparse
from typing import TYPE_CHECKING

from retinue.cli.gates import asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retinue.gates.judging import Judge
    from retinue.gates.server import Handler


def arguments(parser: argparse.ArgumentParser) -> None:
    asked.judging(parser, 2.5)
    asked.serving(parser)


def run(args: argparse.Namespace) -> int:
    from retinue.cli.gates import serving

    return serving.serve(args, _handlers)


def _handlers(judge: "Judge") -> "Mapping[str, Handler]":
    from retinue.gates import gatekeeper

    return {"/provide": lambda body, seconds: gatekeeper.provide(body, judge, seconds)}

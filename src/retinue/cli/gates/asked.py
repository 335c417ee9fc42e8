"""The options that all gates have."""

import argparse
from pathlib import Path

from retinue.cli import options


def judging(parser: argparse.ArgumentParser, deadline: float) -> None:
    """What every gate needs to know."""
    parser.add_argument("--policy", metavar="FILE", type=Path, required=True, help="the policy")
    parser.add_argument(
        "--deadline",
        metavar="SECONDS",
        type=float,
        default=deadline,
        help=f"answer within so many seconds, below the caller's own limit [{deadline:g}]",
    )
    options.network(parser)
    parser.add_argument(
        "--local-registry",
        metavar="HOST[:PORT]",
        action="append",
        default=[],
        help="call this registry although it is on this machine or its link; may be repeated"
        " (those that the policy or --plain-http names are called without asking)",
    )


def serving(parser: argparse.ArgumentParser) -> None:
    """Of those that serve."""
    group = parser.add_argument_group("serving")
    group.add_argument(
        "--listen", metavar="HOST:PORT", default="0.0.0.0:8443", help="where [0.0.0.0:8443]"
    )
    group.add_argument(
        "--tls-cert", metavar="FILE", type=Path, required=True, help="certificate chain (PEM)"
    )
    group.add_argument(
        "--tls-key", metavar="FILE", type=Path, required=True, help="its private key (PEM)"
    )
    group.add_argument(
        "--client-ca",
        metavar="FILE",
        type=Path,
        help="answer only callers with a certificate of these authorities (PEM)",
    )

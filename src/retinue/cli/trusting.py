"""Whom a command trusts: a policy file, or what the options of the command line say."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli.problems import BadUsage

if TYPE_CHECKING:
    from retinue.policy.model import Policy

MAX_FILE = 4 * 1024 * 1024
"""Bytes of a policy, and of each file that it names."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--policy`, or whom to trust in words that cosign has too."""
    group = parser.add_argument_group("whom to trust")
    group.add_argument("--policy", metavar="FILE", type=Path, help="a policy (TOML or JSON)")
    group.add_argument(
        "--key", metavar="KEY", action="append", default=[], help="a public key; may be repeated"
    )
    group.add_argument("--certificate-identity", metavar="NAME", help="who a certificate is for")
    group.add_argument(
        "--certificate-identity-regexp",
        metavar="RE2",
        help="the same as an expression, which must match all of the name",
    )
    group.add_argument(
        "--certificate-oidc-issuer", metavar="URL", help="who vouched for that identity"
    )
    group.add_argument(
        "--trusted-root", metavar="FILE", type=Path, help="a Sigstore trusted_root.json"
    )
    group.add_argument(
        "--ca-roots", metavar="FILE", type=Path, help="X.509 roots (PEM), for notation's signatures"
    )
    group.add_argument(
        "--require-tlog", action="store_true", help="accept only what a transparency log holds"
    )
    group.add_argument("--insecure-ignore-tlog", nargs="?", const="true", help=argparse.SUPPRESS)


def given(args: argparse.Namespace) -> bool:
    """Whether the command line says whom to trust."""
    return bool(args.policy or args.key or _identity(args) or args.ca_roots)


def _identity(args: argparse.Namespace) -> bool:
    return bool(args.certificate_identity or args.certificate_identity_regexp)


def from_file(path: Path) -> "Policy":
    """A policy and the files that it names, which lie in its folder or below."""
    from retinue.files import Root, split
    from retinue.policy.file import load

    raw = _read(path)
    with Root(path.absolute().parent) as root:

        def read(name: str) -> bytes:
            split(name)
            return _read(root.path / name)

        return load(raw, form="json" if path.suffix == ".json" else "toml", read=read)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(MAX_FILE + 1)
    if len(raw) > MAX_FILE:
        raise BadUsage(f"{path} has more than {MAX_FILE} bytes", "name another file")
    return raw

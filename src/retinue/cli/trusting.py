"""Whom a command trusts: a policy file, or what the options of the command line say."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import options
from retinue.cli.problems import BadUsage
from retinue.cli.reading import read_file

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from retinue.attest.anchors import TimeAnchor
    from retinue.attest.root import TrustedRoot
    from retinue.policy.model import Demand, Policy

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
        "--timestamp-certificate-chain",
        metavar="FILE",
        type=Path,
        help="a timestamp authority that is believed the time (PEM, its root last)",
    )
    options.papers_in(group)
    group.add_argument(
        "--require-tlog", action="store_true", help="accept only what a transparency log holds"
    )
    group.add_argument("--insecure-ignore-tlog", nargs="?", const="true", help=argparse.SUPPRESS)


def given(args: argparse.Namespace) -> bool:
    """Whether the command line says whom to trust."""
    return bool(args.policy or args.key or _identity(args) or args.ca_roots)


def _identity(args: argparse.Namespace) -> bool:
    return bool(args.certificate_identity or args.certificate_identity_regexp)


def policy(args: argparse.Namespace) -> "Policy":
    """What the file or the options say; raises BadUsage, PolicyInvalid, ImportRefused, KeyUnusable."""
    if args.policy is not None:
        _refuse_programs(args.policy)
        if _said(args):
            raise BadUsage("--policy says whom to trust", "leave the other options out")
        return from_file(args.policy, cel=True)
    if not given(args):
        raise BadUsage(
            "nobody is trusted", "give --key PUBLIC-KEY, --policy FILE, or a certificate's identity"
        )
    return _inline(args)


def _said(args: argparse.Namespace) -> bool:
    asked = getattr(args, "type", None) or getattr(args, "annotations", None)
    return bool(args.key or _identity(args) or args.ca_roots or asked)


def _inline(args: argparse.Namespace) -> "Policy":
    from retinue.attest.keys.table import open_public
    from retinue.cli.pairs import annotations_of
    from retinue.cli.reach import papers_in
    from retinue.papers.kinds import predicate_type
    from retinue.policy import inline
    from retinue.policy.model import Coverage

    wanted = getattr(args, "type", None)
    recursive = getattr(args, "recursive", False)
    return inline.policy(
        inline.Words(
            keys=[open_public(reference) for reference in args.key],
            identity=args.certificate_identity,
            identity_re2=args.certificate_identity_regexp,
            issuer=args.certificate_oidc_issuer,
            root=_root(args.trusted_root),
            ca_roots=_certificates(args.ca_roots),
            times=_times(args.timestamp_certificate_chain),
            predicate_type=predicate_type(wanted) if wanted else None,
            annotations=annotations_of(getattr(args, "annotations", ())),
            signers=getattr(args, "signers", 1),
            log_required=args.require_tlog,
            papers_in=papers_in(args),
            index=Coverage.EVERY if recursive else Coverage.SELF,
        )
    )


def _root(path: Path | None) -> "TrustedRoot | None":
    if path is None:
        return None
    from retinue.attest.root import read_root

    return read_root(read_file(path, MAX_FILE))


def _certificates(path: Path | None) -> "tuple[Certificate, ...]":
    if path is None:
        return ()
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return tuple(load_pem_x509_certificates(read_file(path, MAX_FILE)))
    except ValueError as problem:
        raise BadUsage(f"{path} holds no certificates", "name a PEM file") from problem


def _times(path: Path | None) -> "tuple[TimeAnchor, ...]":
    if path is None:
        return ()
    from retinue.attest.anchors import TimeAnchor

    return (TimeAnchor("timestamps", _certificates(path)),)


def from_file(path: Path, *, cel: bool = False) -> "Policy":
    """A policy and the files that it names, which lie in its folder or below.

    `cel`: its expressions are evaluated. Not so where somebody waits with a deadline: nothing
    bounds the time that they take. Raises PolicyInvalid, ImportRefused.
    """
    from retinue.files import Root
    from retinue.policy.file import load

    _refuse_programs(path)
    form = "json" if path.suffix == ".json" else "toml"
    with Root(path.absolute().parent) as root:
        return load(
            read_file(path, MAX_FILE),
            form=form,
            read=lambda name: root.read(name, MAX_FILE),
            cel=_compile if cel else None,
        )


def _refuse_programs(path: Path) -> None:
    """cosign's `--policy` takes CUE and Rego."""
    from retinue.policy.importers.programs import refuse

    refuse(path.name)


def _compile(text: str, path: str) -> "Demand":
    from retinue.policy.cel import compiled  # few policies have expressions

    return compiled(text, path)

"""`retinue attach signature`: attach a signature that was made elsewhere.

Either a bundle, or cosign's simple signing: the payload that was signed, and the
signature in base64.

  retinue attach signature --payload p.json --signature p.sig registry.example.com/app:1
  retinue attach signature --bundle signature.json registry.example.com/app:1
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import options, signing
from retinue.cli.attaching import common
from retinue.cli.problems import BadUsage
from retinue.oci import names

if TYPE_CHECKING:
    from retinue.cli.signing import Work
    from retinue.papers.attach import Attached


def arguments(parser: argparse.ArgumentParser) -> None:
    common.arguments(parser)
    parser.add_argument("--bundle", metavar="FILE", type=Path, help="a Sigstore bundle")
    parser.add_argument("--payload", metavar="FILE", type=Path, help="what was signed")
    parser.add_argument("--signature", metavar="FILE", type=Path, help="the signature, in base64")
    parser.add_argument("--certificate", metavar="FILE", type=Path, help="its certificate (PEM)")
    parser.add_argument("--certificate-chain", metavar="FILE", type=Path, help="its chain (PEM)")
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    if bool(args.bundle) == bool(args.payload and args.signature):
        raise BadUsage("what to attach is not clear", "give --bundle, or --payload and --signature")
    if args.bundle:
        bundle = common.read(args.bundle)
        return common.attach(args, lambda work: _bundle(work, bundle))
    payload = common.read(args.payload)
    annotations = {names.ANNOTATION_SIGNATURE: common.read(args.signature).decode().strip()}
    if args.certificate:
        annotations[names.ANNOTATION_CERTIFICATE] = common.read(args.certificate).decode()
    if args.certificate_chain:
        annotations[names.ANNOTATION_CHAIN] = common.read(args.certificate_chain).decode()
    return common.attach(args, lambda work: _simple(work, payload, annotations))


async def _bundle(work: "Work", bundle: bytes) -> "list[Attached]":
    from datetime import UTC, datetime

    from retinue.papers.attach import attach_bundle

    return [await attach_bundle(work.store, work.subject, bundle, created=datetime.now(UTC))]


async def _simple(work: "Work", payload: bytes, annotations: dict[str, str]) -> "list[Attached]":
    from retinue.attest.formats.simplesigning import SimpleSignature
    from retinue.papers.append import append_signature

    made = SimpleSignature(payload, annotations)
    return [await append_signature(work.store, work.subject, made, pause=signing.Patience())]

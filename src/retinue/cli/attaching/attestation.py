"""`retinue attach attestation`: attach attestations that were signed elsewhere.

The file holds bundles or DSSE envelopes, one JSON value each. Each must be about
the image. Bundles become referrers, envelopes go to cosign's tag sha256-<hex>.att.

  retinue attach attestation --attestation bundle.json registry.example.com/app:1
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import options, signing
from retinue.cli.attaching import common
from retinue.cli.problems import BadUsage

if TYPE_CHECKING:
    from retinue.cli.signing import Work
    from retinue.papers.attach import Attached


def arguments(parser: argparse.ArgumentParser) -> None:
    common.arguments(parser)
    parser.add_argument(
        "--attestation", metavar="FILE", type=Path, required=True, help="bundles or envelopes"
    )
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    values = split(common.read(args.attestation), str(args.attestation))
    return common.attach(args, lambda work: _attach(work, values))


def split(content: bytes, name: str) -> list[bytes]:
    """The JSON values of a file, one after another, each with its own bytes; raises BadUsage."""
    try:
        text = content.decode()
        decoder, found, at = json.JSONDecoder(), [], 0
        while at < len(text):
            if text[at].isspace():
                at += 1
                continue
            _, stop = decoder.raw_decode(text, at)
            found.append(text[at:stop].encode())
            at = stop
    except ValueError as problem:
        raise BadUsage(f"{name} is not made of JSON values", "name another file") from problem
    return found


async def _attach(work: "Work", values: list[bytes]) -> "list[Attached]":
    from datetime import UTC, datetime

    from retinue.papers.append import append_envelope
    from retinue.papers.attach import attach_bundles

    now = datetime.now(UTC)
    bundles = [value for value in values if _bundle(value)]
    envelopes = [value for value in values if value not in bundles]
    attached = await attach_bundles(work.store, work.subject, bundles, created=now)
    appended = [
        await append_envelope(work.store, work.subject, value, pause=signing.Patience())
        for value in envelopes
    ]
    return [*attached, *appended]


def _bundle(value: bytes) -> bool:
    found = json.loads(value)
    return isinstance(found, dict) and ("dsseEnvelope" in found or "verificationMaterial" in found)

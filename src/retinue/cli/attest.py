"""`retinue attest`: say something about images, and sign it: an SBOM, provenance, a scan.

The predicate is a file, or - for standard input. It is stored as it is.

  retinue attest --key ci.key --type cyclonedx --predicate sbom.json reg.example.com/app:1
  retinue attest --unsigned --type slsaprovenance1 --predicate p.json reg.example.com/app:1
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import hands, options, signing
from retinue.cli.problems import BadUsage
from retinue.cli.render import emit

if TYPE_CHECKING:
    from retinue.cli.hands import Hand
    from retinue.cli.signing import Work
    from retinue.papers.attach import Attached

MAX_PREDICATE = 96 * 1024 * 1024
"""Bytes of a predicate; in base64 it must fit into the 128 MiB that a statement may have."""


def arguments(parser: argparse.ArgumentParser) -> None:
    signing.arguments(parser)
    parser.add_argument(
        "--predicate", metavar="FILE", required=True, help="what is said; - for standard input"
    )
    parser.add_argument(
        "--type",
        metavar="TYPE",
        default="custom",
        help="cyclonedx, spdxjson, slsaprovenance1, vuln, openvex, ... or an URI [custom]",
    )
    parser.add_argument(
        "--unsigned", action="store_true", help="attach it without a signature: it proves nothing"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="with --format legacy: in place of attestations of the same type",
    )
    options.dry_run(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    if args.unsigned and args.key:
        raise BadUsage("--unsigned and --key exclude each other", "choose one")
    predicate = _predicate(args)
    by = None if args.unsigned else hands.hand(args)
    done = asyncio.run(signing.each(args, lambda work: _attest(args, predicate, by, work)))
    emit(
        {
            "attested": [signing.data(work, papers) for work, papers in done],
            "dry_run": args.dry_run,
        },
        signing.text("attest", done, dry_run=args.dry_run),
        as_json=args.json,
    )
    return 0


def _predicate(args: argparse.Namespace) -> bytes:
    """The text of a JSON value; what is not JSON is wrapped as cosign wraps it."""
    if args.predicate == "-":
        content = sys.stdin.buffer.read(MAX_PREDICATE + 1)
    else:
        with Path(args.predicate).open("rb") as file:
            content = file.read(MAX_PREDICATE + 1)
    if len(content) > MAX_PREDICATE:
        raise BadUsage(f"the predicate has more than {MAX_PREDICATE} bytes", "attach it as a file")
    return _json(args.type, content)


def _json(kind: str, content: bytes) -> bytes:
    import json
    from datetime import UTC, datetime

    if kind == "spdx":
        return json.dumps(_utf8(content), ensure_ascii=False).encode()
    if kind == "custom":
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.dumps({"Data": _utf8(content), "Timestamp": stamp}).encode()
    return content.strip()


def _utf8(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as problem:
        raise BadUsage("the predicate is no text", "give JSON, or UTF-8 text") from problem


async def _attest(
    args: argparse.Namespace, predicate: bytes, by: "Hand | None", work: "Work"
) -> "list[Attached]":
    from retinue.attest.attestation import Attestation
    from retinue.papers.kinds import predicate_type

    said = Attestation(predicate_type(args.type), predicate, ((work.image, work.subject.digest),))
    statement = said.statement()
    if args.dry_run:
        return []
    if by is None:
        return [await _unsigned(work, statement)]
    papers: list[Attached] = []
    if args.format in {"bundle", "both"}:
        papers.append(await _bundle(work, statement, by))
    if args.format in {"legacy", "both"}:
        papers.append(await _legacy(args, work, statement, by))
    return papers


async def _unsigned(work: "Work", statement: bytes) -> "Attached":
    from datetime import UTC, datetime

    from retinue.papers.attach import attach_statement

    return await attach_statement(work.store, work.subject, statement, created=datetime.now(UTC))


async def _bundle(work: "Work", statement: bytes, by: "Hand") -> "Attached":
    from datetime import UTC, datetime

    from retinue.papers.attach import attach_bundle

    bundle = by.bundle(statement)
    now = datetime.now(UTC)
    return await attach_bundle(
        work.store, work.subject, bundle, created=now, signer=by.trust(bundle)
    )


async def _legacy(
    args: argparse.Namespace, work: "Work", statement: bytes, by: "Hand"
) -> "Attached":
    from retinue.papers.append import append_envelope

    envelope, annotations = by.envelope(statement)
    return await append_envelope(
        work.store,
        work.subject,
        envelope,
        pause=signing.pause,
        signer=by.trust(b""),
        annotations=annotations,
        replace=args.replace,
    )

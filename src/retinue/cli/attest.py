"""`retinue attest`: say something about images, and sign it: an SBOM, provenance, a scan.

The predicate is a file, or - for standard input. It is stored as it is.

  retinue attest --key ci.key --type cyclonedx --predicate sbom.json reg.example.com/app:1
  retinue attest --unsigned --type slsaprovenance1 --predicate p.json reg.example.com/app:1

With --format index the statement goes into the image's index, as BuildKit does
it. That makes another index, so the digest changes, and the tag is moved to it.
"""

import argparse
import sys
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

from retinue.cli import embedding, hands, options, signing
from retinue.cli.problems import BadUsage
from retinue.cli.render import emit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retinue.cli.hands import Hand
    from retinue.cli.signing import Work
    from retinue.client.remote import Remote
    from retinue.papers.attach import Attached

FORMATS = {**signing.FORMATS, "index": "unsigned, inside of the index, whose digest changes"}

MAX_PREDICATE = 96 * 1024 * 1024
"""Bytes of a predicate; in base64 it must fit into the 128 MiB that a statement may have."""
LARGE = 4 * 1024 * 1024
"""A predicate of so many bytes waits in a file, and images are attested one after the other."""


def arguments(parser: argparse.ArgumentParser) -> None:
    signing.arguments(parser, FORMATS)
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
        help="in place of what the same signer attested of the same type",
    )
    options.dry_run(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    if args.unsigned and args.key:
        raise BadUsage("--unsigned and --key exclude each other", "choose one")
    if args.unsigned and (args.timestamp_server_url or args.rekor_url):
        raise BadUsage("there is no signature to be witnessed", "leave --unsigned out")
    if args.format == "index":
        embedding.check(args)
    elif args.unsigned and args.replace:
        raise BadUsage("--replace is for what the same signer said", "leave --unsigned out")
    by = None if args.unsigned else hands.hand(args)
    with SpooledTemporaryFile(max_size=LARGE) as predicate:
        size = predicate.write(_predicate(args))
        done = asyncio.run(
            signing.each(
                args,
                lambda work: _attest(args, predicate, by, work),
                at_once=signing.AT_ONCE if size < LARGE else 1,
            )
        )
    emit(
        {
            "attested": [signing.data(work, papers) for work, papers in done],
            "dry_run": args.dry_run,
        },
        _text(args, done),
        as_json=args.json,
    )
    return 0


def _text(args: argparse.Namespace, done: "list[tuple[Work, list[Attached]]]") -> str:
    if args.format == "index" and not args.dry_run:
        return embedding.text(done)
    return signing.text("attest", done, dry_run=args.dry_run)


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
    args: argparse.Namespace, predicate: IO[bytes], by: "Hand | None", work: "Work"
) -> "list[Attached]":
    from retinue.attest.attestation import Attestation
    from retinue.papers.kinds import predicate_type

    if args.format == "index":
        return await embedding.embed(args, _all(predicate), work)

    def statement() -> bytes:
        """Made when it is needed, and kept no longer: it may be large."""
        about = ((work.image, work.subject.digest),)
        return Attestation(predicate_type(args.type), _all(predicate), about).statement()

    if args.dry_run:
        statement()
        return []
    if by is None:
        return [await _unsigned(work, statement())]
    papers: list[Attached] = []
    if args.format in {"bundle", "both"}:
        papers.append(await _bundle(args, work, by.bundle(statement()), by))
    if args.format in {"legacy", "both"}:
        papers.append(await _legacy(args, work, by.envelope(statement()), by))
    return papers


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


async def _unsigned(work: "Work", statement: bytes) -> "Attached":
    from datetime import UTC, datetime

    from retinue.papers.attach import attach_statement

    return await attach_statement(work.store, work.subject, statement, created=datetime.now(UTC))


async def _bundle(args: argparse.Namespace, work: "Work", bundle: bytes, by: "Hand") -> "Attached":
    from datetime import UTC, datetime

    from retinue.papers.attach import attach_bundle

    registry = _deleting(work) if args.replace else None
    attached = await attach_bundle(
        work.store,
        work.subject,
        bundle,
        created=datetime.now(UTC),
        signer=by.trust(bundle),
        replacing=args.replace,
    )
    if registry is not None:
        for paper in attached.replaced:
            await registry.delete_manifest(paper)
    return attached


def _deleting(work: "Work") -> "Remote":
    """The store, where a paper can be deleted in it; raises BadUsage."""
    from retinue.client.remote import Remote

    if not isinstance(work.store, Remote):
        raise BadUsage("in a folder no bundle is replaced", "use --format legacy, or a registry")
    return work.store


async def _legacy(
    args: argparse.Namespace, work: "Work", made: "tuple[bytes, Mapping[str, str]]", by: "Hand"
) -> "Attached":
    from retinue.papers.append import append_envelope

    envelope, annotations = made
    return await append_envelope(
        work.store,
        work.subject,
        envelope,
        pause=signing.Patience(),
        signer=by.trust(b""),
        annotations=annotations,
        replace=args.replace,
    )

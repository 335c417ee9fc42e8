"""`retinue download sbom`: print an image's SBOM, the document itself.

Attached documents and SBOMs inside of attestations are both found. This checks no
signature: `retinue verify --type` does.
"""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from retinue.cli.downloading import papers
from retinue.cli.output import note
from retinue.cli.render import count

if TYPE_CHECKING:
    from retinue.attest.statement import Statement
    from retinue.papers.collected import Collected
    from retinue.papers.ways.part import Part


def arguments(parser: argparse.ArgumentParser) -> None:
    papers.arguments(parser)
    parser.add_argument("--all", action="store_true", help="every SBOM, a line each")


def run(args: argparse.Namespace) -> int:
    collected = papers.fetch(args)
    found = _sboms(args, collected)
    if len(found) > 1 and not (args.all or args.json):
        note(f"retinue: {count(len(found), 'SBOM')}; this is the first, --all prints every one")
    if args.all or args.json:
        papers.show(found, as_json=args.json)
    else:
        sys.stdout.buffer.write(b"".join(found[:1]))
    return papers.end(args, collected, len(found), "SBOM")


def _sboms(args: argparse.Namespace, collected: "Collected") -> list[bytes]:
    import asyncio

    from retinue.papers.kinds import Kind, kind_of_predicate
    from retinue.papers.ways.part import Form

    found = [
        _document(statement)
        for _, _, statement in papers.statements(collected)
        if statement is not None and kind_of_predicate(statement.predicate_type) is Kind.SBOM
    ]
    documents = [
        part
        for paper in collected.papers
        for part in paper.parts
        if part.form is Form.DOCUMENT and part.kind is Kind.SBOM and part.blob is not None
    ]
    if documents:
        found += asyncio.run(_read(args, documents))
    return found


def _document(statement: "Statement") -> bytes:
    """SPDX in tag-value form is text within JSON."""
    if statement.predicate.startswith(b'"'):
        text: str = json.loads(statement.predicate)
        return text.encode()
    return statement.predicate


async def _read(args: argparse.Namespace, documents: "list[Part]") -> list[bytes]:
    from retinue.cli.reach import client
    from retinue.oci.reference import parse_location

    location = parse_location(args.reference)
    found = []
    async with client(args) as reached, reached.source(location) as store:
        for part in documents:
            assert part.blob is not None
            async with store.blob(part.blob.digest) as chunks:
                found.append(b"".join([chunk async for chunk in chunks]))
    return found

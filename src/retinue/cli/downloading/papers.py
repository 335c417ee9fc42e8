"""The payloads of an image's papers, a line of JSON each, as cosign prints them."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from retinue.cli import exits, options
from retinue.cli.output import note, say
from retinue.cli.render import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from retinue.attest.statement import Statement
    from retinue.papers.collected import Collected, Paper
    from retinue.papers.content import Content
    from retinue.papers.ways.part import Form, Part


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    options.platform(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options.network(parser)


def fetch(args: argparse.Namespace) -> "Collected":
    """All papers of what the reference names, with their payloads."""
    import asyncio

    from retinue.cli.choosing import for_platform
    from retinue.cli.reach import client, find_manifest
    from retinue.oci.reference import parse_location
    from retinue.papers.collect import collect

    async def read() -> "Collected":
        location = parse_location(args.reference)
        async with client(args) as reached, reached.source(location) as store:
            found = await for_platform(store, await find_manifest(store, location), args.platform)
            return await collect(store, found, depth=1)

    return asyncio.run(read())


def parts(collected: "Collected") -> "Iterator[tuple[Paper, Part, Content]]":
    """Each payload that was read, and the paper that it is of."""
    for paper in collected.papers:
        for part in paper.parts:
            content = collected.contents.get(part.blob.digest) if part.blob is not None else None
            if content is not None:
                yield paper, part, content


def statement_of(form: "Form", content: "Content") -> "Statement | None":
    """What a payload states, by whomever; None: it has no statement. Raises Malformed."""
    from retinue.attest.formats import bundle, dsse
    from retinue.attest.statement import read_statement
    from retinue.papers.proving import statement_in
    from retinue.papers.ways.part import Form

    if form is Form.STATEMENT:
        return read_statement(content)
    if form is Form.ENVELOPE:
        return statement_in(dsse.read_envelope(content))
    envelope = bundle.read_bundle(content).envelope if form is Form.BUNDLE else None
    return None if envelope is None else statement_in(envelope)


def statements(collected: "Collected") -> "Iterator[tuple[Part, Content, Statement | None]]":
    """Each payload and its statement; what cannot be read is named, and left out."""
    from retinue.attest.errors import Malformed

    for paper, part, content in parts(collected):
        try:
            yield part, content, statement_of(part.form, content)
        except Malformed as problem:
            note(f"retinue: paper {paper.digest} is left out: {clean(str(problem))}")


def end(args: argparse.Namespace, collected: "Collected", count: int, what: str) -> int:
    """None exist, and could not look, end differently."""
    for place, why in collected.blind.items():
        note(f"retinue: could not look at {clean(place)}: {clean(why)}")
    if collected.blind:
        return exits.BLIND
    if not count:
        note(f"retinue: {args.reference} has no {what}; see: retinue tree {args.reference}")
        return exits.MISSING
    return exits.DONE


def show(payloads: "Sequence[Content | dict[str, Any]]", *, as_json: bool) -> None:
    """Payloads on standard output, a line each; or as one JSON list."""
    if as_json:
        found = [p if isinstance(p, dict) else json.loads(bytes(p)) for p in payloads]
        say(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for payload in payloads:
        _line(payload)


def _line(content: "Content | dict[str, Any]") -> None:
    """Bytes that are one line stay as they are."""
    if isinstance(content, dict):
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    else:
        text = bytes(content).strip()
        if b"\n" in text:
            text = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")).encode()
    sys.stdout.buffer.write(text + b"\n")

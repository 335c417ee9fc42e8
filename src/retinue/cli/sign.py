"""`retinue sign`: sign images, by digest; each signature becomes a paper of the image.

Signatures are written as cosign 3 writes them, with --format legacy as cosign 2,
and either can verify them. Signing the same again with the same key adds
nothing. Eight signers at once lose nothing.

  retinue sign --key ci.key registry.example.com/app:1
  retinue sign --key ci.key -a env=prod --recursive registry.example.com/app:1
  retinue sign --key ci.key --tag-statement 30d registry.example.com/app:1
  retinue sign --key ci.key --rekor-url https://rekor.example.com registry.example.com/app:1
  retinue sign --receipts --timestamp-server-url https://tsa.example.com/api/v1/timestamp \\
    registry.example.com/app:1
"""

import argparse
from typing import TYPE_CHECKING

from retinue.cli import hands, options, signing
from retinue.cli.output import note
from retinue.cli.problems import BadUsage
from retinue.cli.render import emit

if TYPE_CHECKING:
    from datetime import datetime

    from retinue.attest.anchors import Trust
    from retinue.cli.hands import Hand
    from retinue.cli.signing import Work
    from retinue.papers.attach import Attached
    from retinue.papers.predicates import TagStatement


def arguments(parser: argparse.ArgumentParser) -> None:
    signing.arguments(parser)
    parser.add_argument(
        "-a",
        "--annotations",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="sign this along with the digest; may be repeated",
    )
    parser.add_argument(
        "--tag-statement",
        metavar="TIME",
        help="also sign that the tag names this image, for so long (30d, 12h)",
    )
    parser.add_argument(
        "--receipts",
        action="store_true",
        help="sign nothing: have the signatures that are there stamped by --timestamp-server-url",
    )
    options.dry_run(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    if args.receipts:
        from retinue.cli import stamping

        return stamping.run(args)
    by = hands.hand(args)
    done = asyncio.run(signing.each(args, lambda work: _sign(args, by, work)))
    emit(
        {
            "key": by.name,
            "signed": [signing.data(work, papers) for work, papers in done],
            "dry_run": args.dry_run,
        },
        signing.text("sign", done, dry_run=args.dry_run),
        as_json=args.json,
    )
    return 0


async def _sign(args: argparse.Namespace, by: "Hand", work: "Work") -> "list[Attached]":
    papers: list[Attached] = []
    if args.dry_run:
        return papers
    if args.format in {"bundle", "both"}:
        papers += await _bundles(args, by, work)
    if args.format in {"legacy", "both"}:
        papers.append(await _legacy(args, by, work))
    return papers


async def _bundles(args: argparse.Namespace, by: "Hand", work: "Work") -> "tuple[Attached, ...]":
    from datetime import UTC, datetime

    from retinue.attest.sign import signature_statement
    from retinue.cli.pairs import annotations_of
    from retinue.papers.attach import attach_bundles
    from retinue.papers.statements import tag_statement

    now = datetime.now(UTC)
    statements = [signature_statement(work.subject.digest, annotations_of(args.annotations))]
    said = _said(args, work, now) if args.tag_statement else None
    if said is not None:
        statements.append(tag_statement(work.subject, said))
    bundles = [by.bundle(statement) for statement in statements]
    attached = await attach_bundles(
        work.store, work.subject, bundles, created=now, signer=by.trust(bundles[0])
    )
    if said is not None:
        await _keep(work, said, bundles[1], by.trust(bundles[1]))
    return attached


async def _keep(work: "Work", said: "TagStatement", bundle: bytes, signer: "Trust") -> None:
    """In a registry, where others push, it must be found from every image that the tag had."""
    from retinue.client.errors import Forbidden, Unsupported
    from retinue.client.remote import Remote
    from retinue.papers.statements import keep_statement

    if not isinstance(work.store, Remote):
        return
    older = await keep_statement(work.store, said, bundle, created=said.time, signer=signer)
    try:
        for paper in older:
            await work.store.delete_manifest(paper)
    except (Forbidden, Unsupported) as problem:
        note(f"retinue: older statements on {said.tag} stay, and are read each time: {problem}")


def _said(args: argparse.Namespace, work: "Work", now: "datetime") -> "TagStatement | None":
    """That the tag names this image from now on, for a while; None: it names what lists this one.

    Raises BadUsage.
    """
    from retinue.cli.judging import tag_of
    from retinue.cli.reading import duration
    from retinue.papers.predicates import TagStatement

    if args.recursive and work.subject.digest != work.top.digest:
        return None
    tag = tag_of(work.location)
    if tag is None:
        raise BadUsage(f"{work.location} has no tag to state", "name the image by its tag")
    digest = work.subject.digest
    until = now + duration(args.tag_statement, "--tag-statement")
    return TagStatement(work.image, tag, digest, now, until)


async def _legacy(args: argparse.Namespace, by: "Hand", work: "Work") -> "Attached":
    from retinue.attest.target import Target
    from retinue.cli.pairs import annotations_of
    from retinue.papers.append import append_signature

    subject = work.subject
    target = Target(subject.digest, subject.media_type, subject.raw)
    made = by.simple(target, work.image, annotations_of(args.annotations))
    return await append_signature(
        work.store, subject, made, pause=signing.Patience(), signer=by.trust(b"")
    )

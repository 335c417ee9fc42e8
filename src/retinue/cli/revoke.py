"""`retinue revoke`: what a signer said no longer counts.

Writes the next version of the signed list that the policy names; you sign it
with a key of one of the policy's revokers. SIGNER is a public key, its
fingerprint (sha256:...), or a signer as `retinue verify --json` names it. Without
SIGNER the list is only renewed, before it expires.

With --paper it attaches a signed revocation to --image instead. That travels with
the image, but whoever serves the image can hide it: the list is what protects.

  retinue revoke ci25.pub --policy policy.toml --key sec.key --reason superseded
  retinue revoke ci25.pub --policy policy.toml --key sec.key --reason stolen \\
    --compromise --before 2026-03-01T00:00:00Z
  retinue revoke --policy policy.toml --key sec.key
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retinue.cli import options, passwords, trusting
from retinue.cli.problems import BadUsage, Missing
from retinue.cli.render import count, emit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from retinue.attest.keys.key import Signer
    from retinue.client.client import Client
    from retinue.oci.digest import Digest
    from retinue.papers.revocations import Revocation, Revocations
    from retinue.policy.model import Policy

ATTEMPTS = 5
"""How often the next version is made when others publish theirs at the same time."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("signer", metavar="SIGNER", nargs="?", help="whose signatures")
    parser.add_argument("--policy", metavar="FILE", type=Path, help="names the list, and revokers")
    parser.add_argument("--key", metavar="KEY", required=True, help="a revoker's private key")
    passwords.arguments(parser)
    parser.add_argument("--image", metavar="REFERENCE", help="only what he said of this image")
    parser.add_argument("--type", metavar="TYPE", help="only attestations of this predicate type")
    parser.add_argument("--before", metavar="TIME", help="only what was signed before; ISO 8601")
    parser.add_argument(
        "--compromise",
        action="store_true",
        help="the key was lost (at --before): only what has a trusted time before that counts",
    )
    parser.add_argument("--reason", metavar="TEXT", default="", help="why")
    parser.add_argument("--undo", action="store_true", help="take such an entry out again")
    parser.add_argument("--expires", metavar="TIME", default="30d", help="of the list [30d]")
    parser.add_argument("--paper", action="store_true", help="attach it to --image instead")
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.attest.keys.table import open_signer

    _check(args)
    signer = open_signer(args.key, passwords.password(args))
    data, text = asyncio.run(_paper(args, signer) if args.paper else _list(args, signer))
    emit(data, text, as_json=args.json)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raises BadUsage for options that do not go together."""
    if args.paper and (args.undo or not args.image or not args.signer):
        raise BadUsage("--paper revokes what SIGNER said of --image", "give both, without --undo")
    if not args.paper and args.policy is None:
        raise BadUsage("no list is named", "give --policy FILE, or --paper")
    if args.signer and not args.reason and not args.undo:
        raise BadUsage("a revocation without a reason helps nobody", "give --reason TEXT")
    if not args.signer and (args.image or args.type or args.undo or args.compromise):
        raise BadUsage("whose signatures is not said", "name SIGNER")


async def _entry(args: argparse.Namespace, reached: "Client") -> "Revocation":
    from retinue.papers.kinds import predicate_type
    from retinue.papers.revocations import Revocation

    return Revocation(
        signer=_signer(args.signer),
        reason=args.reason,
        subject=await _subject(args.image, reached) if args.image else None,
        predicate_type=predicate_type(args.type) if args.type else None,
        before=_instant(args.before) if args.before else None,
        compromise=args.compromise,
    )


def _signer(text: str) -> str:
    """A principal or a fingerprint as it is; of a public key, its fingerprint."""
    from retinue.attest.keys.table import open_public

    if text.startswith(("sha256:", "key:", "keyless:", "x509:")):
        return text
    return open_public(text).fingerprint


def _instant(text: str) -> "datetime":
    from datetime import UTC, datetime

    try:
        at = datetime.fromisoformat(text)
    except ValueError as problem:
        raise BadUsage(f"--before {text[:40]!r}", "write it as 2026-03-01T00:00:00Z") from problem
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


async def _subject(text: str, reached: "Client") -> "Digest":
    from retinue.cli.reach import find
    from retinue.oci.reference import parse_location

    location = parse_location(text)
    async with reached.source(location) as store:
        return await find(store, location)


async def _list(args: argparse.Namespace, signer: "Signer") -> tuple[dict[str, Any], str]:
    from retinue.cli import revocations
    from retinue.cli.reach import client
    from retinue.oci.stores import TagMoved

    policy = trusting.from_file(args.policy)
    name = policy.revocation.list if policy.revocation is not None else None
    if name is None:
        raise BadUsage(f"{args.policy} names no revocation list", "set revocation.list in it")
    async with client(args) as reached:
        entry = await _entry(args, reached) if args.signer else None
        for attempt in range(1, ATTEMPTS + 1):
            previous = await revocations.latest(reached, policy)
            add, undo = _change(args, previous, entry)
            try:
                version = await _publish(args, reached, policy, signer, (previous, add, undo))
            except TagMoved:
                if attempt == ATTEMPTS:
                    raise
            else:
                break
    data = {"list": name, "version": version.version, "entries": len(version.entries)}
    held = count(len(version.entries), "revocation")
    until = version.expires
    return data | {"expires": until.isoformat()}, (
        f"{name} is at version {version.version}: {held}, until {until:%Y-%m-%d %H:%M} UTC"
    )


def _change(
    args: argparse.Namespace, previous: "Revocations | None", entry: "Revocation | None"
) -> "tuple[Sequence[Revocation], Sequence[Revocation]]":
    """What is added, and what is taken out."""
    if entry is None:
        return (), ()
    if not args.undo:
        return (entry,), ()
    wanted = entry.signer, entry.subject, entry.predicate_type
    there = previous.entries if previous is not None else ()
    gone = [e for e in there if (e.signer, e.subject, e.predicate_type) == wanted]
    if not gone:
        raise Missing("such revocation", "the list", "see what it holds: retinue policy explain")
    return (), gone


async def _publish(
    args: argparse.Namespace, reached: "Client", policy: "Policy", signer: "Signer", change: Any
) -> "Revocations":
    """Make, sign and publish the next version; raises NoAnchor if the signer is not a revoker, ListDisowned for
    a revoker's key that does not count."""
    from datetime import UTC, datetime

    from retinue.attest.sign import sign_statement
    from retinue.cli.reading import duration
    from retinue.cli.revocations import verified
    from retinue.oci.reference import parse
    from retinue.papers.revocationlist import next_version
    from retinue.papers.revoke import publish_list

    assert policy.revocation is not None
    assert policy.revocation.list is not None
    previous, add, undo = change
    name, now = policy.revocation.list, datetime.now(UTC).replace(microsecond=0)
    statement = next_version(
        name,
        previous,
        add=add,
        undo=undo,
        issued=now,
        expires=now + duration(args.expires, "--expires"),
    )
    bundle = sign_statement(statement, signer)
    made = verified(policy, bundle)
    place = parse(name)
    await publish_list(reached.remote(place.host, place.repository), name, bundle, now)
    return made


async def _paper(args: argparse.Namespace, signer: "Signer") -> tuple[dict[str, Any], str]:
    from datetime import UTC, datetime

    from retinue.attest.sign import sign_statement
    from retinue.cli.hands import KeyHand
    from retinue.cli.reach import client, find_manifest, writable
    from retinue.oci.reference import parse_location
    from retinue.papers.attach import attach_bundle
    from retinue.papers.revoke import revocation_statement

    location = parse_location(args.image)
    async with client(args) as reached, writable(reached, location) as store:
        entry = await _entry(args, reached)
        subject = await find_manifest(store, location)
        bundle = sign_statement(revocation_statement(subject, entry), signer)
        trust = KeyHand(signer).trust()
        attached = await attach_bundle(
            store, subject, bundle, created=datetime.now(UTC), signer=trust
        )
    return {"subject": subject.digest, "paper": attached.digest}, attached.digest

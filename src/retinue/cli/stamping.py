"""`retinue sign --receipts`: a trusted time for the signatures that an image has already."""

import argparse
from typing import TYPE_CHECKING

from retinue.cli import witnesses
from retinue.cli.problems import BadUsage, Missing

if TYPE_CHECKING:
    from retinue.attest.root import TrustedRoot
    from retinue.cli.signing import Work
    from retinue.papers.attach import Attached
    from retinue.papers.stamping import Signatures

_OTHERS = (
    "key", "identity_token", "trust_config", "signing_config", "rekor_url", "tag_statement",
    "annotations",
)  # fmt: skip


def check(args: argparse.Namespace) -> "TrustedRoot | None":
    """Whose receipts are wanted; raises BadUsage for what does not go together, RootInvalid."""
    if not args.timestamp_server_url:
        raise BadUsage("--receipts needs --timestamp-server-url", "say who stamps them")
    for name in _OTHERS:
        if getattr(args, name):
            option = f"--{name.replace('_', '-')}"
            raise BadUsage(f"--receipts signs nothing, so {option} says nothing", "leave it out")
    if args.format != "bundle":
        raise BadUsage("--receipts have one format", "leave --format out")
    return witnesses.root(args)


def run(args: argparse.Namespace) -> int:
    """Raises Missing where an image has no signature. Where it could not be looked everywhere, what
    was found is stamped all the same, and the exit code says so.
    """
    import asyncio

    from retinue.cli import exits, signing
    from retinue.cli.output import note
    from retinue.cli.render import emit

    root = check(args)
    blind: dict[str, str] = {}
    done = asyncio.run(signing.each(args, lambda work: _stamp(args, root, work, blind)))
    emit(
        {
            "stamped": [signing.data(work, papers) for work, papers in done],
            "blind": blind,
            "dry_run": args.dry_run,
        },
        signing.text("stamp", done, dry_run=args.dry_run),
        as_json=args.json,
    )
    for what, why in blind.items():
        note(f"could not look at {what}: {why}")
    return exits.BLIND if blind else exits.DONE


async def _stamp(
    args: argparse.Namespace, root: "TrustedRoot | None", work: "Work", blind: dict[str, str]
) -> "list[Attached]":
    """A receipt for each signature of an image that has none yet."""
    from datetime import UTC, datetime

    from retinue.attest.posting import post
    from retinue.attest.witnessing import receipt
    from retinue.papers.attach import attach_receipt

    found = await _signatures(root, work, blind)
    if args.dry_run:
        return []
    done = []
    for place, signature in found.unstamped.values():
        token = receipt(signature, args.timestamp_server_url, root, post)
        now = datetime.now(UTC)
        done.append(await attach_receipt(work.store, place, token, signature, created=now))
    return done


async def _signatures(
    root: "TrustedRoot | None", work: "Work", blind: dict[str, str]
) -> "Signatures":
    from functools import partial

    from retinue.attest.witnessing import is_stamp
    from retinue.papers.collect import collect
    from retinue.papers.stamping import signatures_of

    collected = await collect(work.store, work.subject, receipts=True)
    blind.update(collected.blind)
    found = signatures_of(collected, work.subject.digest, partial(is_stamp, root=root))
    if not found.stamped and not found.unstamped and not collected.blind:
        raise Missing("signature", f"{work.image}@{work.subject.digest}", "sign it first")
    return found

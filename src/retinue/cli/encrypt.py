"""`retinue copy --encryption-key …`: copies that encrypt, decrypt, or export an encrypted image.

What is written is another image with another digest; papers about the old one do not come along, and
that has to be said.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from retinue.cli import passwords
from retinue.cli.problems import BadUsage
from retinue.cli.render import count, emit

if TYPE_CHECKING:
    from retinue.crypt.image import Change
    from retinue.crypt.keys import Opener, Recipient
    from retinue.oci.digest import Digest
    from retinue.oci.manifest import Manifest
    from retinue.oci.reference import Location
    from retinue.oci.stores import Sink, Source

PROTOCOL = "jwe:"


def arguments(parser: argparse.ArgumentParser) -> None:
    """skopeo's names where they mean the same."""
    group = parser.add_argument_group("encryption")
    recipients(group)
    openers(group)
    group.add_argument(
        "--encrypt-layer",
        metavar="N",
        type=int,
        action="append",
        help="encrypt this layer only, counted from 0, or from the end: -1; may be repeated",
    )
    group.add_argument(
        "--merge-recipients",
        action="store_true",
        help="write the recipients that papers hold into the copy, where other tools look for them",
    )


def recipients(group: argparse._ActionsContainer, *, required: bool = False) -> None:
    group.add_argument(
        "--encryption-key",
        metavar="jwe:FILE",
        action="append",
        default=[],
        required=required,
        help="encrypt for the holder of this public key or certificate (PEM); may be repeated",
    )


def openers(group: argparse._ActionsContainer, *, required: bool = False) -> None:
    group.add_argument(
        "--decryption-key",
        metavar="FILE",
        action="append",
        default=[],
        required=required,
        help="decrypt with this private key (PEM); may be repeated",
    )
    passwords.arguments(group)


def wanted(args: argparse.Namespace) -> bool:
    """Whether this copy changes what it copies."""
    return bool(args.encryption_key or args.decryption_key or args.merge_recipients)


def run(args: argparse.Namespace, source: "Location", sink: "Location") -> int:
    """Copy with the change that is asked for, and say what came of it."""
    import asyncio

    _check(args, sink)
    change = asyncio.run(_copy(args, source, sink))
    data: dict[str, Any] = {
        "source": str(source),
        "destination": str(sink),
        "digest": change.manifest.digest,
        "left_out": list(change.left_out),
    }
    lines = [f"{_did(args)} {sink}", change.manifest.digest]
    lines += [f"left out {digest}: it is about what was changed" for digest in change.left_out]
    emit(data, "\n".join(lines), as_json=args.json)
    return 0


def _did(args: argparse.Namespace) -> str:
    if args.encryption_key:
        return "encrypted to"
    return "decrypted to" if args.decryption_key else "exported to"


def _check(args: argparse.Namespace, sink: "Location") -> None:
    asked = [args.encryption_key, args.decryption_key, args.merge_recipients]
    if sum(map(bool, asked)) != 1:
        raise BadUsage(
            "a copy encrypts, decrypts, or merges recipients",
            "give one of --encryption-key, --decryption-key, --merge-recipients",
        )
    if args.encrypt_layer and not args.encryption_key:
        raise BadUsage("--encrypt-layer needs --encryption-key", "say for whom it is encrypted")
    if getattr(args, "all_tags", False):
        raise BadUsage("--all-tags copies without a change", "name one image")
    if sink.digest is not None:
        raise BadUsage(f"{sink} names a digest", "a destination has a tag, or nothing")


async def _copy(args: argparse.Namespace, source_at: "Location", sink_at: "Location") -> "Change":
    from retinue.cli.choosing import for_platform
    from retinue.cli.reach import client, find_manifest

    async with client(args) as reached, reached.source(source_at) as source:
        image = await for_platform(source, await find_manifest(source, source_at), args.platform)
        left = await _left_behind(args, source, image)
        async with reached.sink(sink_at) as sink:
            change = await _change(args, source, sink, image)
            tag = sink_at.tag or source_at.tag
            if tag:
                await sink.put_tag(tag, change.manifest.digest)
            return replace(change, left_out=tuple(dict.fromkeys((*change.left_out, *left))))


async def _left_behind(
    args: argparse.Namespace, source: "Source", image: "Manifest"
) -> "Sequence[Digest]":
    """The papers that do not come along; raises BadUsage unless --without-papers allows it."""
    from retinue.crypt.errors import NotEncryptable
    from retinue.crypt.image import papers_about

    try:
        left = await papers_about(source, image)
    except NotEncryptable:
        if args.without_papers:
            return ()
        raise
    if left and not args.without_papers:
        raise BadUsage(
            f"{count(len(left), 'paper')} would stay behind: what is written is another image",
            "say --without-papers, and sign the copy anew",
        )
    return left


async def _change(
    args: argparse.Namespace, source: "Source", sink: "Sink", image: "Manifest"
) -> "Change":
    from retinue.crypt.image import decrypt_image, encrypt_image, export_image

    if args.encryption_key:
        whom = read_recipients(args.encryption_key)
        return await encrypt_image(source, sink, image, whom, only=args.encrypt_layer)
    if args.decryption_key:
        return await decrypt_image(source, sink, image, read_openers(args))
    return await export_image(source, sink, image)


def read_recipients(references: Sequence[str]) -> "Sequence[Recipient]":
    """`jwe:FILE` as skopeo has it; raises BadUsage, RecipientUnusable."""
    from retinue.crypt.keys import load_recipient

    for reference in references:
        if not reference.startswith(PROTOCOL):
            raise BadUsage(
                f"{reference!r} is no recipient", f"write {PROTOCOL}FILE of a public key"
            )
    paths = [reference.removeprefix(PROTOCOL) for reference in references]
    return [load_recipient(_read(path), path) for path in paths]


def read_openers(args: argparse.Namespace) -> "Sequence[Opener]":
    """Raises RecipientUnusable, KeyUnusable; the password is asked for only where one is needed."""
    from retinue.attest.keys.pem import open_private
    from retinue.crypt.keys import opener_of

    password = passwords.password(args)
    paths = args.decryption_key
    return [opener_of(open_private(_read(path), password, path), path) for path in paths]


def _read(path: str) -> bytes:
    from retinue.crypt.errors import RecipientUnusable
    from retinue.crypt.keys import MAX_PEM

    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_PEM + 1)
    except OSError as error:
        raise RecipientUnusable(path, f"cannot be read: {error.strerror or error}") from None

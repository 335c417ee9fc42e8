"""`retinue key import`: take a private key that was made elsewhere, and encrypt it.

PKCS#1, SEC1 and PKCS#8 PEM are read: P-256, P-384, P-521, RSA of 2048 to 4096
bits, Ed25519. Writes PREFIX.key and PREFIX.pub.

  retinue key import --key ci.pem --output-key-prefix ci
"""

import argparse
from pathlib import Path

from retinue.cli import options, passwords
from retinue.cli.key.files import write_pair
from retinue.cli.render import emit

MAX_KEY = 64 * 1024
"""Bytes of a private key's file."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", "--key", metavar="FILE", type=Path, required=True, help="the PEM")
    parser.add_argument(
        "-o",
        "--output-key-prefix",
        metavar="PREFIX",
        default="imported",
        help="names of the files, without .key and .pub [imported]",
    )
    passwords.arguments(parser)
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    from retinue.attest.errors import KeyUnusable
    from retinue.attest.keys.generate import take

    with args.key.open("rb") as file:
        pem = file.read(MAX_KEY + 1)
    if len(pem) > MAX_KEY:
        raise KeyUnusable(str(args.key), f"the file has more than {MAX_KEY} bytes")
    pair = take(pem, passwords.password(args, confirm=True)(), str(args.key))
    private, public = write_pair(args.output_key_prefix, pair.private, pair.public)
    emit(
        {"private": private, "public": public, "fingerprint": pair.fingerprint},
        f"wrote {private} (keep it secret) and {public}\n{pair.fingerprint}",
        as_json=args.json,
    )
    return 0

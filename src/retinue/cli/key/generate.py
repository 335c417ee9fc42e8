"""`retinue key generate`: make a key pair, PREFIX.key (encrypted) and PREFIX.pub.

The private key is written as cosign writes it, so both tools can use it. An
empty password leaves it readable by whoever reads the file.

  retinue key generate
  retinue key generate --output-key-prefix ci --algorithm ed25519
"""

import argparse

from retinue.cli import options, passwords
from retinue.cli.key.files import write_pair
from retinue.cli.render import emit

ALGORITHMS = ("p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "ed25519")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output-key-prefix",
        metavar="PREFIX",
        default="retinue",
        help="names of the files, without .key and .pub [retinue]",
    )
    parser.add_argument(
        "--algorithm",
        choices=ALGORITHMS,
        default="p256",
        help="p256 is what every tool can check [p256]",
    )
    passwords.arguments(parser)
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    from retinue.attest.keys.generate import generate

    pair = generate(args.algorithm, passwords.password(args, confirm=True)())
    private, public = write_pair(args.output_key_prefix, pair.private, pair.public)
    emit(
        {"private": private, "public": public, "fingerprint": pair.fingerprint},
        f"wrote {private} (keep it secret) and {public}\n{pair.fingerprint}",
        as_json=args.json,
    )
    return 0

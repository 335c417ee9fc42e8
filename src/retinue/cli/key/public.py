"""`retinue key public`: print the public key of a key, wherever that key is.

retinue key public --key ci.key
retinue key public --key hashivault://ci
"""

import argparse

from retinue.cli import options, passwords
from retinue.cli.render import emit


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", metavar="KEY", required=True, help="a file or a key reference")
    passwords.arguments(parser)
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    from retinue.attest.keys.table import open_signer

    public = open_signer(args.key, passwords.password(args)).public
    emit(
        {"pem": public.pem.decode(), "fingerprint": public.fingerprint},
        public.pem.decode().rstrip("\n"),
        as_json=args.json,
    )
    return 0

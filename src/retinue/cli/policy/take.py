"""`retinue policy import`: a policy out of another tool's.

FILE is a ClusterImagePolicy (YAML or JSON, one or several), or a trust policy of
notation (trustpolicy.json), for which --trust-store names the folder that holds
x509/ca/NAME. The policy is printed; its comments say what changed, and which files
to put beside it. What cannot be said is an error that names the field.

  retinue policy import cluster-image-policy.yaml > policy.toml
  retinue policy import trustpolicy.json --trust-store trust-store > trust-store/policy.toml
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli.output import say
from retinue.cli.problems import BadUsage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_BYTES = 1024 * 1024
KINDS = ("ca", "signingAuthority", "tsa")
ENDINGS = (".pem", ".crt", ".cer")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="the policy of the other tool")
    parser.add_argument(
        "--trust-store",
        metavar="DIR",
        type=Path,
        help="notation's trust store; certificates are named from here",
    )


def run(args: argparse.Namespace) -> int:
    from retinue.policy.importers import clusterimagepolicy, notation, programs

    programs.refuse(args.file.name)
    with args.file.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise BadUsage(f"{args.file} has more than {MAX_BYTES} bytes", "name another file")
    if b'"trustPolicies"' in raw:
        if args.trust_store is None:
            raise BadUsage("a trust policy of notation needs its store", "give --trust-store DIR")
        text = notation.convert(raw, stores(args.trust_store))
    else:
        text = clusterimagepolicy.convert(raw)
    say(text.removesuffix("\n"))
    return 0


def stores(root: Path) -> "Mapping[str, Sequence[str]]":
    """The certificate files of each named store; links do not count (as notation has it)."""
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        for path in sorted(root.glob(f"x509/{kind}/*/*")):
            plain = path.is_file() and not path.is_symlink() and not path.parent.is_symlink()
            if plain and path.suffix in ENDINGS:
                name = f"{kind}:{path.parent.name}"
                found.setdefault(name, []).append(path.relative_to(root).as_posix())
    return found

"""`retinue download attestation`: print an image's attestations, a line of JSON each.

Bundles and envelopes as they are, whether or not their signatures verify;
--predicate-type takes short names (cyclonedx, slsaprovenance1, ...) or an URI.
"""

import argparse

from retinue.cli.downloading import papers


def arguments(parser: argparse.ArgumentParser) -> None:
    papers.arguments(parser)
    parser.add_argument(
        "--predicate-type", "--type", dest="type", metavar="TYPE", help="only of this type"
    )


def run(args: argparse.Namespace) -> int:
    from retinue.oci import names
    from retinue.papers.kinds import predicate_type

    wanted = predicate_type(args.type) if args.type else None
    collected = papers.fetch(args)
    count = 0
    for _, content, statement in papers.statements(collected):
        if statement is None or statement.predicate_type == names.PREDICATE_SIGN:
            continue
        if wanted is None or statement.predicate_type == wanted:
            papers.line(content)
            count += 1
    return papers.end(args, collected, count, "such attestations" if wanted else "attestations")

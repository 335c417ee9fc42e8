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
    found = [
        content
        for _, content, statement in papers.statements(collected)
        if statement is not None
        and statement.predicate_type != names.PREDICATE_SIGN
        and wanted in {None, statement.predicate_type}
    ]
    papers.show(found, as_json=args.json)
    what = "such attestations" if wanted else "attestations"
    return papers.end(args, collected, len(found), what)

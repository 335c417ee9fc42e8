"""Who is asked to witness a signature by a key: a timestamp authority, a log, by the options."""

import argparse
from typing import TYPE_CHECKING

from retinue.cli.problems import BadUsage
from retinue.cli.reading import read_file

if TYPE_CHECKING:
    from retinue.attest.root import TrustedRoot
    from retinue.attest.services import Witnesses


MAX_FILE = 8 * 1024 * 1024


def witnesses(args: argparse.Namespace) -> "Witnesses | None":
    """Those of the addresses given, or of a config; raises BadUsage, RootInvalid. None: nobody."""
    found = _of_config(args)
    addresses = bool(args.timestamp_server_url or args.rekor_url)
    if found is not None and addresses:
        raise BadUsage(
            "the config names services, and --timestamp-server-url and --rekor-url do, too",
            "give either",
        )
    if addresses:
        found = _of_addresses(args)
    if found is not None and args.format in {"legacy", "both"}:
        _check_legacy(found)
    return found


def _of_config(args: argparse.Namespace) -> "Witnesses | None":
    if args.trust_config is None and args.signing_config is None:
        return None
    from datetime import UTC, datetime

    from retinue.attest.services import read_client_witnesses, read_signing_witnesses

    now = datetime.now(UTC)
    if args.trust_config is not None:
        return read_client_witnesses(read_file(args.trust_config, MAX_FILE), now)
    return read_signing_witnesses(read_file(args.signing_config, MAX_FILE), root(args), now)


def _of_addresses(args: argparse.Namespace) -> "Witnesses":
    from retinue.attest.services import LogService, Witnesses

    stamps = (args.timestamp_server_url,) if args.timestamp_server_url else ()
    logs = (LogService(args.rekor_url.rstrip("/"), 1),) if args.rekor_url else ()
    return Witnesses(stamps, logs, root(args))


def root(args: argparse.Namespace) -> "TrustedRoot | None":
    """Whom the answers must be by; raises RootInvalid."""
    if args.trusted_root is None:
        return None
    from retinue.attest.root import read_root

    return read_root(read_file(args.trusted_root, MAX_FILE))


def _check_legacy(found: "Witnesses") -> None:
    """Cosign's annotations have room for one stamp, and for an entry that carries a promise."""
    if len(found.stamps) > 1 or len(found.logs) > 1:
        raise BadUsage("--format legacy has room for one stamp and one entry", "write bundles")
    if any(log.version != 1 for log in found.logs):
        raise BadUsage("--format legacy has no room for entries of Rekor 2", "write bundles")

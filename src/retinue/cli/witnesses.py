"""Who is asked to witness a signature by a key: a timestamp authority, a log, by the options."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli.problems import BadUsage

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
    if found is not None and getattr(args, "format", "bundle") != "bundle":
        _check_legacy(found)
    return found


def _of_config(args: argparse.Namespace) -> "Witnesses | None":
    if args.trust_config is None and args.signing_config is None:
        return None
    from datetime import UTC, datetime

    from retinue.attest.services import read_client_witnesses, read_signing_witnesses

    now = datetime.now(UTC)
    if args.trust_config is not None:
        return read_client_witnesses(read(args.trust_config), now)
    return read_signing_witnesses(read(args.signing_config), root(args), now)


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

    return read_root(read(args.trusted_root))


def read(path: Path) -> bytes:
    """A file of bounded size; raises BadUsage."""
    with path.open("rb") as file:
        raw = file.read(MAX_FILE + 1)
    if len(raw) > MAX_FILE:
        raise BadUsage(f"{path} has more than {MAX_FILE} bytes", "name another file")
    return raw


def _check_legacy(found: "Witnesses") -> None:
    """Cosign's annotations have room for one stamp, and for an entry that carries a promise."""
    if len(found.stamps) > 1 or len(found.logs) > 1:
        raise BadUsage("--format legacy has room for one stamp and one entry", "write bundles")
    if any(log.version != 1 for log in found.logs):
        raise BadUsage("--format legacy has no room for entries of Rekor 2", "write bundles")

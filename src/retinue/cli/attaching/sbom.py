"""`retinue attach sbom`: attach an SBOM as it is, unsigned.

As a referrer with the document's own type; --format legacy puts it at cosign's
tag sha256-<hex>.sbom, which holds one.

  retinue attach sbom --sbom sbom.cdx.json --type cyclonedx registry.example.com/app:1
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import options, signing
from retinue.cli.attaching import common
from retinue.oci import names

if TYPE_CHECKING:
    from retinue.cli.signing import Work
    from retinue.papers.attach import Attached

TYPES = {
    "spdx": names.SPDX_TEXT,
    "spdxjson": names.SPDX_JSON,
    "cyclonedx": names.CYCLONEDX_JSON,
    "cyclonedxxml": names.CYCLONEDX_XML,
    "syft": names.SYFT_JSON,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    common.arguments(parser)
    parser.add_argument("--sbom", metavar="FILE", type=Path, required=True, help="the document")
    parser.add_argument("--type", choices=tuple(TYPES), default="cyclonedx", help="[cyclonedx]")
    parser.add_argument("--format", choices=("bundle", "legacy"), default="bundle")
    parser.add_argument("--replace", action="store_true", help="with --format legacy")
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    content = common.read(args.sbom)
    return common.attach(args, lambda work: _attach(args, work, content))


async def _attach(args: argparse.Namespace, work: "Work", content: bytes) -> "list[Attached]":
    from datetime import UTC, datetime

    from retinue.papers.append import put_sbom
    from retinue.papers.attach import attach_sbom

    kind = TYPES[args.type]
    if args.format == "legacy":
        pause, replace = signing.Patience(), args.replace
        return [
            await put_sbom(work.store, work.subject, content, kind, pause=pause, replace=replace)
        ]
    now = datetime.now(UTC)
    return [await attach_sbom(work.store, work.subject, content, kind, created=now)]

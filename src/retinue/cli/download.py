"""`retinue download`: write what an image's papers hold into files.

--type takes an artifact type, a media type, or a kind as `retinue tree` shows
it: sbom, signature, attestation, bundle, vex, paper.

download signature, download attestation and download sbom print instead, as
cosign does (each with --help).

  retinue download registry.example.com/app:1 --type sbom --output papers
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retinue.cli import exits, options
from retinue.cli.output import note
from retinue.cli.render import clean, emit

if TYPE_CHECKING:
    from retinue.cli.gathering import Retinue
    from retinue.cli.saving import File
    from retinue.oci.digest import Digest
    from retinue.oci.manifest import Manifest


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    parser.add_argument("--type", metavar="TYPE", help="only papers of this type or kind")
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path(), help="folder for the files [.]"
    )
    options.platform(parser)
    options.dry_run(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    retinue, files = asyncio.run(_download(args))
    paths = [(str(args.output / file.name), paper, file) for paper, file in files]
    data: dict[str, Any] = {
        "subject": retinue.root,
        "files": [
            {"path": path, "paper": paper, "digest": file.blob.digest, "size": file.blob.size}
            for path, paper, file in paths
        ],
        "blind": {digest: dict(ways) for digest, ways in retinue.blind.items()},
        "dry_run": args.dry_run,
    }
    emit(data, "\n".join(clean(path) for path, _, _ in paths), as_json=args.json)
    return _judge(args, retinue, found=bool(files))


def _judge(args: argparse.Namespace, retinue: "Retinue", *, found: bool) -> int:
    """No papers is one answer, and not having been able to look is another."""
    for digest, ways in retinue.blind.items():
        for way, why in ways.items():
            note(f"retinue: could not look for papers of {digest} by {way}: {clean(why)}")
    if retinue.blind:
        return exits.BLIND
    if not found:
        what = f"papers of type {args.type!r}" if args.type else "papers"
        note(f"retinue: {args.reference} has no {what}; see: retinue tree {args.reference}")
        return exits.MISSING
    return exits.DONE


async def _download(args: argparse.Namespace) -> tuple["Retinue", list[tuple["Digest", "File"]]]:
    from retinue.cli.choosing import for_platform
    from retinue.cli.gathering import gather
    from retinue.cli.reach import client, find_manifest
    from retinue.cli.saving import save
    from retinue.files import Root
    from retinue.oci.reference import parse_location

    location = parse_location(args.reference)
    async with client(args) as reached, reached.source(location) as store:
        chosen = await for_platform(store, await find_manifest(store, location), args.platform)
        retinue = await gather(store, chosen.digest)
        files = _plan(retinue, args.type)
        if files and not args.dry_run:
            args.output.mkdir(parents=True, exist_ok=True)
            with Root(args.output) as root:
                await save(store, root, [file for _, file in files])
        return retinue, files


def _plan(retinue: "Retinue", wanted: str | None) -> list[tuple["Digest", "File"]]:
    """The files of the papers that fit; a name that several have gets the paper's digest."""
    from retinue.cli.saving import File
    from retinue.oci import digest as digests
    from retinue.oci.manifest import Manifest

    files: list[tuple[Digest, File]] = []
    for paper in retinue.all_papers():
        manifest = retinue.found.get(paper)
        if isinstance(manifest, Manifest) and _fits(manifest, wanted):
            files += [(paper, file) for file in _files(manifest)]
    times = Counter(file.name for _, file in files)
    return [
        (p, File(f"{digests.encoded(p)[:12]}/{f.name}", f.blob) if times[f.name] > 1 else f)
        for p, f in files
    ]


def _fits(manifest: "Manifest", wanted: str | None) -> bool:
    from retinue.cli.kinds import kind_of, types_of

    return wanted is None or wanted in {kind_of(manifest), *types_of(manifest)}


def _files(manifest: "Manifest") -> list["File"]:
    """The payloads: blobs besides the configuration, by their titles or by what they are."""
    from retinue.cli.kinds import kind_of
    from retinue.cli.saving import File
    from retinue.oci import digest as digests
    from retinue.oci import names

    found = []
    for blob in manifest.blobs:
        if blob == manifest.config or blob.media_type == names.OCI_EMPTY:
            continue
        ending = "json" if blob.media_type.endswith("json") else "bin"
        made = f"{kind_of(manifest)}-{digests.encoded(blob.digest)[:12]}.{ending}"
        found.append(File(blob.annotations.get(names.ANNOTATION_TITLE, made), blob))
    return found

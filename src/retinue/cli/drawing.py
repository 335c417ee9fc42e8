"""How an image with its papers is drawn: lines for people, nested objects for programs."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from retinue.cli.gathering import Retinue
from retinue.cli.kinds import kind_of, part_kind, types_of
from retinue.cli.render import CYAN, DIM, GREEN, RED, clean, paint, size
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Way
from retinue.oci.manifest import Manifest, Unreadable

USUAL = frozenset({names.OCI_MANIFEST, names.OCI_INDEX})


class Node(Struct, frozen=True):
    """One line. `ways` are empty for what is no paper; `size` is None for what cannot be read;
    `verdict` is what was established about a paper, where that was asked."""

    digest: Digest
    kind: str
    detail: str
    size: int | None
    ways: tuple[str, ...]
    verdict: str = ""


def draw(retinue: Retinue, verdicts: Mapping[Digest, str] | None = None) -> list[str]:
    """A line for each manifest, its columns aligned; what occurs again is drawn once."""
    said = verdicts or {}
    rows = [
        (stem, replace(node, verdict=said.get(node.digest, "")) if node.ways else node)
        for stem, node in _rows(retinue, retinue.root, None, "", "", set())
    ]
    heads = [len(stem) + len(node.kind) for stem, node in rows]
    details = [len(node.detail) for _, node in rows]
    return [_line(stem, node, max(heads), max(details)) for stem, node in rows]


def _line(stem: str, node: Node, head: int, detail: int) -> str:
    colour = RED if node.size is None else GREEN if node.ways else CYAN
    space = " " * (head - len(stem) - len(node.kind))
    amount = "" if node.size is None else size(node.size)
    ways = f"  by {', '.join(node.ways)}" if node.ways else ""
    verdict = f"  {_verdict(node.verdict)}" if node.verdict else ""
    return (
        f"{stem}{paint(node.kind, colour)}{space}  {node.detail.ljust(detail)}  "
        f"{amount:>9}  {paint(node.digest, DIM)}{ways}{verdict}"
    ).rstrip()


def _verdict(text: str) -> str:
    colour = GREEN if text.startswith("verified") else RED if text.startswith("failed") else DIM
    return paint(clean(text), colour)


def _rows(
    retinue: Retinue,
    digest: Digest,
    subject: Digest | None,
    stem: str,
    below: str,
    seen: set[Digest],
) -> Iterator[tuple[str, Node]]:
    again = digest in seen
    node = _node(retinue, digest, subject)
    yield stem, Node(digest, node.kind, "(as above)", node.size, node.ways) if again else node
    if again:
        return
    seen.add(digest)
    inner = [(child, None) for child in retinue.parts(digest)]
    papers = [(paper, digest) for paper in retinue.papers_of(digest)]
    branches: list[tuple[Digest, Digest | None]] = [*inner, *papers]
    for number, (child, about) in enumerate(branches, 1):
        last = number == len(branches)
        fork, rest = ("└── ", "    ") if last else ("├── ", "│   ")
        yield from _rows(retinue, child, about, below + fork, below + rest, seen)


def _node(retinue: Retinue, digest: Digest, subject: Digest | None) -> Node:
    ways = retinue.papers[subject][digest] if subject is not None else set[str]()
    shown = tuple(sorted(map(str, ways)))
    manifest = retinue.found.get(digest)
    if not isinstance(manifest, Manifest):
        why = clean(manifest.reason) if isinstance(manifest, Unreadable) else "not in the store"
        kind = "unreadable" if isinstance(manifest, Unreadable) else "missing"
        return Node(digest, kind, why[:80], None, shown)
    total = len(manifest.raw) + sum(blob.size for blob in manifest.blobs)
    if subject is None:
        return Node(digest, part_kind(manifest), _detail(retinue, manifest), total, ())
    kind = kind_of(manifest, [way for way in Way if way in ways])
    types = types_of(manifest)
    return Node(digest, kind, clean(types[0] if types else manifest.media_type), total, shown)


def _detail(retinue: Retinue, manifest: Manifest) -> str:
    """The platform that an index states for an image, an artifact's type, else the unusual."""
    for parent in retinue.found.values():
        for child in parent.children if isinstance(parent, Manifest) else ():
            if child.digest == manifest.digest and child.platform is not None:
                return clean(str(child.platform))
    if part_kind(manifest) == "artifact":
        return clean(manifest.artifact_type or "")
    return "" if manifest.media_type in USUAL else manifest.media_type


def node_data(
    retinue: Retinue,
    digest: Digest,
    subject: Digest | None = None,
    above: frozenset[Digest] = frozenset(),
) -> dict[str, Any]:
    """A manifest with its parts and papers; what is its own ancestor is not opened again."""
    node = _node(retinue, digest, subject)
    manifest = retinue.found.get(digest)
    data: dict[str, Any] = {"digest": digest, "kind": node.kind, "size": node.size}
    if isinstance(manifest, Manifest):
        data |= {
            "media_type": manifest.media_type,
            "artifact_type": manifest.artifact_type,
            "annotations": dict(manifest.annotations),
        }
    else:
        data["why"] = node.detail
    if subject is not None:
        data["ways"] = list(node.ways)
    if digest in above:
        return data
    inside = above | {digest}
    data["parts"] = [node_data(retinue, part, None, inside) for part in retinue.parts(digest)]
    data["papers"] = [node_data(retinue, p, digest, inside) for p in retinue.papers_of(digest)]
    return data

"""How much a bill of materials lists. Which format it is in, its content says, not its label.

CycloneDX (JSON), SPDX 2 (JSON and tag-value), SPDX 3 (JSON-LD), Syft.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from retinue.attest.errors import Malformed
from retinue.attest.predicates import document
from retinue.attest.predicates.huge import load

MAX_NESTING = 32
_WRAPPER = frozenset({"Data", "Timestamp"})
"""What cosign 1 put around a document."""


class Sbom(Struct, frozen=True):
    """`components`: what it lists, without what it describes itself; `purls`: those with one."""

    format: str
    version: str
    components: int
    purls: int

    @property
    def purl_ratio(self) -> float:
        """The part of the components that have a package URL; 0 where there are none."""
        return self.purls / self.components if self.components else 0.0


def read(_: str, predicate: bytes) -> Sbom:
    """Raises Malformed."""
    said = load(predicate, _LISTS)
    if isinstance(said, dict) and said and said.keys() <= _WRAPPER:
        said = said.get("Data")
    if isinstance(said, str):
        text = said.lstrip()
        said = document.load(text.encode()) if text.startswith("{") else text
    if isinstance(said, str):
        return _tag_value(said)
    if not isinstance(said, dict):
        raise Malformed("predicate", "is no bill of materials")
    return _by_content(said)


_LISTS = ("components", "packages", "@graph", "artifacts", "files", "relationships", "dependencies")


def _by_content(said: dict[str, Any]) -> Sbom:
    if said.get("bomFormat") == "CycloneDX":
        found = _count(_cyclonedx(said.get("components"), 0))
        return Sbom("CycloneDX", _text(said, "specVersion"), *found)
    if "spdxVersion" in said:
        found = _count(_spdx2(item) for item in _items(said.get("packages")))
        return Sbom("SPDX", _text(said, "spdxVersion").removeprefix("SPDX-"), *found)
    if "@graph" in said:
        found = _count(_spdx3(_items(said["@graph"])))
        return Sbom("SPDX", "3", *found)
    schema = said.get("schema")
    if "artifacts" in said and isinstance(schema, dict):
        found = _count(bool(item.get("purl")) for item in _items(said["artifacts"]))
        return Sbom("Syft", _text(schema, "version"), *found)
    raise Malformed("predicate", "is no bill of materials in a format that is known")


def _count(have_purl: Iterator[bool]) -> tuple[int, int]:
    components = purls = 0
    for purl in have_purl:
        components += 1
        purls += purl
    return components, purls


def _text(said: dict[str, Any], name: str) -> str:
    found = said.get(name)
    if not isinstance(found, str):
        raise Malformed("predicate", f"{name} is {found!r:.80}, not a string")
    return found


def _items(found: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list, which may be a huge one that is read as it is gone through."""
    if found is None:
        return
    if isinstance(found, dict | str | int | float):
        raise Malformed("predicate", "what should be a list of components is none")
    for item in found:
        if not isinstance(item, dict):
            raise Malformed("predicate", f"a component is {item!r:.80}, not an object")
        yield item


def _cyclonedx(found: Any, depth: int) -> Iterator[bool]:
    """Components can be made of components."""
    if depth > MAX_NESTING:
        raise Malformed("predicate", f"components are nested deeper than {MAX_NESTING}")
    for item in _items(found):
        yield bool(item.get("purl"))
        yield from _cyclonedx(item.get("components"), depth + 1)


def _spdx2(package: dict[str, Any]) -> bool:
    return any(
        reference.get("referenceType") == "purl"
        for reference in _items(package.get("externalRefs"))
    )


def _spdx3(graph: Iterator[dict[str, Any]]) -> Iterator[bool]:
    for item in graph:
        if item.get("type") == "software_Package":
            identifiers = _items(item.get("externalIdentifier"))
            yield bool(item.get("software_packageUrl")) or any(
                one.get("externalIdentifierType") == "packageUrl" for one in identifiers
            )


def _tag_value(text: str) -> Sbom:
    """SPDX 2 in its own syntax, as `cosign attest --type spdx` carries it."""
    version = ""
    components = purls = 0
    purl = True  # what stands before the first package is not counted
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "SPDXVersion":
            version = value.strip().removeprefix("SPDX-")
        elif name == "PackageName":
            components += 1
            purl = False
        elif name == "ExternalRef" and not purl and " purl " in value:
            purls += 1
            purl = True
    if not version:
        raise Malformed("predicate", "is text, and not SPDX: no SPDXVersion in it")
    return Sbom("SPDX", version, components, purls)

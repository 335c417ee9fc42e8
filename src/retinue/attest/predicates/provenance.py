"""SLSA provenance 0.2 and 1, as one value: who built it, how, and from what.

https://slsa.dev/spec/v0.2/provenance, https://slsa.dev/spec/v1.0/provenance
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from retinue.attest.errors import Malformed
from retinue.attest.predicates.document import Object

PREFIX = "https://slsa.dev/provenance/"


class Dependency(Struct, frozen=True):
    """Something that went into a build. `digests`: algorithm to hex (or what it has for one)."""

    uri: str
    digests: Mapping[str, str]


class Provenance(Struct, frozen=True):
    """`source` and `ref` are told where the build type says which field names them, else None.

    `source` is an URI that starts with its tool, as in `git+https://github.com/acme/app`; `ref` is
    a full one, `refs/tags/v1`, where the builder writes it so. Times are the builder's claims.
    """

    version: str
    builder: str
    build_type: str
    source: str | None
    ref: str | None
    dependencies: tuple[Dependency, ...]
    invocation: str | None
    started: datetime | None
    finished: datetime | None


Source: TypeAlias = tuple[str | None, str | None]


def read(predicate_type: str, predicate: bytes) -> Provenance:
    """Raises Malformed; newer minor versions of 1 are read as 1 (its specification promises it)."""
    version = predicate_type.removeprefix(PREFIX).removeprefix("v")
    said = Object.of(predicate)
    if version == "0.2":
        return _v02(said)
    if version.partition(".")[0] == "1":
        return _v1(said)
    raise Malformed("predicate", f"SLSA provenance {version[:40]!r} is not known; 0.2 and 1 are")


def _v02(said: Object) -> Provenance:
    metadata = said.object("metadata")
    configured = said.object("invocation").object("configSource")
    source, ref = split(configured.text("uri"))
    return Provenance(
        "0.2",
        said.object("builder").needed("id"),
        said.needed("buildType"),
        source,
        ref,
        tuple(map(_dependency, said.objects("materials"))),
        metadata.text("buildInvocationID") or metadata.text("buildInvocationId"),
        metadata.time("buildStartedOn"),
        metadata.time("buildFinishedOn"),
    )


def _v1(said: Object) -> Provenance:
    definition, run = said.object("buildDefinition"), said.object("runDetails")
    metadata = run.object("metadata")
    build_type = definition.needed("buildType")
    source, ref = _source(build_type, definition.object("externalParameters"))
    return Provenance(
        "1",
        run.object("builder").needed("id"),
        build_type,
        source,
        ref,
        tuple(map(_dependency, definition.objects("resolvedDependencies"))),
        metadata.text("invocationId") or metadata.text("invocationID"),
        metadata.time("startedOn"),
        metadata.time("finishedOn"),
    )


def _dependency(said: Object) -> Dependency:
    return Dependency(said.text("uri") or said.text("name") or "", said.map_of_texts("digest"))


def _source(build_type: str, parameters: Object) -> Source:
    """The build type decides which parameter is believed: others may be the tenant's own."""
    for prefix, reader in _SHAPES:
        if build_type.startswith(prefix):
            return reader(parameters)
    return None, None


def _workflow(parameters: Object) -> Source:
    workflow = parameters.object("workflow")
    return _git(workflow.text("repository")), workflow.text("ref")


def _generator(parameters: Object) -> Source:
    source = parameters.value.get("source")
    if isinstance(source, str):
        return split(source)
    return split(parameters.object("source").text("uri"))


def _trigger(parameters: Object) -> Source:
    for name in ("buildConfigSource", "sourceToBuild"):
        found = parameters.object(name)
        if found.value:
            return _git(found.text("repository")), found.text("ref")
    return None, None


def _buildkit(parameters: Object) -> Source:
    return split(parameters.object("configSource").text("uri"))


_SHAPES: tuple[tuple[str, Callable[[Object], Source]], ...] = (
    ("https://actions.github.io/buildtypes/workflow/", _workflow),
    ("https://slsa-framework.github.io/github-actions-buildtypes/workflow/", _workflow),
    ("https://github.com/slsa-framework/slsa-github-generator/", _generator),
    ("https://slsa-framework.github.io/gcb-buildtypes/triggered-build/", _trigger),
    ("https://cloud.google.com/build/gcb-buildtypes/", _trigger),
    ("https://github.com/moby/buildkit/", _buildkit),
)
"""What build types begin with, and who knows where they keep the source."""


def split(uri: str | None) -> Source:
    """Source and ref of `TOOL+URL@REF` (SPDX's form), or of BuildKit's `URL.git#REF[:folder]`."""
    if not uri:
        return None, None
    scheme, colon, rest = uri.partition("://")
    if not colon:
        return uri, None
    if "#" in rest:
        url, _, fragment = uri.partition("#")
        return _git(url), fragment.partition(":")[0] or None
    host, slash, path = rest.partition("/")
    path, at, ref = path.partition("@")
    found = f"{scheme}://{host}{slash}{path}"
    return _git(found) if path.endswith(".git") else found, ref if at else None


def _git(url: str | None) -> str | None:
    if not url or url.startswith("git+") or "://" not in url:
        return url
    return url if url.startswith("git://") else f"git+{url}"

"""What a policy says of an image: its papers are collected, turned into facts, and decided upon."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from retinue.cli.problems import BadUsage
from retinue.cli.reach import find_manifest
from retinue.client.client import Client
from retinue.oci import digest as digests
from retinue.oci import platform as platforms
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.platform import Platform
from retinue.oci.reference import Location, Reference, parse
from retinue.oci.stores import Source
from retinue.papers.collect import collect
from retinue.papers.facts import Findings
from retinue.papers.judge import derive
from retinue.policy.decide import decide
from retinue.policy.decision import Decision, Operation, Request
from retinue.policy.model import Coverage, Policy, Tags

if TYPE_CHECKING:
    from retinue.papers.revocations import Revocations


class Question(Struct, frozen=True):
    """What is asked about each image. `image`: the name that rules see, where it is not the
    location's own (an image in a folder has none); `platform`: that child of an index. `told`: all
    claims that papers make are shown, not only compared."""

    policy: Policy
    operation: Operation = Operation.CLI
    revocations: "Revocations | None" = None
    image: str | None = None
    platform: Platform | None = None
    told: bool = False


class Judged(Struct, frozen=True):
    """An answer, and what it rests on."""

    location: Location
    manifest: Manifest
    findings: Findings
    decision: Decision


async def question(
    reached: Client,
    policy: Policy,
    operation: str = Operation.CLI,
    *,
    image: str | None = None,
    platform: Platform | None = None,
    told: bool = False,
) -> Question:
    """What to ask under a policy, with the revocation list that it names."""
    found = await _revocations(reached, policy)
    named = None if image is None else _place(image)
    return Question(policy, Operation(operation), found, named, platform, told)


def _place(image: str) -> str:
    named = parse(image)
    if named.tag is not None or named.digest is not None:
        raise BadUsage(f"--as {image[:160]!r}", "name HOST/REPOSITORY, without tag and digest")
    return named.place


async def _revocations(reached: Client, policy: Policy) -> "Revocations | None":
    if policy.revocation is None or policy.revocation.list is None:
        return None
    from retinue.cli.revocations import fetch  # many modules, and few policies need them

    return await fetch(reached, policy)


async def judge(reached: Client, location: Location, question: Question) -> Judged:
    """Decide about what a location names; raises Missing, and what the client raises."""
    async with reached.source(location) as store:
        top = await find_manifest(store, location)
        manifest, parents = await _chosen(store, top, question.platform)
        request = _request(question, location, manifest, parents)
        findings = await look(
            reached,
            store,
            manifest,
            question.policy,
            (*parents, *_places(question.policy, request)),
            below=_wants_children(question),
            told=question.told,
            operation=question.operation,
        )
    decision = decide(question.policy, findings, question.revocations, request, datetime.now(UTC))
    return Judged(location, manifest, findings, decision)


def _request(
    question: Question, location: Location, manifest: Manifest, parents: Sequence[Manifest]
) -> Request:
    return Request(
        image=question.image or image_of(location),
        digest=manifest.digest,
        aliases=_aliases(manifest),
        operation=question.operation,
        tag=tag_of(location),
        platform=question.platform,
        parents={parent.digest: 1 for parent in parents},
        children={child.digest: child.platform for child in manifest.children},
    )


def _places(policy: Policy, request: Request) -> Sequence[Manifest]:
    """Where statements on the tag are kept, if a rule asks for some."""
    if all(rule.tag is Tags.IGNORE for rule in policy.rules):
        return ()
    from retinue.policy.rules.tag import places  # few policies need it

    return places(policy, request)


async def look(
    reached: Client,
    store: Source,
    manifest: Manifest,
    policy: Policy,
    parents: Sequence[Manifest] = (),
    *,
    below: bool = True,
    told: bool = False,
    operation: Operation = Operation.CLI,
) -> Findings:
    """Everything that is established about a manifest, its `parents` (and what else has papers that
    matter), and what is `below` it."""
    collected = await collect(
        store,
        manifest,
        parents=parents,
        children=below,
        elsewhere=_elsewhere(reached, policy),
        limits=policy.limits,
        receipts=bool(policy.trust.times),
    )
    wanted = policy.wanted(operation)
    if told:
        wanted = replace(wanted, provenance=True, sboms=True)
    return derive(collected, policy.trust, wanted)


def _aliases(manifest: Manifest) -> tuple[Digest, ...]:
    """The usual digest of the same bytes, where another one was asked for."""
    usual = digests.of(manifest.raw)
    return () if usual == manifest.digest else (usual,)


def image_of(location: Location) -> str:
    """The name that rules match: HOST/REPOSITORY; of files, how they are referred to."""
    if isinstance(location, Reference):
        return location.place
    return str(location)


def tag_of(location: Location) -> str | None:
    """The tag that is asked for; None when a digest is."""
    if location.digest is not None:
        return None
    if isinstance(location, Reference):
        return location.tag or "latest"
    return location.tag


async def _chosen(
    store: Source, top: Manifest, platform: Platform | None
) -> tuple[Manifest, tuple[Manifest, ...]]:
    """What is judged, and the index that it was chosen from."""
    if platform is None:
        return top, ()
    from retinue.client.closure import find_roots

    [digest] = await find_roots(store, [top.digest], platform, papers=False)
    if digest == top.digest:
        return top, ()
    found = (await store.manifests([digest]))[digest]
    if not isinstance(found, Manifest):
        raise BadUsage(f"{digest} of {platform} cannot be read", "choose another platform")
    return found, (top,)


def _wants_children(question: Question) -> bool:
    return any(rule.index is Coverage.EVERY for rule in question.policy.rules)


def _elsewhere(reached: Client, policy: Policy) -> Mapping[str, Source]:
    """The repositories that the policy says keep papers for others."""
    found: dict[str, Source] = {}
    for name in policy.papers_in:
        reference = parse(name)
        found[name] = reached.remote(reference.host, reference.repository)
    return found


def platform_of(text: str | None) -> Platform | None:
    return platforms.parse(text) if text else None

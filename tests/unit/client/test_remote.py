"""A repository in a registry that is as awkward as it is told."""

import os
from collections.abc import AsyncIterator
from unittest import mock

import pytest

import builders
from loopback import (
    Call,
    Embeds,
    Registry,
    Reply,
    Repo,
    Switches,
    at_once,
    client,
    error,
    fill,
    serving,
)
from retinue.client import upload
from retinue.client.client import Client
from retinue.client.credentials.credential import Credential, IdentityToken, Password
from retinue.client.errors import (
    Forbidden,
    ProtocolViolation,
    RateLimited,
    ServerFault,
    Unauthorized,
    Unreachable,
    Unsupported,
)
from retinue.client.registry import ping, repositories
from retinue.client.remote import Remote
from retinue.client.transfer import one
from retinue.client.transport import Settings, Transport
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.links import Way
from retinue.oci.manifest import Unreadable
from retinue.oci.stores import DigestMismatch
from retinue.oci.tags import cosign_tag, fallback_tag
from retinue.wire.codes import Code

IMAGE = builders.image(b"layer")
BLOBS = list(builders.blobs_of(b"layer").values())
ME = Password("user", "secret")


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with serving() as made:
        yield made


@pytest.fixture
async def remote(registry: Registry) -> AsyncIterator[Remote]:
    async with client() as made:
        yield made.remote(registry.host, "a/b")


async def read(remote: Remote, digest: digests.Digest, start: int = 0) -> bytes:
    async with remote.blob(digest, start) as chunks:
        return b"".join([chunk async for chunk in chunks])


# ---- authorisation


@pytest.mark.parametrize(
    ("switches", "credential"),
    [
        (Switches(basic=True), ME),
        (Switches(bearer=True), ME),
        (Switches(bearer=True), IdentityToken("refresh")),
    ],
)
async def test_a_whole_push_is_authorised(switches: Switches, credential: Credential) -> None:
    async with serving(switches) as registry, client(credential) as made:
        remote = made.remote(registry.host, "a/b")
        await fill(remote, [IMAGE, *builders.with_papers(IMAGE, 20)], BLOBS)
        await remote.put_tag("v1", IMAGE.digest)
        assert len((await remote.papers([IMAGE.digest]))[IMAGE.digest].links) == 20
        assert len(registry.tokens) <= 2


async def test_one_dance_for_all_that_wait() -> None:
    async with serving(Switches(bearer=True)) as registry, client(ME) as made:
        remote = made.remote(registry.host, "a/b")
        await remote.manifests([digests.of(bytes([n])) for n in range(30)])
        assert len(registry.tokens) == 1


async def test_a_mount_asks_for_both_repositories() -> None:
    async with serving(Switches(bearer=True)) as registry, client(ME) as made:
        await made.remote(registry.host, "a/b").mount(IMAGE.blobs[0].digest, "c")
        await made.remote(registry.host, "a/b").mount(IMAGE.blobs[0].digest, "c")
        scopes = registry.tokens[0].query["scope"]
        assert {"repository:a/b:pull,push", "repository:c:pull"} <= set(scopes)


@pytest.mark.parametrize("credential", [None, Password("user", "wrong"), IdentityToken("old")])
@pytest.mark.parametrize("switches", [Switches(basic=True), Switches(bearer=True)])
async def test_who_is_not_known_is_told_to_log_in(
    switches: Switches, credential: Credential | None
) -> None:
    async with serving(switches) as registry, client(credential) as made:
        with pytest.raises(Unauthorized, match=r"retinue login 127\.0\.0\.1"):
            await made.remote(registry.host, "a/b").resolve("v1")


@pytest.mark.parametrize("brief", [True, False])
async def test_a_brief_program_finds_out_once_what_authorises_it(brief: bool) -> None:
    asked: list[str | None] = []

    def credentials(_: str, repository: str | None) -> Credential:
        asked.append(repository)
        return ME

    async with serving(Switches(bearer=True)) as registry:
        transport = Transport(Settings(), random=lambda: 0.5, sleep=at_once)
        async with Client(transport, credentials, brief=brief) as made:
            for name in ("a/b", "a/b", "c"):
                await made.remote(registry.host, name).resolve("v1")
        times = 2 if brief else 3
        assert (times, times) == (len(asked), len(registry.tokens))


# ---- errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, Forbidden), (429, RateLimited), (500, ServerFault), (418, ProtocolViolation)],
)
async def test_refusals_have_classes(
    registry: Registry, remote: Remote, status: int, kind: type[Exception]
) -> None:
    registry.switches.answers.extend([(status, {"retry-after": "9"})] * 5)
    expected = kind if status != 418 else Exception
    with pytest.raises(expected) as caught:
        await remote.resolve("v1")
    assert str(status) in str(caught.value)
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after == 9


async def test_a_manifest_that_is_another_is_not_used(registry: Registry, remote: Remote) -> None:
    await fill(remote, [IMAGE], BLOBS)
    registry.repos["a/b"].manifests[IMAGE.digest] = (names.OCI_MANIFEST, IMAGE.raw + b" ")
    async with client() as fresh:
        with pytest.raises(DigestMismatch):
            await fresh.remote(registry.host, "a/b").manifests([IMAGE.digest])


async def test_what_cannot_be_read_is_a_value(registry: Registry, remote: Remote) -> None:
    await fill(remote, [], BLOBS)
    raw = b'{"schemaVersion":1}'
    odd = digests.of(raw)
    registry.repos["a/b"].manifests[odd] = (names.DOCKER_SCHEMA1, raw)
    assert isinstance((await remote.manifests([odd]))[odd], Unreadable)


async def test_nothing_is_asked_for_twice(registry: Registry, remote: Remote) -> None:
    await fill(remote, [IMAGE], BLOBS)
    await remote.put_tag("v1", IMAGE.digest)
    await remote.manifests([IMAGE.digest])
    assert registry.count("GET", "manifests") == 0


# ---- papers


async def test_all_pages_of_papers_and_tags(registry: Registry, remote: Remote) -> None:
    registry.switches.page = 3
    await fill(remote, [IMAGE, *builders.with_papers(IMAGE, 10)], BLOBS)
    for number in range(10):
        await remote.put_tag(f"t{number}", IMAGE.digest)
    assert len((await remote.papers([IMAGE.digest]))[IMAGE.digest].links) == 10
    assert len([tag async for tag in remote.tags()]) == 10


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/html"},
        {"link": '<http://elsewhere.example/next>; rel="next"'},
    ],
)
async def test_what_could_not_be_looked_at_is_named(
    registry: Registry, remote: Remote, headers: dict[str, str]
) -> None:
    await fill(remote, [IMAGE], BLOBS)
    listed = Registry._referrers

    def odd(self: Registry, call: Call, repo: Repo, subject: str) -> Reply:
        reply = listed(self, call, repo, subject)
        reply.headers |= headers
        return reply

    with mock.patch.object(Registry, "_referrers", odd):
        search = (await remote.papers([IMAGE.digest]))[IMAGE.digest]
    assert set(search.blind) == {Way.REFERRERS}
    assert search.links == ()
    assert all("next" not in call.path for call in registry.calls)


async def test_an_entry_of_a_fallback_index_counts_only_if_the_paper_agrees() -> None:
    stranger = builders.artifact(None, payload=b"x")
    paper = builders.artifact(IMAGE)
    index = builders.index(stranger, paper)
    async with serving(Switches(referrers=False)) as registry, client() as made:
        remote = made.remote(registry.host, "a/b")
        await fill(remote, [IMAGE, stranger, paper, index], [*BLOBS, b"x"])
        await remote.put_tag(fallback_tag(IMAGE.digest), index.digest)
        [link] = (await remote.papers([IMAGE.digest]))[IMAGE.digest].links
        assert (link.source, link.way) == (paper.digest, Way.FALLBACK)


@pytest.mark.parametrize("conditional", [False, True])
async def test_without_the_api_papers_are_listed_at_a_tag(conditional: bool) -> None:
    switches = Switches(referrers=False, conditional=conditional)
    async with serving(switches) as registry, client() as made:
        remote = made.remote(registry.host, "a/b")
        papers = builders.with_papers(IMAGE, 5)
        await fill(remote, [IMAGE, *papers], BLOBS)
        search = (await remote.papers([IMAGE.digest]))[IMAGE.digest]
        assert {link.source for link in search.links} == {paper.digest for paper in papers}
        assert {link.way for link in search.links} == {Way.FALLBACK}
        assert fallback_tag(IMAGE.digest) in registry.repos["a/b"].tags


async def test_an_entry_that_another_writer_lost_is_written_again() -> None:
    async with serving(Switches(referrers=False)) as registry, client() as made:
        remote = made.remote(registry.host, "a/b")
        registry.switches.lose.extend([fallback_tag(IMAGE.digest)] * 3)
        await fill(remote, [IMAGE, builders.artifact(IMAGE)], BLOBS)
        assert len((await remote.papers([IMAGE.digest]))[IMAGE.digest].links) == 1
        assert not registry.switches.lose


async def test_deleting_a_paper_takes_its_entry_along() -> None:
    async with serving(Switches(referrers=False)) as registry, client() as made:
        remote = made.remote(registry.host, "a/b")
        papers = builders.with_papers(IMAGE, 2)
        await fill(remote, [IMAGE, *papers], BLOBS)
        assert await remote.delete_manifest(papers[0].digest)
        index = await remote.tagged(fallback_tag(IMAGE.digest))
        assert index is not None
        assert not isinstance(index, Unreadable)
        assert [child.digest for child in index.children] == [papers[1].digest]


async def test_cosigns_tags_are_asked_for_one_by_one_where_tags_are_not_listed(
    registry: Registry, remote: Remote
) -> None:
    signature = builders.image(b"signature")
    await fill(remote, [IMAGE, signature], [*BLOBS, b"signature"])
    tag = cosign_tag(IMAGE.digest, "sig")
    assert tag is not None
    await remote.put_tag(tag, signature.digest)
    with mock.patch.object(Registry, "_page", return_value=error(403, Code.DENIED)):
        search = (await remote.papers([IMAGE.digest]))[IMAGE.digest]
    assert [(link.source, link.way) for link in search.links] == [(signature.digest, Way.COSIGN)]
    assert not search.blind


# ---- what a search costs


async def asked(registry: Registry, remote: Remote, subjects: int, *signed: int) -> list[str]:
    """The kinds of requests of one search; some of the subjects have a signature at a tag."""
    images = [builders.image(b"layer", annotations={"n": str(n)}) for n in range(subjects)]
    signature = builders.image(b"signature")
    await fill(remote, [*images, signature], [*BLOBS, b"signature"])
    for number in signed:
        await remote.put_tag(cosign_tag(images[number].digest, "sig") or "", signature.digest)
    registry.calls.clear()
    found = await remote.papers([image.digest for image in images])
    assert [bool(found[image.digest].links) for image in images] == [
        number in signed for number in range(subjects)
    ]
    assert not any(search.blind for search in found.values())
    return [call.path.split("/")[4] for call in registry.calls]


@pytest.mark.parametrize("subjects", [1, 20])
async def test_where_papers_by_tag_are_listed_too_no_tags_are(
    registry: Registry, remote: Remote, subjects: int
) -> None:
    registry.switches.attached = True
    calls = await asked(registry, remote, subjects, 0)
    assert calls.count("referrers") == 2 * subjects
    assert calls.count("manifests") == 3
    assert "tags" not in calls


async def told(registry: Registry, remote: Remote, embeds: Embeds) -> list[str]:
    """The kinds of requests by which a paper is found and its manifest read."""
    registry.switches.attached = True
    registry.switches.embeds = embeds
    paper = builders.artifact(builders.pointer(IMAGE))
    await fill(remote, [IMAGE, paper], BLOBS)
    again = Remote(remote.session, remote.name)
    registry.calls.clear()

    search = (await again.papers([IMAGE.digest]))[IMAGE.digest]
    read = await again.manifests([paper.digest])

    assert [link.source for link in search.links] == [paper.digest]
    assert search.blind == {}
    assert read == {paper.digest: paper}
    return [call.path.split("/")[4] for call in registry.calls]


async def test_manifests_that_come_with_the_list_are_not_asked_for(
    registry: Registry, remote: Remote
) -> None:
    assert await told(registry, remote, Embeds.ALL) == ["referrers"]


@pytest.mark.parametrize("embeds", [Embeds.NOTHING, Embeds.WRONG])
async def test_manifests_that_do_not_come_or_are_wrong_are_asked_for(
    registry: Registry, remote: Remote, embeds: Embeds
) -> None:
    assert await told(registry, remote, embeds) == ["referrers", "referrers", "manifests"]


async def test_a_registry_that_minds_the_question_is_asked_without(
    registry: Registry, remote: Remote
) -> None:
    calls = await told(registry, remote, Embeds.REFUSED)
    assert calls == ["referrers", "referrers", "referrers", "manifests"]


async def test_only_if_every_page_says_so_nothing_is_attached_by_tags(
    registry: Registry, remote: Remote
) -> None:
    registry.switches.attached = True
    registry.switches.embeds = Embeds.ALL
    registry.switches.page = 1
    await fill(remote, [IMAGE, *builders.with_papers(IMAGE, 2)], BLOBS)
    registry.calls.clear()

    search = (await remote.papers([IMAGE.digest]))[IMAGE.digest]

    assert len(search.links) == 2
    assert ["attached" in call.query for call in registry.calls] == [False, False, True]


async def test_few_subjects_are_asked_for_by_tag(registry: Registry, remote: Remote) -> None:
    calls = await asked(registry, remote, 1, 0)
    assert sorted(calls) == ["manifests", "manifests", "manifests", "referrers"]


async def test_for_many_subjects_tags_are_listed(registry: Registry, remote: Remote) -> None:
    calls = await asked(registry, remote, 20, 0, 3)
    assert calls.count("referrers") == 20
    assert calls.count("tags") == 1
    assert calls.count("manifests") == 2


async def test_a_list_of_papers_by_tag_that_fails_is_named_and_the_tags_are_asked_for(
    registry: Registry, remote: Remote
) -> None:
    registry.switches.attached = True
    signature = builders.image(b"signature")
    await fill(remote, [IMAGE, signature], [*BLOBS, b"signature"])
    await remote.put_tag(cosign_tag(IMAGE.digest, "sig") or "", signature.digest)
    listed = Registry._referrers

    def broken(self: Registry, call: Call, repo: Repo, subject: str) -> Reply:
        denied = error(403, Code.DENIED)
        return denied if "attached" in call.query else listed(self, call, repo, subject)

    with mock.patch.object(Registry, "_referrers", broken):
        search = (await remote.papers([IMAGE.digest]))[IMAGE.digest]
    assert set(search.blind) == {Way.COSIGN}
    assert [link.source for link in search.links] == [signature.digest]


# ---- blobs


async def test_a_small_blob_is_one_request(registry: Registry, remote: Remote) -> None:
    await remote.put_blob(digests.of(b"x"), 1, one(b"x"))
    assert [call.method for call in registry.calls] == ["POST"]


async def test_a_registry_may_decline_that(registry: Registry, remote: Remote) -> None:
    registry.switches.at_once = False
    await remote.put_blob(digests.of(b"x"), 1, one(b"x"))
    assert [call.method for call in registry.calls] == ["POST", "PUT"]


async def test_a_declined_mount_is_an_upload_begun(registry: Registry, remote: Remote) -> None:
    assert not await remote.mount(digests.of(b"x"), "nowhere")
    await remote.put_blob(digests.of(b"x"), 1, one(b"x"))
    assert [call.method for call in registry.calls] == ["POST", "PUT"]


async def test_a_mount_sends_no_bytes(registry: Registry, remote: Remote) -> None:
    async with client() as made:
        other = made.remote(registry.host, "c")
        await other.put_blob(digests.of(b"x"), 1, one(b"x"))
    assert await remote.mount(digests.of(b"x"), "c")
    assert await read(remote, digests.of(b"x")) == b"x"


@pytest.mark.parametrize("dropped", [0, 1, 3])
async def test_chunks_go_on_where_the_registry_stands(
    registry: Registry, remote: Remote, dropped: int
) -> None:
    data = os.urandom(10_000)
    registry.switches.drop_chunks = dropped
    with mock.patch.multiple(upload, AT_ONCE=100, IN_CHUNKS=1000, CHUNK=1024):
        await remote.put_blob(digests.of(data), len(data), one(data))
    assert await read(remote, digests.of(data)) == data
    assert registry.count("GET", "/uploads/") == dropped


@pytest.mark.parametrize("limits", [(10**6, 10**9), (100, 10**9), (100, 1000)])
async def test_wrong_bytes_end_no_upload(
    registry: Registry, remote: Remote, limits: tuple[int, int]
) -> None:
    data = os.urandom(10_000)
    at_once, in_chunks = limits
    sizes = mock.patch.multiple(upload, AT_ONCE=at_once, IN_CHUNKS=in_chunks)
    with sizes, pytest.raises(DigestMismatch):
        await remote.put_blob(digests.of(b"other"), len(data), one(data))
    assert not registry.repos or not registry.repos["a/b"].blobs


async def test_a_broken_download_goes_on(registry: Registry, remote: Remote) -> None:
    data = os.urandom(300_000)
    await remote.put_blob(digests.of(data), len(data), one(data))
    registry.switches.cut_blobs_after.extend([1000, 0, 250_000])
    assert await read(remote, digests.of(data)) == data
    sent = [call.headers.get("range") for call in registry.calls if call.method == "GET"]
    assert sent == [None, "bytes=1000-", "bytes=1000-", "bytes=251000-"]


async def test_a_download_that_keeps_breaking_ends(registry: Registry, remote: Remote) -> None:
    await remote.put_blob(digests.of(b"data"), 4, one(b"data"))
    registry.switches.cut_blobs_after.extend([0] * 50)
    with pytest.raises(Unreachable):
        await read(remote, digests.of(b"data"))


async def test_bytes_of_another_digest_are_told(registry: Registry, remote: Remote) -> None:
    await remote.put_blob(digests.of(b"data"), 4, one(b"data"))
    registry.switches.corrupt_blobs = True
    with pytest.raises(DigestMismatch):
        await read(remote, digests.of(b"data"))


# ---- the rest


async def test_deleting(registry: Registry, remote: Remote) -> None:
    await fill(remote, [IMAGE], BLOBS)
    await remote.put_tag("v1", IMAGE.digest)
    assert await remote.delete_tag("v1")
    assert not await remote.delete_tag("v1")
    assert await remote.delete_manifest(IMAGE.digest)
    assert not await remote.delete_manifest(IMAGE.digest)
    assert await remote.delete_blob(IMAGE.blobs[0].digest)
    assert not await remote.delete_blob(IMAGE.blobs[0].digest)
    assert {IMAGE.digest: None} == await remote.manifests([IMAGE.digest])


async def test_a_registry_that_deletes_nothing(registry: Registry, remote: Remote) -> None:
    registry.switches.answers.append((405, {}))
    with pytest.raises(Unsupported, match="delete tag 'v1'"):
        await remote.delete_tag("v1")


async def test_sha512_manifests_are_tagged_by_their_own_digest(
    registry: Registry, remote: Remote
) -> None:
    image = builders.image(b"layer", algorithm="sha512")
    for data in BLOBS:
        await remote.put_blob(digests.of(data, "sha512"), len(data), one(data))
    await remote.put_manifest(image)
    await remote.put_tag("v1", image.digest)
    assert registry.repos["a/b"].tags == {"v1": image.digest}


async def test_a_registry_as_a_whole(registry: Registry, remote: Remote) -> None:
    await fill(remote, [], [b"x"])
    async with client() as made:
        session = made.registry(registry.host)
        await ping(session)
        assert [name async for name in repositories(session)] == ["a/b"]

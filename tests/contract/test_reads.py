"""What clients read, on both databases, over the application as it is served."""

from typing import Any

import pytest

from builders import image
from retinue.oci import digest as digests
from rig import HOUR, NAME, Rig

ABSENT = digests.of(b"absent")
LARGE = bytes(range(256)) * 1024


def text(manifest: Any) -> dict[str, str]:
    return {"content-type": manifest.media_type, "docker-content-digest": manifest.digest}


# ---- manifests (end-3)


@pytest.mark.parametrize("by", ["tag", "digest"])
async def test_a_manifest_comes_back_byte_for_byte_with_exact_headers(rig: Rig, by: str) -> None:
    await rig.basics()
    manifest = image()
    await rig.push(manifest, "v1")
    answer = await rig.call(
        "GET", f"/v2/{NAME}/manifests/{'v1' if by == 'tag' else manifest.digest}"
    )
    assert answer.status == 200
    assert manifest.raw == answer.body
    assert answer.headers["content-type"] == manifest.media_type
    assert answer.headers["docker-content-digest"] == manifest.digest
    assert answer.headers["etag"] == f'"{manifest.digest}"'
    assert answer.headers["content-length"] == str(len(manifest.raw))


async def test_head_of_a_manifest_has_the_headers_of_get_and_no_body(rig: Rig) -> None:
    await rig.basics()
    await rig.push(image(), "v1")
    got = await rig.call("GET", f"/v2/{NAME}/manifests/v1")
    head = await rig.call("HEAD", f"/v2/{NAME}/manifests/v1")
    assert head.body == b""
    drop = {"x-request-id"}
    assert {k: v for k, v in got.headers.items() if k not in drop} == {
        k: v for k, v in head.headers.items() if k not in drop
    }


@pytest.mark.parametrize(
    ("name", "reference", "status", "code"),
    [
        (NAME, "nope", 404, "MANIFEST_UNKNOWN"),
        (NAME, ABSENT, 404, "MANIFEST_UNKNOWN"),
        (NAME, "sha256:baddigeststring", 400, "DIGEST_INVALID"),
        (NAME, "blake3:" + "0" * 64, 400, "DIGEST_INVALID"),
        (NAME, "-bad tag-", 404, "MANIFEST_UNKNOWN"),
        ("no/where", "v1", 404, "NAME_UNKNOWN"),
        ("Upper/Case", "v1", 400, "NAME_INVALID"),
        ("a" * 256, "v1", 400, "NAME_INVALID"),
        ("a\0b", "v1", 404, "UNSUPPORTED"),
        (NAME, "v\0", 404, "UNSUPPORTED"),
    ],
)
async def test_what_is_unknown_or_malformed_says_which(
    rig: Rig, name: str, reference: str, status: int, code: str
) -> None:
    await rig.basics()
    answer = await rig.call("GET", f"/v2/{name}/manifests/{reference}")
    assert (answer.status, answer.code) == (status, code)


async def test_head_of_what_is_unknown_has_no_body(rig: Rig) -> None:
    answer = await rig.call("HEAD", f"/v2/{NAME}/manifests/v1")
    assert (answer.status, answer.body) == (404, b"")


async def test_a_client_that_has_the_manifest_is_told_so(rig: Rig) -> None:
    await rig.basics()
    digest = await rig.push(image(), "v1")
    path = f"/v2/{NAME}/manifests/v1"
    same = await rig.call("GET", path, headers={"if-none-match": f'"{digest}"'})
    other = await rig.call("GET", path, headers={"if-none-match": f'"{ABSENT}"'})
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", f'"{digest}"')
    assert "content-length" not in same.headers
    assert other.status == 200


async def test_presence_is_read_each_time_though_bytes_are_remembered(rig: Rig) -> None:
    """Storage rule 11: a process caches bytes by digest, never presence."""
    await rig.basics()
    digest = await rig.push(image(), "v1")
    path = f"/v2/{NAME}/manifests/{digest}"
    assert (await rig.call("GET", path)).status == 200
    assert (await rig.delete(digest)).status == 202
    assert (await rig.call("GET", path)).status == 404


async def test_damaged_bytes_are_never_sent_and_answer_as_absent_from_then_on(rig: Rig) -> None:
    """Storage rule 7: quarantined means HEAD and GET say 404, so that clients push again."""
    await rig.basics()
    manifest = image()
    await rig.push(manifest, "v1")
    await spoil(rig, manifest.digest)
    assert (await rig.call("GET", f"/v2/{NAME}/manifests/v1")).status == 404
    assert await rig.status("v1") == 404
    await rig.push(manifest, "v1")
    assert (await rig.call("GET", f"/v2/{NAME}/manifests/v1")).body == manifest.raw


async def spoil(rig: Rig, digest: str) -> None:
    """Other bytes where the object's are."""
    from retinue.registry.catalog.db import Change
    from rig import statement

    change = statement("update object_bytes set body = :body where object = :object")
    (row,) = await rig.rows(
        "select id from object where digest = :digest", digests.to_bytes(digests.parse(digest))
    )

    def spoiled() -> Change[None]:
        yield change, (b"other bytes", row[0])

    await rig.catalog.commit(spoiled)


# ---- blobs (end-2)


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "large"])
async def test_a_blob_comes_back_with_exact_headers(rig: Rig, data: bytes) -> None:
    digest = await rig.blob(data)
    got = await rig.call("GET", f"/v2/{NAME}/blobs/{digest}")
    head = await rig.call("HEAD", f"/v2/{NAME}/blobs/{digest}")
    assert (got.status, got.body) == (200, data)
    assert (head.status, head.body) == (200, b"")
    for answer in (got, head):
        assert answer.headers["content-length"] == str(len(data))
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["docker-content-digest"] == digest
        assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("data", [LARGE[:2000], LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, None),
        ("bytes=-500", -500, None),
        ("bytes=1000-99999999", 1000, None),
    ],
)
async def test_a_range_of_a_blob(
    rig: Rig, data: bytes, header: str, start: int, end: int | None
) -> None:
    digest = await rig.blob(data)
    answer = await rig.call("GET", f"/v2/{NAME}/blobs/{digest}", headers={"range": header})
    wanted = data[start:end]
    assert (answer.status, answer.body) == (206, wanted)
    first = start % len(data)
    assert answer.headers["content-range"] == (
        f"bytes {first}-{first + len(wanted) - 1}/{len(data)}"
    )
    assert answer.headers["content-length"] == str(len(wanted))


@pytest.mark.parametrize("data", [LARGE[:2000], LARGE], ids=["small", "large"])
@pytest.mark.parametrize("header", ["bytes=500-0", "bytes=99999999-"])
async def test_a_range_that_selects_nothing_is_416(rig: Rig, data: bytes, header: str) -> None:
    digest = await rig.blob(data)
    answer = await rig.call("GET", f"/v2/{NAME}/blobs/{digest}", headers={"range": header})
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(data)}"


@pytest.mark.parametrize("data", [LARGE[:2000], LARGE], ids=["small", "large"])
async def test_a_part_is_sent_only_of_what_the_client_has_the_rest_of(
    rig: Rig, data: bytes
) -> None:
    digest = await rig.blob(data)
    path = f"/v2/{NAME}/blobs/{digest}"
    same = {"range": "bytes=0-9", "if-range": f'"{digest}"'}
    other = {"range": "bytes=0-9", "if-range": f'"{ABSENT}"'}
    assert (await rig.call("GET", path, headers=same)).status == 206
    assert (await rig.call("GET", path, headers=other)).status == 200


@pytest.mark.parametrize(
    ("name", "digest", "status", "code"),
    [
        (NAME, ABSENT, 404, "BLOB_UNKNOWN"),
        (NAME, "sha256:short", 400, "DIGEST_INVALID"),
        ("no/where", ABSENT, 404, "NAME_UNKNOWN"),
        ("_bad", ABSENT, 400, "NAME_INVALID"),
    ],
)
async def test_an_unknown_blob_says_why(
    rig: Rig, name: str, digest: str, status: int, code: str
) -> None:
    await rig.basics()
    answer = await rig.call("GET", f"/v2/{name}/blobs/{digest}")
    assert (answer.status, answer.code) == (status, code)


async def test_a_manifest_is_served_as_a_blob_too(rig: Rig) -> None:
    """Storage rule 11."""
    await rig.basics()
    manifest = image()
    await rig.push(manifest, "v1")
    path = f"/v2/{NAME}/blobs/{manifest.digest}"
    answer = await rig.call("GET", path)
    assert (answer.status, answer.body) == (200, manifest.raw)
    assert answer.headers["content-type"] == "application/octet-stream"
    head = await rig.call("HEAD", path)
    assert head.headers["content-length"] == str(len(manifest.raw))
    assert (await rig.call("GET", f"/v2/{NAME}/manifests/v1")).headers[
        "content-type"
    ] == manifest.media_type


async def test_a_blob_of_another_repository_is_unknown_here(rig: Rig) -> None:
    digest = await rig.blob(b"elsewhere", "other/app")
    await rig.basics()
    assert (await rig.call("GET", f"/v2/{NAME}/blobs/{digest}")).status == 404


async def test_a_file_that_lost_bytes_is_quarantined_not_cut_short(rig: Rig) -> None:
    """Storage rule 7: the server itself would send a short file as a cut 200."""
    digest = await rig.blob(LARGE)
    (row,) = await rig.rows("select location from object where size = :size", len(LARGE))
    file = await rig.blobs.locate(str(row[0]))
    assert file is not None
    file.path.chmod(0o600)
    file.path.write_bytes(LARGE[:-1])
    path = f"/v2/{NAME}/blobs/{digest}"
    assert (await rig.call("GET", path)).status == 404
    assert (await rig.call("HEAD", path)).status == 404
    await rig.blob(LARGE)
    assert (await rig.call("GET", path)).body == LARGE


# ---- grace ("Collection" 2)


@pytest.mark.parametrize("what", ["manifest", "blob"])
async def test_head_renews_the_grace_only_when_half_of_it_is_gone(rig: Rig, what: str) -> None:
    await rig.basics()
    manifest = image()
    await rig.push(manifest)
    blob = await rig.blob(b"loose")
    digest, table = (manifest.digest, "manifest") if what == "manifest" else (blob, "repo_blob")
    path = f"/v2/{NAME}/{'manifests' if what == 'manifest' else 'blobs'}/{digest}"
    select = f"select touched from {table} where digest = :digest"
    begun = rig.now
    for hours, touched in ((11, begun), (13, begun + 13 * HOUR)):
        rig.now = begun + hours * HOUR
        assert (await rig.call("HEAD", path)).status == 200
        assert [(touched,)] == await rig.rows(select, digests.to_bytes(digest))

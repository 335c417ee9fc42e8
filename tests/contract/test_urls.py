"""Every URL that the registry says of itself leads where clients reach it."""

import re
from collections.abc import AsyncIterator

import pytest

from builders import LAYER, artifact, image
from retinue.oci import digest as digests
from rig import NAME, UPLOADS, Answer, Rig

BASE = "https://r.example/behind/a/path"
OURS = re.compile(r"[^\s\"'<>]*/(?:v2|oras)/[^\s\"'<>]*")


async def filled(rig: Rig) -> str:
    """An image with three papers and three tags; its digest."""
    await rig.basics(LAYER)
    subject = image(LAYER)
    await rig.push(subject, "v1", "v2", "v3")
    for number in range(3):
        await rig.push(artifact(subject, annotations={"n": str(number) * 50}))
    return subject.digest


async def told(rig: Rig) -> AsyncIterator[tuple[str, Answer]]:
    """An answer of each kind in which a URL of ours is told."""
    subject = await filled(rig)
    manifest = image(LAYER)
    fresh = digests.of(b"fresh")
    session = await rig.begin()
    path = session[session.index("/v2/") :]
    typed = {"content-type": manifest.media_type}
    requests = {
        "manifest": ("PUT", f"/v2/{NAME}/manifests/new", manifest.raw, typed),
        "mount": ("POST", f"{UPLOADS}?mount={digests.of(LAYER)}&from={NAME}", b"", {}),
        "monolithic": ("POST", f"{UPLOADS}?digest={fresh}", b"fresh", {}),
        "session": ("POST", UPLOADS, b"", {}),
        "status": ("GET", path, b"", {}),
        "chunk": ("PATCH", path, b"fresh", {}),
        "chunk out of order": ("PATCH", path, b"fresh", {"content-range": "1-5"}),
        "end": ("PUT", f"{path}?digest={fresh}", b"", {}),
        "tags": ("GET", f"/v2/{NAME}/tags/list?n=1", b"", {}),
        "catalog": ("GET", "/v2/_catalog?n=1", b"", {}),
        "referrers": ("GET", f"/v2/{NAME}/referrers/{subject}", b"", {}),
        "extensions": ("GET", "/v2/_oci/ext/discover", b"", {}),
        "extensions of one": ("GET", f"/v2/{NAME}/_oci/ext/discover", b"", {}),
        "references": (
            "GET",
            f"/v2/_ext/oci-artifacts/v1/{NAME}/manifests/{subject}/references?n=1",
            b"",
            {},
        ),
        "rc1": (
            "GET",
            f"/v2/_ext/oci-artifacts/v1-rc1/{NAME}/manifests/{subject}/referrers?n=1",
            b"",
            {},
        ),
        "draft": ("GET", f"/oras/artifacts/v1/{NAME}/manifests/{subject}/referrers?n=1", b"", {}),
        "oras": ("GET", f"/v2/{NAME}/_oras/artifacts/referrers?digest={subject}&n=1", b"", {}),
    }
    await rig.blob(b"x", "another/repository")  # the list has two pages
    for kind, (method, target, body, headers) in requests.items():
        yield kind, await rig.call(method, target, body, headers)
        if method == "GET":
            yield f"{kind}, again", await rig.call(method, target, body, headers)


def urls(answer: Answer) -> list[str]:
    """Without those of the specification, which the list of extensions names."""
    text = "\n".join([*answer.headers.values(), answer.body.decode()])
    return [url for url in OURS.findall(text) if "github.com" not in url]


@pytest.mark.parametrize("given", [BASE, f"{BASE}/"])
async def test_behind_a_url_with_a_path_all_lead_there(rig: Rig, given: str) -> None:
    rig.restart(external_url=given, old_discovery=True, referrers_page=500)
    async for kind, answer in told(rig):
        assert answer.status < 300 or kind == "chunk out of order", (kind, answer.body)
        assert urls(answer), kind
        assert all(url.startswith((f"{BASE}/v2/", f"{BASE}/oras/")) for url in urls(answer)), kind


async def test_without_one_all_are_paths(rig: Rig) -> None:
    rig.restart(old_discovery=True, referrers_page=500)
    async for kind, answer in told(rig):
        assert urls(answer), kind
        assert all(url.startswith(("/v2/", "/oras/")) for url in urls(answer)), kind

import pytest

from retinue.wire import paths

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("expected", "path"),
    [
        ("/v2/a/b/manifests/v1", paths.manifest("a/b", "v1")),
        (f"/v2/a/manifests/{DIGEST}?tag=x&tag=y", paths.manifest("a", DIGEST, ["x", "y"])),
        (f"/v2/a/blobs/{DIGEST}", paths.blob("a", DIGEST)),
        ("/v2/a/blobs/uploads/", paths.uploads("a")),
        (f"/v2/a/blobs/uploads/?digest={DIGEST}", paths.uploads("a", digest=DIGEST)),
        (
            f"/v2/a/blobs/uploads/?mount={DIGEST}&from=b/c",
            paths.uploads("a", mount=DIGEST, source="b/c"),
        ),
        ("/v2/a/blobs/uploads/?digest-algorithm=sha512", paths.uploads("a", algorithm="sha512")),
        ("/v2/a/tags/list", paths.tags("a")),
        ("/v2/a/tags/list?n=5&last=x", paths.tags("a", n=5, last="x")),
        (f"/v2/a/referrers/{DIGEST}", paths.referrers("a", DIGEST)),
        (
            f"/v2/a/referrers/{DIGEST}?artifactType=application/x%2Bjson",
            paths.referrers("a", DIGEST, "application/x+json"),
        ),
        ("/v2/_catalog?n=5", paths.catalog(n=5)),
        (f"/u/1?digest={DIGEST}", paths.with_digest("/u/1", DIGEST)),
        (f"/u/1?s=2&digest={DIGEST}", paths.with_digest("/u/1?s=2", DIGEST)),
    ],
)
def test_paths(expected: str, path: str) -> None:
    assert expected == path


def test_what_would_change_the_path_is_quoted() -> None:
    assert paths.manifest("a", "x?y#z/..") == "/v2/a/manifests/x%3Fy%23z%2F.."

import pytest

from retinue.registry.http.routes import NOWHERE, PING, Route, find, old

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2", PING),
        ("/v2/", PING),
        ("/v2/a/manifests/v1", ("manifests", "a", "v1")),
        ("/v2/a/b/c/manifests/v1", ("manifests", "a/b/c", "v1")),
        ("/v2/manifests/manifests/v1", ("manifests", "manifests", "v1")),
        ("/v2/a/blobs/uploads/manifests/v1", ("manifests", "a/blobs/uploads", "v1")),
        (f"/v2/a/blobs/{DIGEST}", ("blobs", "a", DIGEST)),
        ("/v2/a/blobs/uploads/", ("uploads", "a", "")),
        ("/v2/a/blobs/uploads", ("uploads", "a", "")),
        ("/v2/a/blobs/uploads/id", ("uploads", "a", "id")),
        ("/v2/a/blobs/b/blobs/uploads/id", ("uploads", "a/blobs/b", "id")),
        ("/v2/a/tags/list", ("tags", "a", "list")),
        ("/v2/tags/tags/list", ("tags", "tags", "list")),
        (f"/v2/a/referrers/{DIGEST}", ("referrers", "a", DIGEST)),
        ("/v2/_catalog", ("catalog", "", "")),
        ("/v2/_oci/ext/discover", ("extensions", "", "discover")),
        ("/v2/a/b/_oci/ext/discover", ("extensions", "a/b", "discover")),
        ("", NOWHERE),
        ("/", NOWHERE),
        ("/v1/a/manifests/v1", NOWHERE),
        ("/v2/a", NOWHERE),
        ("/v2/manifests/v1", NOWHERE),
        ("/v2/a/manifests/", NOWHERE),
        ("/v2/a/tags/list/", NOWHERE),
        ("/v2/a/tags/other", NOWHERE),
        ("/v2/tags/list", NOWHERE),
        ("/v2/blobs/uploads/", NOWHERE),
        ("/v2/x_oci/ext/discover", NOWHERE),
    ],
)
def test_a_path_names_one_resource(path: str, route: Route) -> None:
    assert route == find(path)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        (
            f"/v2/_ext/oci-artifacts/v1/a/b/manifests/{DIGEST}/references",
            ("old-references", "a/b", DIGEST),
        ),
        (
            f"/v2/_ext/oci-artifacts/v1-rc1/a/manifests/{DIGEST}/referrers",
            ("old-rc1", "a", DIGEST),
        ),
        (
            f"/oras/artifacts/v1/a/manifests/{DIGEST}/referrers",
            ("old-oras-draft", "a", DIGEST),
        ),
        ("/v2/a/b/_oras/artifacts/referrers", ("old-oras", "a/b", "")),
        ("/v2/_ext/oci-artifacts/v1/manifests/x/references", NOWHERE),
        ("/v2/_ext/oci-artifacts/v1/a/manifests/x/y/references", NOWHERE),
        ("/v2/a/manifests/v1", NOWHERE),
    ],
)
def test_earlier_drafts_have_paths_of_their_own(path: str, route: Route) -> None:
    assert route == old(path)

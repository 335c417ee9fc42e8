"""Ping, tags, repositories, extensions: what lists and their pages promise (end-1, 8)."""

import json
from collections.abc import Iterator

import pytest

from builders import blobs_of, image
from protocol import Client, next_page, refused
from serving import Serving

TAGS = ["1.0", "1.10", "1.9", "A", "Z", "_x", "a", "a-b", "a.b", "a_b", "b" * 128, "latest"]
assert sorted(TAGS) == TAGS  # the order of code points


@pytest.fixture(scope="module")
def client(registry: Serving) -> Iterator[Client]:
    client = Client(registry)
    client.push_all("lists/tagged", blobs_of().values(), image())
    for start in range(0, len(TAGS), 6):
        query = "&".join(f"tag={tag}" for tag in reversed(TAGS[start : start + 6]))
        client.push("lists/tagged", image(), f"{image().digest}?{query}")
    client.push_blob("lists/untagged", b"a blob")
    yield client
    client.close()


# ---- ping


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_ping(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"
    assert client.head(path).status == 200


# ---- tags


def test_all_tags_in_one_list(client: Client) -> None:
    answer = client.get("/v2/lists/tagged/tags/list")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body) == {"name": "lists/tagged", "tags": TAGS}
    assert next_page(answer) is None


@pytest.mark.parametrize("n", [1, 5, 11, 12, 13, 99_999_999])
def test_pages_together_are_the_list(client: Client, n: int) -> None:
    found: list[str] = []
    path: str | None = f"/v2/lists/tagged/tags/list?n={n}"
    while path is not None:
        answer = client.get(path)
        page = json.loads(answer.body)["tags"]
        path = next_page(answer)
        assert len(page) == n or path is None
        assert page, "a link led to an empty page"
        found += page
    assert found == TAGS


def test_a_page_of_none_has_no_next(client: Client) -> None:
    answer = client.get("/v2/lists/tagged/tags/list?n=0")
    assert json.loads(answer.body)["tags"] == []
    assert next_page(answer) is None


@pytest.mark.parametrize(
    ("last", "first"),
    [("1.10", "1.9"), ("1.11", "1.9"), ("", "1.0"), ("a.", "a.b"), ("latest", None), ("%7E", None)],
)
def test_last_need_not_exist_nor_come_with_n(client: Client, last: str, first: str | None) -> None:
    wanted = TAGS[TAGS.index(first) :] if first else []
    assert client.tags("lists/tagged", f"?last={last}") == wanted
    assert client.tags("lists/tagged", f"?last={last}&n=2") == wanted[:2]


def test_a_repository_without_tags_has_an_empty_list(client: Client) -> None:
    assert client.tags("lists/untagged") == []
    assert client.tags("lists/untagged", "?n=5&last=a") == []


def test_an_unknown_repository(client: Client) -> None:
    refused(client.get("/v2/lists/unheard/of/tags/list"), 404, "NAME_UNKNOWN")
    assert client.head("/v2/lists/unheard/of/tags/list").status == 404


@pytest.mark.parametrize(
    "query", ["n=-1", "n=x", "n=1.5", "n=", "n=" + "9" * 30, "last=" + "a" * 2000]
)
def test_pages_that_cannot_be(client: Client, query: str) -> None:
    for path in ("/v2/lists/tagged/tags/list", "/v2/_catalog"):
        refused(client.get(f"{path}?{query}"), 400, "UNSUPPORTED")


# ---- repositories


def test_repositories_page_by_page(client: Client) -> None:
    everything = json.loads(client.get("/v2/_catalog").body)["repositories"]
    assert {"lists/tagged", "lists/untagged"} <= set(everything)
    assert everything == sorted(everything)
    found: list[str] = []
    path: str | None = "/v2/_catalog?n=1"
    while path is not None:
        answer = client.get(path)
        found += json.loads(answer.body)["repositories"]
        path = next_page(answer)
    assert found == everything
    assert json.loads(client.get("/v2/_catalog?n=0").body) == {"repositories": []}
    after = json.loads(client.get("/v2/_catalog?last=lists/tagged").body)["repositories"]
    assert after == [each for each in everything if each > "lists/tagged"]


# ---- extensions


def test_extensions_say_where_they_are(client: Client) -> None:
    answer = client.get("/v2/_oci/ext/discover")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    found = json.loads(answer.body)["extensions"]
    assert {"_catalog", "_oci"} <= {each["name"] for each in found}
    for each in found:
        assert set(each) == {"name", "url", "description", "endpoints"}
        for endpoint in each["endpoints"]:
            assert client.get(endpoint.replace("{name}", "lists/tagged")).status == 200


def test_extensions_of_one_repository(client: Client) -> None:
    found = json.loads(client.get("/v2/lists/tagged/_oci/ext/discover").body)["extensions"]
    assert [each["endpoints"] for each in found] == [["/v2/lists/tagged/_oci/ext/discover"]]
    refused(client.get("/v2/lists/unheard/of/_oci/ext/discover"), 404, "NAME_UNKNOWN")

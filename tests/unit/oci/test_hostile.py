"""Any JSON in any place of any manifest is read or refused; nothing else happens."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import describe, dump, image, pointer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.links import Rel, Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.readers.table import read
from retinue.oci.referrers import referrer_entry

IMAGE = image()
FULL = describe(
    b"foo",
    "text/plain",
    annotations={
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
        names.ANNOTATION_BUILDKIT_DIGEST: IMAGE.digest,
    },
    platform={"os": "linux", "architecture": "arm64", "os.features": ["x"]},
    urls=["x"],
)
CHILD = pointer(IMAGE, annotations=FULL["annotations"], platform=FULL["platform"])
TAGGED = {"annotations": {"a": "b"}, "artifactType": "a/b"}
GENERIC = {
    "schemaVersion": 1,
    "annotations": {"a": ["b"]},
    "objects": [
        {
            "type": names.OBJECT_RELATION,
            "version": "1",
            "relation": "x",
            "filters": {"a": ["b"]},
            "components": [
                {"rtype": "reference", "descriptor": CHILD, "annotations": {"a": "b"}},
                {"rtype": "blob", "descriptor": FULL, "ctype": "c"},
                {"rtype": "data", "data": "data:;base64,Zm9v", "descriptor": FULL},
            ],
        }
    ],
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    names.OCI_MANIFEST: TAGGED
    | {"schemaVersion": 2, "config": FULL, "layers": [FULL], "subject": CHILD},
    names.OCI_INDEX: TAGGED | {"schemaVersion": 2, "manifests": [CHILD, FULL], "subject": CHILD},
    names.OCI_ARTIFACT: TAGGED | {"manifests": [CHILD], "blobs": [FULL], "config": FULL},
    names.ORAS_ARTIFACT: TAGGED | {"subject": CHILD, "blobs": [FULL]},
    names.OCI_OBJECT: GENERIC,
    names.OCI_OBJECT_JWT: GENERIC,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "x"])
    | st.sampled_from([IMAGE.digest, "blob", "reference", "data", 2**70]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside of a document."""
    keys: Any = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def encode(document: Any, media_type: str) -> bytes:
    body = dump(document)
    if media_type != names.OCI_OBJECT_JWT:
        return body
    header = dump({"alg": "ES256", "typ": media_type.removeprefix("application/")})
    parts = (base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, body, b"sig"))
    return b".".join(parts)


def fresh(media_type: str) -> dict[str, Any]:
    """A copy with places of its own: changing one must not change another."""

    copy: dict[str, Any] = json.loads(dump(DOCUMENTS[media_type] | {"mediaType": media_type}))
    return copy


def check(manifest: Manifest, raw: bytes) -> None:
    assert (manifest.raw, manifest.digest) == (raw, digests.of(raw))
    assert manifest.links == tuple(dict.fromkeys(manifest.links))
    assert {link.stated_by for link in manifest.links} <= {manifest.digest}
    for link in manifest.links:
        assert link.source == manifest.digest or link.way is Way.INDEX
        assert digests.parse(link.target) == link.target
        assert link.size >= 0
    described = {d.digest for d in (*manifest.blobs, *manifest.children)}
    assert described == {link.target for link in manifest.links if link.rel is not Rel.SUBJECT}
    entry = referrer_entry(manifest)
    assert all(isinstance(v, str) for v in entry.get("annotations", {}).values())


@pytest.mark.parametrize("media_type", DOCUMENTS)
def test_the_documents_themselves_are_read(media_type: str) -> None:
    raw = encode(fresh(media_type), media_type)
    manifest = read(raw, media_type)
    check(manifest, raw)
    assert {Rel.BLOB, Rel.SUBJECT} <= {link.rel for link in manifest.links}


@given(st.sampled_from(sorted(DOCUMENTS)), st.data(), JSON)
def test_any_value_in_any_place(media_type: str, data: Any, value: Any) -> None:
    document = fresh(media_type)
    container, key = data.draw(st.sampled_from(list(places(document))))
    container[key] = value
    raw = encode(document, media_type)
    try:
        manifest: Manifest | Unreadable = read(raw, media_type)
    except Unreadable as error:
        manifest = error
    assert manifest.digest == digests.of(raw)
    if isinstance(manifest, Manifest):
        check(manifest, raw)


@given(st.sampled_from(sorted(DOCUMENTS)), st.data())
def test_any_place_left_out(media_type: str, data: Any) -> None:
    document = fresh(media_type)
    container, key = data.draw(st.sampled_from(list(places(document))))
    del container[key]
    raw = encode(document, media_type)
    try:
        manifest: Manifest | Unreadable = read(raw, media_type)
    except Unreadable as error:
        manifest = error
    assert manifest.digest == digests.of(raw)


@given(JSON, st.sampled_from(sorted(DOCUMENTS.keys() - {names.OCI_ARTIFACT})))
def test_json_without_any_known_field_is_no_manifest(value: Any, media_type: str) -> None:
    raw = dump(value)
    with pytest.raises(Unreadable):
        read(raw, media_type)


@pytest.mark.parametrize(
    "stated", [{"artifactType": "a/b\0"}, {"config": FULL | {"mediaType": "\0"}}]
)
def test_no_type_has_a_zero_byte(stated: dict[str, Any]) -> None:
    """Lists are filtered by type, and PostgreSQL has no text with a zero byte."""
    document = {"schemaVersion": 2, "config": FULL, "layers": [], **stated}
    with pytest.raises(Unreadable, match="artifactType: has a zero byte"):
        read(dump(document), names.OCI_MANIFEST)

"""Image manifests and indexes: OCI 1.0 and 1.1, Docker schema 2."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import CONFIG, EMPTY, LAYER, artifact, describe, dump, image, index, pointer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.descriptor import Descriptor, may_be_absent
from retinue.oci.digest import Digest, InvalidDigest
from retinue.oci.links import Link, Rel, Way, keeps
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.platform import Platform
from retinue.oci.readers.table import FORMATS, Limits, read

IMAGES = [names.OCI_MANIFEST, names.DOCKER_MANIFEST]
INDEXES = [names.OCI_INDEX, names.DOCKER_LIST]
SUBJECT = image(b"subject")


def body(media_type: str = names.OCI_MANIFEST, **more: Any) -> dict[str, Any]:
    parts: dict[str, Any]
    if media_type in IMAGES:
        parts = {"config": describe(CONFIG, names.OCI_CONFIG), "layers": []}
    else:
        parts = {"manifests": []}
    return {"schemaVersion": 2, "mediaType": media_type} | parts | more


def refused(document: Any, field: str, media_type: str = names.OCI_MANIFEST) -> str:
    raw = document if isinstance(document, bytes) else dump(document)
    with pytest.raises(Unreadable) as caught:
        read(raw, media_type)
    assert (digests.of(raw), field) == (caught.value.digest, caught.value.field_name)
    return caught.value.reason


def link(source: Manifest, rel: Rel, target: Digest, size: int) -> Link:
    return Link(source.digest, target, rel, source.digest, Way.REFERRERS, size)


@pytest.mark.parametrize("media_type", IMAGES)
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_image_links_its_config_layers_and_subject(media_type: str, algorithm: str) -> None:
    found = image(
        b"one", b"two", media_type=media_type, algorithm=algorithm, subject=pointer(SUBJECT)
    )
    blobs = [(digests.of(data, algorithm), len(data)) for data in (CONFIG, b"one", b"two")]
    assert found.links == (
        *(link(found, Rel.BLOB, digest, size) for digest, size in blobs),
        link(found, Rel.SUBJECT, SUBJECT.digest, len(SUBJECT.raw)),
    )
    assert found.digest == digests.of(found.raw, algorithm)
    assert found.media_type == media_type
    assert found.config == found.blobs[0]
    assert [blob.digest for blob in found.blobs] == [digest for digest, _ in blobs]
    assert found.subject == Descriptor(names.OCI_MANIFEST, SUBJECT.digest, len(SUBJECT.raw))
    assert found.children == ()


@pytest.mark.parametrize("media_type", INDEXES)
def test_an_index_links_its_children_and_subject(media_type: str) -> None:
    children = image(b"1"), index(image(b"2"))
    found = index(*children, media_type=media_type, subject=pointer(SUBJECT), artifactType="a/b")
    assert found.links == (
        *(link(found, Rel.REFERENCE, child.digest, len(child.raw)) for child in children),
        link(found, Rel.SUBJECT, SUBJECT.digest, len(SUBJECT.raw)),
    )
    assert (found.artifact_type, found.blobs, found.config) == ("a/b", (), None)


def test_what_is_repeated_is_linked_once_and_described_each_time() -> None:
    found = image(LAYER, LAYER)
    assert (len(found.blobs), len(found.links)) == (3, 2)


def test_the_first_size_stated_of_a_digest_is_the_link_s() -> None:
    other = describe(LAYER, names.OCI_LAYER) | {"size": 1}
    found = image(layers=[describe(LAYER, names.OCI_LAYER), other])
    assert [each.size for each in found.links] == [len(CONFIG), len(LAYER)]


def test_entries_of_an_index_that_are_no_manifests_are_blobs() -> None:
    """BuildKit's cache is an index of layers and a config of its own."""
    layer = describe(LAYER, names.OCI_LAYER_GZIP)
    cache = describe(CONFIG, "application/vnd.buildkit.cacheconfig.v0")
    found = index(layer, cache, image())
    assert [digests.of(LAYER), digests.of(CONFIG)] == [b.digest for b in found.blobs]
    assert [image().digest] == [child.digest for child in found.children]
    assert [each.rel for each in found.links] == [Rel.BLOB, Rel.BLOB, Rel.REFERENCE]


def test_buildkit_entries_state_links_between_others_and_the_index_is_the_witness() -> None:
    about, paper = image(), artifact(kind="application/vnd.in-toto+json")
    stated = {
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
        names.ANNOTATION_BUILDKIT_DIGEST: about.digest,
    }
    platform = {"os": "unknown", "architecture": "unknown"}
    found = index(about, pointer(paper, annotations=stated, platform=platform))
    expected = Link(paper.digest, about.digest, Rel.SUBJECT, found.digest, Way.INDEX)
    assert found.links[2:] == (expected,)
    assert found.subject is None
    assert keeps(expected) == (about.digest, paper.digest)
    assert keeps(found.links[0]) == (found.digest, about.digest)


@pytest.mark.parametrize("stated", [{}, {names.ANNOTATION_BUILDKIT_DIGEST: "sha256:x"}])
def test_a_buildkit_entry_must_name_a_digest(stated: dict[str, str]) -> None:
    stated = stated | {names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION}
    document = body(names.OCI_INDEX, manifests=[pointer(image(), annotations=stated)])
    field = f"manifests[0].annotations.{names.ANNOTATION_BUILDKIT_DIGEST}"
    refused(document, field, names.OCI_INDEX)


def test_other_annotations_of_entries_state_nothing() -> None:
    stated = {names.ANNOTATION_BUILDKIT_TYPE: "other", names.ANNOTATION_BUILDKIT_DIGEST: "x"}
    assert len(index(pointer(image(), annotations=stated)).links) == 1


@pytest.mark.parametrize("media_type", [names.OCI_MANIFEST, names.OCI_INDEX])
def test_oci_bodies_may_leave_out_their_media_type(media_type: str) -> None:
    document = body(media_type)
    del document["mediaType"]
    assert read(dump(document), media_type).media_type == media_type


@pytest.mark.parametrize("media_type", [names.DOCKER_MANIFEST, names.DOCKER_LIST])
def test_docker_bodies_must_name_their_media_type(media_type: str) -> None:
    document = body(media_type)
    del document["mediaType"]
    refused(document, "mediaType", media_type)


@pytest.mark.parametrize("declared", sorted(FORMATS.keys() - {names.OCI_OBJECT_JWT}))
@pytest.mark.parametrize("stated", [names.OCI_MANIFEST, names.OCI_INDEX, "text/plain"])
def test_the_declared_media_type_must_be_the_one_in_the_body(declared: str, stated: str) -> None:
    if declared != stated:
        reason = refused(body() | {"mediaType": stated}, "mediaType", declared)
        assert f"{stated!r} in the body, but {declared!r}" in reason


@pytest.mark.parametrize("media_type", IMAGES)
@pytest.mark.parametrize("field", ["manifests", "fsLayers"])
def test_an_image_that_could_pass_for_something_else_is_refused(
    media_type: str, field: str
) -> None:
    refused(body(media_type, **{field: []}), field, media_type)


@pytest.mark.parametrize("media_type", INDEXES)
@pytest.mark.parametrize("field", ["config", "layers", "fsLayers"])
def test_an_index_that_could_pass_for_something_else_is_refused(
    media_type: str, field: str
) -> None:
    refused(body(media_type, **{field: []}), field, media_type)


@pytest.mark.parametrize("media_type", [names.DOCKER_SCHEMA1, names.DOCKER_SCHEMA1_SIGNED])
def test_schema_1_is_refused_with_a_remedy(media_type: str) -> None:
    assert "push it again" in refused({"schemaVersion": 1}, "mediaType", media_type)


def test_an_unknown_type_is_refused_and_the_known_ones_are_named() -> None:
    reason = refused({}, "mediaType", "application/json")
    assert all(media_type in reason for media_type in FORMATS)


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(InvalidDigest, match="blake3"):
        read(b"{}", names.OCI_MANIFEST, "blake3")


@pytest.mark.parametrize("version", [None, 1, 3, "2", True, 2.0, [2]])
@pytest.mark.parametrize("media_type", IMAGES + INDEXES)
def test_schema_version_must_be_2(media_type: str, version: Any) -> None:
    refused(body(media_type, schemaVersion=version), "schemaVersion", media_type)


@pytest.mark.parametrize("document", [b"", b"[]", b"null", b'{"a":1,"a":1}', b"\xff"])
def test_a_body_that_is_no_object_is_refused(document: bytes) -> None:
    refused(document, "a" if b"a" in document else "body")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"config": None}, "config"),
        ({"config": []}, "config"),
        ({"layers": {}}, "layers"),
        ({"layers": [1]}, "layers[0]"),
        ({"annotations": []}, "annotations"),
        ({"annotations": {"a": 1}}, "annotations"),
        ({"artifactType": 1}, "artifactType"),
        ({"subject": "x"}, "subject"),
        ({"Subject": {}}, "body"),
        ({"\u017fubject": {}}, "body"),
        ({"objectS": {}}, "body"),
    ],
)
def test_a_field_of_the_wrong_shape_is_named(change: dict[str, Any], field: str) -> None:
    refused(body(**change), field)


PLAIN = {"mediaType": "a/b", "digest": digests.of(b"foo"), "size": 3}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"size": -1}, ".size"),
        ({"size": True}, ".size"),
        ({"size": "3"}, ".size"),
        ({"size": 3.0}, ".size"),
        ({"size": 2**63}, ".size"),
        ({"size": None}, ".size"),
        ({"digest": "sha256:abc"}, ".digest"),
        ({"digest": "blake3:" + "a" * 64}, ".digest"),
        ({"digest": 1}, ".digest"),
        ({"mediaType": ""}, ".mediaType"),
        ({"mediaType": None}, ".mediaType"),
        ({"mediaType": 5}, ".mediaType"),
        ({"Data": "Zm9v"}, ""),
        ({"annotations": {"a": None}}, ".annotations"),
        ({"annotations": "x"}, ".annotations"),
        ({"urls": "x"}, ".urls"),
        ({"urls": [1]}, ".urls"),
        ({"artifactType": {}}, ".artifactType"),
        ({"platform": "linux/amd64"}, ".platform"),
        ({"platform": {"os": "linux"}}, ".platform"),
        ({"platform": {"architecture": "amd64", "os": ""}}, ".platform"),
        ({"platform": {"OS": "linux"}}, ".platform"),
        ({"platform": {"os": 1}}, ".platform.os"),
        ({"platform": {"os": "a", "architecture": "b", "os.features": "x"}}, ".platform.os.features"),
        ({"platform": {"features": [1]}}, ".platform.features"),
        ({"data": 1}, ".data"),
        ({"data": "Zm9v\n"}, ".data"),
        ({"data": "é"}, ".data"),
        ({"data": "Zm9"}, ".data"),
        ({"data": "Zm9vYg=="}, ".data"),
        ({"data": "Zm9w"}, ".data"),
    ],
)  # fmt: skip
def test_a_bad_descriptor_is_refused_wherever_it_is(change: dict[str, Any], field: str) -> None:
    bad = PLAIN | change
    refused(body(layers=[PLAIN, bad]), f"layers[1]{field}")
    refused(body(config=bad), f"config{field}")
    refused(body(subject=bad), f"subject{field}")
    refused(body(names.OCI_INDEX, manifests=[bad]), f"manifests[0]{field}", names.OCI_INDEX)


def test_a_descriptor_keeps_all_it_says() -> None:
    platform = {"os": "windows", "architecture": "amd64", "variant": "v2", "os.version": "10.0"}
    full = PLAIN | {
        "artifactType": "c/d",
        "annotations": {"a": "b"},
        "platform": platform | {"os.features": ["win32k"], "features": ["sse4"]},
        "urls": ["https://example.com/x"],
        "data": base64.b64encode(b"foo").decode(),
        "unknown": [1],
    }
    assert image(layers=[full]).blobs[1] == Descriptor(
        "a/b",
        digests.of(b"foo"),
        3,
        "c/d",
        {"a": "b"},
        Platform("windows", "amd64", "v2", "10.0", ("win32k",)),
        ("https://example.com/x",),
        b"foo",
    )


@pytest.mark.parametrize("platform", [None, {}, {"os": "", "architecture": ""}])
def test_a_platform_of_nothing_is_none(platform: Any) -> None:
    assert index(pointer(image(), platform=platform)).children[0].platform is None


def test_data_must_hash_by_the_algorithm_of_its_digest() -> None:
    data = base64.b64encode(b"foo").decode()
    layer = describe(b"foo", "a/b", "sha512", data=data)
    assert image(layers=[layer]).blobs[1].data == b"foo"


def test_links_have_a_bound() -> None:
    document = dump(body(layers=[PLAIN] * 10))
    assert len(read(document, names.OCI_MANIFEST, limits=Limits(max_links=11)).blobs) == 11
    with pytest.raises(Unreadable, match="11 links are more than the 10 allowed"):
        read(document, names.OCI_MANIFEST, limits=Limits(max_links=10))


def test_size_and_depth_have_bounds() -> None:
    document = dump(body())
    exact = Limits(max_bytes=len(document), max_depth=2)
    assert read(document, names.OCI_MANIFEST, limits=exact).raw == document
    with pytest.raises(Unreadable, match=f"{len(document)} bytes are more than"):
        read(document, names.OCI_MANIFEST, limits=Limits(max_bytes=len(document) - 1))
    with pytest.raises(Unreadable, match="deeper"):
        read(document, names.OCI_MANIFEST, limits=Limits(max_depth=1))


def test_only_foreign_layers_may_be_absent() -> None:
    layers = [dict(PLAIN) | {"mediaType": t} for t in sorted(names.FOREIGN_LAYERS)]
    config, *foreign = image(layers=layers).blobs
    assert all(map(may_be_absent, foreign))
    assert not may_be_absent(config)


def test_empty_and_large_annotations_are_kept_as_they_are() -> None:
    annotations = {f"a.{i}": "é" * 10_000 for i in range(150)} | {"": ""}
    assert artifact(annotations=annotations).annotations == annotations
    assert artifact(annotations={}, config=dict(EMPTY)).annotations == {}


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
DESCRIPTORS = st.builds(
    lambda data, media_type, extra: describe(data, media_type, **extra),
    st.binary(max_size=8),
    TEXT,
    st.dictionaries(st.sampled_from(["x", "y"]), st.integers(), max_size=1),
)


@given(
    st.lists(DESCRIPTORS, max_size=6),
    st.none() | DESCRIPTORS,
    st.dictionaries(st.from_regex("[a-z]{1,5}"), TEXT),
)
def test_every_image_reads_as_it_was_written(layers: Any, subject: Any, annotations: Any) -> None:
    document = body(layers=layers, subject=subject, annotations=annotations)
    found = read(dump(document), names.OCI_MANIFEST)
    described = [(b.media_type, b.digest, b.size) for b in found.blobs[1:]]
    assert [(d["mediaType"], d["digest"], d["size"]) for d in layers] == described
    assert annotations == found.annotations
    linked = {each.target for each in found.links if each.rel is Rel.BLOB}
    assert {d["digest"] for d in layers} | {digests.of(CONFIG)} == linked
    about = [each.target for each in found.links if each.rel is Rel.SUBJECT]
    assert ([subject["digest"]] if subject else []) == about
    assert {found.digest} == {each.source for each in found.links}


@given(st.binary(max_size=60), st.sampled_from(sorted(FORMATS)), st.data())
def test_damaged_manifests_are_read_or_refused_and_nothing_else(
    noise: bytes, kind: str, data: Any
) -> None:
    raw = image(subject=pointer(SUBJECT)).raw
    at = data.draw(st.integers(0, len(raw)))
    length = data.draw(st.integers(0, 20))
    damaged = raw[:at] + noise + raw[at + length :]
    try:
        found: Any = read(damaged, kind)
    except Unreadable as error:
        found = error
    assert found.digest == digests.of(damaged)

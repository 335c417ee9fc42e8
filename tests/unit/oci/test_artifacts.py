"""Artifact manifests from before OCI 1.1: one media type, three shapes; and ORAS's own."""

from typing import Any

import pytest

from builders import describe, dump, image, pointer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.links import Rel
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.readers.table import read

SUBJECT = image()
OTHER = image(b"other")
BLOB = describe(b"payload", "text/plain")
CONFIG = describe(b"config", "text/plain")
OCI = [names.OCI_ARTIFACT, names.OCI_ARTIFACT_RC1]


def artifact(media_type: str, **more: Any) -> Manifest:
    document = {"mediaType": media_type, "artifactType": "a/b", "blobs": [BLOB]} | more
    return read(dump(document), media_type)


def about(manifest: Manifest) -> list[str]:
    return [link.target for link in manifest.links if link.rel is Rel.SUBJECT]


@pytest.mark.parametrize("media_type", [*OCI, names.ORAS_ARTIFACT])
def test_the_subject_shape(media_type: str) -> None:
    found = artifact(media_type, subject=pointer(SUBJECT), annotations={"a": "b"})
    assert about(found) == [SUBJECT.digest]
    assert found.subject is not None
    assert found.subject.digest == SUBJECT.digest
    assert [blob.digest for blob in found.blobs] == [digests.of(b"payload")]
    assert (found.artifact_type, found.annotations) == ("a/b", {"a": "b"})
    assert found.children == ()


@pytest.mark.parametrize("media_type", OCI)
def test_the_subject_manifest_shape(media_type: str) -> None:
    found = artifact(media_type, schemaVersion=3, subjectManifest=pointer(SUBJECT))
    assert about(found) == [SUBJECT.digest]
    assert found.subject is not None
    assert found.subject.digest == SUBJECT.digest


@pytest.mark.parametrize("media_type", OCI)
def test_the_manifests_shape_is_about_all_that_it_lists(media_type: str) -> None:
    listed = [pointer(SUBJECT), pointer(OTHER)]
    found = artifact(media_type, schemaVersion=1, config=CONFIG, manifests=listed)
    assert about(found) == [SUBJECT.digest, OTHER.digest]
    assert (found.subject, found.children) == (None, ())
    assert [blob.digest for blob in found.blobs] == [digests.of(b"config"), digests.of(b"payload")]
    assert found.config == found.blobs[0]


@pytest.mark.parametrize("media_type", [*OCI, names.ORAS_ARTIFACT])
def test_an_artifact_about_nothing(media_type: str) -> None:
    found = artifact(media_type, blobs=None)
    assert (found.links, found.subject) == ((), None)


@pytest.mark.parametrize(
    "fields", [("subject", "subjectManifest"), ("subject", "manifests"), ("subjectManifest", "manifests")]
)  # fmt: skip
def test_two_shapes_at_once_are_refused(fields: tuple[str, str]) -> None:
    both = {
        name: [pointer(SUBJECT)] if name == "manifests" else pointer(SUBJECT) for name in fields
    }
    with pytest.raises(Unreadable, match="each belongs to another format"):
        artifact(names.OCI_ARTIFACT, **both)


@pytest.mark.parametrize("field", ["subjectManifest", "manifests", "config", "layers"])
def test_oras_has_one_shape_only(field: str) -> None:
    with pytest.raises(Unreadable, match=f"{field}: has no place"):
        artifact(names.ORAS_ARTIFACT, **{field: []})


@pytest.mark.parametrize(
    ("media_type", "more"),
    [(names.ORAS_ARTIFACT, {}), (names.OCI_ARTIFACT, {"subjectManifest": pointer(SUBJECT)})],
)
def test_artifact_type_is_required_where_it_was(media_type: str, more: Any) -> None:
    with pytest.raises(Unreadable, match="artifactType: is required"):
        artifact(media_type, artifactType=None, **more)


def test_artifact_type_was_optional_in_the_release_candidates() -> None:
    found = artifact(names.OCI_ARTIFACT, artifactType=None, subject=pointer(SUBJECT))
    assert found.artifact_type is None


@pytest.mark.parametrize("version", ["3", True, 1.0])
def test_a_schema_version_is_an_integer_where_there_is_one(version: Any) -> None:
    with pytest.raises(Unreadable, match="schemaVersion: must be an integer"):
        artifact(names.OCI_ARTIFACT, schemaVersion=version)


def test_the_release_candidate_type_is_not_the_other_one() -> None:
    with pytest.raises(Unreadable, match="mediaType"):
        read(dump({"mediaType": names.OCI_ARTIFACT}), names.OCI_ARTIFACT_RC1)

"""Entries of a referrers list (distribution-spec 1.1)."""

from builders import EMPTY, artifact, image, index, pointer
from retinue.oci import names
from retinue.oci.manifest import Manifest
from retinue.oci.referrers import referrer_entry

SUBJECT = image()


def base(manifest: Manifest) -> dict[str, object]:
    return {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.raw),
    }


def test_shows_artifact_type_and_all_annotations() -> None:
    paper = artifact(SUBJECT, kind="application/x", annotations={"a": "1", "b": "é"})
    expected = base(paper) | {"artifactType": "application/x", "annotations": {"a": "1", "b": "é"}}
    assert expected == referrer_entry(paper)


def test_an_image_without_artifact_type_shows_the_type_of_its_config() -> None:
    assert referrer_entry(image(subject=pointer(SUBJECT)))["artifactType"] == names.OCI_CONFIG


def test_an_empty_artifact_type_counts_as_missing() -> None:
    paper = artifact(SUBJECT, kind="")
    assert referrer_entry(paper)["artifactType"] == EMPTY["mediaType"]


def test_an_index_without_artifact_type_shows_none() -> None:
    paper = index(subject=pointer(SUBJECT))
    assert base(paper) == referrer_entry(paper)


def test_an_index_shows_its_artifact_type() -> None:
    paper = index(subject=pointer(SUBJECT), artifactType="application/x")
    assert referrer_entry(paper)["artifactType"] == "application/x"


def test_the_entry_can_be_changed_without_changing_the_manifest() -> None:
    paper = artifact(SUBJECT, annotations={"a": "1"})
    referrer_entry(paper)["annotations"]["b"] = "2"
    assert paper.annotations == {"a": "1"}

"""Generic objects. Each test names the ambiguity of the draft that it settles."""

import base64
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builders import artifact, describe, dump, image, pointer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.links import Rel, keeps
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.readers.objects import MAX_DATA, GenericObject
from retinue.oci.readers.table import read, read_generic
from retinue.oci.referrers import referrer_entry

IMAGE = image()
SBOM = artifact(kind="application/spdx+json")
BLOB = {"rtype": "blob", "descriptor": describe(b"data", "text/plain")}


def reference(manifest: Manifest, **more: Any) -> dict[str, Any]:
    return {"rtype": "reference", "descriptor": pointer(manifest), **more}


def thing(*components: Any, kind: str = "org.example.thing", **more: Any) -> dict[str, Any]:
    return {"type": kind, "version": "1", "components": list(components), **more}


def relation(*components: Any, **more: Any) -> dict[str, Any]:
    return thing(*components, kind=names.OBJECT_RELATION, **{"relation": "org.example.sbom"} | more)


SBOM_OF_IMAGE = relation(reference(IMAGE), reference(SBOM))


def document(*objects: Any, **more: Any) -> dict[str, Any]:
    found = {"schemaVersion": 1, "mediaType": names.OCI_OBJECT, "objects": list(objects)}
    return found | more


def generic(*objects: Any, **more: Any) -> Manifest:
    return read(dump(document(*objects, **more)), names.OCI_OBJECT)


def only(*objects: Any, **more: Any) -> GenericObject:
    (found,) = read_generic(generic(*objects, **more))
    return found


def refused(*objects: Any, **more: Any) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        generic(*objects, **more)
    return caught.value


def targets(manifest: Manifest, rel: Rel) -> list[str]:
    return [link.target for link in manifest.links if link.rel is rel]


@pytest.mark.parametrize("version", [1, "1"], ids=repr)
def test_settlement_1_schema_version_is_1_as_integer_or_string(version: Any) -> None:
    found = generic(schemaVersion=version)
    assert found.raw == dump(document(schemaVersion=version))


@pytest.mark.parametrize("version", [2, "2", None, True, 1.0, "01", [1]], ids=repr)
def test_settlement_1_anything_else_is_refused(version: Any) -> None:
    assert refused(schemaVersion=version).field_name == "schemaVersion"


@pytest.mark.parametrize("field", ["filters", "filter"])
def test_settlement_2_both_spellings_of_filters_are_read(field: str) -> None:
    assert only(thing() | {field: {"a": "b"}}).filters == {"a": ("b",)}


def test_settlement_2_both_at_once_must_be_equal() -> None:
    same = thing(filters={"a": "b"}, filter={"a": ["b"]})
    assert only(same).filters == {"a": ("b",)}
    for other in ({"a": "c"}, {}):
        assert refused(thing(filters={"a": "b"}, filter=other)).field_name == "objects[0].filters"


def test_settlement_3_a_filter_is_a_string_or_a_list() -> None:
    item = only(thing(filters={"org.oci.os": ["linux", "freebsd"], "x": "y"}))
    assert item.filters == {"org.oci.os": ("linux", "freebsd"), "x": ("y",)}


@pytest.mark.parametrize("value", [1, [], [1], None, {}])
def test_settlement_3_any_other_filter_is_refused(value: Any) -> None:
    assert refused(thing(filters={"a": value})).field_name == "objects[0].filters.a"


def test_settlement_4_annotations_are_strings_or_lists_and_referrers_show_the_first() -> None:
    found = generic(annotations={"a": ["1", "2"], "b": "3"})
    assert found.annotations == {"a": "1", "b": "3"}
    assert referrer_entry(found)["annotations"] == {"a": "1", "b": "3"}
    item = only(thing(), annotations={"a": ["1", "2"]})
    assert item.annotations == {"a": ("1", "2")}


def test_settlement_5_nearer_annotations_override_and_root_ones_are_shown() -> None:
    manifest = generic(
        thing(
            BLOB | {"annotations": {"c": "component"}}, annotations={"b": "object", "c": "object"}
        ),
        annotations={"a": "root", "b": "root", "c": "root"},
    )
    (item,) = read_generic(manifest)
    assert manifest.annotations == {"a": "root", "b": "root", "c": "root"}
    assert item.annotations == {"a": ("root",), "b": ("object",), "c": ("object",)}
    assert item.components[0].annotations == {**item.annotations, "c": ("component",)}


@pytest.mark.parametrize("text", ['{"a":1,}', '{"a":1 "b":2}', '{"a":1,"a":1}'])
def test_settlement_6_what_is_no_strict_json_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="invalid JSON"):
        read(text.encode(), names.OCI_OBJECT)


@pytest.mark.parametrize("rtype", ["blob", "reference"])
@pytest.mark.parametrize("descriptor", [None, {}, {"digest": digests.of(b"")}, {"size": 0}])
def test_settlement_7_a_linking_component_needs_digest_and_size(
    rtype: str, descriptor: Any
) -> None:
    found = refused(thing({"rtype": rtype, "descriptor": descriptor}))
    assert found.field_name.startswith("objects[0].components[0].descriptor")


def test_settlement_7_digest_and_size_are_enough() -> None:
    plain = {"digest": digests.of(b"data"), "size": 4}
    found = generic(thing({"rtype": "blob", "descriptor": plain}))
    assert [(b.digest, b.size, b.media_type) for b in found.blobs] == [
        (digests.of(b"data"), 4, names.OCTET_STREAM)
    ]


def test_settlement_7_content_has_one_size() -> None:
    other = {"rtype": "blob", "descriptor": BLOB["descriptor"] | {"size": 5}}  # type: ignore[operator]
    assert "two sizes" in refused(thing(BLOB), thing(other)).reason


@pytest.mark.parametrize("rtype", ["Blob", "layer", 1, ["blob"]])
def test_settlement_8_an_unknown_rtype_is_refused(rtype: Any) -> None:
    assert refused(thing(BLOB | {"rtype": rtype})).field_name == "objects[0].components[0].rtype"


@pytest.mark.parametrize("rtype", [{}, {"rtype": None}, {"rtype": ""}])
def test_settlement_8_without_rtype_the_descriptor_is_not_looked_at(rtype: dict[str, Any]) -> None:
    found = generic(thing({"descriptor": "a foreign one", "url": "x"} | rtype))
    assert (found.links, found.blobs, found.children) == ((), (), ())


@pytest.mark.parametrize(
    "uri", ["data:,data", "data:text/plain,%64ata", "data:text/plain;base64,ZGF0YQ=="]
)
def test_settlement_8_inlined_data_is_no_link_and_is_checked(uri: str) -> None:
    inlined = {"rtype": "data", "data": uri}
    described = inlined | {"descriptor": describe(b"data", "text/plain")}
    for component in (inlined, described):
        manifest = generic(thing(component))
        assert manifest.links == ()
        assert read_generic(manifest)[0].components[0].data == b"data"
    wrong = inlined | {"descriptor": describe(b"DATA", "text/plain")}
    assert "hashes to" in refused(thing(wrong)).reason
    longer = inlined | {"descriptor": describe(b"data ", "text/plain")}
    assert "holds 4 bytes" in refused(thing(longer)).reason


@pytest.mark.parametrize(
    "uri", [None, 1, "", "x:,data", "data:data", "data:;base64,ZGF", "data:;base64,é", "data:,é"]
)
def test_settlement_8_data_is_a_data_uri(uri: Any) -> None:
    found = refused(thing({"rtype": "data", "data": uri}))
    assert found.field_name == "objects[0].components[0].data"


def test_settlement_8_inlined_data_has_a_bound() -> None:
    fits = "data:;base64," + base64.b64encode(b"x" * MAX_DATA).decode()
    item = only(thing({"rtype": "data", "data": fits}))
    assert item.components[0].data == b"x" * MAX_DATA
    over = "data:," + "x" * (MAX_DATA + 1)
    assert "more than" in refused(thing({"rtype": "data", "data": over})).reason


def test_settlement_9_root_lists_of_blobs_and_references_are_ignored() -> None:
    found = generic(blobs=[BLOB["descriptor"]], references=[pointer(IMAGE)])
    assert found.links == ()


def test_settlement_10_the_same_digest_as_blob_and_reference_is_a_reference() -> None:
    as_blob = {"rtype": "blob", "descriptor": pointer(IMAGE)}
    found = generic(thing(as_blob, reference(IMAGE)), thing(reference(IMAGE)))
    assert [(link.rel, link.target) for link in found.links] == [(Rel.REFERENCE, IMAGE.digest)]
    assert found.blobs == ()


def test_settlement_12_a_pointer_has_exactly_one_reference() -> None:
    generic(thing(reference(IMAGE), kind=names.OBJECT_POINTER))
    bad: list[list[Any]] = [[], [BLOB], [reference(IMAGE)] * 2, [{}], [reference(IMAGE), {}]]
    for components in bad:
        found = refused(thing(*components, kind=names.OBJECT_POINTER))
        assert found.field_name == "objects[0].components"


def test_settlement_12_a_relation_has_two_components_the_first_a_reference() -> None:
    generic(relation(reference(IMAGE), BLOB, {}))
    bad: list[list[Any]] = [[], [reference(IMAGE)], [BLOB, reference(IMAGE)], [{}, {}]]
    for components in bad:
        assert refused(relation(*components)).field_name == "objects[0].components"


def test_settlement_12_a_property_has_a_component() -> None:
    for component in (BLOB, reference(SBOM)):
        generic(thing(component, kind=names.OBJECT_PROPERTY, relation="x"))
    bad: list[list[Any]] = [[], [{}]]
    for components in bad:
        found = refused(thing(*components, kind=names.OBJECT_PROPERTY, relation="x"))
        assert found.field_name == "objects[0].components"


def test_settlement_12_relations_and_properties_name_their_relation() -> None:
    assert refused(SBOM_OF_IMAGE | {"relation": None}).field_name == "objects[0].relation"
    bare = thing(BLOB, kind=names.OBJECT_PROPERTY)
    assert refused(bare).field_name == "objects[0].relation"


@pytest.mark.parametrize("more", [{"objects": []}, {"objects": None}])
def test_settlement_15_no_objects_is_fine(more: dict[str, Any]) -> None:
    assert generic(**more).links == ()


@pytest.mark.parametrize("objects", [{}, {"a": thing()}, "x"])
def test_settlement_15_a_map_of_objects_is_refused(objects: Any) -> None:
    assert refused(objects=objects).field_name == "objects"


def test_settlement_17_a_relation_is_about_its_first_component() -> None:
    found = generic(SBOM_OF_IMAGE)
    assert targets(found, Rel.SUBJECT) == [IMAGE.digest]
    assert targets(found, Rel.REFERENCE) == [IMAGE.digest, SBOM.digest]
    assert found.subject is None
    assert referrer_entry(found)["artifactType"] == names.OCI_OBJECT
    assert referrer_entry(found)["annotations"] == {names.ANNOTATION_RELATION: "org.example.sbom"}


def test_settlement_17_a_relation_that_is_a_media_type_is_the_artifact_type() -> None:
    found = generic(SBOM_OF_IMAGE | {"relation": "application/spdx+json"}, annotations={"a": "b"})
    assert referrer_entry(found)["artifactType"] == "application/spdx+json"
    assert referrer_entry(found)["annotations"] == {"a": "b"}


def test_settlement_17_a_pointer_is_about_what_it_points_at() -> None:
    found = generic(thing(reference(IMAGE), kind=names.OBJECT_POINTER))
    assert targets(found, Rel.SUBJECT) == [IMAGE.digest]
    assert found.artifact_type == names.OCI_OBJECT


def test_settlement_17_a_root_subject_counts_too() -> None:
    found = generic(thing(BLOB), SBOM_OF_IMAGE, subject=pointer(SBOM))
    assert targets(found, Rel.SUBJECT) == [SBOM.digest, IMAGE.digest]
    assert found.subject is not None
    assert found.subject.digest == SBOM.digest


def test_settlement_17_other_objects_are_about_nothing() -> None:
    found = generic(thing(reference(IMAGE)))
    assert targets(found, Rel.SUBJECT) == []
    assert found.artifact_type is None


def test_settlement_18_a_relation_and_its_subject_keep_each_other() -> None:
    """So neither lives by the other alone: liveness has to look for a root above the two."""
    found = generic(SBOM_OF_IMAGE)
    edges = {keeps(link) for link in found.links}
    assert {(found.digest, IMAGE.digest), (IMAGE.digest, found.digest)} <= edges


def test_settlement_21_unknown_fields_are_kept_and_ignored() -> None:
    raw = dump(document(thing(BLOB | {"x": 1}, y=[2]), z={"w": None}))
    assert read(raw, names.OCI_OBJECT).raw == raw


def test_case_variants_of_known_fields_are_refused() -> None:
    for item in (thing(Relation="x"), thing({"RType": "blob"}), thing(Filter={})):
        assert "passes for" in refused(item).reason


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (1, "objects[0]"),
        ({"version": "1"}, "objects[0].type"),
        ({"type": "x"}, "objects[0].version"),
        ({"type": "x", "version": 1}, "objects[0].version"),
        (thing() | {"components": {}}, "objects[0].components"),
        (thing(1), "objects[0].components[0]"),
        (thing(BLOB | {"ctype": 1}), "objects[0].components[0].ctype"),
        (thing(annotations=[]), "objects[0].annotations"),
        (thing(BLOB | {"annotations": {"a": 1}}), "objects[0].components[0].annotations.a"),
    ],
)
def test_a_field_of_the_wrong_shape_is_named(item: Any, field: str) -> None:
    assert refused(thing() if item is None else item).field_name == field


def test_the_media_type_must_be_in_the_body() -> None:
    assert refused(mediaType=None).field_name == "mediaType"


def test_other_manifests_have_no_objects() -> None:
    assert read_generic(IMAGE) == ()


FIXTURES = Path(__file__).parents[2] / "vectors" / "oci" / "objects"
EXPECTED = {
    "image": {Rel.BLOB: 3},
    "pointer": {Rel.REFERENCE: 1, Rel.SUBJECT: 1},
    "relation": {Rel.REFERENCE: 2, Rel.SUBJECT: 1},
    "property": {Rel.BLOB: 1},
    "icon": {},
}


@pytest.mark.parametrize("fixture", sorted(path.stem for path in FIXTURES.iterdir()))
def test_settlement_6_the_corrected_examples_are_read(fixture: str) -> None:
    raw = (FIXTURES / f"{fixture}.json").read_bytes()
    found = read(raw, names.OCI_OBJECT)
    assert Counter(link.rel for link in found.links) == EXPECTED[fixture]

"""Choosing an object, following pointers, exporting images (settlements 13, 14, 16, 20)."""

from collections.abc import Mapping
from typing import Any

import pytest

from builders import CONFIG, LAYER, describe, dump, image, pointer
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.convert import NotExportable, export, generalise
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.platform import Platform, parse
from retinue.oci.readers.objects import GenericObject
from retinue.oci.readers.table import read
from retinue.oci.resolve import MAX_POINTERS, NoPointerEnd, choose, dereference, filters_of

LINUX = filters_of(parse("linux/arm64/v8"))


def item(kind: str = "a", version: str = "1", **filters: str | tuple[str, ...]) -> GenericObject:
    lists = {
        f"org.oci.{key}": (value,) if isinstance(value, str) else value
        for key, value in filters.items()
    }
    return GenericObject(kind, version, lists, (), {}, None)


def generic(*objects: Any) -> Manifest:
    body = {"schemaVersion": 1, "mediaType": names.OCI_OBJECT, "objects": list(objects)}
    return read(dump(body), names.OCI_OBJECT)


def test_settlement_13_the_client_orders_types_and_versions_and_only_exact_ones_count() -> None:
    objects = [item("a", "1"), item("a", "10"), item("a", "2"), item("b", "2.0")]
    assert choose(objects, [("a", "2"), ("a", "1")], {}) is objects[2]
    assert choose(objects, [("b", "2"), ("a", "10")], {}) is objects[1]
    assert choose(objects, [("b", "2"), ("c", "1")], {}) is None


def test_settlement_14_ties_go_to_the_first_in_the_document() -> None:
    objects = [item(os="windows"), item(os="linux"), item(os="linux", architecture="arm64")]
    assert choose(objects, [("a", "1")], LINUX) is objects[1]


def test_settlement_14_an_unknown_filter_makes_unfit_and_an_absent_one_fits() -> None:
    objects = [item(os="linux", moon="full"), item()]
    assert choose(objects, [("a", "1")], LINUX) is objects[1]


def test_settlement_3_any_value_of_a_list_fits() -> None:
    assert choose([both := item(os=("freebsd", "linux"))], [("a", "1")], LINUX) is both


def test_settlement_14_what_fits_less_known_types_comes_later() -> None:
    objects = [item("a", os="windows"), item("b", os="linux")]
    assert choose(objects, [("a", "1"), ("b", "1")], LINUX) is objects[1]


def test_a_platform_without_variant_names_none() -> None:
    found = filters_of(Platform("linux", "amd64"))
    assert found == {names.FILTER_OS: "linux", names.FILTER_ARCHITECTURE: "amd64"}
    assert LINUX[names.FILTER_VARIANT] == "v8"


def point_at(target: Mapping[str, Any]) -> Manifest:
    component = {"rtype": "reference", "descriptor": target}
    return generic({"type": names.OBJECT_POINTER, "version": "1", "components": [component]})


def follow(start: Manifest, known: Mapping[Digest, Manifest]) -> Manifest:
    steps = dereference(start)
    try:
        asked = next(steps)
        while True:
            asked = steps.send(known[asked])
    except StopIteration as end:
        found: Manifest = end.value
        return found


def chain(length: int) -> tuple[Manifest, dict[Digest, Manifest]]:
    current = image()
    known = {current.digest: current}
    for _ in range(length):
        current = point_at(pointer(current))
        known[current.digest] = current
    return current, known


@pytest.mark.parametrize("length", [0, 1, MAX_POINTERS])
def test_settlement_16_a_chain_of_pointers_is_followed(length: int) -> None:
    assert follow(*chain(length)) == image()


def test_settlement_16_a_longer_one_is_not() -> None:
    start, known = chain(MAX_POINTERS + 1)
    with pytest.raises(NoPointerEnd, match="at most 16") as caught:
        follow(start, known)
    assert (start.digest, MAX_POINTERS + 1) == (caught.value.start, len(caught.value.chain))


def test_settlement_16_a_circle_ends_even_if_somebody_could_make_one() -> None:
    start = point_at(pointer(image()))
    again = point_at(pointer(start))
    with pytest.raises(NoPointerEnd) as caught:
        follow(start, {image().digest: again, start.digest: start})
    assert caught.value.chain == (start.digest, image().digest)


def test_settlement_16_a_manifest_of_other_or_several_objects_is_an_end() -> None:
    end = generic(
        *({"type": t, "version": "1", "components": [BLOBS[0]]} for t in ("org.x", "org.y"))
    )
    assert follow(point_at(pointer(end)), {end.digest: end}) == end
    assert follow(generic(), {}) == generic()


BLOBS = [
    {
        "rtype": "blob",
        "ctype": names.COMPONENT_CONFIG,
        "descriptor": describe(CONFIG, names.OCI_CONFIG),
    },
    {
        "rtype": "blob",
        "ctype": names.COMPONENT_LAYER,
        "descriptor": describe(LAYER, names.OCI_LAYER),
    },
]


def image_object(*components: Any, **more: Any) -> dict[str, Any]:
    found = {"type": names.OBJECT_IMAGE, "version": "2"}
    return found | {"components": list(components or BLOBS)} | more


def test_settlement_20_one_image_is_exported_with_a_digest_of_its_own() -> None:
    source = generic(image_object({"ctype": "x"}, *BLOBS, annotations={"a": ["1", "2"]}))
    (found,) = export(source)
    assert found.media_type == names.OCI_MANIFEST
    assert found.digest != source.digest
    assert {blob.digest for blob in found.blobs} == {blob.digest for blob in source.blobs}
    assert found.annotations == {"a": "1"}


def test_settlement_20_several_images_are_exported_with_an_index() -> None:
    linux = {names.FILTER_OS: ["linux", "freebsd"], names.FILTER_ARCHITECTURE: "amd64"}
    arm = {names.FILTER_OS: "linux", names.FILTER_ARCHITECTURE: "arm", names.FILTER_VARIANT: "v7"}
    source = generic(
        image_object(filters=linux, annotations={"n": "1"}),
        image_object(filters=arm, annotations={"n": "2"}),
        image_object(filters={names.FILTER_OS: "linux"}, annotations={"n": "3"}),
        {"type": "org.example.icon", "version": "1"},
    )
    *images, top = export(source)
    assert [m.media_type for m in images] == [names.OCI_MANIFEST] * 3
    assert [(c.digest, c.platform and str(c.platform)) for c in top.children] == [
        (images[0].digest, "linux/amd64"),
        (images[0].digest, "freebsd/amd64"),
        (images[1].digest, "linux/arm/v7"),
        (images[2].digest, None),
    ]
    assert export(source) == (*images, top)


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ([], "no image object"),
        ([image_object(version="1")], "no image object"),
        ([image_object(BLOBS[1])], "one config, not 0"),
        ([image_object(BLOBS[0], BLOBS[0])], "one config, not 2"),
    ],
)
def test_settlement_20_what_is_no_image_is_not_exported(objects: list[Any], reason: str) -> None:
    with pytest.raises(NotExportable, match=reason) as caught:
        export(generic(*objects))
    assert caught.value.digest == generic(*objects).digest
    assert digests.checked(caught.value.digest)


def test_images_become_one_generic_manifest_and_come_back_as_they_were() -> None:
    linux = {names.FILTER_OS: "linux", names.FILTER_ARCHITECTURE: "amd64"}
    arm = {names.FILTER_OS: "linux", names.FILTER_ARCHITECTURE: "arm", names.FILTER_VARIANT: "v7"}
    *images, top = export(
        generic(
            image_object(filters=linux, annotations={"n": "1"}),
            image_object(filters=arm, annotations={"n": "2"}),
        )
    )
    made = generalise([(i, c.platform) for i, c in zip(images, top.children, strict=True)])
    assert made.media_type == names.OCI_OBJECT
    assert {blob.digest for blob in made.blobs} == {b.digest for i in images for b in i.blobs}
    assert export(made) == (*images, top)


def test_what_has_no_config_becomes_no_object() -> None:
    with pytest.raises(NotExportable, match="no config"):
        generalise([(generic(image_object()), None)])

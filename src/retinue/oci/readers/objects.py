"""Generic object manifests: typed objects whose components are blobs, references or inlined data.

The format never left the drafts; where its text is ambiguous this file decides, and each decision
has a test that names its number.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.readers import fields
from retinue.oci.readers.fields import Malformed
from retinue.oci.readers.parts import Parts

VERSIONS = frozenset({1, "1"})
MAX_DATA = 64 * 1024
"""The most bytes that a component may inline."""

Lists = Mapping[str, tuple[str, ...]]

_OBJECT = frozenset(
    {"type", "version", "filters", "filter", "components", "annotations", "relation"}
)
_COMPONENT = frozenset({"rtype", "descriptor", "ctype", "annotations", "data"})
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
)


class Component(Struct, frozen=True):
    """`rtype` is blob, reference, data or None; only the first two have a descriptor for sure.

    `annotations` hold those of the object and the manifest too, the nearer overriding.
    """

    rtype: str | None
    descriptor: Descriptor | None
    ctype: str | None
    annotations: Lists
    data: bytes | None = None


class GenericObject(Struct, frozen=True):
    """One object. A filter that is absent fits everything; one present fits any of its values."""

    type: str
    version: str
    filters: Lists
    components: tuple[Component, ...]
    annotations: Lists
    relation: str | None


def read_objects(root: Mapping[str, Any]) -> Parts:
    """Root `blobs` and `references` are what some server derives: not looked at."""
    objects = parse_objects(root)
    components = [c for item in objects for c in item.components]
    children = tuple(_descriptors(components, "reference"))
    sizes = {child.digest: child.size for child in children}
    _check_sizes((*children, *_descriptors(components, "blob")))
    kind, annotations = _shown(objects, _lists(root, "annotations", ""))
    return Parts(
        artifact_type=kind,
        annotations=annotations,
        blobs=tuple(b for b in _descriptors(components, "blob") if b.digest not in sizes),
        children=children,
        subject=fields.one_descriptor(root, "subject"),
        about=tuple(_primaries(objects)),
    )


def parse_objects(root: Mapping[str, Any]) -> tuple[GenericObject, ...]:
    """The objects of a parsed document, in its order; raises Malformed."""
    shared = _lists(root, "annotations", "")
    items = fields.array(root, "objects")
    return tuple(_object(item, shared, f"objects[{i}]") for i, item in enumerate(items))


def _object(value: Any, shared: Lists, where: str) -> GenericObject:
    fields.struct(value, _OBJECT, where)
    annotations = {**shared, **_lists(value, "annotations", where)}
    items = value.get("components")
    if items is not None and type(items) is not list:
        raise Malformed(f"{where}.components", "must be an array")
    result = GenericObject(
        type=_required(value, "type", where),
        version=_required(value, "version", where),
        filters=_filters(value, where),
        components=tuple(
            _component(item, annotations, f"{where}.components[{i}]")
            for i, item in enumerate(items or ())
        ),
        annotations=annotations,
        relation=fields.text(value, "relation", f"{where}."),
    )
    _check_arity(result, where)
    return result


def _component(value: Any, shared: Lists, where: str) -> Component:
    fields.struct(value, _COMPONENT, where)
    rtype = fields.text(value, "rtype", f"{where}.")
    if rtype not in {None, "blob", "reference", "data"}:
        raise Malformed(f"{where}.rtype", f"{rtype!r:.80} is not blob, reference or data")
    stated = value.get("descriptor")
    found = None
    if rtype in {"blob", "reference"} or (rtype == "data" and stated is not None):
        found = fields.descriptor(stated, f"{where}.descriptor", untyped=names.OCTET_STREAM)
    return Component(
        rtype,
        found,
        fields.text(value, "ctype", f"{where}."),
        {**shared, **_lists(value, "annotations", where)},
        _data(value, found, where) if rtype == "data" else None,
    )


def _check_arity(item: GenericObject, where: str) -> None:
    rtypes = [component.rtype for component in item.components]
    where = f"{where}.components"
    if item.type == names.OBJECT_POINTER and rtypes != ["reference"]:
        raise Malformed(where, "a pointer has exactly one component, a reference")
    if item.type == names.OBJECT_RELATION and (len(rtypes) < 2 or rtypes[0] != "reference"):
        raise Malformed(where, "a relation has two components or more, the first a reference")
    if item.type == names.OBJECT_PROPERTY and not {"blob", "reference"} & set(rtypes):
        raise Malformed(where, "a property has one component or more, a blob or a reference")
    if item.type in {names.OBJECT_RELATION, names.OBJECT_PROPERTY} and item.relation is None:
        raise Malformed(where.replace("components", "relation"), "is required")


def _descriptors(components: Iterable[Component], rtype: str) -> Iterable[Descriptor]:
    return (c.descriptor for c in components if c.rtype == rtype and c.descriptor is not None)


def _check_sizes(descriptors: Iterable[Descriptor]) -> None:
    sizes: dict[str, int] = {}
    for item in descriptors:
        if sizes.setdefault(item.digest, item.size) != item.size:
            raise Malformed("objects", f"states two sizes for {item.digest}")


def _primaries(objects: Iterable[GenericObject]) -> Iterable[Descriptor]:
    """A relation or a pointer is about its first component."""
    for item in objects:
        if item.type in {names.OBJECT_RELATION, names.OBJECT_POINTER}:
            primary = item.components[0].descriptor
            assert primary is not None
            yield primary


def _shown(objects: Iterable[GenericObject], shared: Lists) -> tuple[str | None, Mapping[str, str]]:
    """Artifact type and annotations of a referrers entry, which knows one string per key."""
    annotations = {key: values[0] for key, values in shared.items()}
    for item in objects:
        if item.type == names.OBJECT_POINTER:
            return names.OCI_OBJECT, annotations
        if item.type == names.OBJECT_RELATION and item.relation is not None:
            if _MEDIA_TYPE.fullmatch(item.relation):
                return item.relation, annotations
            return names.OCI_OBJECT, annotations | {names.ANNOTATION_RELATION: item.relation}
    return None, annotations


def _required(holder: Mapping[str, Any], name: str, where: str) -> str:
    value = fields.text(holder, name, f"{where}.")
    if value is None:
        raise Malformed(f"{where}.{name}", "is required")
    return value


def _filters(value: Mapping[str, Any], where: str) -> Lists:
    """The text says `filters`, its examples `filter`."""
    plural, singular = (_lists(value, name, where) for name in ("filters", "filter"))
    both = value.get("filters") is not None and value.get("filter") is not None
    if both and plural != singular:
        raise Malformed(f"{where}.filters", "contradicts `filter`")
    return plural or singular


def _lists(holder: Mapping[str, Any], name: str, where: str) -> Lists:
    """A map whose values are strings or lists of strings."""
    value = holder.get(name)
    where = f"{where}.{name}" if where else name
    if value is None:
        return {}
    if type(value) is not dict:
        raise Malformed(where, "must be an object")
    return {key: _list(item, f"{where}.{key[:80]}") for key, item in value.items()}


def _list(value: Any, where: str) -> tuple[str, ...]:
    items = [value] if type(value) is str else value
    if type(items) is not list or not items or any(type(item) is not str for item in items):
        raise Malformed(where, "must be a string or a list of strings, one at least")
    return tuple(items)


def _data(value: Mapping[str, Any], stated: Descriptor | None, where: str) -> bytes:
    """A component's `data` is a data URI (RFC 2397)."""
    where = f"{where}.data"
    uri = value.get("data")
    if type(uri) is not str or not uri.startswith("data:") or "," not in uri:
        raise Malformed(where, "must be a data URI")
    head, _, body = uri.partition(",")
    try:
        raw = body.encode("ascii")
        plain = head.endswith(";base64")
        data = base64.b64decode(raw, validate=True) if plain else unquote_to_bytes(raw)
    except (binascii.Error, UnicodeEncodeError):
        raise Malformed(where, "must be a data URI in ASCII, with valid base64") from None
    if len(data) > MAX_DATA:
        raise Malformed(where, f"holds {len(data)} bytes, more than the {MAX_DATA} allowed")
    if stated is not None:
        fields.check_content(data, stated.digest, stated.size, where)
    return data

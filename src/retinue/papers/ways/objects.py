"""Generic objects as papers: pointers, relations, and properties of the very manifest they are in.

A manifest that is a JSON Web Signature is a paper as a whole: a signed pointer is a signature.
"""

from collections.abc import Iterator, Mapping

from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read_generic
from retinue.papers.kinds import Kind
from retinue.papers.ways.part import Form, Part

OBJECTS = frozenset({names.OCI_OBJECT, names.OCI_OBJECT_JWT})

KINDS: Mapping[str, Kind] = {
    names.OBJECT_POINTER: Kind.POINTER,
    names.OBJECT_RELATION: Kind.RELATION,
}


def parts_of_objects(manifest: Manifest, subject: Digest) -> tuple[Part, ...]:
    """What a generic manifest itself says of the subject, each kind once.

    Others can say that it is about something else: a tag, an index. Nobody has signed that, so what
    says nothing of the subject is no signature of it.
    """
    kinds = dict.fromkeys(_kinds(manifest, subject))
    if not kinds:
        return (Part(Form.OPAQUE, Kind.OTHER, None),)
    if manifest.media_type == names.OCI_OBJECT_JWT:
        signed = [Kind.SIGNATURE if kind is Kind.POINTER else kind for kind in kinds]
        return tuple(Part(Form.TOKEN, kind, None) for kind in signed)
    return tuple(Part(Form.DOCUMENT, kind, None) for kind in kinds)


def properties_of(manifest: Manifest) -> tuple[Part, ...]:
    """What a generic manifest says of itself; nothing for other manifests."""
    if manifest.media_type not in OBJECTS:
        return ()
    objects = read_generic(manifest)
    if not any(item.type == names.OBJECT_PROPERTY for item in objects):
        return ()
    signed = manifest.media_type == names.OCI_OBJECT_JWT
    return (Part(Form.TOKEN if signed else Form.DOCUMENT, Kind.PROPERTY, None),)


def says_of_others(manifest: Manifest) -> bool:
    """Whether all of its objects are pointers or relations, one at least."""
    objects = read_generic(manifest)
    return bool(objects) and all(item.type in KINDS for item in objects)


def _kinds(manifest: Manifest, subject: Digest) -> Iterator[Kind]:
    """Of the pointers to it, and the relations of which it is the first part."""
    for item in read_generic(manifest):
        about = item.components[0].descriptor if item.components else None
        if item.type in KINDS and about is not None and about.digest == subject:
            yield KINDS[item.type]

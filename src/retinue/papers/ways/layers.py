"""Papers whose payloads are layers: referrers of every sort, cosign's tags, BuildKit's entries.

A layer's own media type says what it is. Artifact types and annotations are not looked at: cosign
has written wrong ones, and anybody can.
"""

from collections.abc import Mapping

from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.manifest import Manifest
from retinue.papers.kinds import Kind, kind_of_type
from retinue.papers.ways.part import Form, Part

FORMS: Mapping[str, Form] = {
    names.BUNDLE: Form.BUNDLE,
    names.BUNDLE_UNVERSIONED: Form.BUNDLE,
    names.DSSE_ENVELOPE: Form.ENVELOPE,
    names.SIMPLE_SIGNING: Form.SIMPLE,
    names.NOTATION_JWS: Form.NOTATION,
    names.NOTATION_COSE: Form.NOTATION,
    names.IN_TOTO: Form.STATEMENT,
    names.TIMESTAMP_REPLY: Form.TIMESTAMP,
}

_TOLD_BY_ARTIFACT = frozenset({Kind.SBOM, Kind.RECIPIENT})
"""What an artifact may call itself whose layers have a type of no meaning: it proves nothing."""


def form_of(media_type: str) -> Form:
    """How a layer of this type is written."""
    base = media_type.partition(";")[0].strip().lower()
    if base.startswith("application/vnd.in-toto.") and base.endswith("+dsse"):
        return Form.ENVELOPE
    form = FORMS.get(base)
    if form is not None:
        return form
    return Form.OPAQUE if kind_of_type(base) is None else Form.DOCUMENT


def parts_of_layers(manifest: Manifest) -> tuple[Part, ...]:
    """What is known among the layers, each once; else one part that stands for all of them.

    Two layers may have the same bytes and differ in their annotations: two signers of one payload.
    """
    found = {_identity(layer): layer for layer in layers(manifest)}
    known = [layer for layer in found.values() if form_of(layer.media_type) is not Form.OPAQUE]
    if known:
        return tuple(_part(layer) for layer in known)
    kind = kind_of_type(manifest.artifact_type or "")
    return (
        Part(
            Form.OPAQUE,
            kind if kind in _TOLD_BY_ARTIFACT and kind is not None else Kind.OTHER,
            None,
        ),
    )


def layers(manifest: Manifest) -> tuple[Descriptor, ...]:
    """The blobs without the config."""
    return manifest.blobs if manifest.config is None else manifest.blobs[1:]


def _part(layer: Descriptor) -> Part:
    kind = kind_of_type(layer.media_type)
    return Part(form_of(layer.media_type), kind or Kind.OTHER, layer)


def _identity(layer: Descriptor) -> tuple[object, ...]:
    annotations = tuple(sorted(layer.annotations.items()))
    return layer.media_type, layer.digest, layer.size, annotations

"""What a paper's manifest holds, before any of it is read."""

from enum import StrEnum

from msgspec import Struct

from retinue.oci.descriptor import Descriptor
from retinue.papers.kinds import Kind


class Form(StrEnum):
    """How one part of a paper is written; `judge.py` has a row for each."""

    BUNDLE = "bundle"
    ENVELOPE = "envelope"
    SIMPLE = "simple signing"
    NOTATION = "notation"
    STATEMENT = "statement"
    TIMESTAMP = "timestamp"
    TOKEN = "token"  # noqa: S105 - the manifest itself, as a JSON Web Signature
    DOCUMENT = "document"  # of a known type, and unsigned: an SBOM, a relation
    OPAQUE = "opaque"


READ = frozenset(
    {Form.BUNDLE, Form.ENVELOPE, Form.SIMPLE, Form.NOTATION, Form.STATEMENT, Form.TIMESTAMP}
)
"""What has to be fetched to be judged; of the others the manifest says all there is to know."""

SIGNED = frozenset({Form.BUNDLE, Form.ENVELOPE, Form.SIMPLE, Form.NOTATION, Form.TOKEN})


class Part(Struct, frozen=True):
    """One payload. `blob` is None where the manifest itself is it; `kind` is what its type says."""

    form: Form
    kind: Kind
    blob: Descriptor | None

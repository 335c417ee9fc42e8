"""Generic objects that are a compact JWS: a signed pointer is a signature over what it points to.

The format's drafts say no more than "JWS"; what a header must be, `oci/readers/jws.py` settles.
"""

import hashlib

from retinue.attest.anchors import KeyAnchor, Trust
from retinue.attest.errors import Malformed, NoAnchor, Refused
from retinue.attest.formats import jwa, jws
from retinue.attest.formats.jws import Jws
from retinue.attest.keys.key import PublicKey
from retinue.attest.proof import Format, Proof, signature_id
from retinue.oci import names
from retinue.oci.manifest import Unreadable
from retinue.oci.readers import table


def verify_jws(raw: bytes, trust: Trust) -> Proof:
    """Whose key signed a manifest of type `…object.manifest.v1+jwt`; its links are what he says.

    Keys that the header names or holds are not looked at: only anchored ones count. Raises
    Malformed; NoAnchor where no anchored key is of the kind that signed; Refused where some are
    and none of them did.
    """
    try:
        table.read(raw, names.OCI_OBJECT_JWT)
    except Unreadable as error:
        raise Malformed(f"object: {error.field_name}", error.reason) from None
    signed = jws.read_compact(raw)
    scheme = jwa.SCHEMES[signed.protected["alg"]]
    tried = 0
    for anchor in trust.anchors:
        if not isinstance(anchor, KeyAnchor):
            continue
        for each in anchor.keys:
            key = jwa.load(each.key.spki)
            if key is None or not jwa.fits(scheme, key):
                continue
            tried += 1
            if jwa.verifies(scheme, key, signed.signature, signed.message):
                return _proof(signed, anchor, each.key)
    if not tried:
        raise NoAnchor("signature", f"no anchored key signs with {scheme.name}")
    raise Refused("signature", f"none of {tried} anchored keys for {scheme.name} made it")


def _proof(signed: Jws, anchor: KeyAnchor, key: PublicKey) -> Proof:
    return Proof(
        format=Format.JWS,
        signature=signature_id(key.fingerprint, hashlib.sha256(signed.message).digest()),
        principal=f"key:{anchor.name}",
        anchors=(anchor.name,),
        key=key.fingerprint,
        times=(),
        logged=False,
        statement=None,
        annotations={},
        reference=None,
        certificate={},
        expires=None,
    )

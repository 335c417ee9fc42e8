"""What others say of a signature when it is made: a timestamp, an entry in a log.

With a trusted root everything that is answered is verified before it is kept. Without one, it must at
least be about this signature: who said it, whoever verifies the signature will judge.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from retinue.attest.base64 import InvalidBase64, decode
from retinue.attest.errors import EvidenceError, KeyUnusable, Refused, SignerFailed
from retinue.attest.formats import dsse
from retinue.attest.keys.key import Algorithm
from retinue.attest.logentry import Hashes, check_body, read_body
from retinue.attest.posting import Post
from retinue.attest.proof import TrustedTime
from retinue.attest.services import LogService, Witnesses
from retinue.attest.timestamp import check_stamped, request, verify_timestamp
from retinue.attest.tlog import LogEntry, LogProof, read_entry, verify_entry
from retinue.oci import names
from retinue.strictjson import InvalidJson, loads

if TYPE_CHECKING:
    from retinue.attest.root import TrustedRoot

Json = Mapping[str, Any]

JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_QUERY = {"Content-Type": "application/timestamp-query"}
_CONFLICT = 409

_RSA_SIZES = (2048, 3072, 4096)
_DETAILS: Mapping[Algorithm, tuple[str, str]] = {
    Algorithm.ECDSA_P256_SHA256: ("PKIX_ECDSA_P256_SHA_256", "sha256"),
    Algorithm.ECDSA_P384_SHA384: ("PKIX_ECDSA_P384_SHA_384", "sha384"),
    Algorithm.ECDSA_P521_SHA512: ("PKIX_ECDSA_P521_SHA_512", "sha512"),
    Algorithm.RSA_PKCS1_SHA256: ("PKIX_RSA_PKCS1V15_{size}_SHA256", "sha256"),
    Algorithm.RSA_PSS_SHA256: ("PKIX_RSA_PSS_{size}_SHA256", "sha256"),
}
"""Keys as the second version of logs names them, and the hash that they sign
(https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_common.proto)."""
_HASHES: Mapping[Algorithm, str] = {
    **{algorithm: name for algorithm, (_, name) in _DETAILS.items()},
    Algorithm.RSA_PSS_SHA384: "sha384",
    Algorithm.RSA_PSS_SHA512: "sha512",
}


class Verifier(Struct, frozen=True):
    """What a signature verifies with, in DER: a certificate, or else a SubjectPublicKeyInfo."""

    der: bytes
    algorithm: Algorithm
    certificate: bool = False

    @property
    def pem(self) -> bytes:
        from ssl import DER_cert_to_PEM_cert

        text = DER_cert_to_PEM_cert(self.der)
        return (text if self.certificate else text.replace(" CERTIFICATE", " PUBLIC KEY")).encode()


class Signed(Struct, frozen=True):
    """A signature to be witnessed.

    `envelope` makes the text of the DSSE envelope that it is in; None: it is over bare bytes.
    `stamped` is what a timestamp is of: the signature, if it is empty.
    """

    signature: bytes
    verifier: Verifier
    hashes: Hashes
    envelope: Callable[[], bytes] | None = None
    stamped: bytes = b""


def signed_statement(statement: bytes, signature: bytes, verifier: Verifier) -> Signed:
    """A statement in a bundle's envelope."""

    def envelope() -> bytes:
        return dsse.filled(dsse.to_json(names.IN_TOTO, None, signature), statement)

    hashes = Hashes(dsse.pae(names.IN_TOTO, statement), statement)
    return Signed(signature, verifier, hashes, envelope)


class Testimony(Struct, frozen=True):
    """`entries` as bundles have them. `times`: those that were verified under a trusted root."""

    stamps: tuple[bytes, ...] = ()
    entries: tuple[Json, ...] = ()
    times: tuple[TrustedTime, ...] = ()

    def material(self) -> dict[str, Any]:
        """Fields of a bundle's verificationMaterial."""
        found: dict[str, Any] = {}
        if self.entries:
            found["tlogEntries"] = list(self.entries)
        if self.stamps:
            tokens = [{"signedTimestamp": text(token)} for token in self.stamps]
            found["timestampVerificationData"] = {"rfc3161Timestamps": tokens}
        return found

    def annotations(self) -> Mapping[str, str]:
        """Of a layer in cosign's legacy formats, which have room for one of each."""
        found: dict[str, str] = {}
        if self.stamps:
            said: Json = {"SignedRFC3161Timestamp": text(self.stamps[0])}
            found[names.ANNOTATION_TIMESTAMP] = json.dumps(said, separators=(",", ":"))
        if self.entries:
            said = _legacy(self.entries[0])
            found[names.ANNOTATION_LOG_BUNDLE] = json.dumps(said, separators=(",", ":"))
        return found


def witness(signed: Signed, witnesses: Witnesses, send: Post) -> Testimony:
    """Ask all of them, the clocks first. Raises SignerFailed naming who is to blame, and KeyUnusable
    for a key that a log cannot have.
    """
    telling = _Telling(signed, witnesses.root)
    for url in witnesses.stamps:
        telling.stamp(url, send)
    for log in witnesses.logs:
        telling.log(log, send)
    return Testimony(tuple(telling.stamps), tuple(telling.entries), tuple(telling.times))


def receipt(signature: bytes, url: str, root: "TrustedRoot | None", send: Post) -> bytes:
    """A timestamp of this signature, whoever made it. Raises SignerFailed."""
    token = send(url, request(signature), _QUERY)
    _check_stamp(token, signature, url, root)
    return token


def _check_stamp(
    token: bytes, stamped: bytes, url: str, root: "TrustedRoot | None"
) -> tuple[TrustedTime, ...]:
    try:
        return _times(token, stamped, root)
    except EvidenceError as error:
        raise SignerFailed(url, f"its answer does not verify: {error}") from error


def is_stamp(token: bytes, signature: bytes, *, root: "TrustedRoot | None") -> bool:
    """Whether this is what `receipt` would keep."""
    try:
        _times(token, signature, root)
    except EvidenceError:
        return False
    return True


def _times(token: bytes, stamped: bytes, root: "TrustedRoot | None") -> tuple[TrustedTime, ...]:
    if root is None:
        check_stamped(token, stamped)
        return ()
    return (verify_timestamp(token, stamped, (), (root,)),)


class _Telling(Struct):
    """What was said so far."""

    signed: Signed
    root: "TrustedRoot | None"
    stamps: list[bytes] = []
    entries: list[Json] = []
    times: list[TrustedTime] = []

    def stamp(self, url: str, send: Post) -> None:
        stamped = self.signed.stamped or self.signed.signature
        token = send(url, request(stamped), _QUERY)
        self.times += _check_stamp(token, stamped, url, self.root)
        self.stamps.append(token)

    def log(self, log: LogService, send: Post) -> None:
        entry = (_log_1 if log.version == 1 else _log_2)(self.signed, log.url, send)
        try:
            read = read_entry(entry)
            proof = self._check(read)
        except EvidenceError as error:
            raise SignerFailed(log.url, f"its answer does not verify: {error}") from error
        if read.inclusion is None:
            raise SignerFailed(log.url, "it answered without an inclusion proof")
        self.entries.append(entry)
        self.times += [proof.integrated] if proof is not None and proof.integrated else []

    def _check(self, entry: LogEntry) -> LogProof | None:
        signature, verifier = self.signed.signature, self.signed.verifier.der
        if self.root is not None:
            return verify_entry(
                entry,
                (self.root,),
                key_or_cert=verifier,
                signature=signature,
                artifact_hashes=self.signed.hashes,
                times=self.times,
            )
        said = read_body(entry.body, entry.kind, entry.version)
        check_body(said, signature, verifier, self.signed.hashes)
        return None


def _log_1(signed: Signed, base: str, send: Post) -> Json:
    proposed = json.dumps(_proposed_1(signed)).encode()
    url = f"{base}/api/v1/log/entries"
    try:
        answer: Json = object_of(url, send(url, proposed, JSON))
    except SignerFailed as error:
        if error.status != _CONFLICT:
            raise
        answer = _there(f"{url}/retrieve", proposed, send)
    try:
        (found,) = answer.values()
        return from_version_1(found)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidBase64):
        raise SignerFailed(url, "it answered with something else than one entry") from None


def _there(url: str, proposed: bytes, send: Post) -> Json:
    """The entry of a signature that the log has already: some keys sign the same alike."""
    found = json_of(url, send(url, b'{"entries":[' + proposed + b"]}", JSON))
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
        raise SignerFailed(url, "it has this entry already, and does not show it")
    return found[0]


def _proposed_1(signed: Signed) -> Json:
    verifier = text(signed.verifier.pem)
    if signed.envelope is not None:
        content = {"envelope": signed.envelope().decode(), "verifiers": [verifier]}
        return {"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}}
    name, digest = _digest(signed)
    spec = {
        "data": {"hash": {"algorithm": name, "value": digest.hex()}},
        "signature": {"content": text(signed.signature), "publicKey": {"content": verifier}},
    }
    return {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}


def from_version_1(found: Json) -> Json:
    """A TransparencyLogEntry of what Rekor's first version answers.

    Raises KeyError, TypeError or ValueError for what is not such an answer.
    """
    body = loads(decode(found["body"]))
    proof = found["verification"]["inclusionProof"]
    return {
        "logIndex": str(found["logIndex"]),
        "logId": {"keyId": text(bytes.fromhex(found["logID"]))},
        "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
        "integratedTime": str(found["integratedTime"]),
        "inclusionPromise": {"signedEntryTimestamp": found["verification"]["signedEntryTimestamp"]},
        "inclusionProof": {
            "logIndex": str(proof["logIndex"]),
            "rootHash": text(bytes.fromhex(proof["rootHash"])),
            "treeSize": str(proof["treeSize"]),
            "hashes": [text(bytes.fromhex(each)) for each in proof["hashes"]],
            "checkpoint": {"envelope": proof["checkpoint"]},
        },
        "canonicalizedBody": found["body"],
    }


def _log_2(signed: Signed, base: str, send: Post) -> Json:
    """The second version keeps a hash of what was signed, whatever it is."""
    verifier = signed.verifier
    kind = "x509Certificate" if verifier.certificate else "publicKey"
    named = {"keyDetails": _details(verifier), kind: {"rawBytes": text(verifier.der)}}
    wanted = {
        "signature": {"content": text(signed.signature), "verifier": named},
        "digest": text(_digest(signed)[1]),
    }
    url = f"{base}/api/v2/log/entries"
    body = json.dumps({"hashedRekordRequestV002": wanted}).encode()
    return object_of(url, send(url, body, JSON))


def _digest(signed: Signed) -> tuple[str, bytes]:
    """The hash of what was signed, by the name of its algorithm; raises KeyUnusable."""
    name = _HASHES.get(signed.verifier.algorithm)
    if name is None:
        raise _unusable(signed.verifier)
    digest = hashlib.new(name)
    for part in signed.hashes.signed:
        digest.update(part)
    return name, digest.digest()


def _details(verifier: Verifier) -> str:
    found = _DETAILS.get(verifier.algorithm)
    if found is None:
        raise _unusable(verifier)
    if "{size}" not in found[0]:
        return found[0]
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    size = getattr(load_der_public_key(verifier.der), "key_size", 0)
    if size not in _RSA_SIZES:
        raise _unusable(verifier)
    return found[0].format(size=size)


def _unusable(verifier: Verifier) -> KeyUnusable:
    reference = f"sha256:{hashlib.sha256(verifier.der).hexdigest()}"
    reason = f"the log keeps no hashes that a key of this kind ({verifier.algorithm}) has signed"
    return KeyUnusable(reference, f"{reason}; use a P-256 key, or another log")


def _legacy(entry: Json) -> Json:
    """What cosign's annotation holds: a promise, and what it is about. Raises Refused."""
    read = read_entry(entry)
    if read.promise is None:
        reason = "has no signed timestamp, which cosign's legacy format needs; write a bundle"
        raise Refused("log entry", reason)
    return {
        "SignedEntryTimestamp": text(read.promise),
        "Payload": {
            "body": text(read.body),
            "integratedTime": read.integrated,
            "logIndex": read.index,
            "logID": read.log_id.hex(),
        },
    }


def object_of(url: str, raw: bytes) -> dict[str, Any]:
    """The JSON object that a service answered; raises SignerFailed."""
    value = json_of(url, raw)
    if not isinstance(value, dict):
        raise SignerFailed(url, "it answered JSON that is not an object")
    return value


def json_of(url: str, raw: bytes) -> Any:
    try:
        return loads(raw, max_bytes=len(raw))
    except InvalidJson as error:
        raise SignerFailed(url, f"it answered no JSON: {error}") from None


def text(raw: bytes) -> str:
    return b64encode(raw).decode()

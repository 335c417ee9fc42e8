"""An attestation before it is signed: what is said (a predicate), and of what (subjects)."""

import json
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from retinue.attest.errors import Malformed, Refused
from retinue.attest.keys.key import Signer
from retinue.attest.sign import sign_statement
from retinue.attest.statement import Subject, read_statement, write_statement
from retinue.oci.digest import Digest, algorithm, encoded


class Attestation(Struct, frozen=True):
    """A predicate of a type, about subjects (name and digest). A value: nothing here does I/O.

    `predicate` is the text of a JSON value, and stands in the statement as it is.

    >>> from retinue.attest.keys.generate import generate
    >>> from retinue.attest.keys.pem import load_private
    >>> from retinue.oci.digest import of
    >>> tested = Attestation.of(
    ...     "https://in-toto.io/attestation/test-result/v0.1", {"result": "PASSED"}
    ... )
    >>> about = tested.with_subject("registry.example/app", of(b"a manifest's bytes"))
    >>> about.statement().decode()  # doctest: +ELLIPSIS
    '{"_type":"https://in-toto.io/Statement/v1",...,"predicate":{"result":"PASSED"}}'
    >>> signer = load_private(generate().private, lambda: b"", "a new key")
    >>> about.sign(signer).decode()  # doctest: +ELLIPSIS
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",...}'
    """

    predicate_type: str
    predicate: bytes
    subjects: tuple[tuple[str, Digest], ...] = ()

    @classmethod
    def of(cls, predicate_type: str, predicate: Any) -> "Attestation":
        """From a value that JSON can hold; raises Malformed."""
        try:
            text = json.dumps(predicate, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            return cls(predicate_type, text.encode())
        except (TypeError, ValueError) as error:
            raise Malformed("predicate", f"JSON cannot hold it: {error!s:.200}") from None

    def with_subject(self, name: str, digest: Digest) -> "Attestation":
        """This attestation about that subject, in place of those that it had."""
        return replace(self, subjects=((name, digest),))

    def about(self, name: str, digest: Digest) -> "Attestation":
        """For publishing with an image: subjects that its producer gave stand, and must name the
        image; only where he gave none it becomes the subject. Raises Refused.
        """
        if not self.subjects:
            return self.with_subject(name, digest)
        if all(found != digest for _, found in self.subjects):
            others = ", ".join(found for _, found in self.subjects[:3])
            raise Refused("attestation", f"is about {others}, not about {digest} ({name})")
        return self

    def statement(self, *, version: str = "1") -> bytes:
        """The in-toto Statement, 1 or 0.1. Raises Malformed: a statement needs a subject."""
        if not self.subjects:
            raise Malformed("attestation", "is about nothing: give it a subject")
        subjects = [
            Subject(name, {algorithm(digest): encoded(digest)}, {})
            for name, digest in self.subjects
        ]
        return write_statement(self.predicate_type, self.predicate, subjects, version=version)

    def sign(self, signer: Signer) -> bytes:
        """A Sigstore bundle. Raises Malformed, SignerFailed."""
        return sign_statement(self.statement(), signer)

    @classmethod
    def from_statement(cls, raw: bytes) -> "Attestation":
        """From a statement that somebody wrote: his subjects stand. Raises Malformed, where a
        subject has neither a SHA-256 nor a SHA-512.
        """
        from retinue.oci.digest import checked

        statement = read_statement(raw)
        subjects = []
        for subject in statement.subjects:
            name = next((each for each in ("sha256", "sha512") if each in subject.digests), None)
            digest = checked(f"{name}:{subject.digests[name]}") if name else None
            if digest is None:
                raise Malformed("statement", f"a subject has only {dict(subject.digests)!r:.120}")
            subjects.append((subject.name, digest))
        return cls(statement.predicate_type, statement.predicate, tuple(subjects))

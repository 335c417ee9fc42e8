"""The manifest that a paper is about."""

import hashlib
from collections.abc import Mapping

from msgspec import Struct

from retinue.attest.errors import Refused
from retinue.attest.statement import Statement, Subject
from retinue.oci.digest import Digest, algorithm, encoded


class Target(Struct, frozen=True):
    """A manifest that was asked for by `digest`; `raw` are its bytes, and must be the digest's.

    Raises Refused where they are not.
    """

    digest: Digest
    media_type: str
    raw: bytes

    def __post_init__(self) -> None:
        found = hashlib.new(algorithm(self.digest), self.raw).hexdigest()
        if found != encoded(self.digest):
            raise Refused("manifest", f"its bytes have the digest {found}, not {self.digest}")

    def names_it(self, digests: Mapping[str, str]) -> bool:
        """Whether these digests (algorithm to hex) are the manifest's.

        The algorithm that it was asked by counts; for a sha512 one its sha256 too, and where both
        are given both must agree. Never a weaker algorithm, never upper case.
        """
        asked, _, hexa = self.digest.partition(":")
        if asked != "sha512" or "sha256" not in digests:
            return digests.get(asked) == hexa
        weaker = hashlib.sha256(self.raw).hexdigest()
        return digests["sha256"] == weaker and digests.get(asked, hexa) == hexa

    def subject_of(self, statement: Statement) -> Subject:
        """The subject of the statement that is this manifest; raises Refused."""
        for subject in statement.subjects:
            if self.names_it(subject.digests):
                return subject
        others = ", ".join(str(dict(subject.digests)) for subject in statement.subjects[:3])
        raise Refused("statement", f"is not about {self.digest} but about {others}")

"""A policy as values: what `file.load` and `inline` make, and `decide` reads."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Protocol, TypeAlias

from msgspec import Struct

from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust
from retinue.attest.proof import Format
from retinue.oci.digest import Digest
from retinue.papers import facts
from retinue.papers.facts import Wanted
from retinue.papers.kinds import Kind, kind_of_predicate
from retinue.papers.limits import Limits
from retinue.policy.decision import Operation
from retinue.policy.globs import Glob


class Unmatched(StrEnum):
    """What happens to an image that no rule is about."""

    REFUSE = "refuse"
    ALLOW = "allow"


class Mode(StrEnum):
    """Only `ENFORCE` refuses; the others are traced."""

    ENFORCE = "enforce"
    WARN = "warn"
    AUDIT = "audit"


class Coverage(StrEnum):
    """How an index and what it lists answer for each other."""

    SELF = "self"  # each manifest by its own papers
    PARENT = "parent-covers-child"  # signatures of an allowed index count for what it lists
    EVERY = "every-platform"  # an index passes if each platform does, too


class Tags(StrEnum):
    """Whether the tag that is asked for must be signed, too."""

    IGNORE = "ignore"
    SIGNED = "signed"  # by a tag statement or the signed annotation `tag`
    STATEMENT = "statement"  # by a tag statement, which expires


class Naming(StrEnum):
    """Whether a signature must have been made for this very name."""

    ANY = "any"
    DOCKER_REFERENCE = "docker-reference"


class Select(StrEnum):
    """Which of a signer's attestations must hold."""

    ANY = "any"
    NEWEST = "newest"
    ALL = "all"


Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = Scalar | tuple[Scalar, ...]


class Condition(Struct, frozen=True):
    """One comparison of a value in a predicate. `path` is a JSON Pointer (RFC 6901)."""

    path: str
    op: str
    value: Value

    def __str__(self) -> str:
        return f"{self.path} {self.op} {self.value!r}"


class Demand(facts.Demand, Protocol):
    """What a whole predicate must satisfy: `schema`, or `cel`. Equal ones ask for the same."""

    @property
    def field(self) -> str:
        """How the policy file calls it."""
        ...

    def doubts(self, about: "PaperType") -> Iterator[str]:
        """Why its author may have meant something else."""
        ...


class Slsa(Struct, frozen=True):
    """What a build must have been of. Each list is met by one of its globs; empty asks nothing."""

    source: tuple[Glob, ...] = ()
    ref: tuple[Glob, ...] = ()
    build_type: tuple[Glob, ...] = ()


class Sbom(Struct, frozen=True):
    """How much an SBOM must say. `purl_ratio`: the share (0 to 1) of components with a purl."""

    min_components: int = 0
    purl_ratio: float = 0.0


class PaperType(Struct, frozen=True):
    """Which papers a requirement is about: all of a kind, or these predicate types."""

    name: str
    kind: Kind | None
    predicate_types: frozenset[str] = frozenset()

    def covers(self, kind: Kind, predicate_type: str | None) -> bool:
        if self.kind is not None:
            return kind is self.kind
        return predicate_type in self.predicate_types

    def may_be(self, kind: Kind) -> bool:
        """Whether some paper of this type is of a kind."""
        if self.kind is not None:
            return self.kind is kind
        return any(kind_of_predicate(each) is kind for each in self.predicate_types)

    def speaks_of(self, kind: Kind) -> bool:
        """Whether all papers of this type are of a kind."""
        if self.kind is not None:
            return self.kind is kind
        return all(kind_of_predicate(each) is kind for each in self.predicate_types)


class Signatures(Struct, frozen=True):
    """`k` distinct signers among the anchors `of`. `remap`: from how images are called here to
    how they were called when they were signed, prefix by prefix."""

    k: int
    of: tuple[str, ...]
    formats: frozenset[Format]
    annotations: Mapping[str, str] = {}
    naming: Naming = Naming.ANY
    remap: Mapping[str, str] = {}


class Attestation(Struct, frozen=True):
    """One kind of paper that must be there, by whom, and what it must say.

    `builders`: a provenance's builder must be one that its signer's anchor names.
    """

    type: PaperType
    by: tuple[str, ...]
    select: Select = Select.ANY
    max_age: timedelta | None = None
    slsa: Slsa | None = None
    sbom: Sbom | None = None
    where: tuple[Condition, ...] = ()
    demands: tuple[Demand, ...] = ()
    builders: bool = True

    @property
    def adverse(self) -> bool:
        """Whether one more paper can turn yes into no: then what could not be looked at counts."""
        return self.select is not Select.ANY


class Rule(Struct, frozen=True):
    """`trusted_time`: whose word on time counts; None is all that the trust anchors vouch for.
    `logged`: only signatures that a transparency log holds count."""

    name: str
    images: tuple[Glob, ...]
    excepted: tuple[Glob, ...] = ()
    on: frozenset[Operation] = frozenset(Operation)
    mode: Mode = Mode.ENFORCE
    papers_in: tuple[str, ...] = ()
    index: Coverage = Coverage.SELF
    tag: Tags = Tags.IGNORE
    trusted_time: frozenset[str] | None = None
    logged: bool = False
    signatures: Signatures | None = None
    attestations: tuple[Attestation, ...] = ()

    @property
    def enforced(self) -> bool:
        return self.mode is Mode.ENFORCE

    def names(self, image: str) -> bool:
        """Whether this rule is about an image, HOST/REPOSITORY."""
        return any(glob.matches(image) for glob in self.images) and not any(
            glob.matches(image) for glob in self.excepted
        )


class Revocation(Struct, frozen=True):
    """Who revokes, and where the signed list is. `own`: a signer may revoke his own signatures.

    `max_age`: how long after it was issued a list is believed, whatever expiry it states.
    """

    revokers: tuple[str, ...]
    own: bool = False
    list: str | None = None
    max_age: timedelta | None = None


class Policy(Struct, frozen=True, dict=True):
    """`digest` is the SHA-256 (hex) of the policy and of every file that it names."""

    digest: str
    unmatched: Unmatched
    rules: tuple[Rule, ...]
    trust: Trust
    limits: Limits = Limits()
    deny: Mapping[Digest, str] = {}
    revocation: Revocation | None = None

    @property
    def epoch(self) -> str:
        """What facts and decisions under this policy are kept by, until there is a list."""
        return self.epoch_with(None)

    def epoch_with(self, version: int | None) -> str:
        """H(policy, roots, list version), in hex: the same on every replica."""
        return sha256(f"{self.digest} {version}".encode()).hexdigest()

    def wanted(self, operation: Operation) -> Wanted:
        """What must be read of predicates for one operation: what others ask for may take longer."""
        rules = [rule for rule in self.rules if operation in rule.on]
        asked = [each for rule in rules for each in rule.attestations]
        return Wanted(
            frozenset(condition.path for each in asked for condition in each.where),
            provenance=any(
                each.slsa or (each.builders and each.type.may_be(Kind.PROVENANCE)) for each in asked
            ),
            sboms=any(each.sbom is not None for each in asked),
            demands=tuple((each.type.covers, demand) for each in asked for demand in each.demands),
        )

    @cached_property
    def papers_in(self) -> tuple[str, ...]:
        """All repositories that keep papers for others, in the order of the rules."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.papers_in))

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The registries that it names in so many words: of images, of papers, of revocations."""
        images = [glob.text for rule in self.rules for glob in rule.images]
        lists = [self.revocation.list] if self.revocation and self.revocation.list else []
        named = (text.partition("/") for text in (*images, *self.papers_in, *lists))
        return frozenset(host for host, slash, _ in named if slash and "*" not in host)

    @cached_property
    def keys(self) -> Mapping[tuple[str, str], AnchorKey]:
        """Anchor and fingerprint to the key with its windows."""
        return {
            (anchor.name, each.key.fingerprint): each
            for anchor in self.trust.anchors
            if isinstance(anchor, KeyAnchor)
            for each in anchor.keys
        }

    @cached_property
    def builders(self) -> Mapping[str, tuple[Glob, ...]]:
        """Which builders each anchor may speak for."""
        return {a.name: tuple(map(Glob, a.builders)) for a in self.trust.anchors}

    def matching(self, image: str, operation: Operation) -> Iterator[Rule]:
        """The rules about an image when something is about to happen to it, in file order."""
        return (rule for rule in self.rules if operation in rule.on and rule.names(image))

"""The cases by name: what each is about, over which registry it is made, and how.

Each returns the facts that are to be found, once our own keys (`kit.keys`) are trusted.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from vectors.trust.kit import Kit, attested, fact

Facts: TypeAlias = list[dict[str, Any]]
Make: TypeAlias = Callable[[Kit], Facts]
CASES: dict[str, tuple[str, str, Make]] = {}


def case(name: str, about: str, where: str = "retinue") -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        CASES[name] = (about, where, make)
        return make

    return keep


def plain(version: int, form: str, key: str) -> None:
    @case(f"cosign{version}-sign-{form}-{key}", f"cosign {version} signs with {key}: {form}")
    def sign(kit: Kit) -> Facts:
        kit.keys = (key,)
        kit.sign(version, form, key=key)
        return [fact(form, by=key)]

    @case(f"cosign{version}-attest-{form}-{key}", f"cosign {version} attests with {key}: {form}")
    def attest(kit: Kit) -> Facts:
        kit.keys = (key,)
        kit.attest(version, form, "cyclonedx", key=key)
        return [attested(form, "cyclonedx", by=key)]


for number in (2, 3):
    for shape in ("bundle", "legacy"):
        for used in ("p256", "rsa2048", "rsa4096"):
            plain(number, shape, used)


@case("types-bundle", "one attestation of each type that cosign 3 has a name for: bundles")
def types_bundle(kit: Kit) -> Facts:
    names = ("cyclonedx", "spdxjson", "spdx", "slsaprovenance", "slsaprovenance1", "vuln", "openvex", "link", "custom")
    for name in names:
        kit.attest(3, "bundle", name)
    return [attested("bundle", name) for name in names]


@case("types-legacy", "one attestation of each type that cosign 2 has a name for: one .att")
def types_legacy(kit: Kit) -> Facts:
    names = ("cyclonedx", "spdxjson", "spdx", "slsaprovenance", "slsaprovenance1", "vuln", "openvex", "link", "custom")
    for name in names:
        kit.attest(2, "legacy", name)
    return [attested("legacy", name) for name in names]


@case("annotations-legacy", "cosign 2 signs annotations: .sig")
def annotations_legacy(kit: Kit) -> Facts:
    kit.sign(2, "legacy", "-a", "env=prod", "-a", "sig=original")
    return [fact("legacy", annotations={"env": "prod", "sig": "original"}, reference=kit.repository.image)]


@case("annotations-bundle", "cosign 3 signs annotations: of the bundle's subject")
def annotations_bundle(kit: Kit) -> Facts:
    kit.sign(3, "bundle", "-a", "env=prod", "-a", "sig=original")
    return [fact("bundle", annotations={"env": "prod", "sig": "original"})]


def recursive(version: int, form: str) -> None:
    @case(f"index-recursive-{form}", f"an index and its children, signed by cosign {version} sign -r")
    def index(kit: Kit) -> Facts:
        children = kit.push_platforms()
        kit.subject = kit.push_index(children)
        kit.sign(version, form, "-r")
        return [fact(form), *(fact(form, about=each["digest"]) for each in children)]


recursive(2, "legacy")
recursive(3, "bundle")


@case("two-signers-legacy", "two keys sign one payload: two .sig layers with one digest")
def two_signers_legacy(kit: Kit) -> Facts:
    kit.keys = ("p256", "rsa2048")
    for key in kit.keys:
        kit.sign(2, "legacy", key=key)
    return [fact("legacy", by=key) for key in kit.keys]


@case("two-signers-bundle", "two keys sign: two referrers")
def two_signers_bundle(kit: Kit) -> Facts:
    kit.keys = ("p256", "rsa2048")
    for key in kit.keys:
        kit.sign(3, "bundle", key=key)
    return [fact("bundle", by=key) for key in kit.keys]


@case("both-forms", "cosign 2 and 3 sign and attest one image, in both forms")
def both_forms(kit: Kit) -> Facts:
    found = []
    for version in (2, 3):
        for form in ("bundle", "legacy"):
            kit.sign(version, form)
            kit.attest(version, form, "slsaprovenance1")
            found += [fact(form), attested(form, "slsaprovenance1")]
    # cosign 3 finds that its .sig would say what the one of cosign 2 says, and adds nothing; an
    # attestation in both forms signs one and the same statement.
    found.remove(fact("legacy"))
    kit.extra["signatures"] = 5
    return found

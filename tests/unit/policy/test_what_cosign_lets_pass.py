"""Papers that stock cosign accepts, or lets hide others: each is judged by what it proves."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

import trust_vectors
from policies import fact
from retinue.oci.digest import Digest
from retinue.papers.collect import collect
from retinue.papers.facts import Findings
from retinue.papers.judge import derive
from retinue.papers.revocations import Revocation, Revocations
from retinue.policy.decide import decide
from retinue.policy.decision import Decision, Operation, Request
from retinue.policy.file import load
from retinue.policy.model import Policy

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ANCHORS = """
version = 1
unmatched = "refuse"
[anchors.p256]
type = "key"
keys = [{pem = "p256.pub"}]
[anchors.rsa2048]
type = "key"
keys = [{pem = "rsa2048.pub"}]
[anchors.other]
type = "key"
keys = [{pem = "other.pub"}]
[revocation]
revokers = ["other"]
list = "reg.acme/trust/revocations"
[[rule]]
name = "prod"
images = ["**"]
on = ["pull"]
"""
SIGNED = '[rule.signatures]\nof = ["p256", "rsa2048"]\n'
TWICE = SIGNED + "k = 2\n"
SBOM = '[[rule.attestation]]\ntype = "sbom"\nby = ["p256"]\nselect = "any"\n'


def policy(rule: str, anchors: str = ANCHORS) -> Policy:
    def read(name: str) -> bytes:
        return (trust_vectors.FOLDER / "keys" / name).read_bytes()

    return load((anchors + rule).encode(), read=read)


async def judged(name: str, rules: Policy, *revoked: Revocation, now: datetime = NOW) -> Decision:
    """What is decided about a vector's subject."""
    vector = trust_vectors.load(name)
    found = await _findings(vector, rules)
    request = Request("reg.acme/app", vector.subject.digest, Operation.PULL)
    return decide(rules, found, _listing(revoked, now), request, now)


async def _findings(vector: trust_vectors.Vector, rules: Policy) -> Findings:
    collected = await collect(vector.store, vector.subject)
    return derive(collected, rules.trust, rules.wanted(Operation.PULL))


def _listing(revoked: tuple[Revocation, ...], now: datetime) -> Revocations:
    day = timedelta(days=1)
    return Revocations(
        "reg.acme/trust/revocations", 1, now - day, now + day, revoked, "sha256:1",
        signed=fact("other", "list"),
    )  # fmt: skip


async def allowed(name: str, rule: str, *revoked: Revocation) -> bool:
    return (await judged(name, policy(rule), *revoked)).allowed


@pytest.mark.parametrize("form", ["bundle", "legacy"])
async def test_an_sbom_is_no_signature(form: str) -> None:
    assert await allowed(f"cosign3-sign-{form}-p256", SIGNED)
    assert not await allowed(f"cosign3-attest-{form}-p256", SIGNED)
    assert await allowed(f"cosign3-attest-{form}-p256", SBOM)


@pytest.mark.parametrize("name", ["annotation-says-signature", "attest-mislabelled"])
async def test_an_annotation_makes_no_signature_of_an_sbom(name: str) -> None:
    assert not await allowed(name, SIGNED)
    assert await allowed(name, SBOM)


async def test_an_annotation_makes_no_sbom_of_a_signature() -> None:
    assert not await allowed("annotation-says-sbom", SBOM)
    assert await allowed("annotation-says-sbom", SIGNED)


@pytest.mark.parametrize("rule", [SIGNED, SBOM])
async def test_a_relabelled_predicate_proves_nothing(rule: str) -> None:
    assert not await allowed("payload-changed", rule)


@pytest.mark.parametrize("name", ["sig-tag-moved", "bundle-of-another"])
async def test_what_is_signed_about_another_image_does_not_count(name: str) -> None:
    assert not await allowed(name, SIGNED)


async def test_a_strangers_bundle_hides_no_signature() -> None:
    assert await allowed("stranger-over-sig", SIGNED)


async def test_broken_papers_block_nothing() -> None:
    assert await allowed("broken-bundles", SIGNED)


@pytest.mark.parametrize("name", ["one-bundle-thrice", "malleated"])
async def test_one_signer_is_one_however_often_it_is_attached(name: str) -> None:
    assert await allowed(name, SIGNED)
    assert not await allowed(name, TWICE)


@pytest.mark.parametrize("form", ["bundle", "legacy"])
async def test_two_signers_are_two(form: str) -> None:
    assert await allowed(f"two-signers-{form}", TWICE)


async def test_an_image_that_poses_as_a_paper_is_none() -> None:
    assert not await allowed("image-poses", SIGNED)
    assert not await allowed("image-poses", SBOM)


@pytest.mark.parametrize("form", ["bundle", "legacy"])
async def test_annotations_that_were_not_signed_are_missing(form: str) -> None:
    """cosign 2.6 says of a bundle that it compared them, and did not."""
    demanded = SIGNED + 'annotations = {env = "prod"}\n'

    assert not await allowed(f"cosign2-sign-{form}-p256", demanded)
    assert await allowed(f"annotations-{form}", demanded)
    assert not await allowed(f"annotations-{form}", demanded.replace("prod", "test"))


@pytest.mark.parametrize(
    ("window", "now", "passes"),
    [
        ("until = 2026-10-01", NOW, False),
        ("until = 2026-12-01", NOW, True),
        ("from = 2026-12-01", NOW, False),
        ('revoked = {at = 2026-10-01, reason = "superseded"}', NOW, False),
        ('revoked = {at = 2026-12-01, reason = "superseded"}', NOW, True),
        ('revoked = {at = 2026-12-01, reason = "compromise"}', NOW, False),
    ],
)
async def test_a_key_counts_in_its_time(window: str, now: datetime, passes: bool) -> None:
    anchors = ANCHORS.replace('{pem = "p256.pub"}', f'{{pem = "p256.pub", {window}}}')

    for name in ("cosign3-sign-bundle-p256", "cosign2-sign-legacy-p256"):
        decision = await judged(name, policy(SIGNED, anchors), now=now)
        assert decision.allowed is passes


@pytest.mark.parametrize("name", ["one-bundle-thrice", "malleated", "both-forms"])
async def test_a_revoked_signature_stays_revoked_when_it_is_attached_again(name: str) -> None:
    """In another manifest, with another `s`, in another form: it is what was said that is revoked."""
    vector = trust_vectors.load(name)
    [key] = {fact.key for fact in (await _findings(vector, policy(SIGNED))).facts}
    revoked = Revocation(str(key), "a mistake", vector.subject.digest, None)

    assert await allowed(name, SIGNED)
    assert not await allowed(name, SIGNED, revoked)
    assert not await allowed(name, SIGNED, replace(revoked, signer="key:p256"))
    assert await allowed(name, SIGNED, replace(revoked, subject=Digest("sha256:" + "0" * 64)))


async def test_a_signature_is_revoked_by_its_id_in_every_spelling() -> None:
    vector = trust_vectors.load("one-bundle-thrice")
    [signature] = {fact.signature for fact in (await _findings(vector, policy(SIGNED))).facts}

    assert not await allowed(
        vector.name, SIGNED, Revocation("key:p256", "a mistake", signature=signature)
    )

"""Policies of other tools: what goes over says the same, what cannot is refused."""

import json
from textwrap import indent
from typing import Any

import pytest

from policies import files, public_pem
from retinue.attest.anchors import KeylessAnchor, X509Anchor
from retinue.attest.proof import Format
from retinue.papers.kinds import Kind
from retinue.policy.errors import ImportRefused
from retinue.policy.expressions import matches
from retinue.policy.file import load
from retinue.policy.importers import clusterimagepolicy, notation, programs
from retinue.policy.importers.expressions import literal, whole
from retinue.policy.importers.writing import comments, written
from retinue.policy.model import Mode, Policy, Unmatched

HEAD = """apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: prod}
spec:
  images: [{glob: "ghcr.io/acme/**"}]
"""
KEY = indent(public_pem("ci").strip(), " " * 8)
BY_KEY = f"  authorities:\n  - key:\n      data: |\n{KEY}\n"
KEYLESS = """  authorities:
  - name: gh
    keyless:
      url: https://fulcio.sigstore.dev
      identities:
      - issuer: https://token.actions.githubusercontent.com
        subjectRegExp: github.com/acme/
"""


def imported(text: str) -> Policy:
    return load(clusterimagepolicy.convert(text.encode()).encode(), read=files)


def test_a_key_becomes_an_anchor_and_a_rule() -> None:
    policy = imported(HEAD + BY_KEY)

    (rule,) = policy.rules
    assert policy.unmatched is Unmatched.REFUSE
    assert (rule.name, rule.mode, [g.text for g in rule.images]) == (
        "prod",
        Mode.ENFORCE,
        ["ghcr.io/acme/**"],
    )
    assert rule.signatures is not None
    assert (rule.signatures.k, rule.signatures.of) == (1, ("prod-authority",))


def test_an_expression_of_go_is_open_visibly() -> None:
    (anchor,) = imported(HEAD + KEYLESS).trust.anchors

    assert isinstance(anchor, KeylessAnchor)
    assert anchor.identity_re2 == "(?s:.*)github.com/acme/(?s:.*)"
    assert anchor.issuer == "https://token.actions.githubusercontent.com"


def test_what_is_to_be_fetched_is_told() -> None:
    text = clusterimagepolicy.convert((HEAD + KEYLESS).encode())

    assert "# Write the trusted root of https://fulcio.sigstore.dev to trusted-root.json." in text


def test_any_authority_suffices_and_several_policies_are_several_rules() -> None:
    both = HEAD + BY_KEY + KEYLESS.removeprefix("  authorities:\n")
    other = HEAD.replace("prod", "other") + BY_KEY

    policy = imported(f"{both}---\n{other}")

    assert [rule.name for rule in policy.rules] == ["prod", "other"]
    assert policy.rules[0].signatures is not None
    assert policy.rules[0].signatures.of == ("prod-authority", "prod-gh")


def test_one_key_in_two_policies_is_one_anchor() -> None:
    policy = imported(f"{HEAD}{BY_KEY}---\n{HEAD.replace('prod', 'other')}{BY_KEY}")

    assert len(policy.trust.anchors) == 1


def test_one_key_in_two_authorities_is_one_signer() -> None:
    (rule,) = imported(HEAD + BY_KEY + BY_KEY.removeprefix("  authorities:\n")).rules

    assert rule.signatures is not None
    assert rule.signatures.of == ("prod-authority",)


def test_attestations_become_sections() -> None:
    more = (
        "    attestations: [{name: a, predicateType: spdxjson}, {name: b, predicateType: vuln}]\n"
    )

    (rule,) = imported(HEAD + BY_KEY + more).rules

    assert rule.signatures is None
    assert [each.type.name for each in rule.attestations] == ["spdxjson", "vuln"]


def test_provenance_keeps_any_builder_and_says_so() -> None:
    more = "    attestations: [{name: a, predicateType: slsaprovenance1}]\n"

    text = clusterimagepolicy.convert((HEAD + BY_KEY + more).encode())

    (rule,) = load(text.encode(), read=files).rules
    assert rule.attestations[0].type.speaks_of(Kind.PROVENANCE)
    assert "narrow `builders`" in text


def test_a_log_is_required_where_one_is_named() -> None:
    assert imported(HEAD + BY_KEY + "    ctlog: {url: 'https://rekor'}\n").rules[0].logged
    assert not imported(HEAD + BY_KEY + "    ctlog: {}\n").rules[0].logged


def test_keys_elsewhere_are_to_be_written_to_files() -> None:
    text = clusterimagepolicy.convert(
        (HEAD + "  authorities: [{key: {kms: 'gcpkms://a/b'}}]\n").encode()
    )

    assert "# Write the public key of gcpkms://a/b to a-b.pub." in text
    assert load(text.encode(), read=files).trust.anchors[0].name == "prod-authority"


def test_timestamps_come_with_their_root() -> None:
    policy = imported(HEAD + BY_KEY + "    rfc3161timestamp: {trustRootRef: tsa}\n")

    assert len(policy.trust.roots) == 1


def test_what_always_passes_only_watches() -> None:
    (rule,) = imported(HEAD + "  authorities: [{static: {action: pass}}]\n").rules

    assert rule.mode is Mode.AUDIT


@pytest.mark.parametrize(
    ("glob", "image"),
    [
        ("*", "docker.io/library/*"),
        ("*/*", "docker.io/*/*"),
        ("index.docker.io/a/b", "docker.io/a/b"),
        ("alpine", "docker.io/library/alpine"),
        ("**", "**"),
        ("ghcr**", "ghcr**"),
        ("ghcr.io/a:*", "ghcr.io/a"),
        ("ghcr.io/a:**", "ghcr.io/a"),
        ("ghcr.io/a/**@sha256:**", "ghcr.io/a/**"),
        ("alpine:*", "docker.io/library/alpine"),
    ],
)
def test_names_of_images_are_written_out(glob: str, image: str) -> None:
    (rule,) = imported(HEAD.replace("ghcr.io/acme/**", glob) + BY_KEY).rules

    assert [each.text for each in rule.images] == [image]


def spec(text: str) -> str:
    return HEAD + text


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("a: [", "YAML"),
        ("a: &x 1\nb: *x\n", "YAML"),
        ("a: 1\na: 2\n", "YAML"),
        ("[" * 100 + "]" * 100, "YAML"),
        ("x: " + "y" * 2_000_000, "YAML"),
        ("", "file"),
        ("- 1", "document 1"),
        ("kind: Pod\n", "document 1.kind"),
        (HEAD.replace("v1beta1", "v2"), "document 1.kind"),
        (HEAD.replace("name: prod", ""), "document 1.metadata.name"),
        (spec("  match: [{version: v1}]\n" + BY_KEY), "document 1.spec.match"),
        (spec("  policy: {type: rego, data: x}\n" + BY_KEY), "document 1.spec.policy"),
        (spec("  mode: log\n" + BY_KEY), "document 1.spec.mode"),
        (spec(""), "prod.authorities"),
        (spec("  surprise: 1\n" + BY_KEY), "document 1.spec.surprise"),
        (
            spec("  authorities: [{static: {action: fail}}]\n"),
            "document 1.spec.authorities[0].static",
        ),
        (
            spec("  authorities: [{key: {data: ../key.pub}}]\n"),
            "document 1.spec.authorities[0].key.data",
        ),
        (spec("  authorities: [{name: a}]\n"), "document 1.spec.authorities[0]"),
        (
            spec(BY_KEY + "    source: [{tagPrefix: x}]\n"),
            "document 1.spec.authorities[0].source[0].tagPrefix",
        ),
        (
            spec(
                BY_KEY + "    attestations: [{name: a, predicateType: vuln, policy: {type: cue}}]\n"
            ),
            "document 1.spec.authorities[0].attestations[0].policy",
        ),
        (
            spec(BY_KEY + "    attestations: [{name: a, predicateType: what}]\n"),
            "document 1.spec.authorities[0].attestations[0].predicateType",
        ),
        (
            spec(BY_KEY + "    signatureFormat: x\n"),
            "document 1.spec.authorities[0].signatureFormat",
        ),
        (
            spec(KEYLESS.replace("issuer:", "issuerRegExp:").replace("https://token", ".*")),
            "document 1.spec.authorities[0].keyless.identities[0]",
        ),
        (
            spec("  authorities: [{keyless: {url: 'https://f', identities: []}}]\n"),
            "document 1.spec.authorities[0].keyless.identities",
        ),
        (
            spec("  authorities: [{keyless: {ca-cert: {data: x}}}]\n"),
            "document 1.spec.authorities[0].keyless.ca-cert",
        ),
        (
            HEAD.replace("acme/**", "acme/app@sha256:1") + BY_KEY,
            "document 1.spec.images[0].glob",
        ),
        (
            spec(
                BY_KEY
                + "    attestations: [{name: a, predicateType: vuln}]\n"
                + KEYLESS.removeprefix("  authorities:\n")
            ),
            "prod.authorities",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_where_it_is(text: str, field: str) -> None:
    with pytest.raises(ImportRefused) as caught:
        clusterimagepolicy.convert(text.encode())
    assert caught.value.field == field


@pytest.mark.parametrize("language", ["cue", "rego"])
@pytest.mark.parametrize(
    "text",
    [
        BY_KEY + "  policy: {{type: {}, data: x}}\n",
        BY_KEY
        + "    attestations: [{{name: a, predicateType: vuln, policy: {{type: {}, data: x}}}}]\n",
    ],
)
def test_programs_are_refused_with_what_to_do_instead(text: str, language: str) -> None:
    policy = HEAD + text.format(language)

    with pytest.raises(
        ImportRefused, match=r"CUE or Rego are programs.*`where`, `schema` or `cel`"
    ):
        clusterimagepolicy.convert(policy.encode())


@pytest.mark.parametrize("name", ["policy.cue", "policy.rego", "Policy.REGO"])
def test_files_of_programs_are_refused_by_their_names(name: str) -> None:
    with pytest.raises(ImportRefused, match=f"cannot import {name}: policies in CUE or Rego"):
        programs.refuse(name)


def test_other_files_are_none() -> None:
    for name in ("policy.toml", "cue", "rego.json"):
        programs.refuse(name)


@pytest.mark.parametrize(
    ("expression", "full"),
    [
        ("^a$", "a"),
        ("a", "(?s:.*)a(?s:.*)"),
        ("^a", "a(?s:.*)"),
        ("^a|b$", "(?s:.*)(?:^a|b$)(?s:.*)"),
        (r"a\$", r"(?s:.*)(?:a\$)(?s:.*)"),
        ("(?i)a", "(?s:.*)(?:(?i)a)(?s:.*)"),
    ],
)
def test_expressions_are_made_whole(expression: str, full: str) -> None:
    assert whole(expression) == full


@pytest.mark.parametrize("text", ["a", "xa", "ax", "b", "xb", "bx", "A", "a$", "", "a\nb"])
@pytest.mark.parametrize("expression", ["^a$", "a", "^a", "a$", "^a|b$", "(?i)a", r"a\$", "^$"])
def test_a_whole_expression_matches_what_go_finds(expression: str, text: str) -> None:
    import re2  # type: ignore[import-untyped]

    assert matches(whole(expression), text) is (re2.search(expression, text) is not None)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (r"^https://a\.b/c$", "https://a.b/c"),
        ("^https://a.b$", None),
        (r"https://a\.b", None),
        ("^a*$", None),
    ],
)
def test_an_issuer_may_be_an_expression_of_one_text(expression: str, text: str | None) -> None:
    assert literal(expression) == text


TRUST_POLICY: dict[str, Any] = {
    "version": "1.0",
    "trustPolicies": [
        {
            "name": "acme",
            "registryScopes": ["reg.acme/a", "reg.acme/b"],
            "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:acme", "tsa:stamps"],
            "trustedIdentities": ["x509.subject: C=US, ST=WA, O=acme\\, inc", "*"],
        },
        {
            "name": "rest",
            "registryScopes": ["*"],
            "signatureVerification": {"level": "audit"},
            "trustStores": ["ca:acme"],
            "trustedIdentities": ["x509.subject: O=other"],
        },
        {
            "name": "none",
            "registryScopes": ["reg.acme/c"],
            "signatureVerification": {"level": "skip"},
        },
    ],
}
STORES = {"ca:acme": ["x509/ca/acme/a.pem"], "tsa:stamps": ["x509/tsa/stamps/t.pem"]}


def converted(change: Any = None) -> Policy:
    document = json.loads(json.dumps(TRUST_POLICY))
    if change is not None:
        change(document["trustPolicies"][0])
    return load(notation.convert(json.dumps(document).encode(), STORES).encode(), read=files)


def test_a_trust_policy_becomes_rules() -> None:
    acme, rest, none = converted().rules

    assert (acme.mode, rest.mode, none.mode) == (Mode.ENFORCE, Mode.AUDIT, Mode.AUDIT)
    assert acme.signatures is not None
    assert acme.signatures.formats == {Format.NOTATION}
    assert acme.trusted_time == frozenset({"tsa-stamps"})
    assert (rest.names("reg.acme/a"), rest.names("reg.acme/d")) == (False, True)
    assert none.names("reg.acme/c")


def test_identities_become_anchors() -> None:
    named, anybody, _ = converted().trust.anchors

    assert isinstance(named, X509Anchor)
    assert named.subject == {"C": "US", "ST": "WA", "O": "acme, inc"}
    assert isinstance(anybody, X509Anchor)
    assert anybody.subject == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"registryScopes": []}, "registryScopes"),
        ({"registryScopes": ["reg.acme/a:tag"]}, "registryScopes"),
        ({"signatureVerification": {"level": "lax"}}, "signatureVerification.level"),
        (
            {"signatureVerification": {"level": "strict", "override": {"authenticity": "log"}}},
            "signatureVerification.override",
        ),
        ({"trustStores": ["signingAuthority:x"]}, "trustStores"),
        ({"trustStores": []}, "trustStores"),
        ({"trustedIdentities": []}, "trustedIdentities"),
        ({"trustedIdentities": ["did:x"]}, "trustedIdentities"),
        ({"trustedIdentities": ["x509.subject: O=a, O=b"]}, "trustedIdentities"),
        ({"trustedIdentities": ["x509.subject: O=a+CN=b"]}, "trustedIdentities"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_a_trust_policy_cannot_pass_on_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ImportRefused) as caught:
        converted(lambda policy: policy.update(change))
    assert caught.value.field == f"trust policy.trustPolicies[0].{field}"


def test_a_store_without_certificates_is_refused() -> None:
    with pytest.raises(ImportRefused, match="no certificates"):
        notation.convert(json.dumps(TRUST_POLICY).encode(), {})


def test_overrides_that_change_nothing_here_are_told() -> None:
    document = json.loads(json.dumps(TRUST_POLICY))
    document["trustPolicies"][0]["signatureVerification"] = {
        "level": "permissive",
        "override": {"revocation": "skip"},
        "verifyTimestamp": "always",
    }

    text = notation.convert(json.dumps(document).encode(), STORES)

    assert "# Stricter: expiry is enforced here, and was only logged." in text
    assert "# The override revocation = skip has no effect here." in text


def test_comments_hold_whatever_a_foreign_file_says() -> None:
    assert comments(["a\nversion = 2\r\x00\u2028b"]) == ["# a version = 2 b"]


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\x7f", "é", "\U0001f600", "\x00"])
def test_texts_are_written_as_they_are(text: str) -> None:
    import tomllib

    assert tomllib.loads(f"a = {written(text)}")["a"] == text

"""Whatever a file or a fact says, the answer is a policy, a decision, or an error of ours."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policies import NOW, attestation, fact, files, policy, request, rule, signatures
from retinue.papers.facts import Findings
from retinue.papers.kinds import Kind
from retinue.policy.cel import compiled
from retinue.policy.decide import decide
from retinue.policy.errors import ImportRefused, PolicyInvalid
from retinue.policy.file import load
from retinue.policy.globs import Glob
from retinue.policy.importers import clusterimagepolicy, notation
from retinue.policy.model import Attestation, Condition, PaperType, Policy, Sbom, Select, Slsa, Tags

QUICK = settings(deadline=None, max_examples=int(os.environ.get("POLICY_EXAMPLES", "40")))

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)

WHOLE: dict[str, Any] = {
    "version": 1,
    "unmatched": "refuse",
    "limits": {"papers": 5, "statement": "1MiB", "seconds": 3},
    "roots": ["root.json"],
    "anchors": {
        "ci": {
            "type": "key",
            "keys": [
                {
                    "pem": "ci.pub",
                    "from": "2026-01-01",
                    "revoked": {"at": "2027-01-01", "reason": "x"},
                }
            ],
            "builders": ["https://b"],
        },
        "id": {"type": "keyless", "root": "r.json", "issuer": "https://i", "identity_re2": "a.*"},
        "n": {"type": "x509", "roots": ["ca.pem"], "subject": {"O": "Acme"}},
        "t": {"type": "tsa", "chain": "tsa.pem"},
    },
    "revocation": {"revokers": ["ci"], "self": True, "list": "reg.acme/l", "max_age": "1h"},
    "deny": [{"digest": "sha256:" + "0" * 64, "reason": "bad"}],
    "rule": [
        {
            "name": "r",
            "images": ["reg.acme/**"],
            "except": ["reg.acme/a"],
            "on": ["pull"],
            "trusted_time": ["t"],
            "tag": "signed",
            "signatures": {"k": 1, "of": ["ci"], "formats": ["bundle"], "annotations": {"a": "b"}},
            "attestation": [
                {
                    "type": "slsa-provenance",
                    "by": ["ci"],
                    "max_age": "7d",
                    "slsa": {"source": ["a*"]},
                    "where": [{"path": "/a", "op": "in", "value": [1, "x"]}],
                    "schema": {"properties": {"a": {"pattern": "a"}}, "required": ["a"]},
                }
            ],
        },
        {
            "name": "c",
            "images": ["reg.acme/**"],
            "on": ["cli"],
            "attestation": [{"type": "vex", "by": ["ci"], "cel": "predicate.a == 1"}],
        },
    ],
}
CLUSTER: dict[str, Any] = {
    "apiVersion": "policy.sigstore.dev/v1beta1",
    "kind": "ClusterImagePolicy",
    "metadata": {"name": "p"},
    "spec": {
        "images": [{"glob": "**"}],
        "mode": "warn",
        "authorities": [
            {
                "name": "a",
                "keyless": {"identities": [{"issuer": "https://i", "subjectRegExp": "^x"}]},
                "ctlog": {"url": "https://l"},
                "source": [{"oci": "reg.acme/sigs"}],
                "attestations": [{"name": "s", "predicateType": "spdxjson"}],
            }
        ],
    },
}
NOTATION: dict[str, Any] = {
    "version": "1.0",
    "trustPolicies": [
        {
            "name": "p",
            "registryScopes": ["reg.acme/a"],
            "signatureVerification": {"level": "strict", "override": {"expiry": "log"}},
            "trustStores": ["ca:a", "tsa:t"],
            "trustedIdentities": ["x509.subject: O=a"],
        }
    ],
}
STORES = {"ca:a": ["a.pem"], "tsa:t": ["t.pem"]}


def places(value: Any) -> Iterator[Callable[[Any], None]]:
    """A setter for every place inside of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in list(items):

        def put(new: Any, name: Any = name) -> None:
            value[name] = new

        yield put
        if isinstance(inner, dict | list):
            yield from places(inner)


def damaged(data: st.DataObject, document: dict[str, Any]) -> bytes:
    """A document with some of its values replaced by anything."""
    copy = json.loads(json.dumps(document))
    for _ in range(data.draw(st.integers(1, 2))):
        data.draw(st.sampled_from(list(places(copy))))(data.draw(JSON))
    return json.dumps(copy).encode()


def test_the_documents_are_good_before() -> None:
    raw = json.dumps(WHOLE).encode()
    assert isinstance(load(raw, form="json", read=files, cel=compiled), Policy)
    assert clusterimagepolicy.convert(json.dumps(CLUSTER).encode())
    assert notation.convert(json.dumps(NOTATION).encode(), STORES)


@QUICK
@given(st.data())
def test_a_damaged_policy_is_refused_or_loaded(data: st.DataObject) -> None:
    raw = damaged(data, WHOLE)
    with suppress(PolicyInvalid):
        assert isinstance(load(raw, form="json", read=files, cel=compiled), Policy)


@QUICK
@given(st.binary(max_size=60) | st.text("[]{}=\"'#\n a1.:-,", max_size=60).map(str.encode))
def test_any_bytes_are_refused(raw: bytes) -> None:
    for form in ("toml", "json"):
        with suppress(PolicyInvalid):
            load(raw, form=form, read=files)


@QUICK
@given(st.data())
def test_damaged_policies_of_others_are_refused_or_taken(data: st.DataObject) -> None:
    with suppress(ImportRefused):
        text = clusterimagepolicy.convert(damaged(data, CLUSTER))
        assert text.startswith("# Imported")
    with suppress(ImportRefused):
        assert notation.convert(damaged(data, NOTATION), STORES).startswith("# Imported")


@QUICK
@given(
    st.binary(max_size=60) | st.text("[]{}:'\"#\n a1?-|>&*!%@<,2026-", max_size=60).map(str.encode)
)
def test_any_yaml_is_refused_or_taken(raw: bytes) -> None:
    with suppress(ImportRefused):
        clusterimagepolicy.convert(raw)


CLAIMS = st.dictionaries(
    st.sampled_from(
        [
            "/a",
            "builder",
            "source",
            "components",
            "purls",
            "tag",
            "tag.time",
            "tag.expires",
            "tag.image",
            "revokes.signer",
        ]
    ),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["v1", "key:ci", "2026-01-01", "9999-12-31T23:59:59-23:59", "x"])
    | st.lists(st.text(max_size=3), max_size=2).map(tuple),
)
OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "exists"]


@QUICK
@given(
    st.lists(st.tuples(st.sampled_from(Kind), CLAIMS), max_size=4),
    st.sampled_from(OPERATORS),
    st.sampled_from(Select),
    st.sampled_from(Tags),
)
def test_a_decision_is_made_whatever_predicates_say(
    said: list[tuple[Kind, dict[str, Any]]], op: str, select: Select, tags: Tags
) -> None:
    facts = [
        fact("ci", f"f{i}", kind=kind, predicate_type=str(kind), claims=claims)
        for i, (kind, claims) in enumerate(said)
    ]
    provenance = Attestation(
        PaperType("p", Kind.PROVENANCE), ("ci",), slsa=Slsa((Glob("x"),)), select=select
    )
    sbom = Attestation(PaperType("s", Kind.SBOM), ("ci",), sbom=Sbom(1, 0.5))
    where = attestation(type=PaperType("v", Kind.VULNERABILITIES), where=(Condition("/a", op, 1),))
    by = policy(rule(signatures=signatures(), tag=tags, attestations=(provenance, sbom, where)))

    decision = decide(by, Findings(tuple(facts), {}), None, request(tag="v1"), NOW)

    assert decision.allowed is (
        not decision.undecided
        and all(
            reason.outcome in {"passed", "not applicable"}
            for reason in decision.reasons
            if reason.paper is None
        )
    )

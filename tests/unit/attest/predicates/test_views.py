import json
from datetime import UTC, datetime
from typing import Any

import pytest

from retinue.attest.errors import Malformed
from retinue.attest.predicates import document, huge
from retinue.attest.predicates.provenance import Dependency, Provenance, split
from retinue.attest.predicates.sbom import Sbom
from retinue.attest.predicates.summary import Summary
from retinue.attest.predicates.table import View, view
from retinue.attest.predicates.testresult import Results
from retinue.attest.predicates.vex import Vex, VexStatement
from retinue.attest.predicates.vulnerabilities import Scan

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SLSA_02 = "https://slsa.dev/provenance/v0.2"
SLSA_1 = "https://slsa.dev/provenance/v1"
CYCLONEDX = "https://cyclonedx.org/bom"
SPDX = "https://spdx.dev/Document"
COSIGN_VULN = "https://cosign.sigstore.dev/attestation/vuln/v1"
VULNS = "https://in-toto.io/attestation/vulns/v0.2"
VEX = "https://openvex.dev/ns/v0.2.0"
TESTS = "https://in-toto.io/attestation/test-result/v0.1"
VSA = "https://slsa.dev/verification_summary/v1"


def seen(predicate_type: str, predicate: Any) -> View | None:
    return view(predicate_type, json.dumps(predicate).encode())


# ---- Provenance

V02 = {
    "builder": {"id": "https://b/1"},
    "buildType": "https://t",
    "invocation": {"configSource": {"uri": "git+https://github.com/a/b@refs/tags/v1"}},
    "metadata": {
        "buildInvocationID": "7",
        "buildStartedOn": "2026-03-01T12:00:00Z",
        "buildFinishedOn": "2026-03-01T13:00:00+01:00",
    },
    "materials": [{"uri": "git+https://github.com/a/b", "digest": {"sha1": "00"}}],
}


def test_provenance_0_2() -> None:
    expected = Provenance(
        "0.2",
        "https://b/1",
        "https://t",
        "git+https://github.com/a/b",
        "refs/tags/v1",
        (Dependency("git+https://github.com/a/b", {"sha1": "00"}),),
        "7",
        NOON,
        NOON,
    )
    assert expected == seen(SLSA_02, V02)


def v1(build_type: str = "https://t", **parameters: Any) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": build_type,
            "externalParameters": parameters,
            "resolvedDependencies": [{"name": "n"}, {"uri": "u", "digest": {"sha256": "00"}}],
        },
        "runDetails": {
            "builder": {"id": "https://b/1"},
            "metadata": {"invocationId": "7", "startedOn": "2026-03-01T12:00:00Z"},
        },
    }


@pytest.mark.parametrize("kind", [SLSA_1, "https://slsa.dev/provenance/v1.1"])
def test_provenance_1(kind: str) -> None:
    dependencies = (Dependency("n", {}), Dependency("u", {"sha256": "00"}))
    expected = Provenance(
        "1", "https://b/1", "https://t", None, None, dependencies, "7", NOON, None
    )
    assert expected == seen(kind, v1())


GITHUB = "https://actions.github.io/buildtypes/workflow/v1"
GENERATOR = "https://github.com/slsa-framework/slsa-github-generator/container@v1"
GOOGLE = "https://cloud.google.com/build/gcb-buildtypes/google-worker/v1"
BUILDKIT = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"


@pytest.mark.parametrize(
    ("build_type", "parameters", "source", "ref"),
    [
        (
            GITHUB,
            {"workflow": {"repository": "https://github.com/a/b", "ref": "refs/heads/main"}},
            "git+https://github.com/a/b",
            "refs/heads/main",
        ),
        (
            GENERATOR,
            {"source": {"uri": "git+https://github.com/a/b@refs/tags/v1"}},
            "git+https://github.com/a/b",
            "refs/tags/v1",
        ),
        (
            GENERATOR,
            {"source": "git+https://github.com/a/b@v1"},
            "git+https://github.com/a/b",
            "v1",
        ),
        (
            GOOGLE,
            {"buildConfigSource": {"repository": "git+https://github.com/a/b", "ref": "r"}},
            "git+https://github.com/a/b",
            "r",
        ),
        (GOOGLE, {}, None, None),
        (
            BUILDKIT,
            {"configSource": {"uri": "https://github.com/a/b.git#refs/heads/main:sub"}},
            "git+https://github.com/a/b.git",
            "refs/heads/main",
        ),
        (BUILDKIT, {"configSource": {}}, None, None),
        ("https://tenant", {"workflow": {"repository": "https://evil", "ref": "x"}}, None, None),
    ],
)
def test_the_build_type_says_which_parameter_is_the_source(
    build_type: str, parameters: Any, source: str | None, ref: str | None
) -> None:
    found = seen(SLSA_1, v1(build_type, **parameters))
    assert isinstance(found, Provenance)
    assert (source, ref) == (found.source, found.ref)


@pytest.mark.parametrize(
    ("uri", "source", "ref"),
    [
        ("git+https://github.com/a/b@refs/tags/v1", "git+https://github.com/a/b", "refs/tags/v1"),
        ("git+ssh://git@github.com/a/b@main", "git+ssh://git@github.com/a/b", "main"),
        ("git+ssh://git@github.com/a/b", "git+ssh://git@github.com/a/b", None),
        ("https://github.com/a/b.git", "git+https://github.com/a/b.git", None),
        ("https://host/a.tar.gz", "https://host/a.tar.gz", None),
        ("git://host/a.git#main", "git://host/a.git", "main"),
        ("https://host/a.git#", "git+https://host/a.git", None),
        ("pkg:github/a/b", "pkg:github/a/b", None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_source_and_ref_of_an_uri(uri: str | None, source: str | None, ref: str | None) -> None:
    assert (source, ref) == split(uri)


@pytest.mark.parametrize(
    ("kind", "predicate", "said"),
    [
        (SLSA_02, {**V02, "builder": {}}, "/builder/id is None"),
        (SLSA_02, {**V02, "builder": []}, "/builder is not an object"),
        (SLSA_02, {**V02, "builder": {"id": 1}}, "/builder/id is 1, not a string"),
        (SLSA_02, {**V02, "materials": {}}, "/materials is {}, not a list"),
        (SLSA_02, {**V02, "materials": ["x"]}, "/materials/0 is not an object"),
        (SLSA_02, {**V02, "materials": [{"digest": {"a": 1}}]}, "/materials/0/digest has a value"),
        (SLSA_02, {**V02, "metadata": {"buildStartedOn": "noon"}}, "not a time"),
        (SLSA_02, {**V02, "metadata": {"buildStartedOn": "2026-03-01T12:00:00"}}, "its offset"),
        (SLSA_1, V02, "/buildDefinition/buildType is None"),
        ("https://slsa.dev/provenance/v0.1", V02, "'0.1' is not known"),
        ("https://slsa.dev/provenance/v2", V02, "'2' is not known"),
        (SLSA_1, [], "it is not an object"),
    ],
)
def test_what_is_no_provenance_is_refused(kind: str, predicate: Any, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        seen(kind, predicate)


# ---- Bills of materials

COMPONENTS = [
    {"name": "a", "purl": "pkg:npm/a", "components": [{"name": "b"}, {"purl": "pkg:npm/c"}]},
    {"name": "d"},
]
CYCLONEDX_BOM = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": COMPONENTS}
SPDX_2 = {
    "spdxVersion": "SPDX-2.3",
    "packages": [
        {"externalRefs": [{"referenceType": "cpe23Type"}, {"referenceType": "purl"}]},
        {"name": "b"},
    ],
}
SPDX_3 = {
    "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
    "@graph": [
        {"type": "SpdxDocument"},
        {"type": "software_Package", "software_packageUrl": "pkg:npm/a"},
        {
            "type": "software_Package",
            "externalIdentifier": [{"externalIdentifierType": "packageUrl"}],
        },
        {"type": "software_Package"},
    ],
}
SYFT = {"artifacts": [{"purl": "pkg:npm/a"}, {"purl": ""}], "schema": {"version": "16.0"}}
TAG_VALUE = (
    "SPDXVersion: SPDX-2.3\nExternalRef: PACKAGE-MANAGER purl pkg:npm/x\nPackageName: a\n"
    "ExternalRef: SECURITY cpe23Type cpe\nExternalRef: PACKAGE-MANAGER purl pkg:npm/a\n"
    "ExternalRef: PACKAGE-MANAGER purl pkg:npm/a2\nPackageName: b\n"
)


@pytest.mark.parametrize(
    ("kind", "predicate", "expected"),
    [
        (CYCLONEDX, CYCLONEDX_BOM, Sbom("CycloneDX", "1.6", 4, 2)),
        (f"{CYCLONEDX}/v1.6", {**CYCLONEDX_BOM, "components": []}, Sbom("CycloneDX", "1.6", 0, 0)),
        (
            CYCLONEDX,
            {"bomFormat": "CycloneDX", "specVersion": "1.6"},
            Sbom("CycloneDX", "1.6", 0, 0),
        ),
        (SPDX, SPDX_2, Sbom("SPDX", "2.3", 2, 1)),
        (f"{SPDX}/v2.3", SPDX_2, Sbom("SPDX", "2.3", 2, 1)),
        (SPDX, SPDX_3, Sbom("SPDX", "3", 3, 2)),
        ("https://syft.dev/bom", SYFT, Sbom("Syft", "16.0", 2, 1)),
        (SPDX, TAG_VALUE, Sbom("SPDX", "2.3", 2, 1)),
        (SPDX, CYCLONEDX_BOM, Sbom("CycloneDX", "1.6", 4, 2)),
        (CYCLONEDX, {"Data": CYCLONEDX_BOM, "Timestamp": "x"}, Sbom("CycloneDX", "1.6", 4, 2)),
        (SPDX, {"Data": json.dumps(SPDX_2)}, Sbom("SPDX", "2.3", 2, 1)),
    ],
)
def test_bills_of_materials(kind: str, predicate: Any, expected: Sbom) -> None:
    assert expected == seen(kind, predicate)


def test_the_part_with_package_urls() -> None:
    ratios = [Sbom("SPDX", "2.3", 4, 3).purl_ratio, Sbom("SPDX", "2.3", 0, 0).purl_ratio]
    assert ratios == [0.75, 0.0]


def nested(depth: int) -> Any:
    found: Any = []
    for _ in range(depth):
        found = [{"components": found}]
    return found


@pytest.mark.parametrize(
    ("predicate", "said"),
    [
        ({}, "no bill of materials"),
        ([], "no bill of materials"),
        (5, "no bill of materials"),
        ("no SPDX", "no SPDXVersion"),
        ({"bomFormat": "CycloneDX"}, "specVersion is None"),
        ({**CYCLONEDX_BOM, "components": {}}, "should be a list of components"),
        ({**CYCLONEDX_BOM, "components": [1]}, "a component is 1"),
        ({**CYCLONEDX_BOM, "components": nested(40)}, "nested deeper than 32"),
        ({"artifacts": []}, "no bill of materials"),
    ],
)
def test_what_is_no_bill_of_materials_is_refused(predicate: Any, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        seen(CYCLONEDX, predicate)


@pytest.mark.parametrize("predicate", [CYCLONEDX_BOM, SPDX_2, SPDX_3, SYFT])
def test_large_ones_are_counted_alike(predicate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = seen(CYCLONEDX, predicate)
    monkeypatch.setattr(huge, "WHOLE", 10)
    assert small == seen(CYCLONEDX, predicate)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"a":1,"a":2}]}', "twice"),
        (b'{"bomFormat":"CycloneDX","components":[],"Components":[]}', "occurs twice"),
        (b'{"bomFormat":"CycloneDX","components":[{},,]}', "expecting"),
        (b'{"bomFormat":"CycloneDX","components":[{}', "expecting"),
        (b'{"bomFormat":"CycloneDX"]', "expecting"),
    ],
)
def test_large_ones_are_read_strictly(
    text: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huge, "WHOLE", 10)
    with pytest.raises(Malformed, match=said):
        view(CYCLONEDX, text)


# ---- Others


def test_a_scan_as_cosign_records_it() -> None:
    predicate = {
        "scanner": {
            "uri": "pkg:github/aquasecurity/trivy",
            "version": "0.60",
            "db": {"version": "d"},
            "result": {"critical": 0},
        },
        "metadata": {"scanFinishedOn": "2026-03-01T12:00:00Z"},
    }
    expected = Scan("pkg:github/aquasecurity/trivy", "0.60", "d", None, NOON, None)
    assert expected == seen(COSIGN_VULN, predicate)


def test_a_scan_as_in_toto_records_it() -> None:
    predicate = {"scanner": {"uri": "s", "result": [{"id": "CVE-1"}, {"id": "CVE-2"}]}}
    assert Scan("s", None, None, None, None, ("CVE-1", "CVE-2")) == seen(VULNS, predicate)


def test_openvex() -> None:
    predicate = {
        "author": "Acme",
        "timestamp": "2026-03-01T12:00:00Z",
        "statements": [
            {"vulnerability": "CVE-1", "status": "fixed", "products": ["pkg:oci/a"]},
            {
                "vulnerability": {"name": "CVE-2"},
                "status": "not_affected",
                "justification": "component_not_present",
                "products": [{"@id": "pkg:oci/b"}, {}],
            },
        ],
    }
    expected = Vex(
        "Acme",
        NOON,
        (
            VexStatement("CVE-1", "fixed", ("pkg:oci/a",), None),
            VexStatement("CVE-2", "not_affected", ("pkg:oci/b", ""), "component_not_present"),
        ),
    )
    assert expected == seen(VEX, predicate)


def test_results_of_tests() -> None:
    predicate = {"result": "FAILED", "url": "u", "passedTests": ["a"], "failedTests": ["b"]}
    assert Results("FAILED", "u", ("a",), (), ("b",)) == seen(TESTS, predicate)


def test_a_verification_summary() -> None:
    predicate = {
        "verifier": {"id": "v"},
        "timeVerified": "2026-03-01T12:00:00Z",
        "resourceUri": "r",
        "policy": {"uri": "p", "digest": {"sha256": "00"}},
        "verificationResult": "PASSED",
        "verifiedLevels": ["SLSA_BUILD_LEVEL_3"],
    }
    expected = Summary("v", NOON, "r", "p", {"sha256": "00"}, True, ("SLSA_BUILD_LEVEL_3",))
    assert expected == seen(VSA, predicate)


def test_an_older_verification_summary() -> None:
    predicate = {
        "verifier": {"id": "v"},
        "resource_uri": "r",
        "verification_result": "FAILED",
        "policy_level": "SLSA_LEVEL_3",
    }
    expected = Summary("v", None, "r", None, {}, False, ("SLSA_LEVEL_3",))
    assert expected == seen(VSA.replace("v1", "v0.2"), predicate)


@pytest.mark.parametrize(
    ("kind", "predicate"),
    [
        (COSIGN_VULN, {"scanner": {}}),
        (VULNS, {"scanner": {"uri": "s", "result": [{}]}}),
        (VEX, {"author": "a", "statements": [{"vulnerability": "x", "status": "maybe"}]}),
        (VEX, {"author": "a", "statements": [{"status": "fixed"}]}),
        (TESTS, {"result": "OK"}),
        (TESTS, {"result": "PASSED", "passedTests": [1]}),
        (VSA, {"verifier": {"id": "v"}, "resourceUri": "r", "verificationResult": "YES"}),
    ],
)
def test_what_has_another_shape_is_refused(kind: str, predicate: Any) -> None:
    with pytest.raises(Malformed, match="predicate"):
        seen(kind, predicate)


@pytest.mark.parametrize(
    "kind",
    ["https://example.com/p", "https://cyclonedx.org/bomb", "https://slsa.dev/provenance", ""],
)
def test_unknown_types_stay_what_they_are(kind: str) -> None:
    assert seen(kind, {}) is None


@pytest.mark.parametrize("text", [b"", b"{", b'{"a":1,"a":2}', b'{"a":1,"A":2}'])
def test_what_is_no_strict_json_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed, match="predicate"):
        view(SLSA_1, text)


def test_there_are_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_ITEMS", 2)
    with pytest.raises(Malformed, match="/materials has more than 2 items"):
        seen(SLSA_02, {**V02, "materials": [{}] * 3})
    monkeypatch.setattr(document, "MAX_BYTES", 100)
    with pytest.raises(Malformed, match="more than the 100 allowed"):
        seen(SLSA_02, V02)

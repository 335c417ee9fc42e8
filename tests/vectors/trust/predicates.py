"""Small predicates of each kind, as files that `cosign attest --predicate` takes."""

import json
from pathlib import Path
from typing import Any

IMAGE = "localhost:5000/vectors/app"
CYCLONEDX = {
    "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
    "components": [
        {"type": "library", "name": "zlib", "version": "1.3.1", "purl": "pkg:deb/debian/zlib1g@1.3.1"},
        {"type": "library", "name": "local", "version": "0"},
    ],
}  # fmt: skip
SPDX = {
    "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "app",
    "documentNamespace": "https://example.com/app", "creationInfo": {
        "created": "2026-01-01T00:00:00Z", "creators": ["Tool: hand"]},
    "packages": [{
        "SPDXID": "SPDXRef-zlib", "name": "zlib", "versionInfo": "1.3.1", "downloadLocation": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                          "referenceLocator": "pkg:deb/debian/zlib1g@1.3.1"}]}],
}  # fmt: skip
MATERIAL = {"uri": "git+https://github.com/acme/app@refs/tags/v1.0.0", "digest": {"sha1": "a" * 40}}
SLSA_02 = {
    "builder": {"id": "https://ci.acme/b1"},
    "buildType": "https://ci.acme/types/docker@v1",
    "invocation": {"configSource": {**MATERIAL, "entryPoint": "build.yml"}, "parameters": {}},
    "metadata": {"buildStartedOn": "2026-01-01T00:00:00Z", "reproducible": False},
    "materials": [MATERIAL],
}
SLSA_1 = {
    "buildDefinition": {
        "buildType": "https://ci.acme/types/docker@v1",
        "externalParameters": {"workflow": {
            "repository": "https://github.com/acme/app", "ref": "refs/tags/v1.0.0", "path": "build.yml"}},
        "internalParameters": {},
        "resolvedDependencies": [{"uri": MATERIAL["uri"], "digest": {"gitCommit": "a" * 40}}],
    },
    "runDetails": {
        "builder": {"id": "https://ci.acme/b1"},
        "metadata": {"invocationId": "run/1", "startedOn": "2026-01-01T00:00:00Z"}},
}  # fmt: skip
VULN = {
    "invocation": {"parameters": None, "uri": "", "event_id": "", "builder.id": ""},
    "scanner": {"uri": "pkg:generic/scanner@1", "version": "1", "db": {"uri": "", "version": ""},
                "result": {"critical": 0, "high": 2}},
    "metadata": {"scanStartedOn": "2026-01-01T00:00:00Z", "scanFinishedOn": "2026-01-01T00:01:00Z"},
}  # fmt: skip
VEX = {
    "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex/1", "author": "Acme",
    "timestamp": "2026-01-01T00:00:00Z", "version": 1,
    "statements": [{"vulnerability": {"name": "CVE-2026-1"}, "products": [{"@id": "pkg:oci/app"}],
                    "status": "not_affected", "justification": "component_not_present"}],
}  # fmt: skip
LINK = {"_type": "link", "name": "build", "command": ["make"], "materials": {}, "products": {}, "byproducts": {}, "environment": {}}
FILES: dict[str, Any] = {
    "cyclonedx": CYCLONEDX, "spdxjson": SPDX, "slsaprovenance": SLSA_02, "slsaprovenance1": SLSA_1,
    "vuln": VULN, "openvex": VEX, "link": LINK,
}  # fmt: skip


def write(folder: Path) -> None:
    folder.mkdir()
    for name, document in FILES.items():
        (folder / name).write_text(json.dumps(document))
    (folder / "spdx").write_text("SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nDocumentName: app\n")
    (folder / "custom").write_text("anything at all\n")

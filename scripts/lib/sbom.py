"""A CycloneDX 1.6 SBOM of the Python environment that runs this, on standard output."""

import json
import platform
import re
import sys
import uuid
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from typing import Any

SPEC = "1.6"


def normal(name: str) -> str:
    """A project's name as package URLs and the index spell it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def reference(dist: Distribution) -> str:
    return f"pkg:pypi/{normal(dist.name)}@{dist.version}"


def licenses(dist: Distribution) -> list[dict[str, Any]]:
    """What the project states: an SPDX expression (PEP 639), else a name."""
    expression = dist.metadata.get("License-Expression")
    if expression:
        return [{"expression": expression}]
    stated = dist.metadata.get_all("Classifier") or []
    named = [c.rpartition(" :: ")[2] for c in stated if c.startswith("License ::")]
    return [{"license": {"name": name}} for name in named if name != "OSI Approved"]


def component(dist: Distribution) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference(dist),
        "name": dist.name,
        "version": dist.version,
        "purl": reference(dist),
    }
    summary = dist.metadata.get("Summary")
    if summary:
        made["description"] = summary
    if found := licenses(dist):
        made["licenses"] = found
    return made


def needs(dist: Distribution, installed: dict[str, Distribution]) -> list[str]:
    """The installed projects that this one asks for."""
    asked = {normal(re.split(r"[^\w.-]", text, maxsplit=1)[0]) for text in dist.requires or ()}
    return sorted(reference(installed[name]) for name in asked if name in installed)


def document(now: datetime) -> dict[str, Any]:
    installed = {normal(dist.name): dist for dist in distributions()}
    found = [installed[name] for name in sorted(installed)]
    root = {
        "type": "application",
        "bom-ref": "environment",
        "name": "python-environment",
        "version": platform.python_version(),
    }
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "component": root,
        },
        "components": [component(dist) for dist in found],
        "dependencies": [
            {"ref": "environment", "dependsOn": sorted(map(reference, found))},
            *({"ref": reference(dist), "dependsOn": needs(dist, installed)} for dist in found),
        ],
    }


if __name__ == "__main__":
    json.dump(document(datetime.now(UTC)), sys.stdout, indent=1, ensure_ascii=False)
    print()

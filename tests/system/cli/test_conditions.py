"""What attestations must say, by JSON Schema and by CEL, as a user meets it."""

import json
from pathlib import Path

import pytest

from keypairs import write_pair
from running import Ask
from serving import Serving

POLICY = """
version = 1
unmatched = "refuse"
[anchors.ci]
type = "key"
keys = [{pem="ci.pub"}]
[[rule]]
name = "scanned"
images = ["**"]
on = ["cli", "promote"]
[[rule.attestation]]
type = "vuln"
by = ["ci"]
"""
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "required": ["scanner"],
    "properties": {
        "scanner": {
            "required": ["result"],
            "properties": {"result": {"properties": {"critical": {"maximum": 0}}}},
        }
    },
}
CEL = (
    "cel = \"predicate.scanner.result.critical == 0 && predicate.scanner.uri.startsWith('pkg:')\"\n"
)
EXPLAIN = ("policy", "explain", "--policy", "policy.toml")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a key pair, a root file system, a policy and its schema."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write_pair(tmp_path, "ci")
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "rootfs" / "name").write_text(tmp_path.name)
    (tmp_path / "vuln.schema.json").write_text(json.dumps(SCHEMA))
    return tmp_path


@pytest.fixture
def image(registry: Serving, here: Path, ask: Ask) -> str:
    name = f"{registry.host}/conditions-cli/{here.name.lower()}:1"
    pushed = ask("push", "--image", "rootfs", name)
    assert pushed.code == 0, pushed.err
    return name


def scanned(ask: Ask, image: str, critical: object) -> None:
    scan = {"scanner": {"uri": "pkg:github/acme/scan", "result": {"critical": critical}}}
    Path("scan.json").write_text(json.dumps(scan))
    done = ask("attest", "--key", "ci.key", "--type", "vuln", "--predicate", "scan.json", image)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (
            'schema = "vuln.schema.json"\n',
            "schema vuln.schema.json: /scanner/result/critical: the value is greater than",
        ),
        (CEL, "cel predicate.scanner.result.critical == 0 && "),
    ],
)
def test_an_attestation_is_held_to_it(ask: Ask, image: str, condition: str, why: str) -> None:
    Path("policy.toml").write_text(POLICY + condition)
    checked = ask("policy", "check", "policy.toml", "--json")
    assert (checked.code, checked.json["rules"]) == (0, ["scanned"]), checked.err
    scanned(ask, image, 3)
    refused = ask(*EXPLAIN, image)
    assert (refused.code, why in refused.out) == (11, True), refused.out
    scanned(ask, image, 0)
    assert ask(*EXPLAIN, image).code == 0
    assert ask("verify", "--policy", "policy.toml", image).code == 0
    promoted = image.replace("conditions-cli", "promoted")
    assert ask("promote", "--policy", "policy.toml", image, promoted).code == 0


def test_what_an_expression_cannot_find_is_unmet(ask: Ask, image: str) -> None:
    Path("policy.toml").write_text(POLICY + 'cel = "predicate.result.clean"\n')
    scanned(ask, image, 0)
    told = ask(*EXPLAIN, image)
    assert (told.code, 'Key not found in map : "result"' in told.out) == (11, True)


@pytest.mark.parametrize(
    ("condition", "code", "said"),
    [
        (
            'cel = "predicate.a =="\n',
            2,
            "attestation[0].cel: is no expression in CEL: line 1, char",
        ),
        ('schema = {"$ref" = "https://example.com/s"}\n', 2, "attestation[0].schema: is no schema"),
        ("schema = {type = 7}\n", 2, "attestation[0].schema: is no schema that can be used: /type"),
        ('schema = "absent.json"\n', 2, "attestation[0].schema: cannot read 'absent.json'"),
        ('schema = "../vuln.schema.json"\n', 10, "../vuln.schema.json"),
    ],
)
def test_what_is_wrong_with_one_is_said_where_it_is(
    ask: Ask, here: Path, condition: str, code: int, said: str
) -> None:
    (here.parent / "vuln.schema.json").write_text("{}")
    Path("policy.toml").write_text(POLICY + condition)
    told = ask("policy", "check", "policy.toml")
    assert (told.code, said in told.err) == (code, True), told.err


def test_what_holds_of_everything_or_nothing_is_advice(ask: Ask, here: Path) -> None:
    Path("policy.toml").write_text(POLICY + 'schema = {}\ncel = "1 == 2"\n')
    advice = ask("policy", "check", "policy.toml", "--json").json["advice"]
    fields = [each["field"] for each in advice if "attestation[0]" in each["field"]]
    assert fields == [
        "rule[0].attestation[0].schema",
        "rule[0].attestation[0].cel",
        "rule[0].attestation[0].select",
    ]


@pytest.mark.parametrize("name", ["policy.cue", "policy.rego"])
def test_cosigns_policies_in_other_languages_are_refused(ask: Ask, image: str, name: str) -> None:
    Path(name).write_text("package signature")
    words = ("--key", "ci.pub", "--type", "vuln", "--policy", name, image)
    told = ask("verify-attestation", *words)
    assert (told.code, "CUE or Rego are programs" in told.err) == (9, True)
    assert ask("policy", "import", name).code == 9

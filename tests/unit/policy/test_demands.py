"""`schema` and `cel` in policy files: how they are loaded, where they may stand, and what they decide."""

import json
import sys
from typing import Any

import pytest

from policies import CRITICAL, VULN, attestation, files, judged, of_paper, rule, scan
from retinue.attest.statement import Statement
from retinue.papers.facts import Fact
from retinue.papers.kinds import Kind
from retinue.policy.cel import compiled
from retinue.policy.decision import Operation
from retinue.policy.demands import MAX_LENGTH
from retinue.policy.errors import PolicyInvalid
from retinue.policy.file import load
from retinue.policy.model import Policy, Select
from retinue.policy.schemas import Schema

SCHEMA = {"required": ["scanner"]}
TEXT = "predicate.scanner.result.critical == 0"
UNHURRIED = ["promote", "replicate", "cli"]
STATEMENT = Statement("1", (), VULN, b"{}")
TOML = """
version = 1
unmatched = "refuse"
[anchors.ci]
type = "key"
keys = [{{pem="ci.pub"}}]
[[rule]]
name = "r"
images = ["**"]
[[rule.attestation]]
type = "vuln"
by = ["ci"]
schema = {schema}
"""


def document(on: list[str] = UNHURRIED, **asked: Any) -> dict[str, Any]:
    attested = {"type": "vuln", "by": ["ci"], **asked}
    return {
        "version": 1,
        "unmatched": "refuse",
        "anchors": {"ci": {"type": "key", "keys": [{"pem": "ci.pub"}]}},
        "rule": [{"name": "r", "images": ["**"], "on": on, "attestation": [attested]}],
    }


def read(name: str) -> bytes:
    return json.dumps(SCHEMA).encode() if name == "vuln.json" else files(name)


def loaded(written: dict[str, Any], **more: Any) -> Policy:
    raw = json.dumps(written).encode()
    return load(raw, form="json", read=read, **{"cel": compiled, **more})


def test_a_schema_is_named_or_written_out() -> None:
    for value in ("vuln.json", SCHEMA):
        (asked,) = loaded(document(schema=value)).rules[0].attestations
        assert asked.demands == (Schema(SCHEMA, ""),)


def test_a_schema_may_be_written_in_toml() -> None:
    text = TOML.format(schema='{required = ["scanner"]}')
    (asked,) = load(text.encode(), read=read).rules[0].attestations

    assert asked.demands == (Schema(SCHEMA, ""),)


def test_a_date_in_toml_is_in_no_schema() -> None:
    with pytest.raises(PolicyInvalid, match="holds a date"):
        load(TOML.format(schema="{const = 2026-01-01}").encode(), read=read)


def test_the_contents_of_a_schema_are_part_of_the_epoch() -> None:
    raw = json.dumps(document(schema="vuln.json")).encode()

    def other(name: str) -> bytes:
        return b'{"required": ["result"]}' if name == "vuln.json" else files(name)

    epochs = {load(raw, form="json", read=each).epoch for each in (read, other)}
    assert len(epochs) == 2


def test_a_schema_that_is_not_there_is_an_error_at_its_field() -> None:
    with pytest.raises(PolicyInvalid, match=r"rule\[0\]\.attestation\[0\]\.schema: cannot read"):
        loaded(document(schema="other.txt"))


def test_a_policy_without_conditions_needs_no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("cel_expr_python", "jsonschema_rs"):
        monkeypatch.setitem(sys.modules, package, None)

    assert loaded(document()).rules[0].attestations[0].demands == ()


def test_expressions_are_compiled_when_the_policy_is_loaded() -> None:
    (asked,) = loaded(document(cel=TEXT)).rules[0].attestations

    assert asked.demands == (compiled(TEXT, ""),)


@pytest.mark.parametrize("text", ["predicate.a ==", "1 + 1", " ", "true " * MAX_LENGTH])
def test_an_expression_that_is_none_is_an_error_at_its_field(text: str) -> None:
    with pytest.raises(PolicyInvalid) as problem:
        loaded(document(cel=text))

    assert problem.value.field == "rule[0].attestation[0].cel"


@pytest.mark.parametrize("cel", [compiled, None])
@pytest.mark.parametrize("waited", ["pull", "admission"])
def test_no_rule_about_pulls_or_admission_has_an_expression(waited: str, cel: Any) -> None:
    with pytest.raises(PolicyInvalid, match=f"is never evaluated on {waited}") as problem:
        loaded(document([waited, "cli"], cel=TEXT), cel=cel)

    assert problem.value.field == "rule[0].attestation[0].cel"


def test_neither_has_a_rule_that_does_not_say_what_it_is_about() -> None:
    written = document(cel=TEXT)
    del written["rule"][0]["on"]

    with pytest.raises(PolicyInvalid, match="is never evaluated on admission or pull"):
        loaded(written)


def test_whoever_evaluates_none_loads_it_and_finds_it_unmet() -> None:
    by = loaded(document(cel=TEXT), cel=None)
    (demand,) = by.rules[0].attestations[0].demands
    clean = scan(claims={demand.name: demand.against(STATEMENT, {})})

    decision = judged(by, clean, operation=Operation.CLI)

    assert not decision.allowed
    assert of_paper(decision, clean) == [("failed", f"cel {TEXT}: is not evaluated here")]
    assert list(demand.doubts(by.rules[0].attestations[0].type)) == []


def test_only_what_a_rule_about_the_operation_asks_for_is_read() -> None:
    by = loaded(document(cel=TEXT, where=[{"path": CRITICAL, "op": "==", "value": 0}]))
    on_pull, on_cli = by.wanted(Operation.PULL), by.wanted(Operation.CLI)

    assert (on_pull.demands, on_pull.pointers) == ((), frozenset())
    assert on_cli.pointers == {CRITICAL}
    ((covers, _),) = on_cli.demands
    assert (covers(Kind.VULNERABILITIES, VULN), covers(Kind.SBOM, None)) == (True, False)


DEMAND = Schema(SCHEMA, "vuln.json")


def said(*against: str, critical: int = 0) -> Fact:
    return scan(claims={CRITICAL: critical, DEMAND.name: against})


def test_a_paper_that_satisfies_it_is_good_and_the_trace_says_so() -> None:
    good = said()

    decision = judged(rule(attestations=(attestation(demands=(DEMAND,)),)), good)

    assert decision.allowed
    ((outcome, why),) = of_paper(decision, good)
    assert (outcome, why.endswith("; satisfies schema vuln.json")) == ("passed", True)


def test_what_speaks_against_it_is_in_the_trace() -> None:
    bad = said("/a: is wrong", "and 2 more")

    decision = judged(rule(attestations=(attestation(demands=(DEMAND,)),)), bad)

    assert not decision.allowed
    why = "schema vuln.json: /a: is wrong; schema vuln.json: and 2 more"
    assert of_paper(decision, bad) == [("failed", why)]


def test_a_predicate_that_could_not_be_read_satisfies_nothing() -> None:
    unread = scan(claims={})

    decision = judged(rule(attestations=(attestation(demands=(DEMAND,)),)), unread)

    assert of_paper(decision, unread) == [
        ("failed", "schema vuln.json: the predicate cannot be read as JSON")
    ]


def test_where_all_must_satisfy_it_one_that_does_is_not_enough() -> None:
    one = rule(attestations=(attestation(demands=(DEMAND,)),))
    every = rule(attestations=(attestation(demands=(DEMAND,), select=Select.ALL),))

    assert judged(one, said(), said("is wrong")).allowed
    assert not judged(every, said(), said("is wrong")).allowed

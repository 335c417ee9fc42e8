"""Policy files: what they may say, and what is refused at which field."""

import json
import tomllib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies import files
from retinue.attest.anchors import KeyAnchor, KeylessAnchor, X509Anchor
from retinue.attest.proof import Format
from retinue.oci.digest import Digest
from retinue.papers.kinds import Kind
from retinue.papers.limits import MIB, Limits
from retinue.policy.decision import Operation
from retinue.policy.errors import PolicyInvalid
from retinue.policy.file import MAX_BYTES, load
from retinue.policy.model import (
    Condition,
    Coverage,
    Mode,
    Naming,
    Policy,
    Select,
    Tags,
    Unmatched,
)

DENIED = Digest("sha256:" + "a" * 64)

WHOLE = f"""
version = 1
unmatched = "refuse"
limits = {{papers=1000, statement="128MiB", total="512MiB", seconds=20}}
[anchors.ci]
type = "key"
keys = [{{pem="ci26.pub", from=2026-01-01, until=2027-01-01}}, {{pem="ci25.pub", revoked={{at=2026-03-01, reason="superseded"}}}}]
builders = ["https://ci.acme/b1"]
[anchors.release]
type = "keyless"
root = "corp-root.json"
issuer = "https://token.actions.githubusercontent.com"
uri_re2 = 'https://github\\.com/acme/[^/]+/\\.github/workflows/release\\.yml@refs/tags/v.+'
builders = ["https://github.com/actions/runner/github-hosted"]
[anchors.notary]
type = "x509"
roots = ["ca.pem"]
subject = {{O="Acme"}}
[anchors.security]
type = "key"
keys = [{{pem="sec.pub"}}]
[anchors.receipts]
type = "tsa"
chain = "tsa.pem"
[revocation]
revokers = ["security"]
self = true
list = "reg.acme/trust/revocations"
max_age = "24h"
[[deny]]
digest = "{DENIED}"
reason = "CVE-2026-1"
[[rule]]
name = "prod"
images = ["reg.acme/prod/**"]
except = ["reg.acme/prod/tmp/*"]
on = ["pull", "promote", "replicate", "admission", "cli"]
mode = "enforce"
papers_in = ["reg.acme/sigs"]
index = "parent-covers-child"
tag = "signed"
trusted_time = ["receipts"]
transparency = "optional"
[rule.signatures]
k = 2
of = ["ci", "release", "notary"]
formats = ["bundle", "legacy", "notation"]
annotations = {{env="prod"}}
reference = "any"
[[rule.attestation]]
type = "slsa-provenance"
by = ["release"]
select = "any"
slsa = {{source=["git+https://github.com/acme/*"], ref=["refs/tags/v*"], build_type=["https://b/1"]}}
[[rule.attestation]]
type = "sbom"
by = ["ci"]
select = "newest"
sbom = {{min_components=1, purl_ratio=0.9}}
[[rule.attestation]]
type = "https://cosign.sigstore.dev/attestation/vuln/v1"
by = ["release"]
select = "newest"
max_age = "7d"
where = [{{path="/scanner/result/critical", op="==", value=0}}]
"""


def loaded(text: str = WHOLE) -> Policy:
    return load(text.encode(), read=files)


def test_the_anchors_of_the_whole_example() -> None:
    anchors = {anchor.name: anchor for anchor in loaded().trust.anchors}

    ci = anchors["ci"]
    assert isinstance(ci, KeyAnchor)
    assert [(k.since, k.until, k.revoked, k.compromised) for k in ci.keys] == [
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), None, False),
        (None, None, datetime(2026, 3, 1, tzinfo=UTC), False),
    ]
    release = anchors["release"]
    assert isinstance(release, KeylessAnchor)
    assert release.identity_re2 is not None
    assert release.identity is None
    notary = anchors["notary"]
    assert isinstance(notary, X509Anchor)
    assert (len(notary.roots), notary.subject) == (1, {"O": "Acme"})
    assert [anchor.name for anchor in loaded().trust.times] == ["receipts"]
    assert loaded().trust.roots == (release.root,)


def test_the_rule_of_the_whole_example() -> None:
    (rule,) = loaded().rules

    assert rule.on == frozenset(Operation)
    assert (rule.mode, rule.index, rule.tag) == (Mode.ENFORCE, Coverage.PARENT, Tags.SIGNED)
    assert (rule.papers_in, rule.trusted_time, rule.logged) == (
        ("reg.acme/sigs",),
        frozenset({"receipts"}),
        False,
    )
    assert rule.signatures is not None
    assert rule.signatures.k == 2
    assert rule.signatures.formats == {Format.BUNDLE, Format.LEGACY, Format.NOTATION}
    assert rule.signatures.annotations == {"env": "prod"}
    assert rule.signatures.naming is Naming.ANY


def test_the_attestations_of_the_whole_example() -> None:
    provenance, sbom, vuln = loaded().rules[0].attestations

    assert (provenance.type.kind, provenance.select) == (Kind.PROVENANCE, Select.ANY)
    assert provenance.slsa is not None
    assert [glob.text for glob in provenance.slsa.ref] == ["refs/tags/v*"]
    assert sbom.sbom is not None
    assert (sbom.sbom.min_components, sbom.sbom.purl_ratio) == (1, 0.9)
    assert vuln.max_age == timedelta(days=7)
    assert vuln.where == (Condition("/scanner/result/critical", "==", 0),)
    assert loaded().wanted(Operation.CLI).pointers == {"/scanner/result/critical"}


def test_the_rest_of_the_whole_example() -> None:
    policy = loaded()

    assert policy.unmatched is Unmatched.REFUSE
    assert policy.limits == Limits(1000, 128 * MIB, 512 * MIB, 20)
    assert policy.deny == {DENIED: "CVE-2026-1"}
    assert policy.papers_in == ("reg.acme/sigs",)
    assert policy.revocation is not None
    assert (policy.revocation.revokers, policy.revocation.own) == (("security",), True)
    assert policy.revocation.max_age == timedelta(hours=24)


def test_json_says_the_same() -> None:
    document = json.dumps(tomllib.loads(WHOLE), default=str).encode()

    as_json = load(document, form="json", read=files)

    assert as_json.rules == loaded().rules
    assert as_json.deny == loaded().deny
    assert [a.name for a in as_json.trust.anchors] == [a.name for a in loaded().trust.anchors]


def test_what_is_left_out_has_the_strict_meaning() -> None:
    text = MINIMAL + 'name="r"\nimages=["**"]\n[rule.signatures]\nof=["ci"]\n'

    (rule,) = loaded(text).rules

    assert rule.on == frozenset(Operation)
    assert (rule.mode, rule.index, rule.tag) == (Mode.ENFORCE, Coverage.SELF, Tags.IGNORE)
    assert rule.signatures is not None
    assert rule.signatures.k == 1
    assert rule.signatures.formats == {Format.BUNDLE, Format.LEGACY, Format.NOTATION}


def test_keys_may_be_in_the_file_itself() -> None:
    pem = files("ci.pub").decode()
    text = f'version=1\nunmatched="allow"\n[anchors.ci]\ntype="key"\nkeys=[{{pem="""{pem}"""}}]\n'

    (anchor,) = loaded(text).trust.anchors

    assert isinstance(anchor, KeyAnchor)
    assert anchor.keys[0].key.pem.decode() == pem


def test_the_epoch_changes_with_the_file_with_what_it_names_and_with_the_list() -> None:
    other_root = load(WHOLE.encode(), read=lambda name: files(name) + b" " * name.endswith(".json"))

    epochs = {
        loaded().epoch,
        loaded(WHOLE + "\n").epoch,
        other_root.epoch,
        loaded().epoch_with(1),
        loaded().epoch_with(2),
    }

    assert len(epochs) == 5
    assert loaded().epoch == loaded().epoch


MINIMAL = """version=1
unmatched="refuse"
[anchors.ci]
type="key"
keys=[{pem="ci.pub"}]
[[rule]]
"""
RULE = 'name="r"\nimages=["**"]\n[rule.signatures]\nof=["ci"]\n'


def changed(old: str, new: str) -> str:
    assert old in WHOLE
    return WHOLE.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (changed("version = 1", "version = 2"), "version"),
        (changed("version = 1", ""), "version"),
        (changed('unmatched = "refuse"', ""), "unmatched"),
        (changed('unmatched = "refuse"', 'unmatched = "maybe"'), "unmatched"),
        (changed("papers=1000", "papers=0"), "limits.papers"),
        (changed("128MiB", "128 MiB"), "limits.statement"),
        (changed("seconds=20", "minutes=1"), "limits.minutes"),
        (changed("[anchors.ci]", "[anchors.tlog]"), "anchors.tlog"),
        (changed('type = "key"', 'type = "gpg"'), "anchors.ci.type"),
        (changed("ci25.pub", "ci26.pub"), "anchors.ci.keys"),
        (changed("ci25.pub", "sec.pub"), "anchors.security.keys"),
        (changed("ci25.pub", "absent"), "anchors.ci.keys[1].pem"),
        (changed("ci25.pub", "ca.pem"), "anchors.ci.keys[1].pem"),
        (changed("until=2027-01-01", "until=2025-01-01"), "anchors.ci.keys[0].until"),
        (changed("from=2026-01-01", "from=2026-01-01T00:00:00"), "anchors.ci.keys[0].from"),
        (changed("from=2026-01-01", "since=2026-01-01"), "anchors.ci.keys[0].since"),
        (changed(', reason="superseded"', ""), "anchors.ci.keys[1].revoked.reason"),
        (changed("release\\.yml@", "(?=x)release\\.yml@"), "anchors.release.uri_re2"),
        (changed("uri_re2", 'uri="x"\nuri_re2'), "anchors.release.identity"),
        (changed("corp-root.json", "ca.pem"), "anchors.release.root"),
        (changed('subject = {O="Acme"}', ""), "anchors.notary.subject"),
        (changed("ca.pem", "ci.pub"), "anchors.notary.roots[0]"),
        (changed("tsa.pem", "ci.pub"), "anchors.receipts.chain"),
        (changed('revokers = ["security"]', "revokers = []"), "revocation.revokers"),
        (changed('revokers = ["security"]', 'revokers = ["receipts"]'), "revocation.revokers"),
        (changed('max_age = "24h"', 'max_age = "1 day"'), "revocation.max_age"),
        (changed('max_age = "24h"', 'max_age = "24"'), "revocation.max_age"),
        (changed(DENIED, "sha256:abc"), "deny[0].digest"),
        (changed('reason = "CVE', 'because = "CVE'), "deny[0].reason"),
        (changed("prod/tmp/*", "prod/tmp/***"), "rule[0].except[0]"),
        (changed("reg.acme/prod/**", "reg.acme/prod:v1"), "rule[0].images[0]"),
        (changed('images = ["reg.acme/prod/**"]', "images = []"), "rule[0].images"),
        (changed('"promote"', '"push"'), "rule[0].on[1]"),
        (changed('mode = "enforce"', 'mode = "strict"'), "rule[0].mode"),
        (changed('index = "parent', 'index = "child'), "rule[0].index"),
        (changed('tag = "signed"', 'tag = "any"'), "rule[0].tag"),
        (changed('trusted_time = ["receipts"]', 'trusted_time = ["ci"]'), "rule[0].trusted_time"),
        (changed('"optional"', '"ignored"'), "rule[0].transparency"),
        (changed("k = 2", "k = 0"), "rule[0].signatures.k"),
        (changed("k = 2", "k = true"), "rule[0].signatures.k"),
        (changed('of = ["ci", "release", "notary"]', "of = []"), "rule[0].signatures.of"),
        (changed('of = ["ci", "release", "notary"]', 'of = ["ci"]'), "rule[0].signatures.k"),
        (changed('"release", "notary"]', '"nobody"]'), "rule[0].signatures.of"),
        (changed('"bundle", "legacy"', '"gpg"'), "rule[0].signatures.formats[0]"),
        (changed('"bundle", "legacy"', '"unsigned"'), "rule[0].signatures.formats"),
        (
            changed('tag = "signed"', "").replace('reference = "any"', 'remap={a="b"}'),
            "rule[0].signatures.remap",
        ),
        (changed('env="prod"', "env=1"), "rule[0].signatures.annotations.env"),
        (changed('type = "slsa-provenance"', 'type = "slsa"'), "rule[0].attestation[0].type"),
        (changed('builders = ["https://github', 'x = ["https://github'), "anchors.release.x"),
        (changed("ref=", "refs="), "rule[0].attestation[0].slsa.refs"),
        (changed('by = ["ci"]', 'by = ["receipts"]'), "rule[0].attestation[1].by"),
        (changed("purl_ratio=0.9", "purl_ratio=9"), "rule[0].attestation[1].sbom.purl_ratio"),
        (changed("purl_ratio=0.9", "purl_ratio=nan"), "rule[0].attestation[1].sbom.purl_ratio"),
        (changed('max_age = "7d"', "sbom = {}"), "rule[0].attestation[2].sbom"),
        (changed('max_age = "7d"', 'select2 = "x"'), "rule[0].attestation[2].select2"),
        (changed("/scanner", "scanner"), "rule[0].attestation[2].where[0].path"),
        (changed("/scanner", "/a~2b"), "rule[0].attestation[2].where[0].path"),
        (changed('op="=="', 'op="="'), "rule[0].attestation[2].where[0].op"),
        (changed("value=0", ""), "document"),
        (changed(", value=0", ""), "rule[0].attestation[2].where[0].value"),
        (changed("value=0", "value=[1]"), "rule[0].attestation[2].where[0].value"),
        (changed("value=0", "value=inf"), "rule[0].attestation[2].where[0].value"),
        (changed('op="==", value=0', 'op="in", value=[]'), "rule[0].attestation[2].where[0].value"),
        (
            changed('op="==", value=0', 'op="matches", value="(a"'),
            "rule[0].attestation[2].where[0].value",
        ),
        (
            changed('op="==", value=0', 'op="<", value=true'),
            "rule[0].attestation[2].where[0].value",
        ),
        (WHOLE + "[[rule]]\n" + RULE.replace('"r"', '"prod"'), "rule[1].name"),
        (MINIMAL + 'name="r"\nimages=["**"]\n', "rule[0]"),
        (MINIMAL + 'name="r"\nimages=["**"]\ntag="signed"\nmode="warn"\n', "rule[0].tag"),
        (
            MINIMAL
            + 'name="r"\nimages=["**"]\n[[rule.attestation]]\ntype="slsaprovenance1"\nby=["ci"]\n',
            "rule[0].attestation[0].by",
        ),
        ("rule = 5\nversion=1\nunmatched='allow'", "rule"),
        ("rule = [5]\nversion=1\nunmatched='allow'", "rule[0]"),
        ("version = ", "document"),
        ("a=" + "[" * 5000 + "]" * 5000, "document"),
        (" " * (MAX_BYTES + 1), "document"),
        ("extra = 1\n" + MINIMAL + RULE, "extra"),
    ],
)
def test_what_is_wrong_is_refused_where_it_is(text: str, field: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        loaded(text)
    assert caught.value.field == field


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(PolicyInvalid, match="UTF-8"):
        load(b"version = \xff", read=files)


@pytest.mark.parametrize("raw", [b'{"version": 1, "version": 1}', b"[]", b"{"])
def test_json_is_read_strictly(raw: bytes) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load(raw, form="json", read=files)
    assert caught.value.field == "document"


def test_a_rule_that_only_watches_may_ask_for_nothing() -> None:
    (rule,) = loaded(MINIMAL + 'name="r"\nimages=["**"]\nmode="audit"\n').rules

    assert not rule.enforced


def test_files_are_opened_once_by_the_name_in_the_policy() -> None:
    names: list[str] = []

    def read(name: str) -> bytes:
        names.append(name)
        return files(name)

    text = MINIMAL.replace("[[rule]]", '[anchors.n]\ntype="x509"\nroots=["a.pem"]\nsubject={}\n')
    load((text + '[anchors.t]\ntype="tsa"\nchain="a.pem"\n').encode(), read=read)

    assert names == ["ci.pub", "a.pem"]


def test_a_huge_file_that_the_policy_names_is_refused() -> None:
    with pytest.raises(PolicyInvalid, match="more than"):
        load((MINIMAL + RULE).encode(), read=lambda _: b" " * 5_000_000)


def test_a_file_that_cannot_be_read_is_said_with_its_reason() -> None:
    def read(name: str) -> bytes:
        raise PermissionError(13, "Permission denied", name)

    with pytest.raises(PolicyInvalid) as caught:
        load((MINIMAL + RULE).encode(), read=read)
    assert caught.value.field == "anchors.ci.keys[0].pem"
    assert "permission denied" in caught.value.reason


def test_tables_and_texts_are_told_apart() -> None:
    values: list[Any] = [1, "x", True, None, [], {}]
    for value in values[:-1]:
        with pytest.raises(PolicyInvalid):
            load(
                json.dumps({"version": 1, "unmatched": "allow", "limits": value}).encode(),
                form="json",
                read=files,
            )

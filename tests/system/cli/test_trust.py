"""Signing, attesting, verifying and revoking as a user does it, against a real registry."""

import json
import re
from pathlib import Path

import pytest

from keypairs import write_pair
from retinue.papers.tagplace import keeping_tag, place_of
from running import Ask
from serving import Serving

POLICY = """
version = 1
unmatched = "refuse"
[anchors.ci]
type = "key"
keys = [{{pem="ci.pub"}}]
[anchors.security]
type = "key"
keys = [{{pem="sec.pub"}}]
[revocation]
revokers = ["security"]
list = "{host}/trust/{name}"
max_age = "24h"
[[rule]]
name = "everything"
images = ["{host}/**"]
mode = "enforce"
[rule.signatures]
k = 1
of = ["ci"]
"""


@pytest.fixture
def here(registry: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask) -> Path:
    """A folder with two key pairs, an SBOM and a policy; passwords come from the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSIGN_PASSWORD", "a secret")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "rootfs" / "name").write_text(tmp_path.name)
    (tmp_path / "sbom.json").write_text('{"bomFormat":"CycloneDX","specVersion":"1.5"}')
    for name in ("ci", "sec"):
        write_pair(tmp_path, name)
    text = POLICY.format(host=registry.host, name=tmp_path.name.lower())
    (tmp_path / "policy.toml").write_text(text)
    return tmp_path


@pytest.fixture
def image(registry: Serving, here: Path, ask: Ask) -> str:
    name = f"{registry.host}/trust-cli/{here.name.lower()}:1"
    pushed = ask("push", "--image", "rootfs", name)
    assert pushed.code == 0, pushed.err
    return name


def test_what_was_signed_verifies_and_what_was_not_does_not(ask: Ask, image: str) -> None:
    nothing = ask("verify", "--key", "ci.pub", image, "--json")
    assert (nothing.code, nothing.json[0]["papers"]) == (12, [])
    signed = ask("sign", "--key", "ci.key", image)
    assert signed.code == 0, signed.err
    assert ask("verify", "--key", "ci.pub", image).code == 0
    assert ask("verify", "--key", "sec.pub", image).code == 11


@pytest.mark.parametrize("host", ["127.1:{port}", "2130706433:{port}", "[::ffff:127.0.0.1]:{port}"])
def test_no_spelling_of_a_name_gets_round_its_rule(
    ask: Ask, here: Path, image: str, host: str
) -> None:
    policy = (here / "policy.toml").read_text().replace('"refuse"', '"allow"')
    (here / "lax.toml").write_text(re.sub(r"(?s)\[revocation\].*?(?=\[\[rule)", "", policy))
    there, _, name = image.partition("/")
    spelled = host.format(port=there.rpartition(":")[2])

    assert ask("verify", "--policy", "lax.toml", image).code == 12
    assert ask("verify", "--policy", "lax.toml", f"{spelled}/{name}").code == 12


def test_a_tag_is_stated_beside_the_signature(ask: Ask, image: str) -> None:
    assert ask("sign", "--key", "ci.key", "--tag-statement", "30d", image).code == 0
    papers = ask("verify", "--key", "ci.pub", image, "--json").json[0]["papers"]
    said = {paper["kind"]: paper["claims"].get("tag") for paper in papers}
    assert said == {"signature": None, "tag-statement": "1"}


def test_a_list_is_worth_what_its_key_is_worth(ask: Ask, here: Path, image: str) -> None:
    """A stolen key signs no further version; a key that ended is followed by the next one."""
    write_pair(here, "sec27")
    text = (here / "policy.toml").read_text()
    assert ask("sign", "--key", "ci.key", image).code == 0
    assert ask("revoke", "--policy", "policy.toml", "--key", "sec.key").code == 0
    assert ask("verify", "--policy", "policy.toml", image).code == 0

    def marked(how: str) -> None:
        keys = f'{{pem="sec.pub", {how}}}, {{pem="sec27.pub"}}'
        (here / "policy.toml").write_text(text.replace('{pem="sec.pub"}', keys))

    marked('revoked={at=2026-01-01, reason="compromise"}')
    stolen = ask("verify", "--policy", "policy.toml", image)
    assert (stolen.code, "compromised" in stolen.err) == (6, True)
    assert ask("revoke", "--policy", "policy.toml", "--key", "sec27.key").code == 6

    marked("until=2026-01-01")
    assert ask("verify", "--policy", "policy.toml", image).code == 6
    assert ask("revoke", "--policy", "policy.toml", "--key", "sec.key").code == 6
    assert ask("revoke", "--policy", "policy.toml", "--key", "sec27.key").code == 0
    assert ask("verify", "--policy", "policy.toml", image).code == 0


TAGGED = """
version = 1
unmatched = "refuse"
[anchors.ci]
type = "key"
keys = [{{pem="ci.pub"}}]
[[rule]]
name = "tags"
images = ["{host}/**"]
tag = "statement"
[rule.signatures]
of = ["ci"]
"""


def moved(ask: Ask, here: Path, image: str) -> tuple[str, str]:
    """The digest that a signed tag had, and the one that it has now, signed too."""
    digests = []
    for content in ("old", "new"):
        (here / "rootfs" / "name").write_text(content)
        assert ask("push", "--image", "rootfs", image).code == 0
        assert ask("sign", "--key", "ci.key", "--tag-statement", "30d", image).code == 0
        digests.append(ask("inspect", image, "--json").json["digest"])
    return digests[0], digests[1]


def test_a_tag_that_was_moved_back_is_refused(
    ask: Ask, here: Path, image: str, registry: Serving
) -> None:
    """The older image has its own statement, which has not expired."""
    (here / "tags.toml").write_text(TAGGED.format(host=registry.host))
    repository = image.rpartition(":")[0]
    old, _ = moved(ask, here, image)
    assert ask("verify", "--policy", "tags.toml", image).code == 0
    assert ask("tag", f"{repository}@{old}", "1").code == 0

    refused = ask("verify", "--policy", "tags.toml", image, "--json")

    assert refused.code == 11
    assert "re-pointed, or rolled back" in refused.out


def test_a_tag_that_is_stated_again_is_at_its_new_image_and_older_statements_go(
    ask: Ask, here: Path, image: str, registry: Serving
) -> None:
    (here / "tags.toml").write_text(TAGGED.format(host=registry.host))
    repository = image.rpartition(":")[0]
    old, _ = moved(ask, here, image)
    assert ask("tag", f"{repository}@{old}", "1").code == 0

    assert ask("sign", "--key", "ci.key", "--tag-statement", "30d", image).code == 0

    assert ask("verify", "--policy", "tags.toml", image).code == 0
    [place] = [t for t in ask("list", repository, "--json").json["tags"] if t != "1"]
    assert place == keeping_tag(place_of(repository, "1").manifest.digest)
    assert ask("tree", f"{repository}:{place}", "--json").json["papers"] == 1
    assert ask("policy", "report", "--policy", "tags.toml", repository).code == 0


def test_signing_again_adds_nothing(ask: Ask, image: str) -> None:
    for form in ("both", "both", "bundle", "legacy"):
        assert ask("sign", "--key", "ci.key", "--format", form, image).code == 0
    assert ask("tree", image, "--json").json["papers"] == 2


def test_annotations_are_signed_and_demanded(ask: Ask, image: str) -> None:
    ask("sign", "--key", "ci.key", "-a", "env=prod", image)
    assert ask("verify", "--key", "ci.pub", "-a", "env=prod", image).code == 0
    assert ask("verify", "--key", "ci.pub", "-a", "env=test", image).code == 11


def test_an_sbom_is_no_signature_and_a_signature_no_sbom(ask: Ask, image: str) -> None:
    attested = ask(
        "attest", "--key", "ci.key", "--type", "cyclonedx", "--predicate", "sbom.json", image
    )
    assert attested.code == 0, attested.err
    assert ask("verify", "--key", "ci.pub", image).code == 11
    assert ask("verify", "--key", "ci.pub", "--type", "cyclonedx", image).code == 0
    assert ask("verify", "--key", "ci.pub", "--type", "spdxjson", image).code == 11


def test_what_nobody_signed_satisfies_nothing(ask: Ask, image: str) -> None:
    unsigned = ask("attest", "--unsigned", "--type", "cyclonedx", "--predicate", "sbom.json", image)
    assert unsigned.code == 0, unsigned.err
    found = ask("verify", "--key", "ci.pub", "--type", "cyclonedx", image, "--json")
    assert found.code == 11
    assert [paper["verdict"] for paper in found.json[0]["papers"]] == ["unsigned"]


def test_the_tree_says_what_verified_and_by_whom(ask: Ask, image: str) -> None:
    ask("sign", "--key", "ci.key", image)
    assert "verified signature by key" in ask("tree", "--key", "ci.pub", image).out
    assert "no anchor" in ask("tree", "--key", "sec.pub", image).out


def test_papers_are_printed_a_line_each(ask: Ask, image: str) -> None:
    ask("sign", "--key", "ci.key", "--format", "both", image)
    predicate = ("--type", "cyclonedx", "--predicate", "sbom.json")
    ask("attest", "--key", "ci.key", "--format", "both", *predicate, image)
    signatures = [json.loads(line) for line in ask("download", "signature", image).lines]
    assert sorted("Base64Signature" in line for line in signatures) == [False, True]
    attestations = [json.loads(line) for line in ask("download", "attestation", image).lines]
    assert sorted("payloadType" in line for line in attestations) == [False, True]
    assert json.loads(ask("download", "sbom", image).out)["bomFormat"] == "CycloneDX"
    assert ask("download", "attestation", "--type", "vuln", image).code == 3


def test_attestations_made_elsewhere_are_attached_once_and_only_where_they_belong(
    ask: Ask, image: str, here: Path
) -> None:
    ask("attest", "--key", "ci.key", "--type", "cyclonedx", "--predicate", "sbom.json", image)
    (here / "bundles").write_text(ask("download", "attestation", image).out)
    again = ask("attach", "attestation", "--attestation", "bundles", image)
    assert again.code == 0, again.err
    assert ask("tree", image, "--json").json["papers"] == 1
    (here / "rootfs" / "more").write_text("more")
    other = image.replace(":1", ":2")
    ask("push", "--image", "rootfs", other)
    assert ask("attach", "attestation", "--attestation", "bundles", other).code == 6


def test_a_policy_decides_and_a_revocation_changes_its_mind(ask: Ask, image: str) -> None:
    ask("sign", "--key", "ci.key", image)
    policy = ("--policy", "policy.toml")
    assert ask("verify", *policy, image).code == 7  # there is no revocation list yet
    assert ask("revoke", *policy, "--key", "ci.key").code == 11  # who is no revoker
    assert ask("revoke", *policy, "--key", "sec.key").code == 0
    assert ask("verify", *policy, image).code == 0
    promoted = image.replace("trust-cli", "promoted")
    assert ask("promote", *policy, image, promoted).code == 0
    assert ask("verify", "--key", "ci.pub", promoted).code == 0
    gone = ask("revoke", "ci.pub", *policy, "--key", "sec.key", "--reason", "stolen", "--json")
    assert (gone.code, gone.json["version"], gone.json["entries"]) == (0, 2, 1)
    assert ask("promote", *policy, image, promoted.replace(":1", ":2")).code == 11
    refused = ask("verify", *policy, image)
    assert (refused.code, "was revoked: stolen" in refused.out) == (11, True)
    assert ask("revoke", "ci.pub", *policy, "--key", "sec.key", "--undo").code == 0
    assert ask("verify", *policy, image).code == 0


def test_an_older_revocation_list_is_refused(ask: Ask, image: str, here: Path) -> None:
    ask("sign", "--key", "ci.key", image)
    policy = ("--policy", "policy.toml")
    ask("revoke", *policy, "--key", "sec.key")
    ask("revoke", "ci.pub", *policy, "--key", "sec.key", "--reason", "stolen")
    assert ask("verify", *policy, image).code == 11
    place = image.replace("/trust-cli/", "/trust/").removesuffix(":1")
    ask("tag", f"{place}:v1", "latest")
    assert ask("delete", "-y", f"{place}:v2").code == 0
    hidden = ask("verify", *policy, image)
    assert (hidden.code, "revocation list" in hidden.err) == (6, True)


def test_a_report_lists_what_would_be_refused(ask: Ask, image: str) -> None:
    ask("revoke", "--policy", "policy.toml", "--key", "sec.key")
    repository = image.removesuffix(":1")
    found = ask("policy", "report", "--policy", "policy.toml", repository, "--json")
    assert (found.code, found.json["judged"], len(found.json["refused"])) == (11, 1, 1)
    ask("sign", "--key", "ci.key", image)
    found = ask("policy", "report", "--policy", "policy.toml", repository, "--json")
    assert (found.code, found.json["refused"]) == (0, [])


def test_a_policy_is_checked_and_explained(ask: Ask, image: str, here: Path) -> None:
    checked = ask("policy", "check", "policy.toml", "--json")
    assert (checked.code, checked.json["rules"]) == (0, ["everything"])
    explained = ask("policy", "explain", "--policy", "policy.toml", image)
    assert explained.code == 12
    assert "epoch" in explained.out
    (here / "policy.toml").write_text("version = 1\nunmatched = 'refuse'\nwhatever = 2\n")
    assert ask("policy", "check", "policy.toml").code == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("sign", "--key", "absent.key"), 10),
        (("sign",), 2),
        (("verify",), 2),
        (("verify", "--key", "sbom.json"), 10),
        (("sign", "--key", "ci.key", "--tag-statement", "soon"), 2),
        (("attest", "--key", "ci.key", "--predicate", "absent"), 10),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    ask: Ask, image: str, words: tuple[str, ...], code: int
) -> None:
    ran = ask(*words, image)
    assert (ran.code, len(ran.err.splitlines())) == (code, 1)


def test_a_key_that_was_made_here_is_opened_by_its_password_only(
    ask: Ask, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask("key", "generate", "--output-key-prefix", "new").code == 0
    assert ask("key", "generate", "--output-key-prefix", "new").code == 10  # nothing overwritten
    assert ask("sign", "--key", "new.key", image).code == 0
    assert ask("verify", "--key", "new.pub", image).code == 0
    assert ask("key", "public", "--key", "new.key").out == Path("new.pub").read_text()
    monkeypatch.setenv("COSIGN_PASSWORD", "another")
    ran = ask("sign", "--key", "new.key", image)
    assert (ran.code, "password" in ran.err) == (4, True)
    assert "another" not in ran.err


def test_images_in_a_folder_are_signed_and_verified(ask: Ask, here: Path) -> None:
    ask("push", "--image", "rootfs", "oci:folder:1")
    assert ask("sign", "--key", "ci.key", "--format", "both", "oci:folder:1").code == 0
    assert ask("verify", "--key", "ci.pub", "oci:folder:1").code == 0


def attest(ask: Ask, image: str, text: str, *more: str) -> None:
    Path("said.json").write_text(text)
    words = ("attest", "--type", "cyclonedx", "--predicate", "said.json", *more, image)
    done = ask(*words)
    assert done.code == 0, done.err


def sboms(ask: Ask, image: str) -> int:
    told = ask("verify", "--key", "ci.pub", "--key", "sec.pub", "--type", "cyclonedx", image)
    assert told.code == 0, told.err
    papers = ask("download", "attestation", image).lines
    return len(papers)


def test_an_attestation_takes_the_place_of_those_of_its_signer_and_type(
    ask: Ask, image: str
) -> None:
    attest(ask, image, '{"a":1}', "--key", "ci.key")
    attest(ask, image, '{"a":1,"filler":"%s"}' % ("x" * 600_000), "--key", "ci.key")
    attest(ask, image, '{"a":1}', "--key", "sec.key")
    assert sboms(ask, image) == 3
    for _ in range(2):
        attest(ask, image, '{"a":2}', "--key", "ci.key", "--replace")
        assert sboms(ask, image) == 2
    attest(ask, image, '{"a":1}', "--key", "sec.key", "--replace")
    assert sboms(ask, image) == 2


def test_a_statement_in_an_index_changes_the_digest_and_moves_the_tag(ask: Ask, image: str) -> None:
    before = ask("inspect", image, "--json").json["digest"]
    asked = ("--unsigned", "--format", "index", "--type", "cyclonedx", "--predicate", "sbom.json")
    words = ("attest", *asked, image)
    done = ask(*words)
    after = ask("inspect", image, "--json").json["digest"]
    assert (done.code, before != after) == (0, True), done.err
    assert "the digest changed" in done.out
    assert after in done.out
    told = ask("verify", "--key", "ci.pub", "--type", "cyclonedx", "-r", image, "--json").json[0]
    assert [(paper["kind"], paper["verdict"]) for paper in told["papers"]] == [("sbom", "unsigned")]
    assert "says it already" in ask(*words).out
    assert ask("inspect", image, "--json").json["digest"] == after


@pytest.mark.parametrize(
    "words", [("--key", "ci.key"), ("--unsigned", "--recursive"), ("--unsigned", "--replace")]
)
def test_an_index_holds_only_what_it_can(ask: Ask, image: str, words: tuple[str, ...]) -> None:
    asked = ("attest", "--format", "index", "--predicate", "sbom.json", *words, image)
    assert ask(*asked).code == 2

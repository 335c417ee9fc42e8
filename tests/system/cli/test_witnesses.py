"""Signatures by a key with a trusted time and a log entry, as a user makes and demands them."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from devstacks import running
from keypairs import write_pair
from retinue.devstack.server import Server
from running import Ask, Ran
from serving import Serving

POLICY = """
version = 1
unmatched = "refuse"
[anchors.ci]
type = "key"
keys = [{key}]
[anchors.clock]
type = "tsa"
chain = "tsa.pem"
[anchors.dev]
type = "keyless"
root = "root.json"
issuer = "{url}"
identity = "nobody@example.test"
[[rule]]
name = "everything"
images = ["{host}/**"]
mode = "enforce"
{rule}
[rule.signatures]
k = 1
of = ["ci"]
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("dev") / "dev") as server:
        yield server


@pytest.fixture
def here(dev: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with keys, an image, an SBOM, and what the stack's clients need in `dev`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSIGN_PASSWORD", "")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "rootfs" / "name").write_text(tmp_path.name)
    (tmp_path / "sbom.json").write_text('{"bomFormat":"CycloneDX","specVersion":"1.5"}')
    (tmp_path / "dev").symlink_to(dev.state.folder.path)
    members = (dev.state.time, dev.state.time_root)
    chain = b"".join(member.certificate.public_bytes(Encoding.PEM) for member in members)
    (tmp_path / "tsa.pem").write_bytes(chain)
    write_pair(tmp_path, "ci")
    write_pair(tmp_path, "ed", ed25519.Ed25519PrivateKey.generate())
    return tmp_path


@pytest.fixture
def image(registry: Serving, here: Path, ask: Ask) -> str:
    name = f"{registry.host}/witnessed/{here.name.lower()}:1"
    pushed = ask("push", "--image", "rootfs", name)
    assert pushed.code == 0, pushed.err
    return name


ROOT = ("--trusted-root", "dev/trusted_root.json")
LOGGED = ("--require-tlog", *ROOT)
NEW = ("--signing-config", "dev/signing_config.v0.2.json", *ROOT)
OLD = ("--signing-config", "dev/signing_config.rekor-v1.json", *ROOT)


def clock(dev: Server) -> tuple[str, str]:
    return ("--timestamp-server-url", f"{dev.url}/api/v1/timestamp")


def sign(ask: Ask, image: str, *words: str) -> Ran:
    signed = ask("sign", "--key", "ci.key", *words, image, "--json")
    assert signed.code == 0, signed.err
    return signed


def times(ask: Ask, image: str, *words: str) -> list[str]:
    """The clocks of the papers that verified."""
    found = ask("verify", "--key", "ci.pub", *words, image, "--json")
    papers = [paper for paper in found.json[0]["papers"] if paper["verdict"] == "verified"]
    return sorted(time["clock"] for paper in papers for time in paper["signed_at"])


@pytest.mark.parametrize("form", ["bundle", "legacy"])
@pytest.mark.parametrize("root", [(), ROOT])
def test_a_log_entry_is_made_and_demanded(
    ask: Ask, dev: Server, image: str, form: str, root: tuple[str, ...]
) -> None:
    sign(ask, image)
    assert ask("verify", "--key", "ci.pub", *LOGGED, image).code == 11

    sign(ask, image, "--format", form, "--rekor-url", dev.url, *root)

    assert ask("verify", "--key", "ci.pub", *LOGGED, image).code == 0
    assert times(ask, image, *ROOT) == ["tlog"]


@pytest.mark.parametrize("form", ["bundle", "legacy"])
@pytest.mark.parametrize("root", [(), ROOT])
def test_a_time_is_asked_for_and_believed(
    ask: Ask, dev: Server, image: str, form: str, root: tuple[str, ...]
) -> None:
    sign(ask, image, "--format", form, *clock(dev), *root)

    assert times(ask, image, "--timestamp-certificate-chain", "tsa.pem") == ["rfc3161"]
    assert times(ask, image, *ROOT) == ["rfc3161"]
    assert times(ask, image) == []


@pytest.mark.parametrize("config", [NEW, OLD, ("--trust-config", "dev/client_trust_config.json")])
def test_a_config_names_clocks_and_logs_for_keys_too(
    ask: Ask, image: str, config: tuple[str, ...]
) -> None:
    sign(ask, image, *config)

    assert ask("verify", "--key", "ci.pub", *LOGGED, image).code == 0
    assert "rfc3161" in times(ask, image, *ROOT)


@pytest.mark.parametrize("form", ["bundle", "legacy"])
def test_attestations_are_witnessed_too(ask: Ask, dev: Server, image: str, form: str) -> None:
    said = ("--type", "cyclonedx", "--predicate", "sbom.json", "--format", form)
    attested = ask(
        "attest", "--key", "ci.key", *said, *clock(dev), "--rekor-url", dev.url, *ROOT, image
    )
    assert attested.code == 0, attested.err

    kind = ("--type", "cyclonedx")
    assert ask("verify", "--key", "ci.pub", *kind, *LOGGED, image).code == 0
    assert times(ask, image, *kind, *ROOT) == ["rfc3161", "tlog"]


@pytest.mark.parametrize("form", ["bundle", "legacy"])
@pytest.mark.parametrize("root", [(), ROOT])
def test_signing_again_adds_what_is_missing_and_no_more(
    ask: Ask, dev: Server, image: str, form: str, root: tuple[str, ...]
) -> None:
    witnessed = ("--format", form, *clock(dev), "--rekor-url", dev.url, *root)
    steps = (("--format", form), witnessed, witnessed, ("--format", form))

    new = [sign(ask, image, *step).json["signed"][0]["papers"][0]["new"] for step in steps]

    assert new == [True, True, False, False]


@pytest.fixture
def policy(dev: Server, image: str, here: Path) -> Callable[..., tuple[str, str]]:
    """Writes one; `key` and `rule` are more of those."""

    def written(rule: str, key: str = "") -> tuple[str, str]:
        (here / "root.json").write_bytes((here / "dev" / "trusted_root.json").read_bytes())
        host = image.partition("/")[0]
        pinned = f'{{pem="ci.pub"{key}}}'
        text = POLICY.format(url=dev.url, host=host, rule=rule, key=pinned)
        (here / "policy.toml").write_text(text)
        return "--policy", "policy.toml"

    return written


@pytest.mark.parametrize("words", [OLD, NEW])
def test_a_policy_demands_a_log_entry(
    ask: Ask, image: str, policy: Callable[..., tuple[str, str]], words: tuple[str, ...]
) -> None:
    judging = policy('transparency = "required"')
    sign(ask, image)
    assert ask("verify", *judging, image).code == 11

    sign(ask, image, *words)

    verified = ask("verify", *judging, image)
    assert verified.code == 0, verified.out + verified.err


def test_what_was_stamped_before_a_key_was_compromised_stays_good(
    ask: Ask, dev: Server, image: str, policy: Callable[..., tuple[str, str]]
) -> None:
    """The time must be of a clock that the rule names: the log's is none of them here."""
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lost = f', revoked={{at={later}, reason="compromise"}}'
    judging = policy('trusted_time = ["clock"]', lost)
    sign(ask, image, "--rekor-url", dev.url)
    assert ask("verify", *judging, image).code == 11

    sign(ask, image, *clock(dev))

    verified = ask("verify", *judging, image)
    assert verified.code == 0, verified.out + verified.err


def test_answers_of_others_than_the_root_names_are_not_kept(
    ask: Ask, dev: Server, image: str, here: Path
) -> None:
    root = json.loads((here / "dev" / "trusted_root.json").read_text())
    root.update(timestampAuthorities=[], tlogs=[])
    (here / "root.json").write_text(json.dumps(root))
    for words in (clock(dev), ("--rekor-url", dev.url)):
        signed = ask("sign", "--key", "ci.key", *words, "--trusted-root", "root.json", image)
        assert (signed.code, "does not verify" in signed.err) == (6, True)
    assert ask("tree", image, "--json").json["papers"] == 0


def test_what_is_no_timestamp_is_not_kept_even_without_a_root(
    ask: Ask, dev: Server, image: str
) -> None:
    words = ("--timestamp-server-url", f"{dev.url}/api/v1/log/entries/retrieve")
    assert ask("sign", "--key", "ci.key", *words, image).code == 5
    assert ask("tree", image, "--json").json["papers"] == 0


def test_a_key_that_signs_alike_is_logged_once_and_signs_twice(
    ask: Ask, dev: Server, image: str
) -> None:
    words = ("--key", "ed.key", "--rekor-url", dev.url, *ROOT, image)
    assert ask("sign", *words).code == 0
    again = ask("sign", *words)
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--key", "ci.key", *NEW, "--rekor-url", "http://x"), 2, "the config names services"),
        (("--key", "ci.key", *NEW, "--format", "legacy"), 2, "Rekor 2"),
        (("--rekor-url", "http://x"), 2, "--key"),
        (("--key", "ed.key", *NEW), 10, "P-256"),
        (("--key", "ci.key", "--rekor-url", "ftp://x"), 5, "no http"),
    ],
)
def test_what_cannot_be_witnessed_says_why(
    ask: Ask, image: str, words: tuple[str, ...], code: int, said: str
) -> None:
    refused = ask("sign", *words, image)
    assert (refused.code, said in refused.err) == (code, True), refused.err


@pytest.mark.parametrize("form", ["bundle", "legacy"])
@pytest.mark.parametrize("root", [(), ROOT])
def test_signatures_that_are_there_get_a_time_once(
    ask: Ask, dev: Server, image: str, form: str, root: tuple[str, ...]
) -> None:
    assert ask("sign", "--receipts", *clock(dev), *root, image).code == 3
    sign(ask, image, "--format", form)
    trusting = ("--timestamp-certificate-chain", "tsa.pem")
    assert times(ask, image, *trusting) == []

    papers = []
    for _ in range(2):
        stamped = ask("sign", "--receipts", *clock(dev), *root, image, "--json")
        assert stamped.code == 0, stamped.err
        papers.append(len(stamped.json["stamped"][0]["papers"]))

    assert (papers, times(ask, image, *trusting)) == ([1, 0], ["rfc3161"])
    assert ask("verify", "--key", "ci.pub", *trusting, image).code == 0


def test_only_what_has_no_receipt_yet_is_stamped(ask: Ask, dev: Server, image: str) -> None:
    said = ("--type", "cyclonedx", "--predicate", "sbom.json")
    sign(ask, image)
    first = ask("sign", "--receipts", *clock(dev), image, "--json")
    attested = ask("attest", "--key", "ci.key", *said, image, "--json")
    second = ask("sign", "--receipts", *clock(dev), image, "--json")

    (paper,) = second.json["stamped"][0]["papers"]
    assert paper["digest"] not in {p["digest"] for p in first.json["stamped"][0]["papers"]}
    assert attested.code == 0
    assert times(ask, image, "--timestamp-certificate-chain", "tsa.pem") == ["rfc3161"] * 2


def test_a_dry_run_stamps_nothing(ask: Ask, dev: Server, image: str) -> None:
    sign(ask, image)
    told = ask("sign", "--receipts", "--dry-run", *clock(dev), image)
    assert (told.code, "would stamp" in told.out) == (0, True)
    assert times(ask, image, "--timestamp-certificate-chain", "tsa.pem") == []


@pytest.mark.parametrize(
    "words", [(), ("--key", "ci.key"), ("--format", "legacy"), ("-a", "a=b"), NEW]
)
def test_receipts_sign_nothing(ask: Ask, dev: Server, image: str, words: tuple[str, ...]) -> None:
    given = clock(dev) if words else ()
    assert ask("sign", "--receipts", *given, *words, image).code == 2


def test_what_nobody_signs_nobody_witnesses(ask: Ask, dev: Server, image: str) -> None:
    words = ("--unsigned", "--predicate", "sbom.json", *clock(dev), image)
    assert ask("attest", *words).code == 2

"""Ids of upload sessions."""

import pytest

from retinue.oci.digest import InvalidDigest
from retinue.registry.content import sessions
from retinue.registry.content.errors import UploadUnknown

SECRET = b"s" * 32
NOW = 1_800_000_000_123_456
ENTROPY = bytes(range(10))


def issue(algorithm: str = "sha256") -> sessions.Ticket:
    return sessions.issue(SECRET, "team/app", "alice", NOW, ENTROPY, algorithm)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_id_says_all_that_the_session_is(algorithm: str) -> None:
    ticket = issue(algorithm)
    assert ticket == sessions.check(SECRET, ticket.id, "team/app", "alice")
    assert (algorithm, NOW // 1000 * 1000) == (ticket.algorithm, ticket.born)


@pytest.mark.parametrize(
    ("secret", "name", "principal"),
    [
        (b"t" * 32, "team/app", "alice"),
        (SECRET, "team/other", "alice"),
        (SECRET, "team/app", "bob"),
    ],
)
def test_rule_5_an_id_is_worth_nothing_to_others(secret: bytes, name: str, principal: str) -> None:
    with pytest.raises(UploadUnknown):
        sessions.check(secret, issue().id, name, principal)


def test_no_part_of_an_id_can_be_altered() -> None:
    made = issue().id
    for at in range(len(made)):
        altered = made[:at] + ("1" if made[at] != "1" else "2") + made[at + 1 :]
        with pytest.raises(UploadUnknown):
            sessions.check(SECRET, altered, "team/app", "alice")


def test_an_algorithm_that_is_not_supported_is_refused() -> None:
    with pytest.raises(InvalidDigest):
        issue("md5")

"""Checkpoints of both versions, and what is none."""

from base64 import b64encode

import pytest
from msgspec.structs import replace

from keylesskit import Local, dev, stack_folder, stack_state
from retinue.attest.checkpoint import check_signed, read_checkpoint
from retinue.attest.errors import Malformed, Refused
from retinue.devstack.logs import note, signed

__all__ = ["dev", "stack_folder", "stack_state"]

ROOT = b64encode(bytes(32)).decode()
TAIL = "\u2014 log.test AAAAAAAA\n"


def first(dev: Local) -> str:
    return dev.stack.logs[0].checkpoint()


def second(dev: Local, host: str = "127.0.0.1") -> str:
    log = dev.stack.logs[1]
    text = note(host, log.ledger)
    return signed(text, host, log.log_id, log._key.sign(text.encode()))


def test_both_versions_are_signed_by_their_log(dev: Local) -> None:
    one, two = dev.root.logs

    check_signed(read_checkpoint(first(dev)), one)
    check_signed(read_checkpoint(second(dev)), two)


def test_a_foreign_log_did_not_sign(dev: Local) -> None:
    one, two = dev.root.logs

    for text, log in ((first(dev), two), (second(dev), one)):
        with pytest.raises(Refused):
            check_signed(read_checkpoint(text), log)


def test_the_second_version_is_bound_to_its_name(dev: Local) -> None:
    with pytest.raises(Refused, match=r"other\.test"):
        check_signed(read_checkpoint(second(dev, "other.test")), dev.root.logs[1])


def test_a_log_without_an_address_signs_nothing_of_the_second_version(dev: Local) -> None:
    nameless = replace(dev.root.logs[1], host="")

    with pytest.raises(Refused):
        check_signed(read_checkpoint(second(dev)), nameless)


def test_witnesses_before_and_after_do_not_disturb(dev: Local) -> None:
    text, _, line = second(dev).rpartition("\n\n")

    for lines in (TAIL + line, line + TAIL, TAIL + line + TAIL):
        check_signed(read_checkpoint(f"{text}\n\n{lines}"), dev.root.logs[1])


def test_only_witnesses_are_not_enough(dev: Local) -> None:
    text = second(dev).rpartition("\n\n")[0]

    with pytest.raises(Refused, match="not signed by the log"):
        check_signed(read_checkpoint(f"{text}\n\n{TAIL}"), dev.root.logs[1])


@pytest.mark.parametrize("which", [0, 1])
def test_every_changed_byte_of_what_is_signed_is_refused(dev: Local, which: int) -> None:
    text = (first, second)[which](dev)
    raw = text.encode()
    for at in range(raw.index(b"\n\n") + 1):
        changed = raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]
        with pytest.raises((Malformed, Refused)):
            check_signed(read_checkpoint(changed.decode("latin-1")), dev.root.logs[which])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log.test\n1\n" + ROOT + "\n",
        f"log.test\n1\n{ROOT}\n\n",
        f"log.test\n1\n\n{TAIL}",
        f"\n1\n{ROOT}\n\n{TAIL}",
        f"log.test\n01\n{ROOT}\n\n{TAIL}",
        f"log.test\n-1\n{ROOT}\n\n{TAIL}",
        f"log.test\n{'9' * 20}\n{ROOT}\n\n{TAIL}",
        f"log.test\n1\nAAAA\n\n{TAIL}",
        f"log.test\n1\n!{ROOT}\n\n{TAIL}",
        f"log.test\n1\n{ROOT}\n\n- log.test AAAAAAAA\n",
        f"log.test\n1\n{ROOT}\n\n\u2014 log.test AAAA\n",
        f"log.test\n1\n{ROOT}\n\n\u2014 log.test AAAAAAAA",
        f"log.test\n1\n{ROOT}\n\n" + TAIL * 101,
        "x" * 70000,
    ],
)
def test_what_is_no_checkpoint_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_checkpoint(text)

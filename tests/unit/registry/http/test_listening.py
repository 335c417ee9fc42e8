import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from retinue.registry.http.listening import (
    AddressTaken,
    AddressUnusable,
    holder,
    require_free,
)


@pytest.fixture
def taken() -> Iterator[tuple[str, int]]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()


def test_a_taken_port_names_its_holder(taken: tuple[str, int]) -> None:
    with pytest.raises(AddressTaken) as caught:
        require_free(taken)
    assert caught.value.holder is not None
    assert os.getpid() == caught.value.holder[0]
    assert f"process {os.getpid()}" in str(caught.value)


def test_a_port_that_was_just_let_go_is_free(taken: tuple[str, int]) -> None:
    with socket.create_connection(taken), socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()
    require_free(free)


def test_an_address_of_another_machine_cannot_be_used() -> None:
    with pytest.raises(AddressUnusable):
        require_free(("192.0.2.1", 5000))


def test_a_holder_that_cannot_be_seen_is_none(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    head = "  sl  local_address rem_address   st tx_queue tr tm retrnsmt uid timeout inode\n"
    row = "   0: 0100007F:1388 00000000:0000 0A 0:0 00:0 0 0 0 4242 1 0 100 0 0 10 0\n"
    (tmp_path / "net" / "tcp").write_text(head + row)
    (tmp_path / "net" / "tcp6").write_text(head)
    (tmp_path / "17").mkdir()
    assert holder(5000, tmp_path) is None
    assert holder(5001, tmp_path) is None
    (tmp_path / "17" / "fd").mkdir()
    (tmp_path / "17" / "fd" / "3").symlink_to("socket:[4242]")
    (tmp_path / "17" / "cmdline").write_bytes(b"python\0-m\0thing\0")
    assert holder(5000, tmp_path) == (17, "python -m thing")

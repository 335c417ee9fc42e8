"""The log on disk: what was added is there after a restart, in order."""

from pathlib import Path

import pytest

from retinue.attest.merkle import leaf_hash, root_of
from retinue.devstack.ledger import Entry, Ledger
from retinue.files import Root


def test_a_restart_keeps_entries_and_root(tmp_path: Path) -> None:
    with Root(tmp_path) as folder:
        ledger = Ledger(folder, "log")
        added = [ledger.add(b"%d" % number, number) for number in range(5)]
        root = ledger.tree.root()

        again = Ledger(folder, "log")

        assert [again.at(number) for number in range(5)] == added
        assert (len(again.tree), again.tree.root()) == (5, root)
        assert again.add(b"new", 9) == Entry(5, 9, b"new")


def test_entries_are_found_by_leaf(tmp_path: Path) -> None:
    with Root(tmp_path) as folder:
        ledger = Ledger(folder, "log")
        entry = ledger.add(b"one", 1)

        assert ledger.find(leaf_hash(b"one")) == entry
        assert ledger.find(leaf_hash(b"two")) is None
        assert [ledger.at(n) for n in (-1, 1)] == [None, None]


def test_two_logs_of_a_folder_are_apart(tmp_path: Path) -> None:
    with Root(tmp_path) as folder:
        Ledger(folder, "one").add(b"a", 1)

        assert len(Ledger(folder, "two").tree) == 0


@pytest.mark.parametrize("size", [1, 5, 8])
def test_its_tree_proves_each_entry(tmp_path: Path, size: int) -> None:
    with Root(tmp_path) as folder:
        ledger = Ledger(folder, "log")
        leaves = [leaf_hash(ledger.add(b"%d" % n, n).body) for n in range(size)]

        found = {root_of(leaf, n, size, ledger.tree.path(n)) for n, leaf in enumerate(leaves)}

        assert found == {ledger.tree.root()}

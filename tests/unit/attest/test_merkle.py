"""Trees of logs: paths lead to the root, and nothing else does."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retinue.attest.merkle import leaf_hash, root_of
from retinue.devstack.ledger import Tree

SIZES = st.integers(1, 200)


def mth(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 2.1, word by word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:split]) + mth(leaves[split:])).digest()


def grown(size: int) -> tuple[Tree, list[bytes]]:
    tree, leaves = Tree(), [b"%d" % number for number in range(size)]
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return tree, leaves


@pytest.mark.parametrize("size", range(70))
def test_the_root_is_that_of_the_rfc(size: int) -> None:
    tree, leaves = grown(size)

    assert mth(leaves) == tree.root()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 31, 64, 65])
def test_every_path_leads_to_the_root(size: int) -> None:
    tree, leaves = grown(size)

    roots = {root_of(leaf_hash(leaf), i, size, tree.path(i)) for i, leaf in enumerate(leaves)}

    assert roots == {tree.root()}


@given(SIZES, st.data())
@settings(max_examples=60, deadline=None)
def test_a_changed_path_leads_elsewhere(size: int, data: st.DataObject) -> None:
    tree, _ = grown(size)
    index = data.draw(st.integers(0, size - 1))
    path = list(tree.path(index))
    leaf = leaf_hash(b"%d" % index)
    at = data.draw(st.integers(0, len(path)))
    change = data.draw(st.sampled_from(["flip", "drop", "add", "leaf"]))
    if change == "flip" and at < len(path):
        path[at] = bytes((path[at][0] ^ 1,)) + path[at][1:]
    elif change == "drop" and at < len(path):
        del path[at]
    elif change == "add":
        path.insert(at, b"\x00" * 32)
    else:
        leaf = leaf_hash(b"other")

    assert root_of(leaf, index, size, path) != tree.root()


@given(SIZES, st.data())
@settings(max_examples=60, deadline=None)
def test_a_path_is_of_one_place_in_one_tree(size: int, data: st.DataObject) -> None:
    tree, _ = grown(size)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(-2, 300))
    leaf, path = leaf_hash(b"%d" % index), tree.path(index)

    found = root_of(leaf, other, size, path)

    assert (found == tree.root()) is (other == index)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (5, 3), (-1, 2)])
def test_what_is_outside_of_the_tree_has_no_root(index: int, size: int) -> None:
    assert root_of(leaf_hash(b""), index, size, ()) is None

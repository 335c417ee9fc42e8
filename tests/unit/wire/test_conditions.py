import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.wire import conditions
from retinue.wire.conditions import MAX_LIST, MalformedCondition, PreconditionFailed, Tag


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        (["*"], None),
        ([" * "], None),
        (['"a"'], [(False, "a")]),
        (['W/"a"'], [(True, "a")]),
        (['""'], [(False, "")]),
        (['"a,b", W/"c"'], [(False, "a,b"), (True, "c")]),
        ([', "a" ,, "b",'], [(False, "a"), (False, "b")]),
        (['"a"', '"b"'], [(False, "a"), (False, "b")]),
    ],
)
def test_lists_of_entity_tags(lines: list[str], tags: list[tuple[bool, str]] | None) -> None:
    assert conditions.entity_tags(lines) == (tags and tuple(Tag(*tag) for tag in tags))


@pytest.mark.parametrize(
    "value",
    ["", ",", "a", "'a'", '"a', 'a"', 'w/"a"', '"a" "b"', '"a";', '*, "a"', "**", '"a b"'],
)
def test_anything_else_is_malformed(value: str) -> None:
    with pytest.raises(MalformedCondition):
        conditions.entity_tags([value])


def test_a_list_has_a_bound() -> None:
    conditions.entity_tags(['"a",' * (MAX_LIST // 4)])
    with pytest.raises(MalformedCondition):
        conditions.entity_tags(['"a",' * (MAX_LIST // 4 + 1)])


@given(st.lists(st.text(max_size=60), max_size=3))
def test_whatever_comes_a_condition_holds_or_is_refused(lines: list[str]) -> None:
    assert conditions.none_matches(lines, "a") in {True, False}
    assert conditions.same(lines, "a") == (len(lines) == 1 and lines[0].strip() == '"a"')
    try:
        conditions.require_match(lines, "a")
    except (MalformedCondition, PreconditionFailed):
        return
    assert "".join(lines).strip(" \t,") == "*" or '"a"' in ",".join(lines)

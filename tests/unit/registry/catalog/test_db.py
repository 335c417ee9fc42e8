"""Statements and their names, and how a broken constraint ends a change."""

import pytest

from retinue.registry.catalog.db import ALL, Change, Constraint, ConstraintViolated, Sql, end

VIOLATED = ConstraintViolated(Constraint.UNIQUE, "hold.name")
ASK = Sql("select until from hold where name = :name")


def test_names_are_numbered_in_the_order_of_their_first_use() -> None:
    sql = Sql("update hold set until = :until where name = :name and until < :until")
    assert sql.names == ("until", "name")
    assert sql.sqlite == "update hold set until = ?1 where name = ?2 and until < ?1"
    assert sql.postgres == "update hold set until = $1 where name = $2 and until < $1"


def test_an_override_keeps_the_numbers_of_the_text() -> None:
    sql = Sql("select :a, :b", postgres="select :b, :a::bigint")
    assert sql.postgres == "select $2, $1::bigint"


def test_statements_are_listed() -> None:
    assert ASK in ALL


@pytest.mark.parametrize(
    "text", ["select 1", "select :most, :after", "select :after", "select :after, :most, :more"]
)
def test_pages_need_after_and_most_at_the_end(text: str) -> None:
    with pytest.raises(ValueError, match="after and most"):
        Sql(text).require_keyset()


def test_pages_accept_them() -> None:
    Sql("select name from hold where name > :after limit :most").require_keyset()


def test_a_change_may_explain_a_broken_constraint() -> None:
    def change() -> Change[None]:
        try:
            yield ASK, ()
        except ConstraintViolated as violated:
            raise KeyError(violated.kind) from violated

    stepped = change()
    next(stepped)
    with pytest.raises(KeyError, match="unique"):
        end(stepped, VIOLATED)


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_change_may_not_survive_one(*, goes_on: bool) -> None:
    closed = []

    def change() -> Change[None]:
        try:
            yield ASK, ()
        except ConstraintViolated:
            try:
                if goes_on:
                    yield ASK, ()
            finally:
                closed.append(True)

    stepped = change()
    next(stepped)
    with pytest.raises(ConstraintViolated):
        end(stepped, VIOLATED)
    assert closed == [True]

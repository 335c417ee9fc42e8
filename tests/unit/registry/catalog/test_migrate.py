"""Which migrations are applied, and which data is refused."""

import re
from collections.abc import Sequence

import pytest

from retinue.registry.catalog import migrate
from retinue.registry.catalog.migrate import (
    Migration,
    MigrationEdited,
    MigrationsBroken,
    SchemaTooNew,
    known,
    pending,
    raised,
    read,
    translate,
)

ONE = read(1, "create table a (x {int});\n-- least code: 1\n")
TWO = read(2, "-- least code: 1\nalter table a add column y {int};\n")
THREE = read(3, "alter table a drop column x;\n")


def applied(*migrations: Migration) -> Sequence[tuple[int, str]]:
    return [(migration.number, migration.sha256) for migration in migrations]


def test_new_data_gets_all_of_them() -> None:
    assert list(pending([], 0, [ONE, TWO, THREE])) == [ONE, TWO, THREE]


def test_older_data_gets_the_rest() -> None:
    assert list(pending(applied(ONE), 1, [ONE, TWO, THREE])) == [TWO, THREE]


def test_present_data_gets_none() -> None:
    assert list(pending(applied(ONE, TWO), 1, [ONE, TWO])) == []


def test_newer_data_is_used_while_it_allows_this_code() -> None:
    assert list(pending(applied(ONE, TWO), 1, [ONE])) == []


def test_newer_data_is_refused_where_it_needs_newer_code() -> None:
    with pytest.raises(SchemaTooNew) as raised:
        pending(applied(ONE, TWO, THREE), 3, [ONE, TWO])
    assert (raised.value.schema, raised.value.min_code, raised.value.code) == (3, 3, 2)


def test_a_migration_says_the_least_code_or_means_itself() -> None:
    assert [each.least_code for each in (ONE, TWO, THREE)] == [1, 1, 3]


def test_data_made_by_another_text_is_refused() -> None:
    with pytest.raises(MigrationEdited) as raised:
        pending([(1, "0" * 64)], 1, [ONE])
    assert raised.value.number == 1


@pytest.mark.parametrize("numbers", [[2], [1, 3], [1, 1]])
def test_holes_are_refused(numbers: list[int]) -> None:
    with pytest.raises(MigrationsBroken):
        pending([(number, ONE.sha256) for number in numbers], 1, [ONE, TWO, THREE])


def test_those_of_the_program_are_gapless_and_leave_no_token_in_either_dialect() -> None:
    assert known()
    for migration in known():
        for tokens in (migrate.SQLITE, migrate.POSTGRES):
            script = re.sub(r"--.*", "", migration.script(tokens))
            assert not re.findall(r"[{}]", script)


def test_dialects_know_the_same_tokens() -> None:
    assert set(migrate.SQLITE) == set(migrate.POSTGRES)
    assert translate("a {int}, {text}", migrate.POSTGRES) == 'a bigint, text collate "C"'


def test_what_a_migration_asks_of_programs_the_later_ones_ask_too() -> None:
    texts = ("-- least code: 1", "-- least code: 2", "-- least code: 1")
    made = [read(number, text) for number, text in enumerate(texts, 1)]
    assert [each.least_code for each in raised(made)] == [1, 2, 2]

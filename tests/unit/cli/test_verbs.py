"""Verbs against registries that lack something, refuse something, or cannot be looked at."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from builders import CONFIG, LAYER, artifact, describe, image
from loopback import USER, Registry, Switches, client, error, fill, serving
from retinue.oci import names
from retinue.oci.tags import fallback_tag
from retinue.wire.codes import Code
from running import AskBeside

IMAGE = image()
PAPER = artifact(IMAGE, kind="application/spdx+json")
ABOUT_PAPER = artifact(PAPER)
NAME, SECRET = USER.split(":")


async def filled(registry: Registry, *manifests: object) -> str:
    """The image with these papers, at tag 1; returns the repository's reference."""
    repository = client().remote(registry.host, "app")
    papers = [m for m in (PAPER, ABOUT_PAPER) if m in manifests]
    await fill(repository, [IMAGE, *papers], [CONFIG, LAYER, names.EMPTY_JSON])
    await repository.put_tag("1", IMAGE.digest)
    await repository.session.transport.__aexit__()
    registry.calls.clear()
    return f"{registry.host}/app"


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with serving() as found:
        yield found


@pytest.fixture
async def without_api() -> AsyncIterator[Registry]:
    async with serving(Switches(referrers=False)) as found:
        yield found


@pytest.fixture
async def with_login() -> AsyncIterator[Registry]:
    async with serving(Switches(basic=True)) as found:
        yield found


# ---- none, or could not look


async def test_no_papers_is_an_answer(registry: Registry, ask_beside: AskBeside) -> None:
    name = await filled(registry)
    ran = await ask_beside("tree", f"{name}:1")
    assert (ran.code, ran.lines[-1]) == (0, "no papers (signatures, SBOMs, provenance)")


@pytest.fixture
def blinded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry fails whenever it is asked for papers."""
    monkeypatch.setattr(registry, "_referrers", lambda *_: error(403, Code.DENIED))
    return registry


async def test_not_having_been_able_to_look_is_another(
    blinded: Registry, ask_beside: AskBeside
) -> None:
    name = await filled(blinded)
    ran = await ask_beside("tree", f"{name}:1")
    assert ran.code == 7
    assert "no papers" not in ran.out
    assert f"could not look for papers of {IMAGE.digest} by referrers" in ran.out
    as_json = await ask_beside("tree", f"{name}:1", "--json")
    assert as_json.code == 7
    assert list(as_json.json["blind"][IMAGE.digest]) == ["referrers"]


async def test_a_blind_download_is_not_an_empty_one(
    blinded: Registry, ask_beside: AskBeside
) -> None:
    ran = await ask_beside("download", f"{await filled(blinded)}:1")
    assert ran.code == 7
    assert "could not look" in ran.err


async def test_a_blind_copy_copies_nothing(
    blinded: Registry, ask_beside: AskBeside, tmp_path: Path
) -> None:
    name = await filled(blinded)
    ran = await ask_beside("copy", f"{name}:1", f"oci:{tmp_path}/x")
    assert (ran.code, ran.err.count("\n")) == (7, 1)
    told = await ask_beside("copy", f"{name}:1", f"oci:{tmp_path}/y", "--without-papers")
    assert told.code == 0


async def test_a_blind_delete_deletes_nothing(blinded: Registry, ask_beside: AskBeside) -> None:
    name = await filled(blinded)
    ran = await ask_beside("delete", f"{name}@{IMAGE.digest}", "--yes")
    assert ran.code == 7
    assert blinded.count("DELETE") == 0
    told = await ask_beside("delete", f"{name}@{IMAGE.digest}", "--yes", "--without-papers")
    assert (told.code, blinded.count("DELETE")) == (0, 1)


# ---- registries without a referrers API


async def test_a_paper_is_listed_where_others_look(
    without_api: Registry, ask_beside: AskBeside, tmp_path: Path
) -> None:
    name = await filled(without_api)
    (tmp_path / "sbom").write_text("{}")
    ran = await ask_beside(
        "attach", f"{name}:1", tmp_path / "sbom", "--type", "application/spdx+json"
    )
    assert ran.code == 0, ran.err
    repo = without_api.repos["app"]
    _, listing = repo.manifests[repo.tags[fallback_tag(IMAGE.digest)]]
    assert [e["digest"] for e in json.loads(listing)["manifests"]] == ran.lines
    tree = await ask_beside("tree", f"{name}:1", "--json")
    assert tree.json["tree"]["papers"][0]["ways"] == ["fallback", "referrers"]


async def test_lists_leave_out_tags_that_hold_papers(
    without_api: Registry, ask_beside: AskBeside
) -> None:
    name = await filled(without_api, PAPER)
    assert (await ask_beside("list", name)).lines == ["1"]
    assert (await ask_beside("list", name, "--all")).lines == ["1", fallback_tag(IMAGE.digest)]


async def test_a_deleted_image_leaves_no_empty_list_of_papers(
    without_api: Registry, ask_beside: AskBeside
) -> None:
    name = await filled(without_api, PAPER, ABOUT_PAPER)
    ran = await ask_beside("delete", f"{name}@{IMAGE.digest}", "--yes", "--json")
    assert ran.code == 0, ran.err
    assert without_api.repos["app"].tags == {}


async def test_papers_of_papers_are_deleted_by_the_client_where_the_registry_does_not(
    registry: Registry, ask_beside: AskBeside
) -> None:
    name = await filled(registry, PAPER, ABOUT_PAPER)
    ran = await ask_beside("delete", f"{name}@{IMAGE.digest}", "--yes", "--json")
    assert ran.code == 0, ran.err
    assert registry.repos["app"].manifests == {}
    deleted = [call.path.rpartition("/")[2] for call in registry.calls if call.method == "DELETE"]
    assert deleted == [IMAGE.digest, PAPER.digest, ABOUT_PAPER.digest]


@pytest.mark.parametrize("form", [[], ["--json"], ["--all"]])
async def test_a_repository_that_is_not_known_has_no_list(
    registry: Registry, ask_beside: AskBeside, form: list[str]
) -> None:
    ran = await ask_beside("list", f"{registry.host}/nope", *form)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("retinue: there is no repository 'nope' in ")


async def test_a_repository_without_tags_has_an_empty_list(
    registry: Registry, ask_beside: AskBeside
) -> None:
    name = await filled(registry)
    registry.repos["app"].tags.clear()
    ran = await ask_beside("list", name, "--json")
    assert (ran.code, ran.json) == (0, {"tags": []})
    assert "has no tags" in ran.err


# ---- logging in


def kept(folder: Path) -> dict[str, object]:
    file = folder / "config.json"
    found: dict[str, object] = json.loads(file.read_text())["auths"] if file.exists() else {}
    return found


async def test_a_login_is_kept_once_the_registry_accepts_it(
    with_login: Registry, ask_beside: AskBeside, nothing_of_the_user: Path
) -> None:
    host = with_login.host
    ran = await ask_beside("login", host, "-u", NAME, "--password-stdin", stdin=f"{SECRET}\n")
    assert ran.code == 0, ran.err
    assert SECRET not in ran.out + ran.err
    assert list(kept(nothing_of_the_user)) == [host]
    assert (nothing_of_the_user / "config.json").stat().st_mode & 0o077 == 0
    assert (await ask_beside("list", host)).code == 0
    assert (await ask_beside("logout", host)).code == 0
    assert kept(nothing_of_the_user) == {}
    assert (await ask_beside("list", host)).code == 4


async def test_a_wrong_password_is_not_kept(
    with_login: Registry, ask_beside: AskBeside, nothing_of_the_user: Path
) -> None:
    ran = await ask_beside(
        "login", with_login.host, "-u", NAME, "--password-stdin", stdin="wrong-password"
    )
    assert (ran.code, kept(nothing_of_the_user)) == (4, {})
    assert "wrong-password" not in ran.err


async def test_a_token_server_is_asked_too(
    registry: Registry, ask_beside: AskBeside, nothing_of_the_user: Path
) -> None:
    registry.switches.bearer = True
    words = ("login", registry.host, "-u", NAME, "--password-stdin")
    assert (await ask_beside(*words, stdin="wrong")).code == 4
    assert (await ask_beside(*words, stdin=SECRET)).code == 0
    assert list(kept(nothing_of_the_user)) == [registry.host]


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (("-u", NAME), ""),
        (("-u", NAME, "--password-stdin"), ""),
        (("-u", "a:b", "--password-stdin"), "x"),
        (("--password-stdin",), "x"),
        (("-u", NAME, "--password-stdin"), "x" * 70_000),
    ],
)
async def test_what_is_no_login_is_not_sent(
    with_login: Registry, ask_beside: AskBeside, words: tuple[str, ...], stdin: str
) -> None:
    ran = await ask_beside("login", with_login.host, *words, stdin=stdin)
    assert (ran.code, ran.err.count("\n"), with_login.calls) == (2, 1, [])


async def test_there_is_no_option_for_a_password(ask_beside: AskBeside) -> None:
    assert (await ask_beside("login", "host", "-u", "a", "--password", "x")).code == 2


# ---- content


async def test_wrong_bytes_are_not_written(
    registry: Registry, ask_beside: AskBeside, tmp_path: Path
) -> None:
    name = await filled(registry)
    registry.switches.corrupt_blobs = True
    ran = await ask_beside("pull", f"{name}:1", f"oci-archive:{tmp_path}/x.tar")
    assert ran.code == 6
    assert list(tmp_path.iterdir()) == []


async def test_names_of_others_do_not_leave_the_folder(
    registry: Registry, ask_beside: AskBeside, tmp_path: Path
) -> None:
    evil = artifact(
        layers=[describe(LAYER, "text/plain", annotations={names.ANNOTATION_TITLE: "../evil"})]
    )
    repository = client().remote(registry.host, "app")
    await fill(repository, [evil], [LAYER, names.EMPTY_JSON])
    await repository.put_tag("1", evil.digest)
    await repository.session.transport.__aexit__()
    ran = await ask_beside("pull", f"{registry.host}/app:1", "--output", tmp_path / "in")
    assert ran.code == 10
    assert list(tmp_path.rglob("evil")) == []

"""What `cosign save` wrote is read with its papers, listed or not, from a folder and from a tar file."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import trust_vectors
from retinue.client.archive import pack, read_oci_archive
from retinue.client.copy import Wanted, copy
from retinue.client.layout import LayoutSource
from retinue.client.layout_folder import open_layout
from retinue.client.tar import new_archive
from retinue.oci.memory import MemoryStore

# cosign 2.6.5 leaves bundles out of what it saves; 3.1.3 saves them and lists them nowhere.
SAVED = [("saved-by-cosign2", 2), ("saved-by-cosign3", 4)]


@asynccontextmanager
async def opened(folder: Path, form: str, scratch: Path) -> AsyncIterator[LayoutSource]:
    if form == "folder":
        async with open_layout(folder, make=False) as layout:
            yield layout
    else:
        with new_archive(scratch / "saved.tar") as writer:
            pack(writer, folder)
        async with read_oci_archive(scratch / "saved.tar") as archive:
            yield archive


def saved(name: str, scratch: Path) -> Path:
    """A copy: an open folder is one that could be written to."""
    return Path(shutil.copytree(trust_vectors.FOLDER / "layouts" / name, scratch / "saved"))


@pytest.mark.parametrize("form", ["folder", "tar"])
@pytest.mark.parametrize(("name", "papers"), SAVED)
async def test_the_image_comes_with_all_papers(
    tmp_path: Path, name: str, papers: int, form: str
) -> None:
    vector = trust_vectors.load(name.replace("saved-by", "save"))
    sink = MemoryStore()

    async with opened(saved(name, tmp_path), form, tmp_path) as source:
        assert source.roots() == [vector.subject.digest]
        report = await copy(source, sink, [Wanted(vector.subject.digest, ("v1",))])

    assert len(report.papers) == papers
    assert sink.names.items() <= vector.store.names.items()
    assert set(report.papers) <= vector.store.content.keys()
    if papers == 4:
        assert sink.content.keys() == vector.store.content.keys()


async def test_of_several_images_nobody_can_tell_whose_the_signatures_are(tmp_path: Path) -> None:
    folder = saved("saved-by-cosign3", tmp_path)
    index = json.loads((folder / "index.json").read_text())
    other = dict(index["manifests"][1], annotations={"kind": "dev.cosignproject.cosign/image"})
    (folder / "index.json").write_text(
        json.dumps(index | {"manifests": [*index["manifests"], other]})
    )

    async with open_layout(folder, make=False) as source:
        subject = trust_vectors.load("save-cosign3").subject.digest
        found = (await source.papers([subject]))[subject]

    assert {link.way for link in found.links} == {"referrers"}


async def test_other_layouts_are_not_searched_for_what_they_do_not_list(tmp_path: Path) -> None:
    folder = saved("saved-by-cosign3", tmp_path)
    index = json.loads((folder / "index.json").read_text())
    for entry in index["manifests"]:
        del entry["annotations"]
    (folder / "index.json").write_text(json.dumps(index))

    async with open_layout(folder, make=False) as source:
        subject = trust_vectors.load("save-cosign3").subject.digest
        found = (await source.papers([subject]))[subject]

    assert (found.links, found.blind) == ((), {})

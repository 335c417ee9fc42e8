"""Policy text, written: what an importer found, as TOML with a comment wherever the meaning changed."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

Plain: TypeAlias = str | int | bool | Sequence["Plain"] | Mapping[str, "Plain"]


class Block(Struct):
    """One table: `[anchors.ci]`, `[[rule]]`. `notes` become comments above it."""

    header: str
    values: Mapping[str, Plain]
    notes: Sequence[str] = ()


class Document(Struct):
    """A policy in the making."""

    source: str
    notes: list[str] = []
    roots: dict[str, None] = {}
    blocks: list[Block] = []
    _anchors: dict[str, Block] = {}

    def add(self, header: str, values: Mapping[str, Plain], notes: Sequence[str] = ()) -> None:
        self.blocks.append(Block(header, values, notes))

    def anchor(
        self,
        name: str,
        values: Mapping[str, Plain],
        extra: Mapping[str, Plain],
        notes: Sequence[str],
    ) -> str:
        """The name of an anchor that is this: one that is there already, or a new one."""
        for known, block in self._anchors.items():
            if all(block.values.get(each) == value for each, value in values.items()):
                block.values = {**block.values, **extra}
                block.notes = tuple(dict.fromkeys((*block.notes, *notes)))
                return known
        made = named(name, list(self._anchors))
        self.add(f"[anchors.{made}]", {**values, **extra}, notes)
        self._anchors[made] = self.blocks[-1]
        return made

    def text(self) -> str:
        lines = [f"# Imported from {self.source}. Read every comment: each says what changed."]
        lines += comments(self.notes)
        lines += ["version = 1", 'unmatched = "refuse"']
        if self.roots:
            lines.append(f"roots = {written(list(self.roots))}")
        for block in self.blocks:
            lines += ["", *comments(block.notes), block.header]
            lines += [f"{name} = {written(value)}" for name, value in block.values.items()]
        return "\n".join(lines) + "\n"


def comments(notes: Sequence[str]) -> list[str]:
    """No note can end its comment: whatever a foreign file holds stays within one."""
    return [f"# {' '.join(_printable(note).split())}" for note in notes]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def written(value: Plain) -> str:
    """A value in TOML. A JSON string is a TOML basic string (but for DEL, which is escaped)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        pairs = (f"{written(name)} = {written(item)}" for name, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(map(written, value)) + "]"


def named(text: str, taken: Sequence[str]) -> str:
    """A name like this one that is a bare TOML key and not taken yet."""
    base = (
        "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text) or "signer"
    )
    name, i = base, 1
    while name in {*taken, "tlog"}:
        i += 1
        name = f"{base}-{i}"
    return name

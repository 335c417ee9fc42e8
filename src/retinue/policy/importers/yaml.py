"""YAML (and JSON, which is YAML) from Kubernetes: plain values only, no aliases, no double keys."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from retinue.policy.errors import ImportRefused

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64


def documents(raw: bytes) -> Sequence[Any]:
    """Every document of a file that is not empty; raises ImportRefused."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses what one reader takes one way and the next another."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ImportRefused("YAML", "has aliases; write out what they stand for")
            depth[0] += 1
            if depth[0] > MAX_DEPTH:
                raise ImportRefused("YAML", f"is nested deeper than {MAX_DEPTH} levels")
            node = super().compose_node(parent, index)
            depth[0] -= 1
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            keys = [key.value for key, _ in node.value]
            for key in keys:
                if key == "<<":
                    raise ImportRefused("YAML", "merges mappings (<<); write them out")
                if keys.count(key) > 1:
                    raise ImportRefused("YAML", f"has the key {str(key)[:80]!r} twice in one place")
            return super().construct_mapping(node, deep=deep)

    depth = [0]
    if len(raw) > MAX_BYTES:
        raise ImportRefused("YAML", f"has more than {MAX_BYTES} bytes")
    try:
        found = list(yaml.load_all(raw, Loader))
    except (yaml.YAMLError, ValueError, OverflowError) as problem:  # impossible dates, numbers
        raise ImportRefused("YAML", " ".join(str(problem).split())[:300]) from None
    return [document for document in found if document is not None]


class Node:
    """A mapping that knows where it is; fields that nobody asked for are refused by `done`."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise ImportRefused(path, "must be a mapping")
        self.path = path
        self._rest: dict[str, Any] = {str(name): item for name, item in value.items()}

    def at(self, name: str) -> str:
        return f"{self.path}.{name}"

    def refuse(self, name: str, reason: str) -> ImportRefused:
        return ImportRefused(self.at(name), reason)

    def text(self, name: str, default: str = "") -> str:
        value = self._rest.pop(name, default)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.refuse(name, "must be a text")
        return value

    def needed(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise self.refuse(name, "is missing")
        return value

    def flag(self, name: str) -> bool:
        value = self._rest.pop(name, False)
        if not isinstance(value, bool):
            raise self.refuse(name, "must be true or false")
        return value

    def has(self, name: str) -> bool:
        return name in self._rest

    def node(self, name: str) -> "Node":
        value = self._rest.pop(name, None)
        return Node({} if value is None else value, self.at(name))

    def nodes(self, name: str) -> Sequence["Node"]:
        return [Node(item, path) for path, item in self._items(name)]

    def texts(self, name: str) -> Sequence[str]:
        for path, item in (items := self._items(name)):
            if not isinstance(item, str) or not item:
                raise ImportRefused(path, "must be a text")
        return [item for _, item in items]

    def strings(self, name: str) -> Mapping[str, str]:
        below = self.node(name)
        return {key: below.text(key) for key in below.names()}

    def names(self) -> Sequence[str]:
        return list(self._rest)

    def _items(self, name: str) -> Sequence[tuple[str, Any]]:
        values = self._rest.pop(name, None)
        values = [] if values is None else values
        if not isinstance(values, list) or len(values) > 1000:
            raise self.refuse(name, "must be a list of at most 1000 entries")
        return [(f"{self.at(name)}[{i}]", item) for i, item in enumerate(values)]

    def forget(self, *names: str) -> None:
        """These say nothing about what is trusted."""
        for name in names:
            self._rest.pop(name, None)

    def done(self) -> None:
        for name in self._rest:
            raise self.refuse(name[:80], "is not known here, and might be a condition")

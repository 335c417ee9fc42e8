"""The images of a Pod, and of the workloads that make Pods. Where one can be, one is looked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
MAX_IMAGES = 256

_TEMPLATES: Mapping[str, Sequence[str]] = {
    "Deployment": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}


class BadObject(ValueError):
    """An object that has not the shape of its kind. It is refused: what is in it, nobody knows."""


class Place(Struct, frozen=True):
    """Where an image is named: `pointer` for a patch (RFC 6901), `key` to know it again."""

    pointer: str
    key: tuple[str, str]
    image: str


def of_pod(pod: object) -> Sequence[Place]:
    """Every image that a Pod runs or mounts; raises BadObject."""
    found = list(_places(_mapping(_mapping(pod, "the Pod").get("spec"), "spec"), "/spec"))
    if len(found) > MAX_IMAGES:
        raise BadObject(f"names more than {MAX_IMAGES} images")
    return found


def of_workload(kind: str, workload: object) -> Sequence[Place] | None:
    """Every image of the Pods that it makes; None for a kind that makes none that we know."""
    path = _TEMPLATES.get(kind)
    if path is None:
        return None
    inner: Any = workload
    for name in path:
        inner = _mapping(inner, name).get(name)
    return of_pod(inner)


def changed(new: Sequence[Place], old: Sequence[Place]) -> Sequence[Place]:
    """What an update brings in: a container that keeps its image does not count."""
    known = {(place.key, place.image) for place in old}
    return [place for place in new if (place.key, place.image) not in known]


def is_mirror(pod: object) -> bool:
    """Whether a Pod only shows a static one: the node runs that whatever is said here."""
    metadata = _mapping(_mapping(pod, "the Pod").get("metadata") or {}, "metadata")
    annotations = _mapping(metadata.get("annotations") or {}, "annotations")
    return "kubernetes.io/config.mirror" in annotations


def _places(spec: Mapping[str, Any], base: str) -> Iterator[Place]:
    for field in CONTAINERS:
        for i, container in enumerate(_list(spec.get(field), field)):
            each = _mapping(container, field)
            name, image = _text(each.get("name"), "name"), each.get("image")
            if image in {None, ""}:
                continue  # the API server refuses it, or whoever makes the Pod fills it in later
            yield Place(f"{base}/{field}/{i}/image", (field, name), _text(image, "image"))
    for i, volume in enumerate(_list(spec.get("volumes"), "volumes")):
        each = _mapping(volume, "volumes")
        source = each.get("image")
        reference = _mapping(source, "image").get("reference") if source is not None else None
        if reference in {None, ""}:
            continue
        key = ("volumes", _text(each.get("name"), "name"))
        pointer = f"{base}/volumes/{i}/image/reference"
        yield Place(pointer, key, _text(reference, "reference"))


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadObject(f"{what} is no object")
    return value


def _list(value: object, what: str) -> Sequence[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadObject(f"{what} is no list")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 4096:
        raise BadObject(f"{what} is no text")
    return value

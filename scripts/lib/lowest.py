"""Prints the requirements of pyproject.toml, extras too, each at the lowest version that it allows."""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet


def lowest(text: str) -> Requirement:
    """Every requirement states where it begins: what has no lower bound cannot be tested."""
    requirement = Requirement(text)
    bounds = [bound.version for bound in requirement.specifier if bound.operator == ">="]
    if len(bounds) != 1:
        sys.exit(f"pyproject.toml: {text} needs one lower bound, written with >=")
    requirement.specifier = SpecifierSet(f"=={bounds[0]}")
    return requirement


def main(pyproject: Path) -> None:
    project = tomllib.loads(pyproject.read_text())["project"]
    for texts in [project["dependencies"], *project["optional-dependencies"].values()]:
        for text in texts:
            print(lowest(text))


if __name__ == "__main__":
    main(Path("pyproject.toml"))

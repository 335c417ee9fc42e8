"""The pages docs/reference/{cli,configuration,exit-codes}.md, made from what the program itself says.

python -m retinue.cli.reference PAGE > docs/reference/PAGE.md
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping

from retinue.cli import exits, serve
from retinue.cli.main import GROUPS, VERBS, parser_of
from retinue.cli.output import say
from retinue.registry import config

MADE = "<!-- Made by `python -m retinue.cli.reference {page}`; a test compares. -->"


def cli() -> Iterator[str]:
    """Every verb with its arguments."""
    yield "# Command line"
    yield MADE.format(page="cli")
    yield (
        "`retinue VERB ...`; `retinue VERB --help` prints what is here. How commands end: "
        "[exit codes](exit-codes.md)."
    )
    for group, title in GROUPS.items():
        yield f"## {title}"
        for name, verb in VERBS.items():
            if verb.group == group:
                yield from _command(f"retinue {name}", parser_of(name))


def _command(title: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    actions = [a for a in parser._actions if a.dest != "help"]  # noqa: SLF001 -- nothing public asks
    inner = [a for a in actions if isinstance(a, argparse._SubParsersAction)]  # noqa: SLF001 -- same
    yield f"### {title}"
    yield parser.description or ""
    if inner:
        for task, below in inner[0].choices.items():
            yield from _command(f"{title} {task}", below)
        return
    yield f"```\n{_usage(title, actions)}\n```"
    if title in {"retinue serve", "retinue admin config"}:
        yield "Its options are those of the [configuration](configuration.md), and `--config FILE`."
        actions = [a for a in actions if a.dest not in {*config.options(), "config"}]
    if actions:
        rows = [f"| `{_name(action)}` | {_cell(action.help or '')} |" for action in actions]
        yield "\n".join(["| argument | |", "|---|---|", *rows])
    if parser.epilog:
        yield f"```text\n{parser.epilog.strip()}\n```"


def _usage(title: str, actions: list[argparse.Action]) -> str:
    words = [title]
    if any(action.option_strings for action in actions):
        words.append("[options]")
    for action in actions:
        if not action.option_strings:
            name = _shape(action)
            many = {"*": f"[{name} ...]", "+": f"{name} ...", "?": f"[{name}]"}
            words.append(many.get(str(action.nargs), name))
    return " ".join(words)


def _shape(action: argparse.Action) -> str:
    choices = "|".join(map(str, action.choices or ()))
    return str(action.metavar or choices or action.dest.upper().replace("_", "-"))


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return _shape(action)
    names = ", ".join(action.option_strings)
    if action.nargs == 0:
        return names
    return f"{names} [{_shape(action)}]" if action.nargs == "?" else f"{names} {_shape(action)}"


def _cell(text: str) -> str:
    return text.replace("%%", "%").replace("|", "\\|")


def configuration() -> Iterator[str]:
    """Every option of the registry."""
    yield "# Configuration of the registry"
    yield MADE.format(page="configuration")
    yield (
        "Each option can be set by a flag of `retinue serve`, by a variable of the environment, and "
        "in a TOML file (`--config FILE`, or `$RETINUE_CONFIG`). Flags win over the environment, "
        "which wins over the file. `retinue admin config` prints each value in force, and where it "
        "came from. An option that does not exist is an error in the file and as a flag; a variable of "
        "that kind is ignored with a warning, since Kubernetes sets some by itself (`RETINUE_PORT`, "
        "where a Service is called `retinue`)."
    )
    yield (
        "Sizes: `4MiB`, `64KiB`, or bytes. Times: `30s`, `5m`, `24h`, `7d`, or seconds. Lists: "
        "separated by `;`, or repeated flags, or a list in TOML."
    )
    rows = ["| option (TOML) | flag | environment | default | |", "|---|---|---|---|---|"]
    for name, (option, default) in config.options().items():
        shape = "\\|".join(option.choices) or option.kind.shape.replace("|", "\\|")
        value = serve.shown(default, option.kind)
        shown = f"`{value}`" if value not in {"", "none"} else ""
        rows.append(
            f"| `{name}` | `{config.flag(name)} {shape}` | `{config.variable(name)}` | {shown} "
            f"| {_cell(option.help)} |"
        )
    yield "\n".join(rows)


def exit_codes() -> Iterator[str]:
    """What the program ends with."""
    yield "# Exit codes"
    yield MADE.format(page="exit-codes")
    yield (
        "Errors are one line on standard error that says what was wrong and what to do. "
        "Code 7 is never mixed with code 3: not having been able to look is no answer."
    )
    rows = ["| code | meaning | errors |", "|---|---|---|"]
    for code, meaning in exits.MEANINGS.items():
        names = sorted({n.rpartition(".")[2] for n, c in exits.CODES.items() if c == code})
        rows.append(f"| {code} | {meaning} | {', '.join(names)} |")
    yield "\n".join(rows)


PAGES: Mapping[str, Callable[[], Iterator[str]]] = {
    "cli": cli,
    "configuration": configuration,
    "exit-codes": exit_codes,
}


def page(name: str) -> str:
    return "\n\n".join(PAGES[name]()) + "\n"


if __name__ == "__main__":
    say(page(sys.argv[1]).rstrip("\n"))

"""`retinue completion`: a script that teaches your shell the verbs and their options.

bash:  retinue completion bash > ~/.local/share/bash-completion/completions/retinue
zsh:   retinue completion zsh > "${fpath[1]}/_retinue"
fish:  retinue completion fish > ~/.config/fish/completions/retinue.fish
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from retinue.cli.main import VERBS, parser_of
from retinue.cli.output import say

FILES = ("FILE", "PATH", "DIR")
"""What is in the metavar of an argument that names a file or folder."""


class Flag(Struct, frozen=True):
    """An option; `values` are its choices, `files` whether a path follows."""

    names: tuple[str, ...]
    help: str
    takes: bool
    values: tuple[str, ...]
    files: bool


class Command(Struct, frozen=True):
    """A verb, or a task of one; `values` are the choices of its positional arguments."""

    words: tuple[str, ...]
    help: str
    flags: tuple[Flag, ...]
    values: tuple[str, ...]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(SHELLS))


def run(args: argparse.Namespace) -> int:
    say(SHELLS[args.shell](list(commands())).rstrip())
    return 0


def commands() -> Iterator[Command]:
    """Every verb and task as its parser describes it."""
    for name, verb in VERBS.items():
        for command in _commands(parser_of(name), tuple(name.split()), verb.help):
            yield replace(command, values=(*command.values, *_seconds(command.words)))


def _seconds(words: tuple[str, ...]) -> Iterator[str]:
    """The second words of verbs that have two, as `attach sbom`."""
    pairs = (verb.split() for verb in VERBS if " " in verb)
    return (second for first, second in pairs if words == (first,))


def _pairs(found: Iterable[Command]) -> list[str]:
    """All commands of two words."""
    return [" ".join(command.words) for command in found if len(command.words) == 2]


def _commands(
    parser: argparse.ArgumentParser, words: tuple[str, ...], text: str
) -> Iterator[Command]:
    flags: list[Flag] = []
    values: list[str] = []
    below: list[Command] = []
    for action in parser._actions:  # noqa: SLF001 -- argparse has no public way to ask
        choices = tuple(map(str, action.choices or ()))
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 -- same
            helps = {each.dest: each.help or "" for each in action._choices_actions}  # noqa: SLF001
            values += choices
            for name, inner in action.choices.items():
                below += _commands(inner, (*words, name), helps[name])
        elif action.option_strings:
            shape = str(action.metavar or "")
            options = tuple(shape.split("|")) if "|" in shape and not choices else choices
            flags.append(
                Flag(
                    tuple(action.option_strings),
                    (action.help or "").replace("%%", "%").partition(";")[0],
                    action.nargs != 0,
                    tuple(v for v in options if v.islower()),
                    any(word in shape for word in FILES),
                )
            )
        else:
            values += choices
    yield Command(words, text, tuple(flags), tuple(values))
    yield from below


def _bash(found: list[Command]) -> str:
    pairs = "|".join(f'"{pair}"' for pair in _pairs(found))
    first = dict.fromkeys(verb.split()[0] for verb in VERBS)
    return "\n".join(
        [
            "# bash completion for retinue",
            "_retinue() {",
            '    local cur="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
            '    local verb="${COMP_WORDS[1]}" words=""',
            '    [ "$COMP_CWORD" -gt 2 ] && case "$verb ${COMP_WORDS[2]}" in',
            f'        {pairs}) verb="$verb ${{COMP_WORDS[2]}}" ;;',
            "    esac",
            '    if [ "$COMP_CWORD" = 1 ]; then',
            f'        words="{" ".join(first)} --help --version"',
            "    else",
            '        case "$verb:$before" in',
            *(f"            {line}" for command in found for line in _bash_values(command)),
            "        esac",
            '        [ -z "$words" ] && case "$verb" in',
            *(f"            {_bash_words(command)}" for command in found),
            "        esac",
            "    fi",
            '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")',
            "}",
            "complete -o default -F _retinue retinue",
        ]
    )


def _bash_values(command: Command) -> Iterator[str]:
    """After an option: its values, or files (which are bash's default when nothing fits)."""
    for flag in command.flags:
        if flag.takes:
            patterns = "|".join(f'"{" ".join(command.words)}:{name}"' for name in flag.names)
            if flag.values:
                yield f'{patterns}) words="{" ".join(flag.values)}" ;;'
            else:
                yield f"{patterns}) return ;;"


def _bash_words(command: Command) -> str:
    words = [*command.values, *(name for flag in command.flags for name in flag.names)]
    return f'"{" ".join(command.words)}") words="{" ".join(words)}" ;;'


def _zsh(found: list[Command]) -> str:
    top = [c for c in found if len(c.words) == 1]
    lines = [
        "#compdef retinue",
        "# zsh completion for retinue",
        "_retinue() {",
        "    local -a verbs=(",
        *(f"        {_quote(f'{c.words[0]}:{c.help}')}" for c in top),
        "    )",
        "    if (( CURRENT == 2 )); then",
        "        _describe verb verbs",
        "        return",
        "    fi",
        '    local verb="${words[2]}"',
        (
            '    if (( CURRENT > 3 )) && [[ "$verb ${words[3]}" == '
            f"({'|'.join(_quote(pair) for pair in _pairs(found))}) ]]; then"
        ),
        '        verb="$verb ${words[3]}"',
        "    fi",
        '    case "$verb" in',
    ]
    for command in found:
        lines += [f'        "{" ".join(command.words)}") _arguments \\', *_zsh_arguments(command)]
    return "\n".join([*lines, "    esac", "}", '_retinue "$@"'])


def _zsh_arguments(command: Command) -> Iterator[str]:
    for flag in command.flags:
        value = ""
        if flag.takes:
            choices = f"({' '.join(flag.values)})" if flag.values else ""
            value = f":value:{choices or ('_files' if flag.files else ' ')}"
        for name in flag.names:
            text = flag.help.replace("[", "(").replace("]", ")").replace(":", " ")
            yield f"            {_quote(f'*{name}[{text}]{value}')} \\"
    rest = f"({' '.join(command.values)})" if command.values else "_files"
    yield f"            {_quote(f'*:argument:{rest}')} ;;"


def _fish(found: list[Command]) -> str:
    lines = ["# fish completion for retinue", "complete -c retinue -f"]
    for command in found:
        verb, *task = command.words
        seen = f"__fish_seen_subcommand_from {verb}"
        if task:
            seen += f"; and __fish_seen_subcommand_from {task[0]}"
        if not task:
            lines.append(
                f"complete -c retinue -n __fish_use_subcommand -a {verb} -d {_quote(command.help)}"
            )
        if command.values:
            lines.append(f'complete -c retinue -n "{seen}" -a "{" ".join(command.values)}"')
        else:
            lines.append(f'complete -c retinue -n "{seen}" -F')
        lines += [_fish_flag(seen, flag) for flag in command.flags]
    return "\n".join(lines)


def _fish_flag(seen: str, flag: Flag) -> str:
    parts = [f'complete -c retinue -n "{seen}"']
    parts += [f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in flag.names]
    if flag.takes:
        parts.append("-x" if flag.values or not flag.files else "-rF")
        if flag.values:
            parts.append(f'-a "{" ".join(flag.values)}"')
    return " ".join([*parts, f"-d {_quote(flag.help)}"])


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


SHELLS: Mapping[str, Callable[[list[Command]], str]] = {"bash": _bash, "fish": _fish, "zsh": _zsh}

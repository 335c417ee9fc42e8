"""`retinue policy report`: judge every tag of a repository, or of a whole registry.

Nothing is changed or refused: it says what would be, if the policy were
enforced. Exit code 0 says that nothing would be refused, 11 that something would.

  retinue policy report --policy policy.toml registry.example.com/prod/app
  retinue policy report --policy policy.toml registry.example.com --json
"""

import argparse
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from retinue.cli import exits, options, trusting
from retinue.cli.output import note
from retinue.cli.policy.explain import asked
from retinue.cli.render import GREEN, RED, YELLOW, clean, count, emit, paint

if TYPE_CHECKING:
    from retinue.cli.judging import Judged
    from retinue.client.client import Client
    from retinue.oci.reference import Reference

AT_ONCE = 8
"""Images that are judged at the same time."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="HOST[/REPOSITORY]", help="a registry or a repository")
    asked(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.cli import deciding

    answers, failed = asyncio.run(_report(args))
    refused = [judged for judged in answers if not judged.decision.allowed]
    emit(
        {
            "judged": len(answers) + len(failed),
            "refused": [deciding.data(judged) for judged in refused],
            "not_judged": failed,
        },
        _text(answers, failed),
        as_json=args.json,
    )
    for reference, why in failed.items():
        note(f"retinue: {reference} could not be judged: {clean(why)}")
    if failed:
        return exits.BLIND
    return exits.REFUSED if refused else exits.DONE


def _text(answers: Sequence["Judged"], failed: dict[str, str]) -> str:
    lines = []
    for judged in answers:
        decision = judged.decision
        if not decision.allowed:
            colour = YELLOW if decision.undecided else RED
            why = next(r for r in decision.reasons if str(r.outcome) in {"failed", "undecided"})
            lines.append(
                f"{paint('refused', colour)}  {judged.location}  {clean(why.rule)}: {clean(why.why)}"
            )
    allowed = len(answers) - len(lines)
    total = count(len(answers) + len(failed), "image")
    lines.append(f"{total}: {paint(f'{allowed} allowed', GREEN)}, {len(lines)} refused")
    return "\n".join(lines)


async def _report(args: argparse.Namespace) -> "tuple[list[Judged], dict[str, str]]":
    """What was judged, and what could not be, with the reason."""
    from functools import partial

    from retinue.cli.judging import Judged, Question, judge, question
    from retinue.cli.reach import client
    from retinue.client.transfer import bounded
    from retinue.errors import RetinueError

    async def one(reached: "Client", at: "Reference", asked: Question) -> "Judged | str":
        try:
            return await judge(reached, at, asked)
        except RetinueError as problem:
            return str(problem)

    policy = trusting.from_file(args.policy, cel=True)
    async with client(args, brief=True) as reached:
        asked = await question(reached, policy, args.on, told=args.json)
        places = [at async for at in _images(reached, args.place)]
        found = await bounded([partial(one, reached, at, asked) for at in places], AT_ONCE)
    pairs = list(zip(places, found, strict=True))
    failed = {str(at): answer for at, answer in pairs if isinstance(answer, str)}
    return [answer for answer in found if isinstance(answer, Judged)], failed


async def _images(reached: "Client", place: str) -> "AsyncIterator[Reference]":
    """Every tag that is no paper's."""
    from msgspec.structs import replace

    from retinue.oci.tags import implied
    from retinue.papers.tagplace import keeps_place

    for repository in [each async for each in _repositories(reached, place)]:
        store = reached.remote(repository.host, repository.repository)
        async for tag in store.tags():
            if implied(tag) is None and not keeps_place(tag):
                yield replace(repository, tag=tag, digest=None)


async def _repositories(reached: "Client", place: str) -> "AsyncIterator[Reference]":
    from retinue.client.registry import repositories
    from retinue.oci.reference import parse

    if "/" in place:
        yield parse(place)
        return
    async for name in repositories(reached.registry(place)):
        yield parse(f"{place}/{name}")

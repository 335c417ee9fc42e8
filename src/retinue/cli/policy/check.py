"""`retinue policy check`: look for mistakes in a policy file.

What is wrong is an error (exit code 2). What is probably not meant is advice: a key
that expires within 30 days, a signer that no rule asks for. With references it
also says how they would be judged, as `retinue policy explain` does.

  retinue policy check policy.toml
  retinue policy check policy.toml registry.example.com/prod/app:1
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retinue.cli import options, trusting
from retinue.cli.render import GREEN, YELLOW, clean, emit, paint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retinue.cli.judging import Judged
    from retinue.policy.lint import Advice
    from retinue.policy.model import Policy


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("policy", metavar="FILE", type=Path, help="the policy (TOML or JSON)")
    parser.add_argument("references", metavar="REFERENCE", nargs="*", help=options.REFERENCE)
    parser.add_argument("--strict", action="store_true", help="advice ends with exit code 1, too")
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio
    from datetime import UTC, datetime

    from retinue.cli import deciding, exits
    from retinue.policy.lint import check

    policy = trusting.from_file(args.policy, cel=True)
    advice = check(policy, datetime.now(UTC))
    answers = asyncio.run(_judge(args, policy)) if args.references else []
    emit(_data(policy, advice, answers), _text(args, policy, advice, answers), as_json=args.json)
    code = deciding.code(answers)
    return exits.FAILED if code == exits.DONE and advice and args.strict else code


def _data(
    policy: "Policy", advice: "Sequence[Advice]", answers: "Sequence[Judged]"
) -> dict[str, Any]:
    from retinue.cli import deciding

    return {
        "epoch": policy.epoch,
        "rules": [rule.name for rule in policy.rules],
        "anchors": [anchor.name for anchor in policy.trust.anchors],
        "advice": [{"field": a.field, "text": a.text, "soon": a.soon} for a in advice],
        "decisions": [deciding.data(judged) for judged in answers],
    }


def _text(
    args: argparse.Namespace,
    policy: "Policy",
    advice: "Sequence[Advice]",
    answers: "Sequence[Judged]",
) -> str:
    from retinue.cli import deciding

    state = paint("valid", GREEN)
    lines = [f"{args.policy}: {state}, {len(policy.rules)} rules, epoch {policy.epoch[:16]}"]
    lines += [f"  {paint(clean(a.field), YELLOW)}: {clean(a.text)}" for a in advice]
    lines += [deciding.text(judged, whole=True) for judged in answers]
    return "\n".join(lines)


async def _judge(args: argparse.Namespace, policy: "Policy") -> "list[Judged]":
    from functools import partial

    from retinue.cli.judging import judge, question
    from retinue.cli.policy.report import AT_ONCE
    from retinue.cli.reach import client
    from retinue.client.transfer import bounded
    from retinue.oci.reference import parse_location

    locations = [parse_location(text) for text in args.references]
    async with client(args, brief=True) as reached:
        asked = await question(reached, policy, told=args.json)
        return await bounded([partial(judge, reached, at, asked) for at in locations], AT_ONCE)

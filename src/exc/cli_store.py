"""The commands about what the store holds: adopt, export and gc."""

from __future__ import annotations

import argparse
import re

from exc.cli_arguments import Command, add_json, count


def add_store_commands(command: Command) -> None:
    """Add them to the command line's parser."""
    _adopt(command("adopt", "take in a result that was made elsewhere, marked in every report"))
    _export(command("export", "write a model of a plan as a folder, with its card and lineage"))
    _gc(command("gc", "list what no registered plan needs, and remove it on request"))


def _adopt(parser: argparse.ArgumentParser) -> None:
    parser.usage = "exc adopt (JOB-ID PATH | --values FILE.csv) [PLAN] --why TEXT [--from TEXT]"
    parser.add_argument(
        "names",
        metavar="JOB-ID PATH [PLAN]",
        nargs="*",
        help="the job (JOB@STEP for a kept step), the folder that holds its result, and the plan folder",
    )
    parser.add_argument(
        "--values", metavar="FILE.csv", help="numbers for points of the plan, without artifacts"
    )
    parser.add_argument("--why", metavar="TEXT", required=True, help="what every report will say about it")
    parser.add_argument("--from", metavar="TEXT", dest="origin", default="", help="where it was made")


def _export(parser: argparse.ArgumentParser) -> None:
    parser.usage = "exc export (JOB-ID | --final RECIPE) [PLAN] -o FOLDER [--license ID]"
    parser.add_argument(
        "names",
        metavar="JOB-ID [PLAN]",
        nargs="*",
        help="the job (JOB@STEP for a kept step), and the plan folder",
    )
    parser.add_argument("-o", "--out", metavar="FOLDER", required=True, help="a new or empty folder")
    parser.add_argument("--final", metavar="RECIPE", help="the last model of a recipe, instead of a job")
    parser.add_argument("--trunk", metavar="NAME", help="with --final: on which trunk")
    parser.add_argument("--at", metavar="STEP", type=int, help="with --final: at which checkpoint")
    parser.add_argument("--replicate", metavar="N", type=int, help="with --final: which replicate")
    parser.add_argument("--license", metavar="ID", default="", help="license in the card (yours to choose)")


def _gc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "place",
        metavar="PLAN|STORE",
        nargs="?",
        default="plan",
        help="a plan folder or a store (default: plan)",
    )
    parser.add_argument(
        "--delete", action="store_true", help="remove what is listed; without this, nothing is removed"
    )
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        type=age_s,
        default="1d",
        help="of what no plan has, keep what changed more recently: 30m, 12h, 2d (default: 1d)",
    )
    parser.add_argument(
        "--keep-attempts",
        metavar="N",
        type=count,
        default=1,
        help="newest attempts to keep of each job that no plan has (default: 1)",
    )
    parser.add_argument(
        "--resume-state",
        action="store_true",
        help="only the resume state of those jobs of this plan that are done",
    )
    parser.add_argument(
        "--unregister",
        metavar="PLAN",
        help="forget a plan, named by its folder, its experiment or the start of its digest",
    )
    add_json(parser)


def age_s(text: str) -> float:
    """Seconds in `90s`, `30m`, `12h`, `2d`. Raises ArgumentTypeError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected an age such as 30m, 12h or 2d, not {text!r}")
    return float(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}[found[2]]

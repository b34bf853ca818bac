"""The command line as a user meets it: exit codes, what is printed where, and never a traceback."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exc.cli import COMMANDS, main
from exc.spec.codes import CODES
from tests.compiler.study import STUDY


class Ran:
    """What a command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        assert "Traceback" not in out + err

    def json(self) -> Any:
        return json.loads(self.out)


class User:
    """Someone at a terminal in the folder of the study."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def exc(self, *argv: str) -> Ran:
        self._capsys.readouterr()
        try:
            code = main(argv)
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = self._capsys.readouterr()
        return Ran(code, said.out, said.err)

    def edit(self, old: str, new: str, name: str = "experiment.yaml") -> None:
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[User]:
    folder = tmp_path / "study"
    write_study(folder)
    monkeypatch.chdir(folder)
    for name in ("EXC_STORE", "EXC_PLAN", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield User(folder, capsys)
    gc.enable()  # commands that end soon switch it off


def write_study(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "experiment.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "arithmetic.py").write_text(
        "def documents(num):\n    yield {'text': str(num)}\n", encoding="utf-8"
    )
    for name in ("problems", "held_out"):
        row = {"question": "1+1", "answer": "2", "worked": "2", "text": "1+1 is 2"}
        (folder / "data" / f"{name}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")


# --- usage


def test_without_arguments_is_usage(user: User) -> None:
    ran = user.exc()
    assert ran.code == 2
    assert ran.err.startswith("usage: exc")
    assert ran.out == ""


@pytest.mark.parametrize(
    "argv",
    [
        ["comple"],
        ["--no-such"],
        ["compile", "--no-such"],
        ["check", "a", "b"],
        ["submit", "--slots", "0"],
        ["submit", "--slots", "many"],
        ["show"],
        ["diff"],
        ["explain", "a", "b"],
    ],
)
def test_what_cannot_be_meant_is_usage(user: User, argv: list[str]) -> None:
    ran = user.exc(*argv)
    assert ran.code == 2
    assert "usage: exc" in ran.err


def test_help_names_every_command(user: User) -> None:
    ran = user.exc("--help")
    assert ran.code == 0
    for command in COMMANDS:
        assert re.search(rf"^    {command} ", ran.out, re.MULTILINE)


# What is said beside how and where: which part of a store or a template is meant, never what is computed.
CHOOSING = {
    "lock": {"--update"},
    "watch": {"--keep", "--once", "--interval"},
    "logs": {"--attempt", "--follow", "--path", "--events", "--tail"},
    "cancel": {"--recipe", "--trunk", "--all"},
    "adopt": {"--from", "--values", "--why"},
    "export": {"--final", "--trunk", "--at", "--replicate", "--license"},
    "gc": {"--delete", "--keep-attempts", "--older-than", "--resume-state", "--unregister"},
    "init": {"--list", "--template"},
    "schema": {"--profiles"},
}


def test_no_flag_changes_the_experiment(user: User) -> None:
    how = {"--help", "--json", "--profile", "--out", "--check", "--slots", "--gpus", "--csv", "--detach"}
    for command in COMMANDS:
        flags = set(re.findall(r"--[a-z-]+", user.exc(command, "--help").out))
        assert flags <= how | CHOOSING.get(command, set()), command


def test_as_a_module_and_as_a_program(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("exc")
    for command in ([sys.executable, "-m", "exc"], [str(script)]):
        run = subprocess.run(
            [*command, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert run.stdout.startswith("exc ")


@pytest.mark.parametrize("arguments", ["explain", "explain yaml-syntax", "--version"])
def test_a_reader_that_went_away_is_no_error(tmp_path: Path, arguments: str) -> None:
    command = f"{sys.executable} -m exc {arguments} | true"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    run = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("arguments", ["results", "status"])
def test_a_reader_of_tables_that_went_away_is_no_error(user: User, arguments: str) -> None:
    user.exc("compile")
    test_a_reader_that_went_away_is_no_error(user.folder, arguments)


# --- check and compile


def test_check_of_a_good_spec(user: User) -> None:
    ran = user.exc("check")
    assert ran.code == 0
    assert ran.out.startswith("experiment.yaml: no errors; 66 jobs in ")
    assert not (user.folder / "plan").exists()
    assert user.exc("check", "--json").json()["ok"] is True


def test_check_shows_every_mistake_with_its_line(user: User) -> None:
    user.edit("rollouts: 40", "rolouts: 40")
    user.edit("data: held-out}", "data: held_out}")
    ran = user.exc("check")
    assert ran.code == 1
    assert ran.out == ""
    assert "experiment.yaml:" in ran.err
    assert "did you mean `rollouts`?" in ran.err
    assert "held-out" in ran.err
    found = user.exc("check", "--json").json()
    assert found["ok"] is False
    assert len([d for d in found["diagnostics"] if d["severity"] == "error"]) >= 2


def test_compile_writes_and_then_is_up_to_date(user: User) -> None:
    ran = user.exc("compile")
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("plan: 66 jobs in ")
    assert "exc submit" in ran.out
    assert os.access(user.folder / "plan" / "jobs" / "rl.rl.sh", os.X_OK)
    times = {path: path.stat().st_mtime_ns for path in (user.folder / "plan").rglob("*") if path.is_file()}
    assert user.exc("compile").out.startswith("plan: up to date")
    assert times == {path: path.stat().st_mtime_ns for path in times}, "nothing is written again"
    user.edit("seed: 0", "seed: 0  # still")
    assert user.exc("compile", "--json").json()["changed"] is False


def test_compile_check_writes_nothing(user: User) -> None:
    ran = user.exc("compile", "--check")
    assert ran.code == 1
    assert not (user.folder / "plan").exists()
    user.exc("compile")
    assert user.exc("compile", "--check").code == 0
    user.edit("rollouts: 40", "rollouts: 50")
    before = (user.folder / "plan" / "plan.json").read_bytes()
    assert user.exc("compile", "--check").code == 1
    assert user.exc("compile", "--check", "--json").json()["changed"] is True
    assert (user.folder / "plan" / "plan.json").read_bytes() == before


def test_scripts_of_classes_that_are_no_more_go(user: User) -> None:
    user.exc("compile")
    user.edit("  soup:\n    - soup: {merge: {of: [rl, sft]}}\n", "")
    user.exc("compile")
    assert not list((user.folder / "plan" / "jobs").glob("soup*"))
    (user.folder / "plan" / "jobs" / "soup.soup.sh").write_text("true\n")
    assert user.exc("compile", "--check").code == 1
    assert user.exc("compile").code == 0
    assert user.exc("compile", "--check").code == 0


def test_a_folder_of_something_else_is_not_written_to(user: User) -> None:
    (user.folder / "results").mkdir()
    (user.folder / "results" / "thesis.tex").write_text("years of work")
    for argv in (
        ["compile", "-o", "results"],
        ["compile", "-o", "."],
        ["compile", "-o", "results", "--json"],
    ):
        ran = user.exc(*argv)
        assert ran.code == 1
        assert "holds no plan" in ran.err
    assert [path.name for path in (user.folder / "results").iterdir()] == ["thesis.tex"]


def test_what_an_interrupted_compile_left_is_written_over(user: User) -> None:
    user.exc("compile")
    (user.folder / "plan" / "plan.json").unlink()
    assert user.exc("compile").code == 0
    assert (user.folder / "plan" / "plan.json").is_file()


def test_a_plan_elsewhere_finds_its_spec(user: User) -> None:
    assert user.exc("compile", "-o", "plans/first").code == 0
    assert json.loads((user.folder / "plans/first/plan.json").read_bytes())["root"] == "../.."
    assert user.exc("diff", "plans/first").code == 0


def test_a_plan_folder_that_is_a_file(user: User) -> None:
    for argv in (["compile", "-o", "experiment.yaml"], ["submit", "experiment.yaml"]):
        ran = user.exc(*argv)
        assert ran.code == 1
        assert ran.err.startswith("error: experiment.yaml is a file")


def test_a_store_that_is_a_file(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.exc("compile")
    monkeypatch.setenv("EXC_STORE", "experiment.yaml")
    for command in ("submit", "status", "results", "plan"):
        ran = user.exc(command)
        assert ran.code == 3
        assert ran.err == f"error: {user.folder / 'experiment.yaml'}: the store is a file, not a folder\n"


def test_text_that_is_not_utf_8_is_found_by_line_and_column(user: User) -> None:
    path = user.folder / "experiment.yaml"
    path.write_bytes(b"version: 1\nexperiment: caf\xc3\xa9 \xe9\n")
    ran = user.exc("check")
    assert "the byte 0xe9 is not UTF-8\n --> experiment.yaml:2:18\n" in ran.err
    path.write_bytes("version: 1\n".encode("utf-16"))
    assert "this is UTF-16, not UTF-8" in user.exc("check").err


def test_an_unknown_profile(user: User) -> None:
    ran = user.exc("compile", "--profile", "cluster")
    assert ran.code == 1
    assert "there is no profile `cluster`" in ran.err


@pytest.mark.parametrize("micro", [3, 5])
def test_a_micro_batch_that_does_not_divide_is_a_finding(user: User, micro: int) -> None:
    text = f"local:\n  resources:\n    - {{on: {{kind: sft}}, micro_batch_size: {micro}}}\n"
    (user.folder / "profiles.yaml").write_text(text)
    ran = user.exc("compile")
    assert ran.code == 1
    assert f"micro_batch_size {micro}" in ran.err


@pytest.mark.parametrize("setting", ["loss_type: bnpo", "top_entropy_quantile: 0.2"])
def test_a_micro_batch_that_would_change_the_loss_is_a_finding(user: User, setting: str) -> None:
    spec = user.folder / "experiment.yaml"
    spec.write_text(spec.read_text().replace("learning_rate: 1.0e-5", f"learning_rate: 1.0e-5, {setting}"))
    assert user.exc("compile").code == 0
    text = "local:\n  resources:\n    - {on: {kind: grpo}, micro_batch_size: 4}\n"
    (user.folder / "profiles.yaml").write_text(text)
    ran = user.exc("compile")
    assert ran.code == 1
    assert f"`{setting}` is computed over what a device takes at once" in ran.err


# --- nasty input

NASTY: dict[str, bytes] = {
    "empty": b"",
    "nulls": b"\0" * 100,
    "binary": bytes(range(256)) * 8,
    "latin-1": "version: 1\nexperiment: caf\xe9\n".encode("latin-1"),
    "utf-16": "version: 1\n".encode("utf-16"),
    "a list": b"[1, 2]\n",
    "a word": b"hello\n",
    "tabs": b"version: 1\n\texperiment: x\n",
    "deep": b"[" * 5000,
    "deep mappings": b"".join(b" " * depth + b"a:\n" for depth in range(2000)),
    "two documents": b"version: 1\n---\nversion: 1\n",
    "anchors": b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\nversion: *d\n",
    "a tag": b"version: !!python/object/apply:os.system [ls]\n",
    "only the version": b"version: 1\n",
    "wrong everywhere": b"version: two\nexperiment: 7\ndata: []\ntasks: x\n"
    b"trunks: {a: 1, b: null}\nrecipes: {r: {}}\nevaluations: [1]\n",
    "huge number": STUDY.replace("seed: 0", "seed: 99999999999999999999999").encode(),
    "huge schedule": STUDY.replace("[400, 700, 1000]", "{every: 1}").replace("1024000", "1T").encode(),
    "number as key": STUDY.replace("hidden_size: 64", "1: 64, hidden_size: 64").encode(),
    "infinity": STUDY.replace("peak: 3.0e-3", "peak: .inf").encode(),
    "zero": STUDY.replace("rollouts: 40", "rollouts: 0").encode(),
    "negative": STUDY.replace("sequence_length: 64", "sequence_length: -64").encode(),
    "a cycle": STUDY.replace("sft: {sft:", "sft: {from: sft-rl, sft:").encode(),
    "itself": STUDY.replace("sft: {sft:", "sft: {from: sft, sft:").encode(),
    "no such step": STUDY.replace("from: sft,", "from: {recipe: sft, step: 61},").encode(),
    "no such replicate": STUDY.replace("from: sft,", "from: {recipe: sft, replicate: 3},").encode(),
    "odd batch": STUDY.replace("updates_per_rollout", "x")
    .replace("rollouts: 40", "rollouts: 40, updates_per_rollout: 7")
    .encode(),
}


@pytest.mark.parametrize("content", NASTY.values(), ids=NASTY.keys())
def test_nasty_specs_are_refused_with_a_finding(user: User, content: bytes) -> None:
    (user.folder / "experiment.yaml").write_bytes(content)
    for argv in (["check"], ["compile"], ["plan"]):
        ran = user.exc(*argv)
        assert ran.code == 1
        assert re.search(r"\berror\b", ran.err)
        assert ran.out == ""
    for command in ("check", "compile", "plan"):
        ran = user.exc(command, "--json")
        assert ran.code == 1
        assert [finding["severity"] for finding in ran.json()["diagnostics"]].count("error") >= 1
    assert not (user.folder / "plan").exists()


@pytest.mark.parametrize("command", ["check", "compile", "plan"])
def test_a_missing_spec(user: User, command: str) -> None:
    ran = user.exc(command, "experimnt.yaml")
    assert ran.code == 1
    assert "there is no file `experimnt.yaml`" in ran.err
    assert "did you mean `experiment.yaml`?" in ran.err


@pytest.mark.parametrize("command", ["check", "compile", "plan"])
@pytest.mark.parametrize("spec", [".", "data", "experiment.yaml/x", "a\0b", "x" * 5000])
def test_what_is_no_file(user: User, command: str, spec: str) -> None:
    ran = user.exc(command, spec)
    assert ran.code in (1, 3)
    assert "error" in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_spec_that_may_not_be_read(user: User) -> None:
    (user.folder / "experiment.yaml").chmod(0)
    assert user.exc("check").code == 1


def test_a_plan_folder_that_cannot_be_made(user: User) -> None:
    ran = user.exc("compile", "-o", "experiment.yaml/plan")
    assert ran.code == 3
    assert "experiment.yaml" in ran.err


PLAN_COMMANDS = [
    ["submit"],
    ["status"],
    ["results"],
    ["report"],
    ["diff", "plan"],
    ["show", "tiny/tokenizer"],
]


@pytest.mark.parametrize("argv", PLAN_COMMANDS, ids=lambda argv: argv[0])
def test_commands_on_a_plan_that_is_not_there(user: User, argv: list[str]) -> None:
    ran = user.exc(*argv)
    assert ran.code == 1
    assert "there is no plan here; make one with `exc compile`" in ran.err


@pytest.mark.parametrize(
    "content", [b"", b'{"format": 1', b'{"format": 7}', b'{"format": 1, "jobs": [3]}', b"\xff\0"]
)
@pytest.mark.parametrize("argv", PLAN_COMMANDS, ids=lambda argv: argv[0])
def test_commands_on_a_broken_plan(user: User, argv: list[str], content: bytes) -> None:
    (user.folder / "plan").mkdir()
    (user.folder / "plan" / "plan.json").write_bytes(content)
    ran = user.exc(*argv)
    assert ran.code == 1
    assert "plan.json" in ran.err or "plan format" in ran.err


# --- plan, diff, show, explain


def test_plan_on_an_empty_store(user: User) -> None:
    ran = user.exc("plan")
    assert ran.code == 0
    assert ran.out.startswith("study: 66 jobs: 66 to run")
    assert "new: 66 jobs" in ran.out
    found = user.exc("plan", "--json").json()
    assert found["counts"] == {"to run": 66, "changed": 0, "reused": 0, "not needed": 0}
    assert len(found["jobs"]) == 66
    assert not (user.folder / "plan").exists()


def test_diff_of_a_plan_with_its_spec(user: User) -> None:
    user.exc("compile")
    same = user.exc("diff", "plan")
    assert (same.code, same.out) == (0, "no difference\n")
    user.edit("learning_rate: 1.0e-4", "learning_rate: 2.0e-4")
    ran = user.exc("diff", "plan")
    assert ran.code == 1
    assert re.match(r"args.learning_rate 0.0001 -> 0.0002 \(experiment.yaml:\d+:\d+\): 3 jobs", ran.out)
    assert re.search(r"^\d+ jobs as before$", ran.out, re.MULTILINE)
    found = user.exc("diff", "plan", "--json").json()
    assert found["differ"] is True
    assert found["lines"][0].startswith("args.learning_rate")


def test_diff_of_checkpoints_and_of_the_seed(user: User) -> None:
    user.exc("compile")
    user.edit("[400, 700, 1000]", "[400, 1000]")
    lines = user.exc("diff", "plan").out.splitlines()
    assert re.match(r"checkpoints of tiny 400, 700, 1000 -> 400, 1000 \(experiment.yaml:\d+:\d+\)$", lines[0])
    user.exc("compile")
    user.edit("seed: 0", "seed: 1")
    line = (user.folder / "experiment.yaml").read_text().split("seed: 1")[0].count("\n") + 1
    seeds = [line for line in user.exc("diff", "plan").out.splitlines() if line.startswith("seed ")]
    assert seeds
    assert all(f"(experiment.yaml:{line}:1)" in said for said in seeds)


def test_diff_shows_white_space(user: User) -> None:
    user.exc("compile")
    user.edit("\\nA:", "\\nA: ")
    assert r'prompt "Q: {question}\nA:" -> "Q: {question}\nA: "' in user.exc("diff", "plan").out


def test_diff_of_two_plans_needs_no_spec(user: User) -> None:
    user.exc("compile", "-o", "one")
    user.edit("learning_rate: 1.0e-4", "learning_rate: 2.0e-4")
    user.exc("compile", "-o", "two")
    with_spec = user.exc("diff", "one", "two")
    (user.folder / "experiment.yaml").unlink()
    without = user.exc("diff", "one", "two")
    for ran in (with_spec, without):
        assert ran.code == 1
        assert ran.out.startswith("args.learning_rate 0.0001 -> 0.0002 (experiment.yaml:")
    assert user.exc("diff", "one", "one").code == 0


def test_diff_when_the_spec_has_errors(user: User) -> None:
    user.exc("compile")
    user.edit("rollouts: 40", "rolouts: 40")
    assert user.exc("diff", "plan").code == 1
    assert user.exc("diff", "plan", "--json").json()["diagnostics"]


def test_show(user: User) -> None:
    user.exc("compile")
    ran = user.exc("show", "tiny/400/sft-rl/r0/rl")
    assert ran.code == 0
    assert ran.out.startswith("tiny/400/sft-rl/r0/rl: reinforcement learning")
    for wanted in (
        "experiment.yaml:",
        "model <- tiny/400/sft/r0/sft",
        "#!/usr/bin/env bash",
        "learning_rate: 1.0e-5",
    ):
        assert wanted in ran.out
    found = user.exc("show", "tiny/400/sft-rl/r0/rl", "--json").json()
    assert found["kind"] == "grpo"
    assert found["hashed"]["args"] == {"learning_rate": 1e-05}


def test_show_of_a_misspelt_job(user: User) -> None:
    user.exc("compile")
    ran = user.exc("show", "tiny/400/sft-rl/ro/rl")
    assert ran.code == 1
    assert "did you mean `tiny/400/sft-rl/r0/rl`?" in ran.err
    assert user.exc("show", "nothing like it at all").code == 1


def test_show_of_the_end_of_a_long_chain(user: User) -> None:
    """A checkpoint at each of more steps than Python recurses."""
    trunk = (
        STUDY[: STUDY.index("recipes:")]
        .replace("[400, 700, 1000]", "{every: 1}")
        .replace("1024000", "1536000")
    )
    (user.folder / "experiment.yaml").write_text(trunk, encoding="utf-8")
    user.exc("compile")
    ran = user.exc("show", "tiny/pretrain/1500")
    assert ran.code == 0
    assert "resumes <- tiny/pretrain/1 (" in ran.out


def test_explain(user: User) -> None:
    listed = user.exc("explain")
    assert listed.code == 0
    assert all(code in listed.out for code in CODES)
    for code in CODES:
        one = user.exc("explain", code)
        assert one.code == 0
        assert one.out.startswith(f"{code}: ")
        assert "Fix: " in one.out
    wrong = user.exc("explain", "unknow-key")
    assert wrong.code == 2
    assert "did you mean" in wrong.err


@pytest.mark.parametrize("argv", [["status"], ["results"]], ids=lambda argv: argv[0])
def test_other_json_parses(user: User, argv: list[str]) -> None:
    user.exc("compile")
    ran = user.exc(*argv, "--json")
    assert ran.code == 0
    assert ran.json() is not None


# --- submit refuses


def test_a_stale_plan_is_refused_by_field_and_line(user: User) -> None:
    user.exc("compile")
    user.edit("learning_rate: 1.0e-4", "learning_rate: 2.0e-4")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "the plan is not what experiment.yaml says now" in ran.err
    assert re.search(r"args.learning_rate 0.0001 -> 0.0002 \(experiment.yaml:\d+:\d+\)", ran.err)
    assert "`exc compile`" in ran.err
    assert not (user.folder / "store").exists()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("data/held_out.jsonl", "data/held_out.jsonl has changed (experiment.yaml:"),
        ("arithmetic.py", "the code of arithmetic has changed (experiment.yaml:"),
    ],
)
def test_changed_data_and_code_make_a_plan_stale(user: User, name: str, wanted: str) -> None:
    user.exc("compile")
    path = user.folder / name
    path.write_text(path.read_text() + "\n# more\n" if name.endswith(".py") else path.read_text() * 2)
    if name.endswith(".py"):
        path.write_text(path.read_text().replace("str(num)", "str(num + 1)"))
    ran = user.exc("submit")
    assert ran.code == 1
    assert wanted in ran.err


def test_a_changed_profile_makes_a_plan_stale(user: User) -> None:
    user.exc("compile")
    (user.folder / "profiles.yaml").write_text("local: {resources: [{on: {kind: grpo}, cpus: 4}]}\n")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "resources.cpus 1 -> 4" in ran.err


def test_a_script_edited_by_hand_is_refused(user: User) -> None:
    user.exc("compile")
    user.edit("OMP_NUM_THREADS=1", "OMP_NUM_THREADS=64", "plan/jobs/rl.rl.sh")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "jobs/rl.rl.sh changed since exc wrote it" in ran.err


def test_a_plan_edited_by_hand_is_refused(user: User) -> None:
    user.exc("compile")
    user.edit('"learning_rate": 0.0001', '"learning_rate": 0.5', "plan/plan.json")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "plan.json changed since exc wrote it" in ran.err


def test_a_plan_without_its_spec_is_refused(user: User) -> None:
    user.exc("compile")
    (user.folder / "experiment.yaml").rename(user.folder / "renamed.yaml")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "its spec experiment.yaml is not where it was" in ran.err


def test_a_spec_with_errors_is_refused(user: User) -> None:
    user.exc("compile")
    user.edit("rollouts: 40", "rolouts: 40")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "did you mean `rollouts`?" in ran.err

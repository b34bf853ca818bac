"""A person at an editor: the YAML language server reads our schema, and says what a person sees.

The server is the npm package; its version is pinned, and it is installed once into the user's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exc.spec.json_schema import profiles_schema, schema_text, spec_schema
from tests.editor.client import Server

VERSION = "1.25.0"
PACKAGE = "yaml-language-server"
MODELINE = "# yaml-language-server: $schema=exc.schema.json\n"
SETTINGS = {"yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}}
TEMPLATES = Path(__file__).resolve().parents[2] / "src/exc/templates"

pytestmark = pytest.mark.ci


def installed() -> Path:
    """The server's script; installs it if need be, and skips where that cannot be done."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("NOT TESTED: the editor session needs node and npm")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = cache / "exc-tests" / f"{PACKAGE}-{VERSION}"
    script = folder / "node_modules" / PACKAGE / "bin" / PACKAGE
    if not script.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        options = ("--no-fund", "--no-audit", "--prefix", str(folder))
        command = ["npm", "install", *options, f"{PACKAGE}@{VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"NOT TESTED: npm cannot install {PACKAGE}: {done.stderr[-300:]}")
    return script


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("study")
    (folder / "exc.schema.json").write_text(schema_text(spec_schema()), encoding="utf-8")
    (folder / "exc.profiles.schema.json").write_text(schema_text(profiles_schema()), encoding="utf-8")
    with Server(["node", str(installed()), "--stdio"], folder, SETTINGS) as server:
        yield server


def messages(server: Server, name: str, text: str) -> dict[int, list[str]]:
    """What the editor underlines: line, counted from 1 -> messages."""
    found: dict[int, list[str]] = {}
    for diagnostic in server.open(name, text):
        found.setdefault(diagnostic["range"]["start"]["line"] + 1, []).append(diagnostic["message"])
    return found


# Each line that holds a mistake says in a comment what the editor must say of it.
MISTAKES = """\
version: 1
experiment: study
sead: 0                                          #! Property sead is not allowed
data:
  sums: {jsonl: sums.jsonl, text: more.txt}      #! expected only one of `jsonl`, `parquet`, `text`
tasks:
  sums:
    prompt: "Q:{question}"
    splits:
      train: {data: sums, limit: many}           #! expected a whole number above 0
trunks:
  tiny:
    pretrain:
      model:
        architecture: llama
        hidden_sizes: 96                         #! Property hidden_sizes is not allowed
      tokenizer: {bpe: {vocab_size: 405}}
      data: {sums: 85}
      batch_size: "16"                           #! expected a whole number above 0
      sequence_length: 96
      tokens: 46 B                               #! expected a number of tokens such as 50B
      schedule: {shape: cosin, peak: 3.0e-3}     #! Valid values: "constant", "linear", "cosine", "wsd"
    checkpoints: {evry: 500}                     #! Property evry is not allowed
recipes:
  rl:
    - rl:
        grpo:                                    #! Missing property "rollouts"
          task: sums
          num_generations: 8
          prompts_per_rollout: 8
          lora_r: 8                              #! write `lora: {r: ...}` beside `args`
          args:
            learning_rate: fast                  #! expected a number
            output_dir: here                     #! leave it out: results go to the store
            kl_coef: 0.1                         #! verl's name: TRL calls it `beta`
            loss_type: grpoo                     #! Valid values: "grpo", "dr_grpo"
  sft-rl:
    - rl: {from: rl, grpo: {like: rl.rl, rollouts: 5}}
evaluations:
  sums:
    on: {recipes: [rl]}
    pass_at_k: {task: sums, k: 1, num_samples: 4, max_new_tokens: 8}   #! expected a list of whole numbers
"""


def test_every_mistake_is_underlined_in_its_line_with_words_that_help(server: Server) -> None:
    found = messages(server, "mistakes.yaml", MODELINE + MISTAKES)
    wanted = {
        number: line.partition("#! ")[2].strip()
        for number, line in enumerate((MODELINE + MISTAKES).splitlines(), 1)
        if "#!" in line
    }
    assert len(wanted) >= 10
    assert set(found) == set(wanted), found
    wrong = {n: (text, found[n]) for n, text in wanted.items() if not any(text in said for said in found[n])}
    assert not wrong
    assert all(len(said) == 1 for said in found.values()), "one mistake has one message"


@pytest.mark.parametrize("name", sorted(p.parent.name for p in TEMPLATES.glob("*/experiment.yaml")))
def test_a_template_has_nothing_underlined(server: Server, name: str) -> None:
    text = (TEMPLATES / name / "experiment.yaml").read_text(encoding="utf-8")
    assert text.startswith(MODELINE)
    assert server.open(f"{name}.yaml", text) == []


def test_the_profiles_of_a_template_have_nothing_underlined_and_a_slip_has(server: Server) -> None:
    text = (TEMPLATES / "common/profiles.yaml").read_text(encoding="utf-8")
    assert server.open("profiles.yaml", text) == []
    found = messages(server, "profiles.yaml", text.replace("backend: local", "backend: locl", 1))
    assert [said for said in found.values() if "local" in said[0]]


def ask(server: Server, method: str, text: str) -> Any:
    """Ask about the place of the `|` in a text."""
    before, _, after = (MODELINE + text).partition("|")
    server.open("asked.yaml", before + after)
    return server.at(method, "asked.yaml", before.count("\n"), len(before) - before.rfind("\n") - 1)


def offered(server: Server, text: str) -> dict[str, str]:
    """What is offered at the `|`: label -> documentation. A name may be a value, and a key with more."""
    found = ask(server, "completion", text)
    out: dict[str, str] = {}
    written: set[str] = set()
    for item in found["items"] if isinstance(found, dict) else found or []:
        said = item.get("documentation") or ""
        text = item.get("insertText") or item["label"]
        assert text not in written, "offered twice"
        written.add(text)
        out[item["label"]] = said["value"] if isinstance(said, dict) else said
    return out


GRPO = "recipes:\n  rl:\n    - rl:\n        grpo:\n          "
PRETRAIN = "trunks:\n  t:\n    pretrain:\n      "
# Where a person stops typing -> what is offered: labels, each with words of its description ("" for none).
OFFERS: dict[str, tuple[str, dict[str, str]]] = {
    "the sections": ("version: 1\n|\n", {"trunks": "pre-training", "recipes": "", "extends": "files"}),
    "kinds of data": (
        "data:\n  d:\n    |\n",
        {"jsonl": "JSON Lines", "parquet": "", "python": "", "take": ""},
    ),
    "kinds of stages": (
        "recipes:\n  rl:\n    - rl:\n        |\n",
        {"grpo": "reinforcement", "sft": "supervised", "merge": "", "from": "prev"},
    ),
    "keys of grpo": (
        f"{GRPO}task: sums\n          |\n",
        {"num_generations": "completions per prompt", "rollouts": "", "like": "copies"},
    ),
    "args of grpo": (
        f"{GRPO}args:\n            |\n",
        {"beta": "Default: 0.0", "learning_rate": "learning rate"},
    ),
    "a choice of TRL's": (f"{GRPO}args:\n            loss_type: |\n", {"grpo": "", "dapo": ""}),
    "a switch": (f"{GRPO}args:\n            bf16: |\n", {"true": "", "false": ""}),
    "units": (f"{PRETRAIN}tokens: |\n", {"50B": "", "1.5M": ""}),
    "an architecture": (f"{PRETRAIN}model:\n        architecture: |\n", {"llama": "", "olmo2": ""}),
    "fields of an architecture": (
        f"{PRETRAIN}model:\n        architecture: llama\n        |\n",
        {"hidden_size": "4096", "num_attention_heads": ""},
    ),
    "shapes of a schedule": (f"{PRETRAIN}schedule:\n        shape: |\n", {"wsd": "", "cosine": ""}),
    "a schedule of checkpoints": (
        "trunks:\n  t:\n    checkpoints:\n      |\n",
        {"fraction": "fractions", "snap": "", "include": ""},
    ),
    "kinds of evaluations": ("evaluations:\n  e:\n    |\n", {"pass_at_k": "k tries", "bits_per_byte": ""}),
    "figures": ("report:\n  figures:\n    - |\n", {"gains": "", "panels": ""}),
    "findings to accept": ("accept:\n  |\n", {"mid-decay": "warning"}),
}


@pytest.mark.parametrize("place", list(OFFERS))
def test_keys_and_values_are_offered_with_descriptions(server: Server, place: str) -> None:
    text, wanted = OFFERS[place]
    found = offered(server, text)
    assert set(wanted) <= set(found)
    assert {label: found[label] for label, words in wanted.items() if words not in found[label]} == {}


def test_what_stands_elsewhere_is_not_offered(server: Server) -> None:
    found = offered(server, f"{GRPO}args:\n            |\n")
    assert not {"output_dir", "max_steps", "num_generations", "kl_coef", "lora_r"} & set(found)
    assert "lora_r" not in offered(server, f"{GRPO}|\n")


HOVERS = {
    f"{GRPO}ta|sk: sums\n": ["the task that it trains on"],
    f"{GRPO}updates_per_|rollout: 1\n": ["optimizer steps on one rollout", "Default: `1`"],
    f"{GRPO}args:\n            be|ta: 0.1\n": ["KL coefficient", "Default: 0"],
    f"{PRETRAIN}tok|ens: 5B\n": ["length of the run", "50B"],
    "trunks:\n  t:\n    check|points: [1]\n": ["the steps that are kept and branched"],
    "evaluations:\n  e:\n    pass_at_k:\n      top|_p: 1\n": ["likeliest tokens", "Default: `1.0`"],
}


@pytest.mark.parametrize("text", list(HOVERS))
def test_hovering_shows_what_a_key_is_and_its_default(server: Server, text: str) -> None:
    said = ask(server, "hover", text)["contents"]["value"]
    plain = said.replace("\\", "")
    assert [words for words in HOVERS[text] if words not in plain] == []

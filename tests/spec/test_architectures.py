"""Model configs: the committed table, and that what passes the checks can be built."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import orjson
import pytest

from exc.spec.architectures import check_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_committed_table_is_that_of_the_installed_transformers() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "architectures.py"))
    committed = orjson.loads((ROOT / "spec" / "tables" / "architectures.json").read_bytes())
    assert orjson.loads(orjson.dumps(tool["table"]())) == committed


@pytest.mark.slow
def test_what_passes_can_be_built() -> None:
    transformers: Any = pytest.importorskip("transformers")
    table = orjson.loads((ROOT / "spec" / "tables" / "architectures.json").read_bytes())["architectures"]
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 1, "vocab_size": 64}
    more = {"num_key_value_heads": 2, "intermediate_size": 32, "head_dim": 8, "max_position_embeddings": 32}
    more |= {"num_experts": 4, "num_local_experts": 4, "word_embed_proj_dim": 32, "ffn_dim": 32}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    for name, row in table.items():
        given = sizes | {key: value for key, value in more.items() if key in row["fields"]}
        assert check_model({"architecture": name, **given}, 32) == [], name
        config = transformers.CONFIG_MAPPING[name](**given, **special)
        transformers.AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    ("given", "length", "fields"),
    [
        ({"hidden_size": 64, "num_attention_heads": 6}, 8, ["num_attention_heads"]),
        ({"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 3}, 8, ["num_key_value_heads"]),
        ({"hidden_size": 12, "num_attention_heads": 4}, 8, ["num_attention_heads"]),
        ({"max_position_embeddings": 8}, 9, ["max_position_embeddings"]),
        ({"max_position_embeddings": 8}, 8, []),
        ({"rope_theta": 10000, "tie_word_embeddings": True}, 10**6, []),
        (
            {"hidden_size": 0, "hidden_act": 3, "foo": 1, "dtype": "bf16"},
            None,
            ["hidden_size", "hidden_act", "foo", "dtype"],
        ),
    ],
)
def test_fields(given: dict[str, Any], length: int | None, fields: list[str]) -> None:
    assert [problem.field for problem in check_model({"architecture": "llama", **given}, length)] == fields

#!/usr/bin/env python3
"""Makes the tiny models of these tests, and what Hugging Face's transformers says of them.

    pip install transformers==4.46.3 jax==0.4.30 jaxlib==0.4.30 flax==0.8.5 numpy==1.26.4
    python make.py

The weights are random, of a fixed seed, and large enough that a wrong layer shows in the result. The models are computed by the
transformers' own Flax classes and written under the names that their PyTorch classes have, which are those of published models.
"""
import json
import os
import sys
from pathlib import Path

os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    FlaxBertForSequenceClassification,
    FlaxBertModel,
    PreTrainedTokenizerFast,
)

HERE = Path(__file__).parent
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,?!é北海道雪"
WORDS = "the a of to is and refund returns within days snow island query passage where when how late lamp red"
MAX_TOKENS = 24
TEXTS = [
    "Refunds are possible within 30 days.",
    "a",
    "",
    "Where is the snow?",
    "北海道の雪",
    "The red lamp is late, and the returns of the refund are late to the island where the snow is, and how is the lamp?",
    "the lamp",
    "UNBELIEVABLY late!",
]
QUERY = "Where is the red lamp?"


def tokenizer() -> Tokenizer:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokens += list(LETTERS) + ["##" + letter for letter in LETTERS] + [word for word in WORDS.split() if len(word) > 1]
    made = Tokenizer(models.WordPiece({token: index for index, token in enumerate(tokens)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    return made


def config(vocabulary: int, **more) -> BertConfig:
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
        **more,
    )


def randomize(model, seed: int) -> None:
    """Other numbers than a new model has, where layers do little and biases nothing."""
    random = np.random.default_rng(seed)
    flat = flatten_dict(model.params)
    for path in sorted(flat):
        shape = flat[path].shape
        scale = 1.0 if path[-1] == "embedding" else 0.4
        numbers = random.normal(0.0, scale, shape)
        flat[path] = (numbers + (1.0 if path[-1] == "scale" else 0.0)).astype(np.float32)
    model.params = unflatten_dict(flat)


def torch_names(params) -> dict:
    """As the PyTorch classes call them: a kernel is the transposed weight."""
    named = {}
    for path, value in flatten_dict(params).items():
        value = np.asarray(value)
        last = {"kernel": "weight", "embedding": "weight", "scale": "weight"}.get(path[-1], path[-1])
        named[".".join([*path[:-1], last])] = np.ascontiguousarray(value.T if path[-1] == "kernel" else value)
    return named


def write(folder: Path, model, files: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(torch_names(model.params), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer().save(str(folder / "tokenizer.json"), pretty=False)
    settings = model.config.to_dict()
    settings["architectures"] = [type(model).__name__.removeprefix("Flax")]
    for name, content in {"config.json": settings, "tokenizer_config.json": {"model_max_length": MAX_TOKENS}, **files}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def unit(vectors: np.ndarray) -> list:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(float).round(6).tolist()


def embedder(fast: PreTrainedTokenizerFast) -> dict:
    model = FlaxBertModel(config(len(fast)), seed=7, add_pooling_layer=False)
    randomize(model, 7)
    prompts = {"query": "query: ", "passage": "passage: "}
    modules = ["Transformer", "Pooling", "Normalize"]
    write(
        HERE / "bert",
        model,
        {
            "modules.json": [
                {"idx": index, "name": str(index), "path": f"{index}_{kind}" if index else "", "type": f"sentence_transformers.models.{kind}"}
                for index, kind in enumerate(modules)
            ],
            "1_Pooling/config.json": {
                "word_embedding_dimension": 32,
                "pooling_mode_cls_token": False,
                "pooling_mode_mean_tokens": True,
                "pooling_mode_max_tokens": False,
                "pooling_mode_mean_sqrt_len_tokens": False,
            },
            "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
            "config_sentence_transformers.json": {"prompts": prompts, "default_prompt_name": None},
        },
    )
    reference = {}
    for role, prompt in {**prompts, "unknown": ""}.items():
        read = fast([prompt + text for text in TEXTS], padding=True, truncation=True, return_tensors="np")
        hidden = np.asarray(model(**read).last_hidden_state)
        mask = read["attention_mask"][:, :, None]
        reference[role] = {
            "tokens": int(mask.sum()),
            "mean": unit((hidden * mask).sum(1) / mask.sum(1)),
            "cls": unit(hidden[:, 0]),
        }
    return reference


def cross_encoder(fast: PreTrainedTokenizerFast) -> dict:
    model = FlaxBertForSequenceClassification(config(len(fast), num_labels=1), seed=8)
    randomize(model, 8)
    write(HERE / "cross-encoder", model, {})
    read = fast([QUERY] * len(TEXTS), TEXTS, padding=True, truncation=True, return_tensors="np")
    logits = np.asarray(model(**read).logits)[:, 0]
    return {
        "tokens": int(read["attention_mask"].sum()),
        "scores": (1 / (1 + np.exp(-logits.astype(float)))).round(6).tolist(),
    }


def main() -> None:
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=MAX_TOKENS,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    reference = {"texts": TEXTS, "query": QUERY, "embeddings": embedder(fast), "cross_encoder": cross_encoder(fast)}
    (HERE / "reference.json").write_text(json.dumps(reference, ensure_ascii=False) + "\n")
    print(f"made with jax {jax.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()

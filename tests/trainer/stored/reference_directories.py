"""What Transformers says about model directories, for hf_models_test.cc and gguf_models_test.cc.
The argument is a JSON file with a list of requests; the answers are printed as a JSON list.

make KIND DIR         a random model of that kind, saved in DIR
logits DIR IDS        its logits for the ids in the JSON file IDS, one row per id, as JSON
loss DIR IDS N STRIDE mean loss of every id but the first, in windows of N that begin every STRIDE
encode DIR TEXT       ids of the text in the file TEXT, by the directory's tokenizer
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)

SHAPE = dict(vocab_size=257, hidden_size=64, intermediate_size=96, num_hidden_layers=3,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128)
KINDS = {
    "llama": lambda: transformers.LlamaConfig(**SHAPE, tie_word_embeddings=False),
    "llama_tied": lambda: transformers.LlamaConfig(**SHAPE, tie_word_embeddings=True),
    "qwen2": lambda: transformers.Qwen2Config(**SHAPE, tie_word_embeddings=True),
    "qwen3": lambda: transformers.Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=False),
    "phi3": lambda: transformers.Phi3Config(**SHAPE, pad_token_id=0, tie_word_embeddings=False),
    "phi3_long": lambda: transformers.Phi3Config(
        **SHAPE, pad_token_id=0, tie_word_embeddings=False, original_max_position_embeddings=32,
        partial_rotary_factor=0.75, rope_parameters=dict(
            rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
            long_factor=[1.0, 1.5, 2.0, 2.5, 3.0, 4.0])),
    "llama3": lambda: transformers.LlamaConfig(
        **SHAPE, head_dim=64, tie_word_embeddings=True, rope_parameters=dict(
            rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0,
            high_freq_factor=4.0, original_max_position_embeddings=64)),
    "gemma2": lambda: transformers.Gemma2Config(
        **SHAPE, head_dim=16, query_pre_attn_scalar=16, sliding_window=24),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **SHAPE, head_dim=16, query_pre_attn_scalar=16, sliding_window=24),
    "gpt2": lambda: transformers.GPT2Config(vocab_size=257, n_embd=64, n_layer=3, n_head=4,
                                            n_positions=128),
}


def make(kind, directory):
    torch.manual_seed(7)
    config = KINDS[kind]()
    config.eos_token_id = 256
    model = AutoModelForCausalLM.from_config(config).float()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(directory, max_shard_size="100KB")


def load(directory):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


def logits(directory, ids):
    with torch.no_grad():
        return load(directory)(torch.tensor([json.loads(Path(ids).read_text())])).logits[0].tolist()


def loss(directory, ids, length, stride):
    model, ids = load(directory), torch.tensor(json.loads(Path(ids).read_text()))
    total, done = 0.0, 0
    for begin in range(0, len(ids) - 1, stride):
        end = min(begin + length, len(ids) - 1)
        with torch.no_grad():
            rows = model(ids[None, begin:end]).logits[0].log_softmax(-1)
        picked = rows.gather(1, ids[begin + 1:end + 1, None])[:, 0]
        total -= picked[done - begin:].double().sum().item()
        done = end
        if done == len(ids) - 1:
            break
    return total / (len(ids) - 1)


def encode(directory, text):
    return AutoTokenizer.from_pretrained(directory)(Path(text).read_text())["input_ids"]


VERBS = {"make": make, "logits": logits, "loss": loss, "encode": encode}
print(json.dumps([VERBS[verb](*arguments)
                  for verb, *arguments in json.loads(Path(sys.argv[1]).read_text())]))

"""Tiny models in Transformers, for families_test.cc. `make ROOT`: random models of every family,
each a directory as save_pretrained writes it, with ids.json and logits.safetensors beside. `read
ROOT`: loads every directory of ROOT that llmctl wrote and puts logits.safetensors beside. `train
ROOT`: trains each of them on its batches.json and puts losses.json beside."""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

torch.set_num_threads(1)  # tiny models; more threads than idle cores only wait
SHAPE = dict(vocab_size=77, hidden_size=64, intermediate_size=80, num_hidden_layers=3,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
PHI3 = dict(SHAPE, pad_token_id=0, bos_token_id=1, eos_token_id=2)
GPT2 = dict(vocab_size=77, n_embd=64, n_layer=3, n_head=4, n_positions=64)
LENGTH = 24


def rope(kind, **more):
    return dict(rope_type=kind, rope_theta=10000.0, **more)


CASES = {
    "llama": ("Llama", SHAPE),
    "llama_untied_biased": ("Llama", dict(SHAPE, attention_bias=True, mlp_bias=True)),
    "llama_tied": ("Llama", dict(SHAPE, tie_word_embeddings=True, head_dim=20)),
    "llama3_rope": ("Llama", dict(SHAPE, rope_parameters=rope(
        "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=16))),
    "linear_rope": ("Llama", dict(SHAPE, rope_parameters=rope("linear", factor=3.0))),
    "yarn_rope": ("Llama", dict(SHAPE, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=16))),
    "yarn_options": ("Llama", dict(SHAPE, hidden_act="gelu", rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=16, truncate=False, beta_fast=8.0,
        mscale=0.7, mscale_all_dim=0.3))),
    "dynamic_rope": ("Llama", dict(SHAPE, max_position_embeddings=8,
                                   rope_parameters=rope("dynamic", factor=2.0))),
    "mistral": ("Mistral", dict(SHAPE, sliding_window=7)),
    "mistral_odd_heads": ("Mistral", dict(SHAPE, sliding_window=7, head_dim=12)),
    "qwen2": ("Qwen2", SHAPE),
    "qwen2_window": ("Qwen2", dict(SHAPE, use_sliding_window=True, sliding_window=6,
                                   max_window_layers=1)),
    "qwen3": ("Qwen3", dict(SHAPE, head_dim=20)),
    "phi3": ("Phi3", PHI3),
    "phi3_long": ("Phi3", dict(PHI3, original_max_position_embeddings=16,
                               partial_rotary_factor=0.5, rope_parameters=rope(
        "longrope", short_factor=[1.0, 1.1, 1.3, 1.4], long_factor=[1.0, 2.0, 3.5, 4.0]))),
    "phi3_short": ("Phi3", dict(PHI3, original_max_position_embeddings=32,
                                rope_parameters=rope(
        "longrope", short_factor=[1.0, 1.1, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8], long_factor=[9.0] * 8))),
    "phi3_partial": ("Phi3", dict(PHI3, partial_rotary_factor=0.26)),
    "llama_longrope": ("Llama", dict(SHAPE, rope_parameters=rope(
        "longrope", factor=2.0, attention_factor=1.25, original_max_position_embeddings=16,
        short_factor=[1.0] * 8, long_factor=[1.0, 1.1, 1.2, 2.0, 3.0, 4.0, 5.0, 6.0]))),
    "gpt2_erf": ("GPT2", dict(GPT2, activation_function="gelu")),
    "gpt2": ("GPT2", GPT2),
    "gemma2": ("Gemma2", dict(SHAPE, head_dim=16, sliding_window=6, query_pre_attn_scalar=24,
                              attn_logit_softcapping=2.0, final_logit_softcapping=3.0)),
    "gemma3": ("Gemma3Text", dict(SHAPE, head_dim=16, sliding_window=6, query_pre_attn_scalar=24,
                                  layer_types=["sliding_attention", "full_attention"] * 2,
                                  num_hidden_layers=4)),
}


def model_of(family, options):
    config = getattr(transformers, family + "Config")(**options)
    config._attn_implementation = "eager"
    return transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")


def save_logits(model, ids, directory):
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0].float().contiguous()
    save_file({"logits": logits}, directory / "logits.safetensors")


def make(root):
    for number, (name, (family, options)) in enumerate(CASES.items()):
        torch.manual_seed(number)
        model = model_of(family, options).float().eval()
        with torch.no_grad():
            for parameter in model.parameters():  # none at its start: zeros and ones hide mistakes
                parameter.add_(torch.randn_like(parameter) * 0.1)
        model.save_pretrained(root / name)
        ids = torch.randint(0, 77, (LENGTH,)).tolist()
        (root / name / "ids.json").write_text(json.dumps(ids))
        save_logits(model, ids, root / name)


def load(directory):
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        directory, attn_implementation="eager", output_loading_info=True)
    wrong = {key: value for key, value in info.items() if value}
    if wrong:
        sys.exit(f"{directory.name}: {wrong}")
    return model.float().eval()  # no dropout


def read(root):
    for directory in sorted(root.iterdir()):
        save_logits(load(directory), json.loads((directory / "ids.json").read_text()), directory)


def losses_of(model, batches):
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": 0.1},
         {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}],
        lr=3e-3, betas=(0.9, 0.95), eps=1e-8)
    for ids, labels in batches:
        optimizer.zero_grad()
        logits = model(torch.tensor(ids).view(-1, LENGTH), use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(labels))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield loss.item()


def train(root):
    for directory in sorted(root.iterdir()):
        batches = json.loads((directory / "batches.json").read_text())
        losses = list(losses_of(load(directory), batches))
        (directory / "losses.json").write_text(json.dumps(losses))


{"make": make, "read": read, "train": train}[sys.argv[1]](Path(sys.argv[2]))

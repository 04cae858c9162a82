"""The same decoder in plain PyTorch: reads weights and token ids, trains with autograd and
torch.optim.AdamW, prints one loss per step. Called by losses_test.cc."""

import json
import struct
import sys
from pathlib import Path

import torch
from torch.nn import functional as F


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    body = bytearray(data[8 + length:])
    return {name: torch.frombuffer(body, dtype=torch.float32, offset=t["data_offsets"][0],
                                   count=(t["data_offsets"][1] - t["data_offsets"][0]) // 4)
            .reshape(t["shape"]).clone().requires_grad_() for name, t in header.items()}


def rotate(x, theta):
    length, dim = x.shape[-2:]
    angle = torch.outer(torch.arange(length), theta ** (-torch.arange(0, dim, 2) / dim))
    a, b = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def loss_of(w, c, ids, labels):
    def norm(x, name):
        return F.rms_norm(x, x.shape[-1:], w[name + ".weight"], c["eps"])

    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["layers"]):
        name = f"model.layers.{i}."
        h = norm(x, name + "input_layernorm")
        q, k, v = (F.linear(h, w[f"{name}self_attn.{p}_proj.weight"])
                   .unflatten(-1, (-1, c["head_dim"])).transpose(1, 2) for p in "qkv")
        a = F.scaled_dot_product_attention(rotate(q, c["theta"]), rotate(k, c["theta"]), v,
                                           is_causal=True, enable_gqa=True)
        x = x + F.linear(a.transpose(1, 2).flatten(2), w[name + "self_attn.o_proj.weight"])
        h = norm(x, name + "post_attention_layernorm")
        gate, up = (F.linear(h, w[f"{name}mlp.{p}_proj.weight"]) for p in ("gate", "up"))
        x = x + F.linear(F.silu(gate) * up, w[name + "mlp.down_proj.weight"])
    head = w.get("lm_head.weight", w["model.embed_tokens.weight"])
    logits = F.linear(norm(x, "model.norm"), head)
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def main():
    directory = Path(sys.argv[1])
    c = json.loads((directory / "case.json").read_text())
    w = read_safetensors(directory / "weights.safetensors")
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in w.values() if p.dim() == 2], "weight_decay": c["weight_decay"]},
         {"params": [p for p in w.values() if p.dim() == 1], "weight_decay": 0.0}],
        lr=c["lr"], betas=(0.9, 0.95), eps=1e-8)
    for ids, labels in c["batches"]:
        optimizer.zero_grad()
        loss = loss_of(w, c, torch.tensor(ids).view(-1, c["length"]),
                       torch.tensor(labels).view(-1, c["length"]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(w.values()), c["max_grad_norm"])
        optimizer.step()
        print(f"{loss.item():.9g}", flush=True)


main()

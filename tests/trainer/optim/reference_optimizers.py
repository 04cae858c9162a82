"""A hundred updates with PyTorch's and bitsandbytes' optimizers, for optimizers_test.cc.

Reads DIR/case.json (slots, hyperparameters) and DIR/numbers.bin (fp32: the weights, then the
gradient of every step, each as one flat buffer); writes DIR/<optimizer>.bin: the weights after."""
import json
import sys
import types

import numpy
import torch

torch.set_num_threads(1)  # small tensors; more threads only wait where the machine is busy

FOLDER = sys.argv[1]
CASE = json.load(open(FOLDER + "/case.json"))
NUMBERS = torch.from_numpy(numpy.fromfile(FOLDER + "/numbers.bin", dtype=numpy.float32))
NUMBERS = NUMBERS.view(CASE["steps"] + 1, -1)
LR, BETAS, EPS, DECAY = CASE["lr"], tuple(CASE["betas"]), CASE["eps"], CASE["weight_decay"]


def views(flat):
    return [flat[s["offset"]:s["offset"] + s["elements"]].view(s["shape"]) for s in CASE["slots"]]


def groups(parameters, chosen=lambda slot: True):
    """Two: those that decay and those that do not."""
    both = [{"params": [], "weight_decay": DECAY}, {"params": [], "weight_decay": 0.0}]
    for parameter, slot in zip(parameters, CASE["slots"]):
        if chosen(slot):
            both[0 if slot["decays"] else 1]["params"].append(parameter)
    return [group for group in both if group["params"]]


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of arXiv 2302.06675, word by word."""

    def __init__(self, groups):
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = BETAS[0] * m + (1 - BETAS[0]) * p.grad
                p -= LR * (torch.sign(c) + group["weight_decay"] * p)
                m.copy_(BETAS[1] * m + (1 - BETAS[1]) * p.grad)


class RoundedAdamW(torch.optim.AdamW):
    """PyTorch's, with the moments rounded to bf16 between two steps."""

    def step(self):
        super().step()
        for state in self.state.values():
            for moment in ("exp_avg", "exp_avg_sq"):
                state[moment].copy_(state[moment].bfloat16())


def adamw(parameters, kind=torch.optim.AdamW, chosen=lambda slot: True):
    return kind(groups(parameters, chosen), lr=LR, betas=BETAS, eps=EPS)


def nearest_codes(numbers, code, largest, codes, block):
    """What bitsandbytes' fallback and its CUDA kernels do. Its CPU kernel looks codes up by the
    upper bits of a number, which is coarse for small ones."""
    blocks = torch.nn.functional.pad(numbers.flatten(), (0, -numbers.numel() % block))
    blocks = blocks.view(-1, block)
    largest.copy_(blocks.abs().amax(1))
    shares = (blocks / largest.unsqueeze(1)).flatten()[:numbers.numel()]
    codes.copy_(torch.bucketize(shares, (code[1:] + code[:-1]) / 2).view(codes.shape))


def adamw_8bit(parameters):
    import bitsandbytes
    import bitsandbytes.backends.cpu.ops as cpu
    cpu._quant_blockwise_fp32_direct = nearest_codes
    return bitsandbytes.optim.AdamW8bit(groups(parameters), lr=LR, betas=BETAS, eps=EPS)


def muon(parameters):
    matrix = lambda slot: slot["muon"]
    inner = torch.optim.Muon(groups(parameters, matrix), lr=LR, momentum=CASE["momentum"],
                             adjust_lr_fn="match_rms_adamw")
    outer = adamw(parameters, chosen=lambda slot: not matrix(slot))
    return types.SimpleNamespace(step=lambda: (inner.step(), outer.step()))


def run(name, make):
    flat = NUMBERS[0].clone()
    parameters = [torch.nn.Parameter(view) for view in views(flat)]
    optimizer = make(parameters)
    for step in range(CASE["steps"]):
        for parameter, gradient in zip(parameters, views(NUMBERS[step + 1])):
            parameter.grad = gradient.clone()
        optimizer.step()
    for view, parameter in zip(views(flat), parameters):
        view.copy_(parameter.detach())
    flat.numpy().tofile(f"{FOLDER}/{name}.bin")


run("adamw", adamw)
run("adamw_bf16", lambda parameters: adamw(parameters, RoundedAdamW))
run("adamw_8bit", adamw_8bit)
run("adafactor", lambda parameters: torch.optim.Adafactor(groups(parameters), lr=LR))
run("lion", lambda parameters: Lion(groups(parameters)))
run("muon_bf16", muon)
# PyTorch's products are in bf16 everywhere; on the CPU ours are in fp32.
torch.Tensor.bfloat16 = lambda tensor: tensor.clone()
run("muon", muon)
import bitsandbytes.functional as F  # noqa: E402: after everything that needs torch alone
for name, signed in (("signed", True), ("unsigned", False)):
    F.create_dynamic_map(signed).numpy().tofile(f"{FOLDER}/{name}_map.bin")

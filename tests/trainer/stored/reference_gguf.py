"""What PyPI's gguf says about our files, for gguf_models_test.cc. The argument is a JSON file with
a list of requests; the answers are printed as a JSON list.

blocks FILE SOURCE  every tensor of FILE beside the fp32 tensor of that name in the safetensors file
                    SOURCE: for types that gguf quantizes itself, whether the bytes are equal; for
                    K-quants, the weighted root mean square error of ours and of the classic search
random FILE         makes FILE with a tensor of random bytes of every type; their names
dequantize FILE OUT every tensor of FILE in fp32, as a safetensors file OUT
model FILE DIR      tensors of FILE beside those of the Transformers model in DIR, by gguf's own
                    table of names and its converter's conventions; and the keys of FILE
"""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import load_file


def value_of(field):
    if field.types[0] == gguf.GGUFValueType.ARRAY:
        texts = field.types[-1] == gguf.GGUFValueType.STRING
        return [bytes(field.parts[i]).decode() if texts else field.parts[i][0].item()
                for i in field.data]
    part = field.parts[field.data[0]]
    return bytes(part).decode() if field.types[0] == gguf.GGUFValueType.STRING else part[0].item()


def values_of(tensor):
    data = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    return data.reshape([int(n) for n in reversed(tensor.shape)])


def away_from_zero(x):
    return np.trunc(x + np.copysign(0.5, x))


def classic_q4_k(x):
    """Per 32 values: 21 guesses of the scale, each improved once by weighted least squares; then
    6-bit scales and offsets against the largest of their 256 values. Returns what is read back."""
    x = x.reshape(-1, 32).astype(np.float64)
    w = np.sqrt((x * x).mean(1, keepdims=True)) + np.abs(x)
    low, high = np.minimum(x.min(1, keepdims=True), 0), x.max(1, keepdims=True)
    span = np.where(high > low, high - low, 1)

    def steps(inverse):
        return np.clip(away_from_zero(inverse * (x - low)), 0, 15)

    def error(scale, offset, q):
        return (w * (scale * q - offset - x) ** 2).sum(1, keepdims=True)

    scale, offset = span / 15, -low
    best = error(scale, offset, steps(15 / span))
    for i in range(21):
        q = steps((-1 + 0.1 * i + 15) / span)
        sw, swq, swqq = (np.sum(v, 1, keepdims=True) for v in (w, w * q, w * q * q))
        swx, swqx = (np.sum(v, 1, keepdims=True) for v in (w * x, w * q * x))
        determinant = sw * swqq - swq * swq
        safe = np.where(determinant > 0, determinant, 1)
        s, o = (sw * swqx - swq * swx) / safe, (swq * swqx - swqq * swx) / safe
        s = np.where(o < 0, swqx / np.where(swqq > 0, swqq, 1), s)
        o = np.maximum(o, 0)
        e = error(s, o, q)
        better = (determinant > 0) & (e < best)
        best, scale = np.where(better, e, best), np.where(better, s, scale)
        offset = np.where(better, o, offset)

    def six_bits(v):
        v = v.reshape(-1, 8)
        most = v.max(1, keepdims=True)
        whole = np.minimum(away_from_zero(63 / np.where(most > 0, most, 1) * v), 63)
        return ((most / 63).astype(np.float16).astype(np.float64) * whole).reshape(-1, 1)

    d, m = six_bits(scale), six_bits(offset)
    q = np.clip(away_from_zero((x + m) / np.where(d > 0, d, 1)), 0, 15) * (d > 0)
    return (d * q - m).ravel(), w.ravel()


def classic_q6_k(x):
    """Per 16 values: 19 guesses of the scale, each improved once, errors weighing by the square of
    the value; then 8-bit scales against the largest of their 256 values."""
    x = x.reshape(-1, 16).astype(np.float64)
    w = x * x
    most = np.take_along_axis(x, np.abs(x).argmax(1)[:, None], 1)
    safe = np.where(most != 0, most, 1)
    scale, best = np.zeros_like(safe), np.full_like(safe, -1)
    for i in range(-9, 10):
        q = np.clip(away_from_zero(-(32 + 0.1 * i) / safe * x), -32, 31)
        dot, norm = (w * x * q).sum(1, keepdims=True), (w * q * q).sum(1, keepdims=True)
        gain = np.where(norm > 0, dot * dot / np.where(norm > 0, norm, 1), 0)
        scale = np.where(gain > best, dot / np.where(norm > 0, norm, 1), scale)
        best = np.maximum(gain, best)
    scales = scale.reshape(-1, 16)
    largest = np.take_along_axis(scales, np.abs(scales).argmax(1)[:, None], 1)
    unit = np.where(largest != 0, largest, 1) / -128
    whole = np.minimum(away_from_zero(scales / unit), 127)
    d = (unit.astype(np.float16).astype(np.float64) * whole).reshape(-1, 1)
    q = np.clip(away_from_zero(x / np.where(d != 0, d, 1)), -32, 31)
    return (d * q).ravel(), w.ravel()


def blocks(file, source):
    source, out = load_file(source), {}
    for tensor in gguf.GGUFReader(file).tensors:
        wanted, kind = source[tensor.name], tensor.tensor_type
        if kind in (Type.Q4_K, Type.Q6_K):
            theirs, w = (classic_q4_k if kind == Type.Q4_K else classic_q6_k)(wanted)
            ours = values_of(tensor).ravel()

            def error(got):
                return float(np.sqrt((w * (got - wanted.ravel()) ** 2).sum() / w.sum()))

            out[tensor.name] = {"type": kind.name, "ours": error(ours), "classic": error(theirs)}
        else:
            same = gguf.quants.quantize(wanted, kind).tobytes() == tensor.data.tobytes()
            out[tensor.name] = {"type": kind.name, "equal": same}
    return out


def interleaved(weight, heads):
    return (weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
            .swapaxes(1, 2).reshape(weight.shape))


def converted(name, weight, config):
    if config.model_type in ("llama", "mistral"):
        if ".q_proj." in name:
            return interleaved(weight, config.num_attention_heads)
        if ".k_proj." in name:
            return interleaved(weight, config.num_key_value_heads)
    if config.model_type == "gpt2" and weight.ndim == 2 and ".h." in name:
        return weight.T
    if config.model_type.startswith("gemma") and name.endswith("norm.weight"):
        return weight + 1
    return weight


def factors(config):
    """What the angles of each pair are divided by, by name of the tensor that says so."""
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":
        return {f"rope_factors_{kind}.weight": rope[f"{kind}_factor"] for kind in ("short", "long")}
    if rope.get("rope_type") == "llama3":
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
        angles, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
        plain = rope["rope_theta"] ** -(np.arange(len(angles)) / len(angles))
        return {"rope_freqs.weight": plain / angles.numpy()}
    return {}


def dequantize(file, out):
    from safetensors.numpy import save_file
    save_file({t.name: np.ascontiguousarray(values_of(t).astype(np.float32))
               for t in gguf.GGUFReader(file).tensors}, out)


def random(file):
    """A file with a tensor of random bytes of every type, which have every scale there is, and keys
    of kinds that our own files do not have."""
    names = ("Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS IQ3_S IQ3_XXS IQ2_S "
             "IQ2_XS IQ2_XXS IQ1_M IQ1_S TQ2_0 TQ1_0 MXFP4").split()
    writer, draw = gguf.GGUFWriter(file, "llama"), np.random.default_rng(1)
    for name in names:
        elements, size = gguf.GGML_QUANT_SIZES[Type[name]]
        shape = (60, 512 // elements * size)
        writer.add_tensor(name.lower(), draw.integers(0, 256, shape, np.uint8),
                          raw_dtype=Type[name])
    writer.add_array("some.flags", [True, False, True])
    writer.add_array("some.bytes", bytes([7, 255]))
    for kind, values in (("INT8", [-3, 4]), ("UINT16", [65535]), ("INT64", [-5, 2**31 - 1]),
                         ("FLOAT64", [0.5, -2.25])):
        writer.add_key_value(f"some.{kind.lower()}", values, gguf.GGUFValueType.ARRAY,
                             gguf.GGUFValueType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return names


def model(file, directory):
    import transformers
    reader = gguf.GGUFReader(file)
    keys = {name: value_of(field) for name, field in reader.fields.items()}
    theirs = transformers.AutoModelForCausalLM.from_pretrained(directory)
    architecture = next(a for a, n in gguf.MODEL_ARCH_NAMES.items()
                        if n == keys["general.architecture"])
    names = gguf.get_tensor_name_map(architecture, theirs.config.num_hidden_layers)
    ours, wrong = {t.name: values_of(t) for t in reader.tensors}, []
    for name, weight in theirs.state_dict().items():
        if name == "lm_head.weight" and theirs.config.tie_word_embeddings:
            continue
        called = names.get_name(name, try_suffixes=(".weight", ".bias"))
        wanted = converted(name, weight.numpy(), theirs.config)
        if called not in ours or not np.array_equal(ours.pop(called), wanted):
            wrong.append(f"{name} as {called}")
    for name, wanted in factors(theirs.config).items():
        if name not in ours or not np.allclose(ours.pop(name), wanted, rtol=1e-6):
            wrong.append(name)
    return {"wrong": wrong, "unexplained": list(ours), "keys": keys}


VERBS = {"blocks": blocks, "model": model, "dequantize": dequantize, "random": random}
print(json.dumps([VERBS[verb](*arguments)
                  for verb, *arguments in json.loads(Path(sys.argv[1]).read_text())]))

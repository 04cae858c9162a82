#include "trainer/ops/linear.h"

#include <algorithm>

#include "trainer/ops/cpu/cpu_gemm.h"

namespace llmctl {

static bool is_wide(const at::Tensor& t) {
  return t.scalar_type() == at::kFloat;
}

// The tensor itself when it is fp32 already.
static at::Tensor widened(const at::Tensor& t) {
  return t.to(at::kFloat);
}

// Whether the device multiplies this type faster than fp32: a GPU both 16-bit ones, a CPU only
// bf16, and only where it has instructions for it; elsewhere LibTorch is a hundred times slower.
static bool is_fast(const at::Tensor& t) {
  if (is_wide(t) || !t.is_cpu()) return true;
#if defined(__x86_64__)
  static const bool has_bf16 = __builtin_cpu_supports("avx512bf16") != 0;
  return has_bf16 && t.scalar_type() == at::kBFloat16;
#else
  return false;
#endif
}

// out (+)= a b, all of fp32.
static void multiply_wide(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add) {
  if (cpu_gemm::multiply(out, a, b, add)) return;
  if (add) {
    at::addmm_out(out, out, a, b);
  } else {
    at::mm_out(out, a, b);
  }
}

static at::Tensor wide_product(const at::Tensor& a, const at::Tensor& b) {
  at::Tensor out = at::empty({a.size(0), b.size(1)}, a.options());
  multiply_wide(out, a, b, /*add=*/false);
  return out;
}

// Elements of 16-bit weights that are widened at a time: on a CPU few enough for the cache, and no
// less than the activations; a GPU needs large products.
static int64_t widened_at_a_time(const at::Tensor& a) {
  return a.is_cpu() ? std::max<int64_t>(1 << 20, a.numel()) : 1 << 26;
}

// out = a b for fp32 rows and weights b^T [n, k] of 16 bits, some of their rows at a time.
static void multiply_widening(at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  const int64_t columns = b.size(1);
  const int64_t piece = std::max<int64_t>(1, widened_at_a_time(a) / b.size(0));
  for (int64_t first = 0; first < columns; first += piece) {
    const int64_t size = std::min(piece, columns - first);
    at::Tensor part = out.narrow(1, first, size);
    multiply_wide(part, a, widened(b.narrow(1, first, size)), /*add=*/false);
  }
}

at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
  if (is_wide(a) && !is_wide(b)) {
    at::Tensor out = at::empty({a.size(0), b.size(1)}, a.options());
    multiply_widening(out, a, b);
    return out;
  }
  if (is_wide(a)) return wide_product(a, b);
  if (is_fast(a)) return at::mm(a, b);
  return wide_product(widened(a), widened(b)).to(a.scalar_type());
}

void product_into(at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  if (is_wide(a) && !is_wide(b)) return multiply_widening(out, a, b);
  const bool rounds = is_wide(out) != is_wide(a);
  if (is_wide(out) && out.is_cpu()) {
    multiply_wide(out, widened(a), widened(b), /*add=*/false);
  } else if (!rounds && is_fast(a)) {
    at::mm_out(out, a, b);
  } else if (is_wide(out)) {
    at::mm_out(out, a, b, at::kFloat);
  } else {
    out.copy_(wide_product(widened(a), widened(b)));
  }
}

void add_product(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b) {
  if (is_wide(a) || !is_fast(a)) {
    multiply_wide(sum, widened(a), widened(b), /*add=*/true);
  } else if (sum.is_cpu()) {
    sum.add_(at::mm(a, b));
  } else {
    at::addmm_out(sum, sum, a, b, at::kFloat);  // no product of its own beside the sum
  }
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  if (!w_.bias.defined()) return product(x, w_.weight.t());
  const bool mixed = is_wide(x) != is_wide(w_.weight);
  if (mixed || !is_fast(x)) return product(x, w_.weight.t()).add_(w_.bias);
  // In one pass LibTorch adds only a bias of the product's type, and rounds the sum once: as exact
  // as adding fp32 to a product that was rounded already.
  if (!x.is_cpu() || !is_wide(x)) {
    return at::addmm(w_.bias.to(x.scalar_type()), x, w_.weight.t());
  }
  at::Tensor y = w_.bias.repeat({x.size(0), 1});
  add_product(y, x, w_.weight.t());
  return y;
}

}  // namespace llmctl

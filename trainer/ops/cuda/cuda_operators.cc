#include "trainer/ops/cuda/cuda_operators.h"

#include <algorithm>

#include "trainer/ops/cuda/kernels/loss_rows.h"
#include "trainer/ops/cuda/kernels/mlp_elements.h"
#include "trainer/ops/cuda/kernels/norm_rows.h"
#include "trainer/ops/cuda/kernels/rotary_elements.h"
#include "trainer/ops/cuda/run_kernel.h"

namespace llmctl::own {
namespace {

kernels::Angles angles_of(const RotaryTable& table) {
  return {from<float>(table.cosine), from<float>(table.sine)};
}

}  // namespace

Normed rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w, double eps) {
  const int64_t rows = x.size(0), width = x.size(1);
  Normed out = {at::empty_like(x), at::empty({rows}, x.options().dtype(at::kFloat))};
  with_number(x.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    const Number* added = delta.defined() ? from<Number>(delta) : nullptr;
    run_rows(x,
             kernels::RmsNorm<Number>{to<Number>(x), added, from<Number>(w), to<Number>(out.y),
                                      to<float>(out.statistics), width, static_cast<float>(eps)},
             rows, width);
  });
  return out;
}

at::Tensor rms_norm_again(const at::Tensor& x, const at::Tensor& statistics, const at::Tensor& w) {
  at::Tensor y = at::empty_like(x);
  with_number(x.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    run_rows(x,
             kernels::RmsNormAgain<Number>{from<Number>(x), from<float>(statistics),
                                           from<Number>(w), to<Number>(y), x.size(1)},
             x.size(0), x.size(1));
  });
  return y;
}

void rms_norm_backward(const at::Tensor& dy,
                       const at::Tensor& x,
                       const at::Tensor& statistics,
                       const at::Tensor& w,
                       at::Tensor& dx,
                       at::Tensor& dw) {
  constexpr int64_t kMostParts = 512;
  const int64_t rows = x.size(0), width = x.size(1), parts = std::min(rows, kMostParts);
  const at::Tensor sums = at::zeros({parts, width}, x.options().dtype(at::kFloat));
  with_number(x.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    run_rows(x,
             kernels::RmsNormBackward<Number>{from<Number>(dy), from<Number>(x),
                                              from<float>(statistics), from<Number>(w),
                                              to<Number>(dx), to<float>(sums), rows, width, parts},
             parts, width);
  });
  run_elements(x, kernels::AddParts{from<float>(sums), to<float>(dw), width, parts}, width);
}

static kernels::Function function_of(MlpActivation kind) {
  if (kind == MlpActivation::swiglu) return kernels::Function::silu;
  const bool erf = formula_of(kind) == GeluFormula::erf;
  return erf ? kernels::Function::erf_gelu : kernels::Function::gelu;
}

at::Tensor activate(MlpActivation kind, const at::Tensor& up) {
  const bool gated = is_gated(kind);
  const kernels::Function function = function_of(kind);
  const int64_t width = gated ? up.size(1) / 2 : up.size(1);
  at::Tensor a = at::empty({up.size(0), width}, up.options());
  with_number(up.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    const Number* in = from<Number>(up);
    if (!gated) {
      return run_elements(up, kernels::Gelu<Number>{in, to<Number>(a), function}, a.numel());
    }
    run_elements(up, kernels::Glu<Number>{in, to<Number>(a), width, function}, a.numel());
  });
  return a;
}

void activate_backward(MlpActivation kind, at::Tensor& up, const at::Tensor& da) {
  const kernels::Function function = function_of(kind);
  with_number(up.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    Number* rows = to<Number>(up);
    const Number* grad = from<Number>(da);
    if (!is_gated(kind)) {
      return run_elements(up, kernels::GeluBackward<Number>{rows, grad, function}, da.numel());
    }
    run_elements(up, kernels::GluBackward<Number>{rows, grad, da.size(1), function}, da.numel());
  });
}

void rotate(at::Tensor& qkv,
            const AttentionShape& s,
            const RotaryTable& table,
            int64_t first_position) {
  const int64_t half = table.pairs(), turned = s.heads + s.kv_heads;
  with_number(qkv.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    run_elements(qkv,
                 kernels::Rotate<Number>{to<Number>(qkv), angles_of(table), s.sequence,
                                         first_position, s.row(), turned, s.head_dim, half},
                 qkv.size(0) * turned * half);
  });
}

void rotate_back(const AttentionGradient& grad,
                 const AttentionShape& s,
                 const RotaryTable& table,
                 at::Tensor& dqkv) {
  const at::ScalarType type = dqkv.scalar_type();
  const at::Tensor q = grad.q.to(type), k = grad.k.to(type), v = grad.v.to(type);
  with_number(type, [&](auto number) {
    using Number = decltype(number);
    const auto heads = [](const at::Tensor& t) {
      CHECK(t.stride(3) == 1);
      return kernels::HeadGradient<Number>{t.const_data_ptr<Number>(), t.stride(0), t.stride(1),
                                           t.stride(2)};
    };
    run_elements(dqkv,
                 kernels::RotateBack<Number>{heads(q), heads(k), heads(v), to<Number>(dqkv),
                                             angles_of(table), s.sequence, s.heads, s.kv_heads,
                                             s.head_dim, table.pairs()},
                 dqkv.size(0) * (s.heads + 2 * s.kv_heads) * (s.head_dim / 2));
  });
}

void cross_entropy(at::Tensor& logits,
                   const at::Tensor& labels,
                   std::optional<double> scale,
                   at::Tensor& total) {
  const int64_t rows = logits.size(0), width = logits.size(1);
  const at::Tensor losses = at::empty({rows}, total.options());
  run_rows(logits,
           kernels::CrossEntropy{to<float>(logits), from<int32_t>(labels), to<double>(losses),
                                 width, static_cast<float>(scale.value_or(0)), scale.has_value()},
           rows, width);
  total.add_(losses.sum());
}

}  // namespace llmctl::own

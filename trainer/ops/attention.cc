#include "trainer/ops/attention.h"

#include "trainer/ops/cpu/operators.h"
#include "trainer/ops/cuda/operators.h"
#include "trainer/ops/reference/operators.h"

namespace llmctl {
namespace {

const Attention& form_for(const at::Tensor& qkv,
                          const AttentionShape& shape,
                          const AttentionRule& rule) {
  if (cuda::attention.takes(qkv, shape, rule)) return cuda::attention;
  if (cpu::attention.takes(qkv, shape, rule)) return cpu::attention;
  return reference::attention;
}

// A CPU computes attention in fp32, whatever the type of the rows.
bool needs_widening(const at::Tensor& qkv) {
  return qkv.is_cpu() && qkv.scalar_type() != at::kFloat;
}

}  // namespace

AttentionSaved attention(const at::Tensor& qkv,
                         const AttentionShape& shape,
                         const AttentionRule& rule) {
  if (needs_widening(qkv)) {
    AttentionSaved saved = attention(qkv.to(at::kFloat), shape, rule);
    saved.out = saved.out.to(qkv.scalar_type());
    return saved;
  }
  return form_for(qkv, shape, rule).forward(qkv, shape, rule);
}

AttentionGradient attention_backward(const at::Tensor& dout,
                                     const at::Tensor& qkv,
                                     const AttentionSaved& saved,
                                     const AttentionShape& shape,
                                     const AttentionRule& rule) {
  if (needs_widening(qkv)) {
    const AttentionSaved wide = {saved.out.to(at::kFloat), saved.weights};
    return attention_backward(dout.to(at::kFloat), qkv.to(at::kFloat), wide, shape, rule);
  }
  return form_for(qkv, shape, rule).backward(dout, qkv, saved, shape, rule);
}

}  // namespace llmctl

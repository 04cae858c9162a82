#include "trainer/ops/attention.h"

#include "trainer/ops/cpu/attention.h"
#include "trainer/ops/cuda/flash_attention.h"
#include "trainer/ops/reference/attention.h"

namespace llmctl {
namespace {

struct Form {
  decltype(&reference::attention) forward;
  decltype(&reference::attention_backward) backward;
};

Form form_for(const at::Tensor& qkv, const AttentionShape& shape, const AttentionRule& rule) {
  if (cuda::takes_flash_attention(qkv, shape, rule)) {
    return {cuda::flash_attention, cuda::flash_attention_backward};
  }
  if (cpu::takes_attention(qkv, shape, rule)) return {cpu::attention, cpu::attention_backward};
  return {reference::attention, reference::attention_backward};
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

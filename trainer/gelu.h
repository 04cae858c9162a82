// GELU by its tanh formula (Hendrycks & Gimpel, arXiv 1606.08415), plain and as the gate of GeGLU
// (Shazeer, arXiv 2002.05202): a = gelu(g) * u, g and u side by side in one row. As swiglu.h in
// everything else.
#pragma once

#include "trainer/tensor.h"

namespace llmctl {

at::Tensor gelu(const at::Tensor& up);                     // [T, I] -> [T, I]
void gelu_backward(at::Tensor& up, const at::Tensor& da);  // up becomes its gradient
at::Tensor geglu(const at::Tensor& gate_up);               // [T, 2I] -> [T, I]
void geglu_backward(at::Tensor& gate_up, const at::Tensor& da);

}  // namespace llmctl

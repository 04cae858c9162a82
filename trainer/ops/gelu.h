// GELU (Hendrycks & Gimpel, arXiv 1606.08415) by its tanh formula or by the error function, plain
// and as the gate of GeGLU (Shazeer, arXiv 2002.05202): a = gelu(g) * u, g and u side by side in
// one row. As swiglu.h in everything else.
#pragma once

#include "trainer/device/tensor.h"

namespace llmctl {

enum class GeluFormula { tanh, erf };

at::Tensor gelu(const at::Tensor& up, GeluFormula formula);  // [T, I] -> [T, I]
// up becomes its gradient
void gelu_backward(at::Tensor& up, const at::Tensor& da, GeluFormula formula);
at::Tensor geglu(const at::Tensor& gate_up, GeluFormula formula);  // [T, 2I] -> [T, I]
void geglu_backward(at::Tensor& gate_up, const at::Tensor& da, GeluFormula formula);

}  // namespace llmctl

// fp32 matrix products on a CPU by kernels of our own (small_product.h), where they are faster than
// LibTorch's MKL: on AMD. Operands are packed block by block, as Goto and van de Geijn describe
// ("Anatomy of High-Performance Matrix Multiplication", 2008): panels of b for all threads, rows of
// a by the thread that multiplies them. Every sum has one order, whatever the number of threads and
// whether b was packed before: a result is the same to the bit. Any thread.
#pragma once

#include <string>
#include <vector>

#include "trainer/device/tensor.h"

namespace llmctl::cpu_gemm {

// Whose products of many rows and columns are taken here: "llmctl" or "LibTorch".
std::string name();

// out (+)= a b. False: not for us (another type, device or layout; too few rows or columns to be
// worth packing; LibTorch is faster on this CPU), and nothing was done.
bool multiply(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add);

// Weights [out, in] that many products share until they change, packed once for all of them: as the
// right operand of x W^T and of dy W, so in twice their bytes. Owned by whoever owns the weights.
class PackedWeights {
 public:
  explicit PackedWeights(const std::vector<at::Tensor>& weights);  // packs nothing yet
  void forget();  // they changed: each is packed anew by the next product that needs it
  const float* panels_of(const at::Tensor& b);  // nullptr: b is none of them

  // While it lives, this thread's products use panels of `weights`; nullptr: they pack their own.
  class Use {
   public:
    explicit Use(PackedWeights* weights);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    PackedWeights* before_;
  };

 private:
  struct Packed {
    at::Tensor b, panels;
    bool current;
  };
  std::vector<Packed> packed_;
};

}  // namespace llmctl::cpu_gemm

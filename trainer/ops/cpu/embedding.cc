#include "trainer/ops/cpu/operators.h"

#include <cstring>

#include "trainer/ops/cpu/simd.h"

namespace llmctl::cpu {
namespace {

constexpr int64_t kColumnGrain = 64;  // floats: whole cache lines for each thread

at::Tensor forward(const at::Tensor& ids, const at::Tensor& table) {
  const int64_t tokens = ids.size(0), width = table.size(1);
  at::Tensor out = at::empty({tokens, width}, table.options());
  const auto* id = ids.const_data_ptr<int32_t>();
  const auto* from = table.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>();
  const size_t row_bytes = static_cast<size_t>(width) * sizeof(float);
  for (int64_t t = 0; t < tokens; ++t) {
    std::memcpy(to + t * width, from + id[t] * width, row_bytes);
  }
  return out;
}

void backward(const at::Tensor& ids, const at::Tensor& dx, at::Tensor& dtable) {
  const int64_t tokens = ids.size(0), width = dtable.size(1);
  const auto* id = ids.const_data_ptr<int32_t>();
  const auto* from = dx.const_data_ptr<float>();
  float* to = dtable.mutable_data_ptr<float>();
  at::parallel_for(0, width, kColumnGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < tokens; ++t) {
      add_row(to + id[t] * width + begin, from + t * width + begin, end - begin);
    }
  });
}

}  // namespace

const Embedding embedding = {forward, backward};

}  // namespace llmctl::cpu

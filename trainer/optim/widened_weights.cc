#include "trainer/optim/widened_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "core/training/optimizer_facts.h"
#include "trainer/device/device_memory.h"
#include "trainer/files/content_hash.h"
#include "trainer/ops/cpu/simd.h"
#include "trainer/optim/reference_updates.h"

namespace llmctl {
namespace {

constexpr int64_t kPart = 1 << 16;  // elements of one thread's turn

// A 32-bit integer hash by multiplications and shifts (C. Wellons, "Prospecting for Hash
// Functions", 2018): vectorizes, and each input bit reaches every output bit.
[[gnu::always_inline]] inline uint32_t mixed(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7FEB352DU;
  x = (x ^ (x >> 15)) * 0x846CA68BU;
  return x ^ (x >> 16);
}

SIMD_CLONES void round_range(
    const float* values, uint16_t* out, int64_t n, uint64_t key, uint32_t first) {
  const auto low = static_cast<uint32_t>(key), high = static_cast<uint32_t>(key >> 32);
  for (int64_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<uint32_t>(values[i]);
    const uint32_t random = mixed(mixed((first + static_cast<uint32_t>(i)) ^ low) ^ high) >> 16;
    const bool finite = (bits & 0x7F80'0000U) != 0x7F80'0000U;
    out[i] = static_cast<uint16_t>((bits + (finite ? random : 0)) >> 16);
  }
}

}  // namespace

void for_pieces(int64_t elements, const std::function<void(int64_t begin, int64_t size)>& piece) {
  for (int64_t begin = 0; begin < elements; begin += kUpdateWindow) {
    piece(begin, std::min(kUpdateWindow, elements - begin));
  }
}

int64_t WeightWindow::decay_end(int64_t of_all) const {
  return std::clamp<int64_t>(of_all - begin, 0, size());
}

WeightWindows::WeightWindows(at::Tensor& weights, int64_t seed, int64_t update)
    : weights_(weights),
      key_(hash64("update " + std::to_string(update), static_cast<uint64_t>(seed))) {}

void WeightWindows::change(int64_t begin,
                           int64_t size,
                           const std::function<void(const WeightWindow& window)>& change_window) {
  if (weights_.scalar_type() == at::kFloat) {
    return change_window({weights_.narrow(0, begin, size), begin});
  }
  const CauseScope cause(Cause::workspace);
  for_pieces(size, [&](int64_t offset, int64_t elements) {
    at::Tensor stored = weights_.narrow(0, begin + offset, elements);
    const WeightWindow window = {stored.to(at::kFloat), begin + offset};
    change_window(window);
    round_stochastically(window.weights, stored, key_, window.begin);
  });
}

double WeightWindows::norm(int64_t begin, int64_t size) const {
  const at::Tensor part = weights_.narrow(0, begin, size);
  if (part.scalar_type() == at::kFloat) return part.norm().item<double>();
  double squares = 0;
  for_pieces(size, [&](int64_t offset, int64_t elements) {
    const double norm = part.narrow(0, offset, elements).to(at::kFloat).norm().item<double>();
    squares += norm * norm;
  });
  return std::sqrt(squares);
}

void round_stochastically(const at::Tensor& values, at::Tensor& out, uint64_t key, int64_t first) {
  if (!values.is_cpu()) return aten::round_stochastically(values, out, key, first);
  const auto* from = values.const_data_ptr<float>();
  auto* to = static_cast<uint16_t*>(out.mutable_data_ptr());
  at::parallel_for(0, values.numel(), kPart, [&](int64_t begin, int64_t end) {
    round_range(from + begin, to + begin, end - begin, key, static_cast<uint32_t>(first + begin));
  });
}

}  // namespace llmctl

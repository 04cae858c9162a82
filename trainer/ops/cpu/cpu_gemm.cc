#include "trainer/ops/cpu/cpu_gemm.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <utility>

#include "trainer/device/device_memory.h"
#include "trainer/ops/cpu/gemm_packing.h"

namespace llmctl::cpu_gemm {
namespace {

constexpr int64_t kDepth = 512;                  // a panel of b is 32 KiB at most
constexpr int64_t kColumns = 1'024;              // of b, at a time: 2 MiB at most
constexpr int64_t kRows = 48;                    // of a, packed at a time by each thread: 100 KiB
constexpr int64_t kWorthPacking = 16;            // rows and columns; fewer are not
constexpr int64_t kColumnsAtATime = 8 * kLanes;  // of b, packed by one thread
constexpr double kWorthThreads = 1 << 20;        // multiplications

bool is_faster_here() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  static const bool faster = __builtin_cpu_is("amd") != 0 && __builtin_cpu_supports("avx2") != 0;
  return faster;
#else
  return false;
#endif
}

// Memory that a thread keeps for its next product.
class Room {
 public:
  float* of(int64_t numbers) {
    if (numbers > size_) {
      constexpr size_t kLine = 64;
      const size_t bytes =
          (static_cast<size_t>(numbers) * sizeof(float) + kLine - 1) / kLine * kLine;
      memory_.reset(static_cast<float*>(std::aligned_alloc(kLine, bytes)));
      TORCH_CHECK(memory_ != nullptr, "no memory for the operands of a product");
      size_ = numbers;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float, Free> memory_;
  int64_t size_ = 0;
};
thread_local Room room_for_rows, room_for_panels, room_for_last_panel;

struct Product {
  GemmOperand a, b;
  const float* panels;  // of the whole of b, if they were packed before
  float* out;
  int64_t out_row;
  int64_t m, n, k;
  bool add;
  int64_t threads;
};

// Calls work(i) for every i below `count`, by all threads as they come free.
template <class Work>
void share(int64_t count, int64_t threads, const Work& work) {
  std::atomic<int64_t> next{0};
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    for (int64_t i = 0; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) work(i);
  });
}

// The columns of the last panel beyond whole ones: through a place of its own.
void multiply_last_panel(SmallProduct p, int64_t columns) {
  float* to = p.c;
  const int64_t to_row = p.c_row;
  const bool add = std::exchange(p.add, false);
  p.c = room_for_last_panel.of(p.m * kLanes);
  p.c_row = p.n = kLanes;
  multiply(p);
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      float& sum = to[i * to_row + j];
      sum = (add ? sum : 0) + p.c[i * kLanes + j];
    }
  }
}

// `columns` of b over `depth` rows.
void pack_by_all(const GemmOperand& b, int64_t depth, int64_t columns, int64_t threads, float* to) {
  share((columns + kColumnsAtATime - 1) / kColumnsAtATime, threads, [&](int64_t group) {
    const int64_t first = group * kColumnsAtATime;
    pack_panels(b.at(0, first), depth, std::min(kColumnsAtATime, columns - first),
                to + first * depth);
  });
}

// Columns [j, j + columns) of the result over [k, k + depth) of the sums.
void multiply_block(const Product& p, int64_t j, int64_t columns, int64_t k, int64_t depth) {
  SmallProduct part;
  const int64_t whole = columns / kLanes * kLanes;
  part.n = whole;
  part.k = depth;
  part.b_row = kLanes;
  part.c_row = p.out_row;
  part.add = p.add || k > 0;
  if (p.panels != nullptr) {
    part.b = p.panels + j * p.k + k * kLanes;
    part.b_panel = kLanes * p.k;
  } else {
    float* packed = room_for_panels.of(in_panels(columns) * depth);
    pack_by_all(p.b.at(k, j), depth, columns, p.threads, packed);
    part.b = packed;
    part.b_panel = kLanes * depth;
  }
  // As many blocks for each thread, of whole tiles.
  const int64_t least = (p.m + kRows - 1) / kRows;
  const int64_t blocks = (least + p.threads - 1) / p.threads * p.threads;
  const int64_t rows = ((p.m + blocks - 1) / blocks + kTileRows - 1) / kTileRows * kTileRows;
  share((p.m + rows - 1) / rows, p.threads, [&](int64_t block) {
    SmallProduct mine = part;
    const int64_t i = block * rows;
    mine.m = std::min(rows, p.m - i);
    mine.c = p.out + i * p.out_row + j;
    pack_rows(p.a.at(i, k), room_for_rows.of(room_of_rows(rows, depth)), mine);
    multiply(mine);
    if (whole == columns) return;
    mine.b += whole / kLanes * mine.b_panel;
    mine.c += whole;
    multiply_last_panel(mine, columns - whole);
  });
}

int64_t threads_for(int64_t m, int64_t n, int64_t k) {
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  return work < kWorthThreads ? 1 : at::get_num_threads();
}

thread_local PackedWeights* weights_in_use = nullptr;

}  // namespace

std::string name() {
  return is_faster_here() ? "llmctl" : "LibTorch";
}

bool multiply(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add) {
  if (!is_faster_here()) return false;
  const auto left = gemm_operand(a), right = gemm_operand(b), sum = gemm_operand(out);
  if (!left || !right || !sum || sum->transposed) return false;
  const int64_t m = a.size(0), k = a.size(1), n = b.size(1);
  TORCH_CHECK(b.size(0) == k && out.size(0) == m && out.size(1) == n, "shapes of a product");
  if (std::min(m, n) < kWorthPacking) return false;
  const float* panels = weights_in_use != nullptr ? weights_in_use->panels_of(b) : nullptr;
  const Product product = {*left, *right, panels, out.mutable_data_ptr<float>(), sum->row, m,
                           n,     k,      add,    threads_for(m, n, k)};
  const int64_t stretches = (k + kDepth - 1) / kDepth;
  const int64_t depth = ((k + stretches - 1) / stretches + 7) / 8 * 8;
  for (int64_t j = 0; j < n; j += kColumns) {
    for (int64_t at = 0; at < k; at += depth) {
      multiply_block(product, j, std::min(kColumns, n - j), at, std::min(depth, k - at));
    }
  }
  return true;
}

PackedWeights::PackedWeights(const std::vector<at::Tensor>& weights) {
  if (!is_faster_here()) return;
  const CauseScope cause(Cause::parameters);
  for (const at::Tensor& weight : weights) {
    for (const at::Tensor& b : {weight.t(), weight}) {
      TORCH_CHECK(gemm_operand(b), "weights that cannot be packed");
      packed_.push_back({b, at::empty({b.size(0) * in_panels(b.size(1))}, b.options()), false});
    }
  }
}

void PackedWeights::forget() {
  for (Packed& one : packed_) one.current = false;
}

const float* PackedWeights::panels_of(const at::Tensor& b) {
  const auto found = std::find_if(packed_.begin(), packed_.end(), [&](const Packed& one) {
    return one.b.const_data_ptr() == b.const_data_ptr() && one.b.sizes() == b.sizes() &&
           one.b.strides() == b.strides();
  });
  if (found == packed_.end()) return nullptr;
  auto* panels = found->panels.mutable_data_ptr<float>();
  if (!std::exchange(found->current, true)) {
    const int64_t rows = b.size(0), columns = b.size(1);
    pack_by_all(*gemm_operand(b), rows, columns, threads_for(rows, columns, 1), panels);
  }
  return panels;
}

PackedWeights::Use::Use(PackedWeights* weights) : before_(std::exchange(weights_in_use, weights)) {}

PackedWeights::Use::~Use() {
  weights_in_use = before_;
}

}  // namespace llmctl::cpu_gemm

#include "trainer/cpu_gemm.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>

namespace llmctl::cpu_gemm {
namespace {

constexpr int64_t kTile = 16;              // rows and columns of a part come in multiples
constexpr double kWorthThreads = 1 << 20;  // multiplications

// cblas.h: its functions are found at run time, never linked. LibTorch exports functions of the
// same names, and either library would call the other's.
enum CblasOrder { kRowMajor = 101 };
enum CblasTranspose { kAsItIs = 111, kTransposed = 112 };
using Sgemm = void (*)(CblasOrder,
                       CblasTranspose,
                       CblasTranspose,
                       int m,
                       int n,
                       int k,
                       float alpha,
                       const float* a,
                       int a_leading,
                       const float* b,
                       int b_leading,
                       float beta,
                       float* c,
                       int c_leading);

struct Library {
  Sgemm sgemm = nullptr;
  std::string name = "LibTorch";
};

bool is_faster_here() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_is("amd") != 0 && __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

void* open_library() {
  // One thread per call, since we cut products ourselves. For Zen 4 it would choose kernels for
  // AVX-512, which are slower there.
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
  setenv("OPENBLAS_CORETYPE", "ZEN", 0);
  for (const char* file :
       {"/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0", "libopenblas.so.0"}) {
    if (void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL)) return library;
  }
  return nullptr;
}

template <class Function>
Function find(void* library, const char* function) {
  return reinterpret_cast<Function>(dlsym(library, function));
}

Library load_library() {
  void* library = is_faster_here() ? open_library() : nullptr;
  if (library == nullptr) return {};
  const auto sgemm = find<Sgemm>(library, "cblas_sgemm");
  const auto parallel = find<int (*)()>(library, "openblas_get_parallel");
  const auto core = find<const char* (*)()>(library, "openblas_get_corename");
  const auto config = find<const char* (*)()>(library, "openblas_get_config");
  // Built without threads it may not be called by two at a time.
  if (sgemm == nullptr || core == nullptr || config == nullptr || parallel == nullptr ||
      parallel() == 0) {
    return {};
  }
  const std::string version(config());  // "OpenBLAS 0.3.21 …"
  return {sgemm, version.substr(0, version.find(' ', version.find(' ') + 1)) + " " + core()};
}

const Library& library() {
  static const Library loaded = load_library();
  return loaded;
}

// A matrix as BLAS sees it: rows one after the other, or those of its transpose.
struct Operand {
  const float* data;
  int64_t row, column;  // strides
  CblasTranspose transpose;
  int leading;

  const float* at(int64_t i, int64_t j) const { return data + i * row + j * column; }
};

bool lies_in_rows(int64_t rows, int64_t columns, int64_t row, int64_t column) {
  return (column == 1 || columns == 1) && (row >= columns || rows == 1);
}

std::optional<Operand> operand(const at::Tensor& t) {
  constexpr int64_t kMost = std::numeric_limits<int>::max();
  if (!t.is_cpu() || t.scalar_type() != at::kFloat || t.dim() != 2 || t.numel() == 0) return {};
  const int64_t m = t.size(0), n = t.size(1), row = t.stride(0), column = t.stride(1);
  if (std::max({m, n, row, column}) > kMost) return {};
  const auto* data = t.const_data_ptr<float>();
  if (lies_in_rows(m, n, row, column)) {
    return Operand{data, row, column, kAsItIs, static_cast<int>(std::max(row, n))};
  }
  if (lies_in_rows(n, m, column, row)) {
    return Operand{data, row, column, kTransposed, static_cast<int>(std::max(column, m))};
  }
  return {};
}

// How many parts the rows and columns are cut into, for as many threads: the parts that read least.
struct Grid {
  int64_t rows = 1, columns = 1;
};

Grid grid(int64_t m, int64_t n, int64_t parts) {
  Grid best;
  double least = std::numeric_limits<double>::infinity();
  for (int64_t rows = 1; rows <= parts; ++rows) {
    if (parts % rows != 0) continue;
    const int64_t columns = parts / rows;
    const double reads = static_cast<double>(m) / static_cast<double>(rows) +
                         static_cast<double>(n) / static_cast<double>(columns);
    if (reads < least) {
      least = reads;
      best = {rows, columns};
    }
  }
  return best;
}

int64_t cut(int64_t size, int64_t part, int64_t parts) {
  const int64_t tiles = (size + kTile - 1) / kTile;
  return std::min(tiles * part / parts * kTile, size);
}

}  // namespace

void load() {
  (void)library();
}

std::string name() {
  return library().name;
}

bool multiply(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add) {
  if (library().sgemm == nullptr) return false;
  const auto left = operand(a), right = operand(b), sum = operand(out);
  if (!left || !right || !sum || sum->transpose != kAsItIs) return false;
  const int64_t m = a.size(0), k = a.size(1), n = b.size(1);
  TORCH_CHECK(b.size(0) == k && out.size(0) == m && out.size(1) == n, "shapes of a product");
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const Grid parts = grid(m, n, work < kWorthThreads ? 1 : at::get_num_threads());
  float* result = out.mutable_data_ptr<float>();
  at::parallel_for(0, parts.rows * parts.columns, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) {
      const int64_t row = part / parts.columns, column = part % parts.columns;
      const int64_t i = cut(m, row, parts.rows), i_end = cut(m, row + 1, parts.rows);
      const int64_t j = cut(n, column, parts.columns), j_end = cut(n, column + 1, parts.columns);
      if (i == i_end || j == j_end) continue;
      library().sgemm(kRowMajor, left->transpose, right->transpose, static_cast<int>(i_end - i),
                      static_cast<int>(j_end - j), static_cast<int>(k), 1, left->at(i, 0),
                      left->leading, right->at(0, j), right->leading, add ? 1 : 0,
                      result + i * sum->row + j, sum->leading);
    }
  });
  return true;
}

}  // namespace llmctl::cpu_gemm

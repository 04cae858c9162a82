#include "trainer/run/device_flops.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "trainer/device/device.h"
#include "trainer/device/device_memory.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/disk.h"
#include "trainer/files/mapped_file.h"
#include "trainer/model/model.h"
#include "trainer/ops/linear.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

using Seconds = std::chrono::duration<double>;

constexpr Seconds kEnough{0.15};  // then no further round begins
constexpr int kRounds = 32;
constexpr size_t kLongest = 4'096;  // bytes of what is remembered

double best_rate(at::Device device, at::ScalarType number) {
  // Large enough that start and end do not count, small enough for many rounds.
  const int64_t n = device.is_cpu() ? 768 : 4'096;
  const int products = device.is_cpu() ? 1 : 8;  // queued together
  const CauseScope cause(Cause::workspace);
  const auto options = at::device(device).dtype(number);
  const at::Tensor a = at::full({n, n}, 0.5, options), b = at::full({n, n}, 0.25, options);
  at::Tensor out = at::empty({n, n}, options);
  const auto begin = std::chrono::steady_clock::now();
  auto last = begin;
  Seconds best = Seconds::max();
  for (int round = 0; round < kRounds && last - begin < kEnough; ++round) {
    for (int i = 0; i < products; ++i) product_into(out, a, b);
    (void)out[0][0].item<float>();  // waits for the device
    const auto now = std::chrono::steady_clock::now();
    best = std::min(best, Seconds(now - last));
    last = now;
  }
  return 2.0 * static_cast<double>(n * n * n * products) / best.count();
}

}  // namespace

double measure_device_flops(at::Device device, const std::string& precision) {
  double rate = 0;
  try {
    rate = best_rate(device, activation_type(precision));
  } catch (const c10::OutOfMemoryError&) {
    rate = 0;
  }
  device_memory::release_kept_blocks();
  device_memory::reset_peak();
  return rate;
}

static double remembered_flops(const fs::path& file) {
  const auto bytes = MappedFile::open(file);
  if (!bytes.ok() || bytes->get()->bytes().size() > kLongest) return 0;
  const auto document = parse_json(as_text(bytes->get()->bytes()), "device_flops");
  if (!document.ok()) return 0;
  double flops = 0;
  JsonReader reader(*document, "device_flops");
  reader.read("flops", flops);
  return reader.status().ok() && flops > 0 ? flops : 0;
}

double best_device_flops(at::Device device,
                         const std::string& precision,
                         const fs::path& cache_dir) {
  const double now = measure_device_flops(device, precision);
  if (cache_dir.empty() || now <= 0) return now;
  const nlohmann::json what = {{"device", device_model(device)},
                               {"precision", precision},
                               {"threads", device.is_cpu() ? at::get_num_threads() : 0}};
  const fs::path file = cache_dir / ("device-flops-" + content_hash(dump_json(what)) + ".json");
  const double before = remembered_flops(file);
  if (before >= now) return before;
  nlohmann::json document = what;
  document["flops"] = now;
  const std::string text = dump_json(document) + "\n";
  const auto bytes = as_bytes(text);
  std::error_code ignored;  // who cannot write measures again the next time
  fs::create_directories(cache_dir, ignored);
  (void)replace_file(file, std::span(&bytes, 1));
  return now;
}

}  // namespace llmctl

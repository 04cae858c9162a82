#include "trainer/run/reports/scalar_log.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>

#include "trainer/files/disk.h"
#include "trainer/run/reports/tfevents.h"

namespace llmctl {

namespace fs = std::filesystem;

namespace {

constexpr Millis kBetweenRecords = 100;

bool asks_for(const JobSpec& spec, const char* what) {
  return std::find(spec.report_to.begin(), spec.report_to.end(), what) != spec.report_to.end();
}

Status append(std::ofstream& out, const fs::path& path, std::string_view text) {
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (out.flush()) return ok_status();
  return disk_error("cannot write", path, errno);
}

struct NamedScalar {
  std::string name;
  double value = 0;
};

// Tags in TensorBoard, which groups them by what stands before the slash; columns of the CSV.
std::vector<NamedScalar> scalars_of(const CurvePoint& p) {
  std::vector<NamedScalar> all = {{"train/loss", p.loss},
                                  {"eval/loss", p.eval_loss},
                                  {"train/learning_rate", p.learning_rate},
                                  {"train/seconds_per_step", p.seconds_per_step},
                                  {"train/loss_spikes", static_cast<double>(p.loss_spikes)},
                                  {"grad_norm/all", p.gradient_norms.all}};
  for (size_t i = 0; i < kParameterGroups; ++i) {
    all.push_back({std::string("grad_norm/") + to_string(static_cast<ParameterGroup>(i)),
                   p.gradient_norms.of_group[i]});
  }
  return all;
}

// Shortest text that reads back as the same number; empty for none.
std::string cell(double value) {
  if (!std::isfinite(value)) return "";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return {text, end.ptr};
}

// The header and the rows of steps that stay. A torn last line has no newline and goes.
std::string rows_up_to(const fs::path& file, const std::string& header, int64_t step) {
  std::ifstream in(file, std::ios::binary);
  std::string kept = header, line;
  if (!std::getline(in, line) || line + "\n" != header) return kept;
  while (std::getline(in, line) && !in.eof()) {
    int64_t row = 0;
    const auto read = std::from_chars(line.data(), line.data() + line.size(), row);
    if (read.ec == std::errc() && row <= step) kept += line + "\n";
  }
  return kept;
}

}  // namespace

Status ScalarLog::open(const fs::path& job_dir, const JobSpec& spec, int64_t resumed_step) {
  if (asks_for(spec, "tensorboard")) TRY(open_tensorboard(job_dir / "tensorboard", resumed_step));
  if (asks_for(spec, "csv")) TRY(open_csv(job_dir / "metrics.csv", resumed_step));
  return ok_status();
}

Status ScalarLog::open_tensorboard(const fs::path& folder, int64_t resumed_step) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return disk_error("cannot make directory", folder, failed.value());
  const Millis now = clock_.unix_ms();
  // Readers take the files of a folder in the order of their names.
  events_path_ = folder / ("events.out.tfevents." + std::to_string(now) + ".llmctl");
  events_.open(events_path_, std::ios::binary | std::ios::app);
  const tfevents::Moment at = {static_cast<double>(now) / 1000, resumed_step + 1};  // the next one
  return append(events_, events_path_, tfevents::version_record(at) + tfevents::session_record(at));
}

Status ScalarLog::open_csv(const fs::path& file, int64_t resumed_step) {
  std::string header = "step,unix_seconds";
  for (const NamedScalar& scalar : scalars_of({})) header += "," + scalar.name;
  const std::string kept = rows_up_to(file, header + "\n", resumed_step);
  std::error_code failed;
  fs::create_directories(file.parent_path(), failed);
  if (failed) return disk_error("cannot make directory", file.parent_path(), failed.value());
  const std::span<const std::byte> parts[] = {std::as_bytes(std::span(kept))};
  TRY(replace_file(file, parts));
  csv_path_ = file;
  csv_.open(file, std::ios::binary | std::ios::app);
  return append(csv_, csv_path_, "");
}

bool ScalarLog::due() const {
  const bool open = events_.is_open() || csv_.is_open();
  return open && clock_.boot_ms() - last_boot_ms_ >= kBetweenRecords;
}

Status ScalarLog::add(const CurvePoint& point) {
  last_boot_ms_ = clock_.boot_ms();
  const double now = static_cast<double>(clock_.unix_ms()) / 1000;
  const std::vector<NamedScalar> scalars = scalars_of(point);
  if (events_.is_open()) {
    std::vector<tfevents::Scalar> values;
    for (const NamedScalar& scalar : scalars) {
      if (std::isfinite(scalar.value)) values.push_back({scalar.name, scalar.value});
    }
    TRY(append(events_, events_path_, tfevents::scalar_record({now, point.step}, values)));
  }
  if (!csv_.is_open()) return ok_status();
  std::string row = std::to_string(point.step);
  const auto put = [&row](double value) {
    row += ',';
    row += cell(value);
  };
  put(now);
  for (const NamedScalar& scalar : scalars) put(scalar.value);
  row += '\n';
  return append(csv_, csv_path_, row);
}

}  // namespace llmctl

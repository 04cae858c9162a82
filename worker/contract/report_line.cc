#include "worker/contract/report_line.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/base/limits.h"
#include "core/run/run_config.h"

namespace llmctl::worker {

using nlohmann::json;

template <class T>
static ReportLine or_ignored(Result<T> result) {
  if (!result.ok()) return IgnoredLine{};
  return std::move(result).value();
}

static ReportLine read_data(const json& line) {
  DataLine data;
  JsonReader reader(line, "data report");
  reader.need("unigram_entropy");
  reader.read("train_tokens", data.train_tokens);
  reader.read("unigram_entropy", data.unigram_entropy);
  if (!reader.status().ok()) return IgnoredLine{};
  return data;
}

static ReportLine read_eval(const json& line) {
  EvalLine eval;
  JsonReader reader(line, "eval report");
  reader.need("loss");
  reader.read("step", eval.step);
  reader.read_or_nan("loss", eval.loss);
  if (!reader.status().ok()) return IgnoredLine{};
  return eval;
}

static ReportLine read_end(const json& line) {
  EndLine end;
  std::string outcome;
  JsonReader reader(line, "end report");
  reader.need("outcome");
  reader.read("outcome", outcome);
  reader.read("detail", end.detail);
  const auto parsed = parse_outcome(outcome);
  if (!reader.status().ok() || !parsed) return IgnoredLine{};
  end.outcome = *parsed;
  end.detail.resize(std::min<size_t>(end.detail.size(), limits::kDetailBytes));
  return end;
}

template <class T, class Value>
static ReportLine read_one(const json& line, const char* field, Value T::*member) {
  T value;
  JsonReader reader(line, "report");
  reader.need(field);
  reader.read(field, value.*member);
  if (!reader.status().ok()) return IgnoredLine{};
  return value;
}

ReportLine parse_report_line(std::string_view text) {
  if (text.size() > limits::kReportLineBytes || text.empty() || text.front() != '{') {
    return IgnoredLine{};
  }
  const auto parsed = parse_json(text, "report line");
  if (!parsed.ok()) return IgnoredLine{};
  const json& line = *parsed;
  std::string type;
  JsonReader(line, "report line").read("type", type);
  if (type == "step") return or_ignored(parse_progress(line));
  if (type == "phase") return read_one(line, "phase", &PhaseLine::phase);
  if (type == "data") return read_data(line);
  if (type == "up") return read_one(line, "pid", &UpLine::pid);
  if (type == "eval") return read_eval(line);
  if (type == "memory") return read_one(line, "peak_bytes", &PeakLine::peak_bytes);
  if (type == "checkpoint") return or_ignored(parse_checkpoint(line));
  if (type == "checkpoint_removed") return or_ignored(parse_checkpoint_removed(line));
  if (type == "sample") return or_ignored(parse_sample(line));
  if (type == "probe") return or_ignored(parse_probe_result(line));
  if (type == "end") return read_end(line);
  return IgnoredLine{};
}

}  // namespace llmctl::worker

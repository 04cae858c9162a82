// The report lines of run_config.h and the exit codes that repeat the last one.
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/base/limits.h"
#include "core/base/utf8.h"
#include "core/run/run_config.h"

namespace llmctl {

using nlohmann::json;

static json finite_or_null(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

static json to_json(const PhaseSeconds& seconds) {
  json by_name;
  for (size_t i = 0; i < kTrainPhases; ++i) {
    by_name[to_string(static_cast<TrainPhase>(i))] = finite_or_null(seconds[i]);
  }
  return by_name;
}

static Status read_phases(JsonReader& reader, PhaseSeconds& seconds) {
  const json* child = reader.child("phase_seconds");
  if (child == nullptr) return ok_status();
  JsonReader phases(*child, "phase_seconds");
  for (size_t i = 0; i < kTrainPhases; ++i) {
    phases.read(to_string(static_cast<TrainPhase>(i)), seconds[i]);
  }
  return phases.status();
}

static json to_json(const GroupNorms& norms) {
  json by_name = json::object();
  for (size_t i = 0; i < kParameterGroups; ++i) {
    by_name[to_string(static_cast<ParameterGroup>(i))] = finite_or_null(norms[i]);
  }
  return by_name;
}

static Status read_group_norms(JsonReader& reader, GroupNorms& norms) {
  const json* child = reader.child("group_grad_norms");
  if (child == nullptr) return ok_status();
  JsonReader groups(*child, "group_grad_norms");
  for (size_t i = 0; i < kParameterGroups; ++i) {
    groups.read_or_nan(to_string(static_cast<ParameterGroup>(i)), norms[i]);
  }
  return groups.status();
}

json to_report(const Progressed& progress) {
  return {{"type", "step"},
          {"step", progress.step},
          {"steps", progress.steps},
          {"tokens", progress.tokens},
          {"loss", finite_or_null(progress.loss)},
          {"eval_loss", finite_or_null(progress.eval_loss)},
          {"learning_rate", finite_or_null(progress.learning_rate)},
          {"grad_norm", finite_or_null(progress.grad_norm)},
          {"tokens_per_second", finite_or_null(progress.tokens_per_second)},
          {"seconds_per_step", finite_or_null(progress.seconds_per_step)},
          {"peak_bytes", progress.peak_bytes},
          {"nonfinite_steps", progress.nonfinite_steps},
          {"phase", progress.phase},
          {"mfu", finite_or_null(progress.mfu)},
          {"phase_seconds", to_json(progress.phase_seconds)},
          {"group_grad_norms", to_json(progress.group_grad_norms)},
          {"loss_spikes", progress.loss_spikes}};
}

Result<Progressed> parse_progress(const json& line) {
  Progressed progress;
  progress.loss = progress.eval_loss = std::nan("");
  JsonReader reader(line, "step report");
  reader.need("step");
  reader.read("step", progress.step);
  reader.read("steps", progress.steps);
  reader.read("tokens", progress.tokens);
  reader.read_or_nan("loss", progress.loss);
  reader.read_or_nan("eval_loss", progress.eval_loss);
  reader.read_or_nan("learning_rate", progress.learning_rate);
  reader.read_or_nan("grad_norm", progress.grad_norm);
  reader.read_or_nan("tokens_per_second", progress.tokens_per_second);
  reader.read_or_nan("seconds_per_step", progress.seconds_per_step);
  reader.read("peak_bytes", progress.peak_bytes);
  reader.read("nonfinite_steps", progress.nonfinite_steps);
  reader.read("phase", progress.phase);
  reader.read("mfu", progress.mfu);
  TRY(read_phases(reader, progress.phase_seconds));
  TRY(read_group_norms(reader, progress.group_grad_norms));
  reader.read("loss_spikes", progress.loss_spikes);
  TRY(reader.status());
  return progress;
}

json to_report(const CheckpointCommitted& checkpoint) {
  return {{"type", "checkpoint"},
          {"step", checkpoint.step},
          {"tokens", checkpoint.tokens},
          {"path", checkpoint.path},
          {"bytes", checkpoint.bytes},
          {"loss", finite_or_null(checkpoint.loss)},
          {"manifest_hash", checkpoint.manifest_hash},
          {"seconds", checkpoint.seconds}};
}

// A name inside the job's checkpoints folder: it must not lead out of it.
static void read_directory_name(JsonReader& reader, std::string& path) {
  reader.need("path");
  reader.read("path", path);
  const bool odd = path.empty() || path == "." || path == ".." || path.size() > 255;
  if (odd || path.find('/') != std::string::npos || path.find('\0') != std::string::npos) {
    reader.fail("path", "the name of a directory");
  }
}

Result<CheckpointCommitted> parse_checkpoint(const json& line) {
  CheckpointCommitted checkpoint;
  JsonReader reader(line, "checkpoint report");
  reader.need("step");
  reader.read("step", checkpoint.step);
  reader.read("tokens", checkpoint.tokens);
  read_directory_name(reader, checkpoint.path);
  reader.read("bytes", checkpoint.bytes);
  reader.read_or_nan("loss", checkpoint.loss);
  reader.read("manifest_hash", checkpoint.manifest_hash);
  reader.read("seconds", checkpoint.seconds);
  TRY(reader.status());
  return checkpoint;
}

json to_report(const CheckpointRemoved& removed) {
  return {{"type", "checkpoint_removed"}, {"path", removed.path}, {"corrupt", removed.corrupt}};
}

Result<CheckpointRemoved> parse_checkpoint_removed(const json& line) {
  CheckpointRemoved removed;
  JsonReader reader(line, "checkpoint_removed report");
  read_directory_name(reader, removed.path);
  reader.read("corrupt", removed.corrupt);
  TRY(reader.status());
  return removed;
}

json to_report(const SampleGenerated& sample) {
  return {
      {"type", "sample"}, {"step", sample.step}, {"prompt", sample.prompt}, {"text", sample.text}};
}

Result<SampleGenerated> parse_sample(const json& line) {
  SampleGenerated sample;
  JsonReader reader(line, "sample report");
  reader.need("text");
  reader.read("step", sample.step);
  reader.read("prompt", sample.prompt);
  reader.read("text", sample.text);
  TRY(reader.status());
  sample.prompt = cut_utf8(std::move(sample.prompt), limits::kSampleBytes);
  sample.text = cut_utf8(std::move(sample.text), limits::kSampleBytes);
  return sample;
}

// 1 and 2 are what any program says; ours start at 10 and stay below the shell's 126.
static constexpr int kFirstExit = 10;

int exit_code(Outcome outcome) {
  if (outcome == Outcome::done) return 0;
  if (outcome == Outcome::crashed) return 1;
  return kFirstExit + static_cast<int>(outcome);
}

Outcome outcome_of_exit(int code) {
  if (code == 0) return Outcome::done;
  const int index = code - kFirstExit;
  const bool ours = index > 0 && index <= static_cast<int>(Outcome::killed);
  return ours ? static_cast<Outcome>(index) : Outcome::crashed;
}

}  // namespace llmctl

// llmctl-trainer train|probe CONFIG.json, or wait for one, and what people do with a model or data
// by hand. Report lines go to standard output, words for people to standard error; the exit code
// repeats the outcome. This is where LibTorch's exceptions end.
#include <c10/util/Exception.h>
#include <torch/version.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/cpus.h"
#include "core/base/version.h"
#include "core/plan/memory_model.h"
#include "core/plan/plan_search.h"
#include "trainer/commands/convert.h"
#include "trainer/commands/data.h"
#include "trainer/commands/eval.h"
#include "trainer/commands/generate.h"
#include "trainer/commands/tokenizer.h"
#include "trainer/commands/wait_for_run.h"
#include "trainer/device/cpu_pins.h"
#include "trainer/device/device.h"
#include "trainer/device/device_memory.h"
#include "trainer/device/tensor.h"
#include "trainer/run/attempt.h"
#include "trainer/run/config_file.h"
#include "trainer/run/probe.h"
#include "trainer/run/saving/signals.h"

namespace llmctl {
namespace {

constexpr const char* kUsage =
    "usage: llmctl-trainer train CONFIG.json\n"
    "       llmctl-trainer probe CONFIG.json\n"
    "       llmctl-trainer convert SRC DST [--format hf|gguf] [--dtype TYPE]\n"
    "       llmctl-trainer eval SRC --text FILE [--sequence-len N] [--stride N]\n"
    "       llmctl-trainer generate CONFIG.json|SRC --prompt TEXT [--max-tokens N]\n"
    "                               [--temperature T] [--top-p P] [--seed N]\n"
    "                               [--device cpu|cuda|cuda:N]\n"
    "       llmctl-trainer tokenizer|data ...\n"
    "SRC is a checkpoint, a Hugging Face directory or a GGUF file.\n";

Result<RunConfig> read_config(const std::filesystem::path& file) {
  RunConfig config = TRY(read_run_config(file));
  // By hand there is no scheduler that plans.
  if (config.plan == Plan{}) {
    config.plan =
        candidate_plans(config.spec, {config.memory_cap_bytes, config.device == "cpu"}).front();
  }
  return config;
}

Ending run_probe(const RunConfig& config, at::Device device, Reporter& report) {
  CpuPins pins;
  if (device.is_cpu()) pins.pin(at::get_num_threads());
  report.phase("probe");
  const auto measured = [&](const ProbeResult& result) {
    nlohmann::json line = to_json(result);
    line["type"] = "probe";
    report.line(line);
  };
  const auto phase = [&](const std::string& text) { report.phase(text); };
  const auto results = probe(config, device, {phase, measured});
  for (const ProbeResult& result : results) {
    if (!result.oom) return {Outcome::done, ""};
  }
  return {Outcome::oom, "no plan fits into " + format_bytes(config.memory_cap_bytes)};
}

Ending run(const std::string& verb,
           const std::filesystem::path& file,
           const Clock& clock,
           Reporter& report) {
  const Result<RunConfig> config = read_config(file);
  if (!config.ok()) return {Outcome::bad_input, config.error().message};
  at::set_num_threads(config->threads > 0 ? config->threads : usable_cpus());
  const Result<at::Device> device = open_device(config->device);
  if (!device.ok()) return ended_by(Outcome::bad_input, device.error());
  if (config->spec.precision == "tf32") at::globalContext().setAllowTF32CuBLAS(true);
  device_memory::use(*device, gpu_process_bytes(config->spec.resources.ranks));
  device_memory::set_cap(config->memory_cap_bytes);
  try {
    if (verb == "probe") return run_probe(*config, *device, report);
    return train(*config, *device, std::filesystem::absolute(file).parent_path(), clock, report);
  } catch (const c10::OutOfMemoryError& e) {
    return {Outcome::oom, e.what_without_backtrace()};
  } catch (const c10::Error& e) {
    return {Outcome::crashed, e.what_without_backtrace()};
  } catch (const std::exception& e) {
    return {Outcome::crashed, e.what()};
  }
}

// Verbs of people: they write what was asked for, not report lines. Nothing: none of them.
std::optional<int> run_by_hand(const std::vector<std::string>& args) {
  if (args.empty()) return std::nullopt;
  const std::vector<std::string> rest(args.begin() + 1, args.end());
  if (args[0] == "convert") return convert_command(rest, std::cout);
  if (args[0] == "data") return data_command(rest, std::cout);
  if (args[0] == "eval") return eval_command(rest, std::cout);
  if (args[0] == "generate") return generate_command(rest, std::cout);
  if (args[0] == "tokenizer") return tokenizer_command(rest, std::cin, std::cout);
  return std::nullopt;
}

int main(int argc, char** argv) {
  std::vector<std::string> args(argv + 1, argv + argc);
  device_memory::install();
  if (args.size() == 1 && args[0] == "--version") {
    std::printf("llmctl-trainer %s, LibTorch %s\n", kVersion, TORCH_VERSION);
    return 0;
  }
  if (args.size() == 1 && args[0] == "wait") {
    const Result<std::string> verb = wait_for_run();
    if (!verb.ok()) {
      std::fprintf(stderr, "%s\n", verb.error().message.c_str());
      return exit_code(Outcome::crashed);
    }
    if (verb->empty()) return 0;
    args = {*verb, "config.json"};
  }
  if (const auto code = run_by_hand(args)) return *code;
  if (args.size() != 2 || (args[0] != "train" && args[0] != "probe")) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  signals::listen();
  const SystemClock clock;
  Reporter report(STDOUT_FILENO, clock);
  const Ending ending = run(args[0], args[1], clock, report);
  if (!ending.detail.empty()) std::fprintf(stderr, "%s\n", ending.detail.c_str());
  report.end(ending.outcome, ending.detail);
  return exit_code(ending.outcome);
}

}  // namespace
}  // namespace llmctl

int main(int argc, char** argv) {
  return llmctl::main(argc, argv);
}

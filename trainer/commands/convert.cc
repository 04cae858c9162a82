#include "trainer/commands/convert.h"

#include <nlohmann/json.hpp>
#include <ostream>

#include "core/base/json_reader.h"
#include "trainer/commands/command_line.h"
#include "trainer/formats/gguf/model.h"
#include "trainer/formats/gguf/tokenizer.h"
#include "trainer/stored/hf_export.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConvertUsage =
    "usage: llmctl-trainer convert SRC DST [--format hf|gguf] [--dtype TYPE]\n"
    "                              [--max-shard-size BYTES] [--json]\n"
    "TYPE: fp32, bf16 or fp16; for gguf also q8_0, q6_k, q5_0, q4_k or q4_0\n";

struct ConvertCommand {
  fs::path from, to;
  std::string format, dtype = "fp32";
  Bytes shard_bytes = HfExport{}.shard_bytes;
  bool json = false;
};

Result<ConvertCommand> parse_convert(const std::vector<std::string>& args) {
  ConvertCommand command;
  const auto read_format = [&](const std::string& flag, const std::string& value) -> Status {
    if (value != "hf" && value != "gguf") return invalid(flag + ": expected hf or gguf");
    command.format = value;
    return ok_status();
  };
  const auto read_bytes = [&](const std::string& flag, const std::string& value) -> Status {
    command.shard_bytes = TRY(parse_bytes(value));
    if (command.shard_bytes < 1) return invalid(flag + ": expected more than 0");
    return ok_status();
  };
  const auto paths = TRY(read_arguments(args, {.values = {{"--format", read_format},
                                                          {"--dtype", into(command.dtype)},
                                                          {"--max-shard-size", read_bytes}},
                                               .switches = {{"--json", &command.json}}}));
  if (paths.size() != 2) return invalid("expected a source and a destination");
  command.from = paths[0];
  command.to = paths[1];
  if (command.format.empty()) command.format = command.to.extension() == ".gguf" ? "gguf" : "hf";
  return command;
}

Result<DType> hf_dtype(const std::string& name) {
  if (name == "fp32") return DType::f32;
  if (name == "bf16") return DType::bf16;
  if (name == "fp16") return DType::f16;
  return invalid("--dtype: expected fp32, bf16 or fp16, got " + name);
}

Result<WrittenModel> write_hf(const ConvertCommand& command, const StoredModel& model) {
  const DType dtype = TRY(hf_dtype(command.dtype));
  HfExport exported = TRY(hf_export(model, dtype));
  exported.shard_bytes = command.shard_bytes;
  return write_hf_directory(command.to, exported);
}

Result<WrittenModel> write_gguf_file(const ConvertCommand& command, const StoredModel& model) {
  const auto type = parse_gguf_type(command.dtype);
  if (!type) return invalid("--dtype: unknown type " + command.dtype);
  const HfExport facts = TRY(hf_export(model, DType::f32));
  const std::string name = command.to.stem().string();
  GgufMetadata metadata = TRY(gguf_metadata(model.config, name, *type));
  if (facts.companions.contains("tokenizer.json")) {
    metadata.merge(
        TRY(gguf_tokenizer(facts.companions, facts.config_json, model.config.vocab_size)));
  }
  const std::vector<GgufTensor> tensors = gguf_tensors(model.config, model.slots, *type);
  const Bytes bytes = TRY(write_gguf(command.to, metadata, tensors));
  return WrittenModel{static_cast<int64_t>(tensors.size()), 1, bytes};
}

void print_written(const ConvertCommand& command,
                   const StoredModel& model,
                   const WrittenModel& written,
                   std::ostream& out) {
  const std::string path = fs::absolute(command.to).lexically_normal().string();
  if (command.json) {
    out << dump_json({{"path", path},
                      {"format", command.format},
                      {"dtype", command.dtype},
                      {"source", model.form},
                      {"tensors", written.tensors},
                      {"files", written.files},
                      {"bytes", written.bytes}})
        << '\n';
    return;
  }
  out << path << ": " << written.tensors << " tensors as " << command.dtype << " in "
      << written.files << (written.files == 1 ? " file, " : " files, ")
      << format_bytes(written.bytes) << ", from a " << model.form << '\n';
}

Status run_convert(const std::vector<std::string>& args, std::ostream& out) {
  const ConvertCommand command = TRY(parse_convert(args));
  const StoredModel model = TRY(open_stored_model(command.from));
  if (model.slots.empty()) return invalid(command.from.string() + ": has no weights");
  const WrittenModel written =
      TRY(command.format == "gguf" ? write_gguf_file(command, model) : write_hf(command, model));
  print_written(command, model, written, out);
  return ok_status();
}

}  // namespace

int convert_command(const std::vector<std::string>& args, std::ostream& out) {
  return run_command(args, kConvertUsage, out, [&] { return run_convert(args, out); });
}

}  // namespace llmctl

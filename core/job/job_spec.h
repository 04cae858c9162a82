// JobSpec: what a person asks for, after parsing and validation. A plain value, the same in the
// CLI, the scheduler, the worker and the trainer; it travels as the canonical JSON of spec_text().
// Fields are described once, in the table of job_fields.cc, which parses, validates, prints help,
// and generates docs/JOB_FILE.md and the JSON Schema.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"
#include "core/fields/node.h"
#include "core/model/model_config.h"

namespace llmctl {

struct ModelSpec {
  std::string preset;  // one of presets(), or empty
  std::string path;    // a Hugging Face directory, or empty; absolute once loaded by the CLI
  ModelConfig config;  // resolved: from the preset, from path/config.json, or inline
  bool operator==(const ModelSpec&) const = default;
};

struct DatasetSpec {
  std::string path;            // a file, a glob or a directory; absolute once loaded by the CLI
  std::string type = "auto";   // auto | text | jsonl | messages | sharegpt | prompt_completion |
                               // alpaca; the last four are for sft
  std::string field = "text";  // the JSONL field that holds the text
  std::optional<double> weight =
      std::nullopt;  // share of the training sequences; of all datasets or of none
  // What the fields of an sft record are called.
  std::string field_messages = "messages", field_conversations = "conversations";
  std::string field_prompt = "prompt", field_completion = "completion";
  std::string field_instruction = "instruction", field_input = "input", field_output = "output";
  std::string field_system = "system";
  bool operator==(const DatasetSpec&) const = default;
};

// What chat_template may name instead of a file.
inline constexpr const char* kChatTemplates = "auto chatml llama3 mistral gemma phi alpaca";

inline constexpr int64_t kByteVocabSize = 257;  // 256 bytes and the end of a document (id 256)

struct TokenizerSpec {
  enum class Kind { bytes, file, train };
  Kind kind = Kind::bytes;
  std::string path;                     // file: a tokenizer.json; absolute once loaded by the CLI
  int64_t vocab_size = kByteVocabSize;  // file: counted by the CLI; train: the byte-level BPE
                                        // vocabulary to learn, bytes and end of document included
  bool operator==(const TokenizerSpec&) const = default;
};

struct ResourceSpec {
  int64_t ranks = 1;            // processes of the gang, one per device (alias: gpus)
  std::string device = "auto";  // auto | cpu | cuda
  std::string device_name;      // part of the device's name, e.g. "4090" (alias: gpu); empty: any
  Bytes memory = 0;  // cap of device memory per rank (alias: gpu_memory); 0: what is free
  bool operator==(const ResourceSpec&) const = default;
};

struct RetrySpec {
  int64_t max_restarts = 5;  // crashes, hangs and lost workers together; OOM re-fits are apart
  bool on_oom = true;        // smaller plan and resume instead of failing
  bool operator==(const RetrySpec&) const = default;
};

struct JobSpec {
  std::string name;
  std::string method = "pretrain";  // pretrain | sft
  ModelSpec model;
  std::vector<DatasetSpec> datasets;
  TokenizerSpec tokenizer;
  std::string chat_template = "auto";  // sft: one of kChatTemplates, or a Jinja file
  bool train_on_inputs = false;        // sft: prompts count towards the loss, too
  std::optional<bool> sample_packing;  // none: on for sft, off for pretraining

  int64_t sequence_len = 256;                   // tokens
  std::optional<int64_t> micro_batch_size;      // sequences per rank and pass; none = auto
  int64_t global_batch_size = 32;               // sequences per optimizer step, all ranks
  std::string gradient_checkpointing = "auto";  // or as core/training/checkpointing.h has them
  std::string precision = "fp32";               // of the matrix products
  bool master_weights = true;                   // false: weights are bf16 only
  std::string attention = "sdpa";               // sdpa | manual
  std::string offload = "none";                 // one of kOffloadNames in core/training/offload.h
  bool cuda_graphs = false;                     // a pass is captured once and replayed
  std::optional<bool> pack_weights;             // on a CPU, for all passes of a step; none = auto

  // How long: the first one reached ends the run. At least one is set.
  std::optional<int64_t> max_steps;
  std::optional<int64_t> max_tokens;
  std::optional<double> num_epochs;
  std::optional<Millis> max_duration;

  std::string optimizer = "adamw";  // one of optimizers() in core/training/optimizer_facts.h
  double learning_rate = 1e-3;
  double weight_decay = 0.1;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.95;
  double adam_epsilon = 1e-8;
  double muon_momentum = 0.95;
  double max_grad_norm = 1.0;           // 0: no clipping
  std::string lr_scheduler = "cosine";  // cosine | linear | constant | wsd
  int64_t warmup_steps = 0;
  std::optional<double> warmup_ratio;  // instead of warmup_steps
  double min_lr_ratio = 0.1;           // final learning rate / learning_rate
  double decay_ratio = 0.2;            // wsd: share of the run over which the rate falls

  double val_set_size = 0.0;  // < 1: share of documents; >= 1: number of documents
  int64_t eval_steps = 0;     // 0: only at the end (when there is a validation set)
  int64_t eval_max_batches = 50;
  double ema_decay = 0;                 // of an average of the weights; 0: none is made
  int64_t early_stopping_patience = 0;  // evaluations without a better loss; 0: never stop early
  int64_t save_steps = 0;               // 0: only at the end and on SIGTERM
  int64_t save_total_limit = 2;
  bool save_best = false;              // when an evaluation is the best so far; kept
  bool async_checkpoints = true;       // write while training goes on, where the copy fits
  std::vector<std::string> report_to;  // tensorboard, csv: files in the job's folder
  int64_t seed = 42;
  int64_t nonfinite_limit = 10;  // skipped NaN/Inf steps in a row before the run fails
  std::string sample_prompt;     // text continued at the end of the run; empty: none

  ResourceSpec resources;
  int64_t priority = 50;  // 0..100, bigger is sooner
  RetrySpec retry;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> env;
  bool operator==(const JobSpec&) const = default;
};

struct ParsedJob {
  JobSpec spec;
  Places places;                        // of what was given
  std::vector<Diagnostic> diagnostics;  // in file order; usable when none is an error
  bool ok() const;
};
// Reads, defaults and cross-checks a job. Reports everything at once; touches no file.
ParsedJob parse_job(const Node& root);
// Every field by its canonical name: "given", "config" (of the model's directory), "preset" or
// "default".
std::map<std::string, std::string> origins(const ParsedJob& job);

// Canonical JSON: every field in a fixed order; equal specs give equal text.
std::string spec_text(const JobSpec& spec);
nlohmann::json to_json(const JobSpec& spec);  // the same as a tree
// Whether so much canonical text is taken from a client: up to limits::kJobFileBytes.
Status check_spec_size(size_t bytes);
// Reads what spec_text wrote, with the same checks as a job file. Hostile input: invalid_argument.
Result<JobSpec> parse_spec_json(std::string_view text);
Result<JobSpec> read_stored_spec(std::string_view text);  // of any size: it was taken once

std::string job_file_markdown();                 // docs/JOB_FILE.md
nlohmann::json job_file_schema();                // JSON Schema, draft 2020-12
std::string field_help(std::string_view field);  // one paragraph; empty: no such field

}  // namespace llmctl

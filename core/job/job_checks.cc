#include "core/job/job_checks.h"

#include <algorithm>
#include <cmath>

#include "core/base/limits.h"
#include "core/base/suggest.h"

namespace llmctl {

// The checks share what was written where, and where to complain.
struct Check {
  JobDraft& draft;
  const Places& places;
  Problems& problems;

  JobSpec& spec() const { return draft.spec; }
  bool given(std::string_view field) const { return places.contains(field); }
  Place at(const std::string& field) const {
    const auto it = places.find(field);
    return it != places.end() ? it->second : Place{0, 0, field, false};
  }
  void error(const std::string& field, std::string message) const {
    problems.error(at(field), std::move(message));
  }
  void warn(const std::string& field, std::string message) const {
    problems.warning(at(field), std::move(message));
  }
};

static std::string str(int64_t value) {
  return std::to_string(value);
}

static void settle_batch(const Check& c) {
  const auto accumulation = c.draft.gradient_accumulation_steps;
  JobSpec& spec = c.spec();
  if (!accumulation) return;
  if (c.given("global_batch_size")) {
    return c.error("gradient_accumulation_steps",
                   "give either global_batch_size or gradient_accumulation_steps");
  }
  if (!spec.micro_batch_size) {
    return c.error("gradient_accumulation_steps",
                   "needs a number as micro_batch_size; with micro_batch_size: auto give "
                   "global_batch_size");
  }
  constexpr int64_t kMost = 1 << 20;
  const int64_t per_pass = *spec.micro_batch_size * spec.resources.ranks;
  if (per_pass > kMost / *accumulation) {
    return c.error("gradient_accumulation_steps",
                   "micro_batch_size x ranks x gradient_accumulation_steps is more than " +
                       str(kMost) + " sequences");
  }
  spec.global_batch_size = per_pass * *accumulation;
}

static void check_batch(const Check& c) {
  const JobSpec& spec = c.spec();
  const bool has_micro = spec.micro_batch_size.has_value();
  const int64_t micro = spec.micro_batch_size.value_or(1);
  const int64_t divisor = micro * spec.resources.ranks;
  const int64_t global = spec.global_batch_size;
  if (global % divisor == 0) return;
  const int64_t below = global / divisor * divisor;
  const std::string fixes =
      (below > 0 ? str(below) + " or " : std::string()) + str(below + divisor);
  std::string product = "ranks = " + str(divisor);
  if (has_micro) product = "micro_batch_size x " + product;
  const bool written = c.given("global_batch_size") || !c.given("micro_batch_size");
  c.error(written ? "global_batch_size" : "micro_batch_size",
          "global_batch_size " + str(global) + " is not a multiple of " + product +
              "; the nearest global_batch_size is " + fixes);
}

static void check_length(const Check& c) {
  const JobSpec& spec = c.spec();
  bool wrong = false;
  for (const char* field : {"max_steps", "max_tokens", "num_epochs", "max_duration"}) {
    wrong = wrong || c.problems.blames(c.at(field).written);
  }
  const bool endless =
      !spec.max_steps && !spec.max_tokens && !spec.num_epochs && !spec.max_duration;
  if (endless && !wrong) {
    c.problems.error({0, 0, "max_steps"},
                     "missing: give at least one of max_steps, max_tokens, num_epochs, "
                     "max_duration");
  }
  if (spec.max_duration && *spec.max_duration < 1'000) {
    c.error("max_duration", "expected at least 1s");
  }
  const int64_t step_tokens = spec.global_batch_size * spec.sequence_len;
  if (spec.max_tokens && *spec.max_tokens < step_tokens) {
    c.error("max_tokens", "less than one step of global_batch_size x sequence_len = " +
                              str(step_tokens) + " tokens");
  }
}

static void check_schedule(const Check& c) {
  const JobSpec& spec = c.spec();
  if (c.given("warmup_steps") && spec.warmup_ratio) {
    // 0 is what absence means, and canonical JSON writes it.
    if (spec.warmup_steps > 0) c.error("warmup_ratio", "give either warmup_steps or warmup_ratio");
  }
  if (spec.max_steps && spec.warmup_steps >= *spec.max_steps && spec.warmup_steps > 0) {
    c.error("warmup_steps", "expected less than max_steps " + str(*spec.max_steps) + ", got " +
                                str(spec.warmup_steps));
  }
  if (spec.adam_beta1 > spec.adam_beta2) {
    c.warn(c.given("adam_beta1") ? "adam_beta1" : "adam_beta2",
           "adam_beta1 is larger than adam_beta2, which is unusual");
  }
  // Lion's steps are as long as its rate; the others' are mostly shorter.
  const double oddly_high = spec.optimizer == "lion" ? 0.002 : 0.02;
  constexpr double kOddlyLow = 1e-6;
  if (spec.learning_rate > oddly_high || spec.learning_rate < kOddlyLow) {
    c.warn("learning_rate",
           (spec.learning_rate > oddly_high ? "unusually high for " : "unusually low for ") +
               spec.optimizer);
  }
  if (spec.optimizer == "adamw_bf16" && spec.adam_beta2 > 0.99) {
    c.warn("adam_beta2", "above 0.99 changes of the second moment are lost in bf16");
  }
}

static void check_precision(const Check& c) {
  const JobSpec& spec = c.spec();
  if (!spec.master_weights && spec.precision != "bf16") {
    c.error("master_weights", "false needs precision: bf16, got " + spec.precision);
  }
}

static void check_evaluation(const Check& c) {
  const JobSpec& spec = c.spec();
  const double held_out = spec.val_set_size;
  if (held_out >= 1 && held_out != std::floor(held_out)) {
    c.error("val_set_size", "expected a share below 1 or a whole number of documents");
  }
  for (const char* field : {"early_stopping_patience", "save_best"}) {
    const bool wanted =
        c.given(field) && (field[0] == 'e' ? spec.early_stopping_patience > 0 : spec.save_best);
    if (wanted && (held_out == 0 || spec.eval_steps == 0)) {
      c.error(field, "needs evaluations; write val_set_size and eval_steps");
    }
  }
  if (held_out == 0 && spec.eval_steps > 0) {
    c.error("eval_steps", "needs a validation set; write val_set_size: 0.05, for example");
  } else if (held_out == 0) {
    c.warn("val_set_size", "no validation set, so over-fitting will not show");
  }
  if (held_out > 0.5 && held_out < 1) {
    c.warn("val_set_size", "more than half of the documents are held out");
  }
  if (spec.max_steps && spec.save_steps > *spec.max_steps) {
    c.warn("save_steps", "more than max_steps, so only the end is saved");
  }
}

// The field of a "field: message" that problems() returned, under the block it belongs to.
static void report_model_problem(const Check& c, const std::string& problem) {
  const size_t colon = problem.find(": ");
  CHECK(colon != std::string::npos);
  const std::string field = "model." + problem.substr(0, colon);
  Place place = c.at(field);
  if (!c.given(field)) {
    place.line = c.at("model").line;
    place.column = c.at("model").column;
  }
  c.problems.error(place, problem.substr(colon + 2));
}

static void check_vocabulary(const Check& c) {
  const int64_t tokens = c.spec().tokenizer.vocab_size;
  const int64_t rows = c.spec().model.config.vocab_size;
  const char* field = c.given("model.vocab_size") ? "model.vocab_size" : "model";
  if (rows < tokens) {
    c.error(field, "vocab_size " + str(rows) + " is less than the tokenizer's " + str(tokens));
  } else if (tokens > 0 && rows > 2 * tokens + 1'024) {
    c.warn(field, "vocab_size " + str(rows) + " is far more than the tokenizer's " + str(tokens) +
                      "; the rest is never trained");
  }
}

static void settle_model(const Check& c) {
  JobSpec& spec = c.spec();
  ModelConfig& config = spec.model.config;
  const TokenizerSpec& tokenizer = spec.tokenizer;
  // A block that was wrong has said so; what follows from it would only repeat that.
  const bool shapeless =
      config.hidden_size == 0 || config.num_hidden_layers == 0 || config.num_attention_heads == 0;
  if (shapeless) return;
  const bool unknown = tokenizer.vocab_size == 0 && config.vocab_size == 0;
  if (unknown && tokenizer.kind == TokenizerSpec::Kind::file) {
    c.error("tokenizer", "the size of its vocabulary is not known; give its vocab_size");
  }
  config = resolved(config, unknown ? kByteVocabSize : tokenizer.vocab_size, spec.sequence_len);
  for (const std::string& problem : problems(config)) report_model_problem(c, problem);
  check_vocabulary(c);
  const bool longer = spec.sequence_len > config.max_position_embeddings;
  if (longer && (config.rope.type != "dynamic" || config.learned_positions)) {
    c.error("sequence_len", "longer than the model's max_position_embeddings " +
                                str(config.max_position_embeddings));
  }
}

static void check_chat_template(const Check& c) {
  const std::string& given = c.spec().chat_template;
  const auto names = words(kChatTemplates);
  if (std::find(names.begin(), names.end(), given) != names.end()) return;
  if (given.find('/') != std::string::npos || given.ends_with(".jinja")) return;
  c.error("chat_template", "expected one of " + std::string(kChatTemplates) +
                               ", or a .jinja file, got \"" + given + "\"" +
                               did_you_mean(given, names));
}

static void check_datasets(const Check& c) {
  const JobSpec& spec = c.spec();
  const auto weighted = [](const DatasetSpec& dataset) { return dataset.weight.has_value(); };
  const bool any = std::any_of(spec.datasets.begin(), spec.datasets.end(), weighted);
  const bool sft = spec.method == "sft";
  for (size_t i = 0; i < spec.datasets.size(); ++i) {
    const DatasetSpec& dataset = spec.datasets[i];
    const std::string name = "datasets[" + std::to_string(i) + "]";
    if (any && !weighted(dataset)) {
      c.error(name, "has no weight; give every dataset one, or none");
    }
    const bool text = dataset.type == "text" || dataset.type == "jsonl";
    if (dataset.type == "auto" || text != sft) continue;
    c.error(name + ".type", text ? "method sft needs chats, or prompts and completions"
                                 : dataset.type + " needs method: sft");
  }
}

static void check_resources(const Check& c) {
  const ResourceSpec& r = c.spec().resources;
  if (r.device == "cpu" && !r.device_name.empty()) {
    c.warn("resources.device_name", "names are matched on the CPU, too");
  }
  constexpr Bytes kLeast = 16 << 20;
  if (r.memory != 0 && r.memory < kLeast) {
    c.error("resources.memory", "expected at least 16MiB, got " + format_bytes(r.memory));
  }
}

static void check_name(const Check& c) {
  for (char ch : c.spec().name) {
    const bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
    if (letter || (ch >= '0' && ch <= '9') || ch == '.' || ch == '_' || ch == '-') continue;
    return c.error("name", "expected letters, digits, '.', '_' and '-' only");
  }
}

void settle_and_check(JobDraft& draft, const Places& places, Problems& problems) {
  const Check check{draft, places, problems};
  check_name(check);
  settle_batch(check);
  if (!problems.blames("gradient_accumulation_steps")) check_batch(check);
  check_length(check);
  check_schedule(check);
  check_precision(check);
  check_evaluation(check);
  settle_model(check);
  check_chat_template(check);
  check_datasets(check);
  check_resources(check);
}

}  // namespace llmctl

#include "trainer/data/chat/template.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/fields/field_table.h"
#include "core/job/job_spec.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/mapped_file.h"
#include "trainer/tokenizer/tokenizer_config.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr size_t kTemplateBytes = 1 << 20;

struct Family {
  const char* name;
  const char* bos;
  const char* eos;
  const char* special_tokens;  // separated by spaces
  const char* source;
};

// A system prompt is a turn of its own where the family has one, else it opens the first question.
constexpr Family kFamilies[] = {
    {"chatml", "", "<|im_end|>", "<|im_start|> <|im_end|>",
     R"({%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%})"},
    {"llama3", "<|begin_of_text|>", "<|eot_id|>",
     "<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|>",
     R"({{- bos_token -}}
{%- for message in messages -%}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' -}}
{{- message.content | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
{%- endif -%})"},
    {"mistral", "<s>", "</s>", "<s> </s> [INST] [/INST]",
     R"({{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = message.content + '\n\n' -%}
{%- elif message.role == 'user' -%}
{{- '[INST] ' + ns.system + message.content + ' [/INST]' -}}
{%- set ns.system = '' -%}
{%- elif message.role == 'assistant' -%}
{{- ' ' + message.content + eos_token -}}
{%- else -%}
{{- raise_exception('mistral has no role ' + message.role) -}}
{%- endif -%}
{%- endfor -%})"},
    {"gemma", "<bos>", "<end_of_turn>", "<bos> <start_of_turn> <end_of_turn>",
     R"({{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = message.content | trim + '\n\n' -%}
{%- else -%}
{%- set role = 'model' if message.role == 'assistant' else message.role -%}
{{- '<start_of_turn>' + role + '\n' + ns.system + message.content | trim -}}
{{- '<end_of_turn>\n' -}}
{%- set ns.system = '' -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%})"},
    {"phi", "", "<|end|>", "<|system|> <|user|> <|assistant|> <|end|>",
     R"({%- for message in messages -%}
{{- '<|' + message.role + '|>\n' + message.content + '<|end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%})"},
    {"alpaca", "", "<|endoftext|>", "",
     R"({%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = message.content -%}
{%- elif message.role == 'user' -%}
{%- if ns.system -%}
{{- ns.system + '\n\n' -}}
{%- elif loop.first and message.input -%}
{{- 'Below is an instruction that describes a task, paired with an input that provides ' -}}
{{- 'further context. Write a response that appropriately completes the request.\n\n' -}}
{%- elif loop.first -%}
{{- 'Below is an instruction that describes a task. ' -}}
{{- 'Write a response that appropriately completes the request.\n\n' -}}
{%- endif -%}
{%- set ns.system = '' -%}
{%- if message.input -%}
{{- '### Instruction:\n' + message.instruction + '\n\n### Input:\n' + message.input -}}
{%- else -%}
{{- '### Instruction:\n' + message.content -}}
{%- endif -%}
{{- '\n\n### Response:\n' -}}
{%- else -%}
{{- message.content + eos_token + ('' if loop.last else '\n\n') -}}
{%- endif -%}
{%- endfor -%})"},
};

Result<std::string> read_text(const fs::path& file) {
  const auto mapped = TRY(MappedFile::open(file));
  if (mapped->bytes().size() > kTemplateBytes)
    return invalid(file.string() + ": larger than 1 MiB");
  return std::string(as_text(mapped->bytes()));
}

// A text, or a list of {"name", "template"} with one that is called default.
std::optional<std::string> template_of(const nlohmann::json& config) {
  const auto found = config.find("chat_template");
  if (found == config.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return std::nullopt;
  for (const auto& one : *found) {
    if (!one.is_object() || one.value("name", nlohmann::json()) != "default") continue;
    if (one.contains("template") && one["template"].is_string()) {
      return one["template"].get<std::string>();
    }
  }
  return std::nullopt;
}

}  // namespace

struct ChatTemplate::TokenizerFolder {  // what lies beside a tokenizer
  std::optional<std::string> source;
  std::string file, bos, eos;
};

Result<ChatTemplate::TokenizerFolder> ChatTemplate::read_tokenizer_folder(
    const fs::path& tokenizer) {
  TokenizerFolder folder;
  const auto config = TRY(read_tokenizer_config(tokenizer));
  if (!config.is_null()) {
    folder.bos = special_token(config, "bos_token");
    folder.eos = special_token(config, "eos_token");
    folder.source = template_of(config);
    folder.file = (tokenizer.parent_path() / "tokenizer_config.json").string();
  }
  std::error_code failed;
  const fs::path own = tokenizer.parent_path() / "chat_template.jinja";
  if (fs::is_regular_file(own, failed)) {
    folder.source = TRY(read_text(own));
    folder.file = own.string();
  }
  return folder;
}

Result<ChatTemplate> ChatTemplate::named(const std::string& name) {
  for (const Family& family : kFamilies) {
    if (name != family.name) continue;
    ChatTemplate made(TRY(jinja::Template::parse(family.source, "chat_template " + name)));
    made.bos_ = family.bos;
    made.eos_ = family.eos;
    for (std::string_view token : words(family.special_tokens)) {
      made.special_tokens_.emplace_back(token);
    }
    return made;
  }
  return Error{Code::invalid_argument, "there is no chat_template " + name, ""};
}

Result<ChatTemplate> ChatTemplate::read(std::string_view source, std::string_view file) {
  return ChatTemplate(TRY(jinja::Template::parse(source, file)));
}

Result<ChatTemplate> ChatTemplate::chosen(const std::string& asked, const TokenizerFolder& folder) {
  if (asked.find('/') != std::string::npos || asked.ends_with(".jinja")) {
    return read(TRY(read_text(asked)), asked);
  }
  if (asked != "auto") return named(asked);
  return folder.source ? read(*folder.source, folder.file) : named("chatml");
}

Result<ChatTemplate> ChatTemplate::open(const JobSpec& spec) {
  TokenizerFolder folder;
  if (spec.tokenizer.kind == TokenizerSpec::Kind::file) {
    folder = TRY(read_tokenizer_folder(spec.tokenizer.path));
  }
  Result<ChatTemplate> made = chosen(spec.chat_template, folder);
  if (made.ok() && !folder.bos.empty()) made->bos_ = folder.bos;
  if (made.ok() && !folder.eos.empty()) made->eos_ = folder.eos;
  return made;
}

Result<std::string> ChatTemplate::render(const jinja::Items& messages,
                                         const jinja::Value& tools,
                                         bool add_generation_prompt) const {
  const jinja::Value all = TRY(jinja::Value::list(messages));
  return template_.render({{"messages", all},
                           {"tools", tools},
                           {"bos_token", bos_},
                           {"eos_token", eos_},
                           {"add_generation_prompt", add_generation_prompt}});
}

}  // namespace llmctl

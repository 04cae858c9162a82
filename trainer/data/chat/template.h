// Chat templates: the six families llmctl knows by name, written here in Jinja, and those that
// come with a tokenizer (chat_template.jinja, or chat_template of tokenizer_config.json).
// Immutable; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/job/job_spec.h"
#include "trainer/template/template.h"

namespace llmctl {

class ChatTemplate {
 public:
  // The template that spec.chat_template means; bos_token and eos_token are those of the
  // tokenizer_config.json beside spec.tokenizer, else the family's.
  static Result<ChatTemplate> open(const JobSpec& spec);
  static Result<ChatTemplate> named(const std::string& name);  // one of kChatTemplates, not auto

  Result<std::string> render(const jinja::Items& messages,
                             const jinja::Value& tools,
                             bool add_generation_prompt) const;
  const std::string& source() const { return template_.source(); }
  const std::string& bos() const { return bos_; }
  const std::string& eos() const { return eos_; }
  // The tokens a family writes; empty for a template that was read.
  const std::vector<std::string>& special_tokens() const { return special_tokens_; }

 private:
  struct TokenizerFolder;
  static Result<TokenizerFolder> read_tokenizer_folder(const std::filesystem::path& tokenizer);
  static Result<ChatTemplate> read(std::string_view source, std::string_view file);
  static Result<ChatTemplate> chosen(const std::string& asked, const TokenizerFolder& folder);
  explicit ChatTemplate(jinja::Template parsed) : template_(std::move(parsed)) {}
  jinja::Template template_;
  std::string bos_, eos_;
  std::vector<std::string> special_tokens_;
};

}  // namespace llmctl

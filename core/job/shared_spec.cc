#include "core/job/shared_spec.h"

#include <nlohmann/json.hpp>

namespace llmctl {

SharedSpec::SharedSpec(JobSpec spec) {
  std::string text = spec_text(spec);
  *this = SharedSpec(Body{std::move(spec), std::move(text), ""});
}

SharedSpec::SharedSpec(Body body) : body_(std::make_shared<const Body>(std::move(body))) {}

// The name of a job that is not understood, for lists.
static JobSpec what_can_be_read(const std::string& text) {
  JobSpec spec;
  const auto document = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return spec;
  const auto name = document.find("name");
  if (name != document.end() && name->is_string()) spec.name = *name;
  return spec;
}

SharedSpec SharedSpec::stored(std::string text) {
  auto spec = read_stored_spec(text);
  if (spec.ok()) return std::move(spec).value();
  std::string problem = spec.error().message;
  return SharedSpec(Body{what_can_be_read(text), std::move(text), std::move(problem)});
}

SharedSpec::SharedSpec() {
  static const SharedSpec fresh{JobSpec{}};
  *this = fresh;
}

}  // namespace llmctl

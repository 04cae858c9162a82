// Job specs as canonical JSON: the same tables and checks as a job file, from hostile text.
#include "core/job_spec.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/limits.h"

namespace llmctl {
namespace {

const char* const kSmall = R"({"model": "llama-1m", "datasets": "a.txt", "max_steps": 10})";

JobSpec small() {
  return parse_spec_json(kSmall).value();
}

std::string refusal(std::string_view text) {
  const Result<JobSpec> result = parse_spec_json(text);
  return result.ok() ? "accepted" : result.error().message;
}

TEST(JobSpec, ThreeFieldsAreEnough) {
  const JobSpec spec = small();
  EXPECT_EQ(spec.model.preset, "llama-1m");
  EXPECT_EQ(spec.model.config.vocab_size, kByteVocabSize);
  EXPECT_EQ(spec.model.config.intermediate_size, 384);
  EXPECT_EQ(spec.max_steps, 10);
  EXPECT_FALSE(spec.micro_batch_size.has_value());
}

TEST(JobSpec, CanonicalJsonReadsBackEqual) {
  const JobSpec spec = small();
  EXPECT_EQ(parse_spec_json(to_json(spec).dump()).value(), spec);
}

TEST(JobSpec, CanonicalJsonOfEqualSpecsIsEqualText) {
  EXPECT_EQ(to_json(small()).dump(),
            to_json(parse_spec_json(to_json(small()).dump()).value()).dump());
}

TEST(JobSpec, RefusesHostileTextWithoutThrowing) {
  EXPECT_EQ(refusal(""), "job spec is not valid JSON");
  EXPECT_EQ(refusal("[]"), "job spec: expected a mapping, got a list");
  EXPECT_EQ(refusal("{\"a\xff\": 1}"), "job spec is not valid JSON");
  EXPECT_EQ(refusal(std::string(200'000, '[')), "job spec is nested too deeply");
  EXPECT_EQ(refusal(std::string("{\"name\": \"a\0\"}", 13)), "job spec is not valid JSON");
  EXPECT_EQ(refusal(R"({"model": "llama-1m", "datasets": "a", "max_steps": 1, "max_steps": 2})"),
            "job spec: max_steps: already given as max_steps");
  EXPECT_EQ(refusal(std::string(limits::kJobFileBytes + 1, ' ')), "job spec is larger than 1 MiB");
}

}  // namespace
}  // namespace llmctl

// Job specs as canonical JSON: the same tables and checks as a job file, from hostile text.
#include "core/job/job_spec.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "core/job/shared_spec.h"

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

std::string nested(int levels) {
  const auto size = static_cast<size_t>(levels);
  return std::string(size, '[') + std::string(size, ']');
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
  JobSpec spec = small();
  EXPECT_EQ(parse_spec_json(spec_text(spec)).value(), spec);
  spec.name = "n";
  spec.sample_prompt = "quote \" backslash \\ newline \n tab \t Grüße 東京 \x7f";
  spec.datasets.push_back({"/b", "jsonl", "a\"b", 0.1});
  spec.datasets[0].weight = 1.0 / 3;
  spec.learning_rate = 1e-300;
  spec.max_tokens = int64_t{1'000'000'000'000'000};
  spec.max_duration = 90'500;
  spec.report_to = {"csv", "tensorboard"};
  spec.labels = {{"a \"b\"", "ü"}};
  spec.env = {{"JOB_A", "\n"}};
  spec.tokenizer = {TokenizerSpec::Kind::train, "", 512};
  spec.model.config.vocab_size = 512;
  const Result<JobSpec> again = parse_spec_json(spec_text(spec));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(*again, spec);
}

TEST(JobSpec, TakesNoVariableThatTheWorkerWouldRefuse) {
  JobSpec spec = small();
  for (const char* good : {"OMP_NUM_THREADS", "NCCL_DEBUG", "NCCL_IB_HCA", "JOB_NOTE"}) {
    spec.env = {{good, "1"}};
    EXPECT_TRUE(parse_spec_json(spec_text(spec)).ok()) << good;
  }
  for (const char* bad :
       {"PATH", "LD_PRELOAD", "CUDA_INJECTION64_PATH", "CUDA_VISIBLE_DEVICES", "NCCL_NET_PLUGIN",
        "GCONV_PATH", "GLIBC_TUNABLES", "OMP_TOOL_LIBRARIES", "PYTHONPATH", "HOME", "JOB"}) {
    spec.env = {{bad, "1"}};
    EXPECT_FALSE(parse_spec_json(spec_text(spec)).ok()) << bad;
  }
}

TEST(JobSpec, CanonicalJsonOfEqualSpecsIsEqualText) {
  EXPECT_EQ(spec_text(small()), spec_text(parse_spec_json(spec_text(small())).value()));
}

TEST(JobSpec, SharedSpecsAreOneAndEqualByWhatTheySay) {
  const SharedSpec spec = small();
  const std::vector<SharedSpec> copies(2, spec);
  EXPECT_EQ(&*copies.front(), &*spec);
  EXPECT_EQ(spec.text(), spec_text(small()));
  EXPECT_EQ(spec, SharedSpec(small()));
  JobSpec other = small();
  other.seed = 43;
  EXPECT_NE(spec, SharedSpec(other));
  EXPECT_EQ(SharedSpec(), SharedSpec(JobSpec{}));
}

TEST(JobSpec, AStoredTextIsKeptWhateverThisProgramThinksOfIt) {
  const std::string text = spec_text(small());
  EXPECT_EQ(SharedSpec::stored(text), SharedSpec(small()));
  EXPECT_EQ(SharedSpec::stored(text).problem(), "");
  const std::string strange = R"({"name": "of tomorrow", "optimizer": "sophia"})";
  const SharedSpec spec = SharedSpec::stored(strange);
  EXPECT_EQ(spec.text(), strange);
  EXPECT_EQ(spec->name, "of tomorrow");
  EXPECT_NE(spec.problem().find("optimizer"), std::string::npos) << spec.problem();
  EXPECT_FALSE(SharedSpec::stored("no JSON").problem().empty());
}

TEST(JobSpec, AStoredTextMayBeLongerThanWhatIsTakenFromAClient) {
  JobSpec spec = small();
  spec.datasets.assign(10'000, {"/data/" + std::string(100, 'x'), "text", "text"});
  const std::string text = spec_text(spec);
  EXPECT_FALSE(parse_spec_json(text).ok());
  EXPECT_EQ(SharedSpec::stored(text).text(), text);
}

TEST(JobSpec, RefusesHostileTextWithoutThrowing) {
  EXPECT_EQ(refusal(""), "job spec is not valid JSON");
  EXPECT_EQ(refusal("[]"), "job spec: expected a mapping, got a list");
  EXPECT_EQ(refusal("{\"a\xff\": 1}"), "job spec is not valid JSON");
  EXPECT_EQ(refusal(nested(limits::kNestingDepth)), "job spec: expected a mapping, got a list");
  EXPECT_EQ(refusal(nested(limits::kNestingDepth + 1)), "job spec is nested too deeply");
  EXPECT_EQ(refusal(nested(200'000)), "job spec is nested too deeply");
  EXPECT_EQ(refusal(std::string(200'000, '[')), "job spec is not valid JSON");
  EXPECT_EQ(refusal("{} {}"), "job spec is not valid JSON");
  EXPECT_EQ(refusal(std::string("{\"name\": \"a\0\"}", 13)), "job spec is not valid JSON");
  EXPECT_EQ(refusal(R"({"model": "llama-1m", "datasets": "a", "max_steps": 1, "max_steps": 2})"),
            "job spec: max_steps: already given as max_steps");
  EXPECT_EQ(refusal(std::string(limits::kJobFileBytes + 1, ' ')),
            "the job with all its fields written out is 1.0 MiB, more than 1.0 MiB");
}

}  // namespace
}  // namespace llmctl

#include "trainer/run/sample.h"

#include "trainer/data/chat/format.h"
#include "trainer/inference/generate.h"
#include "trainer/optim/averaged.h"

namespace llmctl {

// The end of a text, and of a turn where turns are learned.
static std::vector<int32_t> ends_of(const JobSpec& spec, const Tokenizer& tokenizer) {
  std::vector<int32_t> ends;
  if (tokenizer.eos()) ends.push_back(*tokenizer.eos());
  if (spec.method != "sft") return ends;
  const auto format = ChatFormat::open(spec);
  const auto turn_end = format.ok() ? format->turn_end(tokenizer) : std::nullopt;
  if (turn_end) ends.push_back(*turn_end);
  return ends;
}

void tell_sample(PreparedRun& run, Reporter& report) {
  const JobSpec& spec = run.config.spec;
  if (spec.sample_prompt.empty()) return;
  report.phase("sample");
  run.pass->release();
  const UseAverage average(*run.model, *run.optimizer);
  std::string text;
  const Tokenizer& tokenizer = run.batches->tokenizer();
  const Status made =
      generate(*run.model, tokenizer,
               {.prompt = spec.sample_prompt, .seed = spec.seed, .ends = ends_of(spec, tokenizer)},
               [&](std::string_view piece) { text += piece; });
  if (!made.ok()) text = made.error().message;
  report.line(to_report(SampleGenerated{run.state.step, spec.sample_prompt, text}));
}

}  // namespace llmctl

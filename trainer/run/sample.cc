#include "trainer/run/sample.h"

#include "trainer/inference/generate.h"
#include "trainer/optim/averaged.h"

namespace llmctl {

void tell_sample(PreparedRun& run, Reporter& report) {
  const JobSpec& spec = run.config.spec;
  if (spec.sample_prompt.empty()) return;
  report.phase("sample");
  run.pass->release();
  const UseAverage average(*run.model, *run.optimizer);
  std::string text;
  const Status made = generate(*run.model, run.batches->tokenizer(),
                               {.prompt = spec.sample_prompt, .seed = spec.seed},
                               [&](std::string_view piece) { text += piece; });
  if (!made.ok()) text = made.error().message;
  report.line(to_report(SampleGenerated{run.state.step, spec.sample_prompt, text}));
}

}  // namespace llmctl

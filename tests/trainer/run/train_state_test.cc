#include "trainer/run/saving/train_state.h"

#include <gtest/gtest.h>

#include "tests/trainer/sample_model.h"
#include "trainer/optim/adamw.h"

namespace llmctl {
namespace {

TEST(TrainState, KeepsTheJobInACheckpointWithoutItsEnvironment) {
  Model model(sample_config(), {.sequence_len = kSampleLength});
  AdamW optimizer(model.layout().size(), model.layout().matrices_end());
  RunIdentity identity;
  identity.spec.name = "named";
  identity.spec.env = {{"JOB_TOKEN", "hunter2"}};
  const TrainState state;
  const LiveContent live = live_content(1, state, identity, model, optimizer);
  EXPECT_EQ(live.content.state["spec"]["name"], "named");
  EXPECT_EQ(live.content.state.dump().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace llmctl

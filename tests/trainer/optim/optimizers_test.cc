// Every optimizer against its reference over a hundred steps: PyTorch's and bitsandbytes' own, run
// by reference_optimizers.py on the same weights and gradients.
#include "trainer/optim/optimizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/fields/field_table.h"
#include "core/training/optimizer_facts.h"
#include "tests/trainer/close.h"
#include "tests/trainer/python.h"
#include "tests/trainer/sample_model.h"
#include "tests/trainer/scratch.h"
#include "trainer/optim/gradient_norm.h"
#include "trainer/optim/updates/quantize_blockwise.h"

namespace llmctl {
namespace {

constexpr int kReferenceSteps = 100;
constexpr OptimizerStep kStep = {.learning_rate = 1e-3, .weight_decay = 0.1};

// Slots on both sides of kLeastQuantizedElements, and one that ends inside a block.
ModelConfig some_config() {
  ModelConfig config;
  config.vocab_size = 131;
  config.hidden_size = 72;
  config.intermediate_size = 160;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.tie_word_embeddings = false;
  return resolved(config, 0, 32);
}

// Real buffers are zero where no parameter lies.
at::Tensor without_padding(const ParameterLayout& layout, const at::Tensor& all) {
  at::Tensor out = at::zeros_like(all);
  for (const ParameterSlot& slot : layout.slots()) {
    view_of(out, slot).copy_(view_of(all, slot));
  }
  return out;
}

// Gradients of different sizes from element to element, as real ones are.
at::Tensor gradient_of(const ParameterLayout& layout, int step) {
  const at::Tensor size = numbers({layout.size()}, 0.5).mul_(2).exp_().mul_(1e-4);
  const at::Tensor all = numbers({layout.size()}, 31.0 * step).mul_(size);
  return without_padding(layout, all);
}

void append(std::string& bytes, const at::Tensor& tensor) {
  bytes.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
}

class References {  // made once for all tests
 public:
  static const References& get() {
    static const References kAll;
    return kAll;
  }
  bool there() const { return !python_.empty(); }
  at::Tensor weights_after(const std::string& optimizer) const { return read(optimizer + ".bin"); }
  at::Tensor read(const std::string& name) const {
    const std::string bytes = read_file(scratch_.path() / name);
    at::Tensor all = at::empty({static_cast<int64_t>(bytes.size() / sizeof(float))});
    std::memcpy(all.mutable_data_ptr(), bytes.data(), bytes.size());
    return all;
  }
  const ParameterLayout& layout() const { return layout_; }
  at::Tensor start() const { return without_padding(layout_, numbers({layout_.size()}, 1)); }

 private:
  References() : layout_(some_config()), python_(python_with("bitsandbytes")) {
    if (there()) run();
  }
  void run() {
    nlohmann::json document = {{"steps", kReferenceSteps},
                               {"lr", kStep.learning_rate},
                               {"betas", {kStep.beta1, kStep.beta2}},
                               {"eps", kStep.epsilon},
                               {"weight_decay", kStep.weight_decay},
                               {"momentum", kStep.momentum}};
    for (const ParameterSlot& slot : layout_.slots()) {
      const ParameterGroup group = group_of(slot);
      const bool inner = group == ParameterGroup::attention || group == ParameterGroup::mlp;
      document["slots"].push_back({{"offset", slot.offset},
                                   {"elements", slot.elements},
                                   {"shape", slot.shape},
                                   {"decays", slot.offset < layout_.matrices_end()},
                                   {"muon", inner}});
    }
    write_file(scratch_.path() / "case.json", document.dump());
    std::string all;
    append(all, start());
    for (int step = 0; step < kReferenceSteps; ++step) append(all, gradient_of(layout_, step));
    write_file(scratch_.path() / "numbers.bin", all);
    const ProgramOutput out = run_program(
        python_ + " '" LLMCTL_SOURCE_DIR "/tests/trainer/optim/reference_optimizers.py' " +
        scratch_.path().string() + " 2>&1");
    EXPECT_EQ(out.code, 0) << out.out;
  }
  Scratch scratch_;
  ParameterLayout layout_;
  std::string python_;
};

at::Tensor weights_after(const std::string& optimizer,
                         const ParameterLayout& layout,
                         at::Tensor weights) {
  const auto made = make_optimizer(optimizer, layout, at::kCPU);
  for (int step = 0; step < kReferenceSteps; ++step) {
    at::Tensor gradient = gradient_of(layout, step);
    made->update(weights, gradient, kStep);
    EXPECT_EQ(gradient.count_nonzero().item<int64_t>(), 0);
  }
  return weights;
}

TEST(Averaged, FollowsTheWeightsAndLeavesThemAlone) {
  ModelConfig config = sample_config();
  const ParameterLayout layout(config);
  const auto made = make_optimizer("adamw", layout, at::kCPU, {.ema_decay = 0.9});
  at::Tensor weights = numbers({layout.size()}, 1);
  const at::Tensor plain = weights_after("adamw", layout, weights.clone());
  at::Tensor want;
  for (int step = 0; step < kReferenceSteps; ++step) {
    at::Tensor gradient = gradient_of(layout, step);
    made->update(weights, gradient, kStep);
    const double decay = std::min(0.9, step / (step + 9.0));
    want = step == 0 ? weights.clone() : want * decay + weights * (1 - decay);
  }
  EXPECT_TRUE(at::equal(weights, plain));
  EXPECT_TRUE(at::allclose(made->average(), want, 1e-5, 1e-6));
}

struct OptimizerCase {
  const char* optimizer;
  const char* reference;
  double most;
};
void PrintTo(const OptimizerCase& c, std::ostream* out) {
  *out << c.reference;
}
class Optimizers : public ::testing::TestWithParam<OptimizerCase> {};

TEST_P(Optimizers, EqualTheirReferenceOverAHundredSteps) {
  const References& references = References::get();
  if (!references.there()) GTEST_SKIP() << "no Python with bitsandbytes: set LLMCTL_PYTHON";
  const OptimizerCase& c = GetParam();
  const at::Tensor got =
      weights_after(c.optimizer, references.layout(), references.start().clone());
  const at::Tensor want = references.weights_after(c.reference);
  ASSERT_EQ(want.numel(), got.numel());
  EXPECT_LE(share_astray(got, want, references.start()), c.most);
}

INSTANTIATE_TEST_SUITE_P(All,
                         Optimizers,
                         ::testing::Values(OptimizerCase{"adamw", "adamw", 5e-5},
                                           OptimizerCase{"adamw_bf16", "adamw_bf16", 1e-4},
                                           OptimizerCase{"adamw_8bit", "adamw_8bit", 1e-3},
                                           OptimizerCase{"adafactor", "adafactor", 1e-5},
                                           OptimizerCase{"lion", "lion", 1e-3},
                                           OptimizerCase{"muon", "muon", 1e-4},
                                           OptimizerCase{"muon", "muon_bf16", 0.15}),
                         [](const auto& c) { return std::string(c.param.reference); });

TEST(Quantization, HasTheMapsOfBitsandbytes) {
  const References& references = References::get();
  if (!references.there()) GTEST_SKIP() << "no Python with bitsandbytes: set LLMCTL_PYTHON";
  const auto equal = [&](const QuantizationMap& map, const char* name) {
    const at::Tensor want = references.read(name);
    const at::Tensor got = at::from_blob(const_cast<float*>(map.values.data()), {256});
    return want.numel() == 256 && at::allclose(got, want, 3e-7, 0);
  };
  EXPECT_TRUE(equal(signed_dynamic_map(), "signed_map.bin"));
  EXPECT_TRUE(equal(unsigned_dynamic_map(), "unsigned_map.bin"));
}

TEST(Quantization, TakesTheNearestCode) {
  for (const QuantizationMap* map : {&signed_dynamic_map(), &unsigned_dynamic_map()}) {
    for (int i = -2'000; i <= 2'000; ++i) {
      const float x = static_cast<float>(i) / 1'999.5f;
      const float got = map->values[nearest_code(*map, x)];
      for (const float value : map->values) EXPECT_LE(std::fabs(x - got), std::fabs(x - value));
    }
  }
}

TEST(ParameterShapes, AreThoseOfTheLayoutOfEveryFamily) {
  for (const std::string_view family : words(architectures())) {
    ModelConfig config = some_config();
    set_family(config, family);
    std::multiset<std::pair<int64_t, int64_t>> want, got;
    for (const ParameterShape& shape : parameter_shapes(config)) {
      for (int64_t i = 0; i < shape.count; ++i) got.emplace(shape.rows, shape.columns);
    }
    const ParameterLayout layout(config);
    for (const ParameterSlot& slot : layout.slots()) {
      want.emplace(slot.shape.size() > 1 ? slot.shape[0] : 1, slot.shape.back());
    }
    EXPECT_EQ(got, want) << family;
  }
}

TEST(GradientNorms, OfGroupsAddUpToTheWhole) {
  const ParameterLayout layout(some_config());
  const at::Tensor gradient = gradient_of(layout, 3);
  const GradientNorms norms = gradient_norms(layout, gradient);
  EXPECT_NEAR(norms.all, gradient.to(at::kDouble).norm().item<double>(), 1e-9 * norms.all);
  double squares = 0;
  for (const double norm : norms.of_group) {
    EXPECT_GT(norm, 0);
    squares += norm * norm;
  }
  EXPECT_NEAR(std::sqrt(squares), norms.all, 1e-9 * norms.all);
  const at::Tensor head = view_of(gradient, layout.slot("lm_head.weight"));
  EXPECT_NEAR(norms.of_group[static_cast<size_t>(ParameterGroup::head)],
              head.to(at::kDouble).norm().item<double>(), 1e-9);
}

}  // namespace
}  // namespace llmctl

#include "trainer/optim/optimizer.h"

#include "core/training/offload.h"
#include "trainer/optim/adafactor.h"
#include "trainer/optim/adamw.h"
#include "trainer/optim/adamw_8bit.h"
#include "trainer/optim/averaged.h"
#include "trainer/optim/lion.h"
#include "trainer/optim/muon.h"

namespace llmctl {

OptimizerStep optimizer_step(const JobSpec& spec, double learning_rate, double gradient_scale) {
  return {.learning_rate = learning_rate,
          .beta1 = spec.adam_beta1,
          .beta2 = spec.adam_beta2,
          .epsilon = spec.adam_epsilon,
          .weight_decay = spec.weight_decay,
          .gradient_scale = gradient_scale,
          .momentum = spec.muon_momentum,
          .seed = spec.seed};
}

OptimizerOptions optimizer_options(const JobSpec& spec) {
  return {.ema_decay = spec.ema_decay, .offload = offloads_optimizer(spec.offload)};
}

static std::unique_ptr<Optimizer> plain_optimizer(const std::string& name,
                                                  const ParameterLayout& layout,
                                                  OptimizerStateHome home) {
  const int64_t elements = layout.size(), decay_end = layout.matrices_end();
  if (name == "adamw") return std::make_unique<AdamW>(elements, decay_end, std::move(home));
  if (name == "adamw_bf16") {
    return std::make_unique<AdamW>(elements, decay_end, std::move(home), at::kBFloat16);
  }
  if (name == "adamw_8bit") return std::make_unique<AdamW8bit>(layout, std::move(home));
  if (name == "adafactor") return std::make_unique<Adafactor>(layout, std::move(home));
  if (name == "lion") return std::make_unique<Lion>(elements, decay_end, std::move(home));
  CHECK(name == "muon");
  return std::make_unique<Muon>(layout, std::move(home));
}

std::unique_ptr<Optimizer> make_optimizer(const std::string& name,
                                          const ParameterLayout& layout,
                                          at::Device device,
                                          const OptimizerOptions& options) {
  const auto home = [&] {
    return OptimizerStateHome(device, options.offload, options.offload_piece);
  };
  auto optimizer = plain_optimizer(name, layout, home());
  if (options.ema_decay <= 0) return optimizer;
  return std::make_unique<Averaged>(std::move(optimizer), options.ema_decay, layout.size(), home());
}

void append_slots(std::vector<NamedTensor>& out,
                  const std::string& prefix,
                  const ParameterLayout& layout,
                  const Weights& flat) {
  for (const ParameterSlot& slot : layout.slots()) {
    out.push_back({prefix + slot.name, view_of(flat, slot)});
  }
}

}  // namespace llmctl

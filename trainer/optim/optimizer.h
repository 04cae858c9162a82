// Optimizer: what turns gradients into new weights, once per step, over flat buffers: fp32, or seen
// as fp32 (weights_as_fp32.h). Owns its state, which is all that a checkpoint must hold beside the
// weights: named tensors, restored to the bit. A slot before ParameterLayout::matrices_end()
// decays, the others (norms) do not. One thread calls it; every one is deterministic for any number
// of threads. core/training/optimizer_facts.h lists the optimizers and the bytes they take.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/job/job_spec.h"
#include "trainer/model/parameters.h"
#include "trainer/optim/optimizer_state_home.h"
#include "trainer/optim/weights_as_fp32.h"

namespace llmctl {

struct OptimizerStep {
  double learning_rate = 0;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0;
  double gradient_scale = 1;  // clipping
  double momentum = 0.95;     // muon's
  int64_t seed = 0;           // of the stochastic rounding of bf16 weights without masters
};
OptimizerStep optimizer_step(const JobSpec& spec, double learning_rate, double gradient_scale);

struct NamedTensor {
  std::string name;   // "first_moment.model.norm.weight"
  at::Tensor tensor;  // contiguous, sharing memory with what it names
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // The gradients are zero afterwards. Matrices are fp32 or bf16.
  void update(const Weights& weights, at::Tensor& gradients, const OptimizerStep& step) {
    ++updates_;
    WeightsAsFp32 windows(weights, step.seed, updates_);
    apply(windows, gradients, step);
  }
  // The state, by the slots of the layout it was made for.
  virtual std::vector<NamedTensor> state(const ParameterLayout& layout) = 0;
  // The average of the weights over time, flat; undefined: this optimizer makes none.
  virtual at::Tensor average() const { return {}; }

  int64_t updates() const { return updates_; }
  void set_updates(int64_t updates) { updates_ = updates; }  // on resume

 private:
  virtual void apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) = 0;
  int64_t updates_ = 0;
};

struct OptimizerOptions {
  double ema_decay = 0;  // above 0: it also averages the weights
  bool offload = false;  // its state lives in host memory
  int64_t offload_piece = kOffloadPiece;
};
OptimizerOptions optimizer_options(const JobSpec& spec);
// Requires: `name` is one of optimizers().
std::unique_ptr<Optimizer> make_optimizer(const std::string& name,
                                          const ParameterLayout& layout,
                                          at::Device device,
                                          const OptimizerOptions& options = {});

// Views of what has the layout, as "<prefix><slot's name>".
void append_slots(std::vector<NamedTensor>& out,
                  const std::string& prefix,
                  const ParameterLayout& layout,
                  const Weights& flat);

}  // namespace llmctl

#include "trainer/model/pass_graph.h"

#include <c10/util/Exception.h>

#include "trainer/device/device_memory.h"

namespace llmctl {

// Libraries choose their kernels and allocate their workspaces in the first ones.
static constexpr int kEagerPasses = 2;
// A capture costs about what an eager pass does.
static constexpr int kLeastReplays = 4;

PassGraph::PassGraph(Model& model, bool wanted, std::function<void(const std::string&)> tell)
    : model_(model), wanted_(wanted), tell_(std::move(tell)) {}

void PassGraph::give_up(const std::string& why) {
  wanted_ = false;
  graph_.reset();
  tell_(why);
}

bool PassGraph::may_capture(const MicroBatch& batch) {
  if (!wanted_) return false;
  if (!batch.document_starts.empty()) {
    give_up("documents are packed");
  } else if (model_.options().offload) {
    give_up("activations are offloaded");
  }
  return wanted_ && ++passes_ > kEagerPasses;
}

static void copy_into(const at::Tensor& there, const at::Tensor& host) {
  there.copy_(there.is_cuda() ? host.pin_memory() : host, /*non_blocking=*/true);
}

void PassGraph::capture(double scale) {
  graph_.reset();
  device_memory::release_kept_blocks();  // of eager passes: the graph's lie beside them
  auto graph = make_device_graph(model_.options().device);
  try {
    graph->capture([this, scale] { loss_ = model_.forward_backward(inputs_, scale); });
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error& error) {
    return give_up(error.what_without_backtrace());
  }
  graph_ = std::move(graph);
  scale_ = scale;
  replays_ = 0;
}

at::Tensor PassGraph::forward_backward(const MicroBatch& batch, double scale) {
  if (!may_capture(batch)) return model_.forward_backward(batch, scale);
  if (inputs_.ids.defined() && inputs_.ids.sizes() != batch.ids.sizes()) {
    return model_.forward_backward(batch, scale);
  }
  const at::Device device = model_.options().device;
  if (!inputs_.ids.defined()) {
    const CauseScope cause(Cause::workspace);
    inputs_ = {at::empty_like(batch.ids, at::device(device)),
               at::empty_like(batch.labels, at::device(device))};
  }
  copy_into(inputs_.ids, batch.ids);
  copy_into(inputs_.labels, batch.labels);
  model_.refresh_copy();
  if (graph_ && scale != scale_ && replays_ < kLeastReplays) {
    give_up("the scale of the loss changes with almost every pass");
  } else if (!graph_ || scale != scale_) {
    capture(scale);
  }
  if (!graph_) return model_.forward_backward(batch, scale);
  graph_->replay();
  ++replays_;
  model_.options().pulse();
  return loss_.clone();  // the next replay writes there again
}

}  // namespace llmctl

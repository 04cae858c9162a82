#include "trainer/model/pass_graph.h"

#include <c10/util/Exception.h>

#include <exception>

#include "trainer/device/device_memory.h"

namespace llmctl {

// Libraries choose their kernels and allocate their workspaces in the first ones.
static constexpr int kEagerPasses = 2;

PassGraph::PassGraph(Model& model,
                     bool wanted,
                     std::function<void(const std::string&)> tell,
                     MakeGraph make_graph)
    : model_(model), wanted_(wanted), tell_(std::move(tell)), make_graph_(std::move(make_graph)) {}

void PassGraph::give_up(const std::string& why) {
  wanted_ = false;
  loss_.reset();
  tell_(why);
}

void PassGraph::release() {
  if (!graph_) return;
  loss_.reset();
  graph_.reset();
  device_memory::release_kept_blocks();
}

bool PassGraph::may_capture(const MicroBatch& batch) {
  if (!wanted_) return false;
  if (!batch.document_starts.empty()) {
    give_up("documents are packed");
  } else if (model_.options().offload) {
    give_up("activations are offloaded");
  }
  if (!wanted_ || eager_passes_++ < kEagerPasses) return false;
  return !inputs_.ids.defined() || inputs_.ids.sizes() == batch.ids.sizes();
}

static void copy_into(const at::Tensor& there, const at::Tensor& host) {
  there.copy_(there.is_cuda() ? host.pin_memory() : host, /*non_blocking=*/true);
}

void PassGraph::fill_inputs(const MicroBatch& batch, double scale) {
  if (!inputs_.ids.defined()) {
    const CauseScope cause(Cause::workspace);
    const at::Device device = model_.options().device;
    inputs_ = {at::empty_like(batch.ids, at::device(device)),
               at::empty_like(batch.labels, at::device(device))};
    scale_ = at::empty({}, at::device(device).dtype(at::kFloat));
  }
  copy_into(inputs_.ids, batch.ids);
  copy_into(inputs_.labels, batch.labels);
  scale_.fill_(scale);
}

// Running out of memory is an outcome of its own; whatever else is thrown, by LibTorch or by the
// launch of a kernel of ours, means that this pass cannot be captured.
void PassGraph::capture() {
  device_memory::release_kept_blocks();  // of eager passes: the graph's lie beside them
  auto graph = make_graph_(model_.options().device);
  try {
    graph->capture([this] { loss_ = model_.forward_backward(inputs_, scale_); });
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error& error) {
    return give_up(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return give_up(error.what());
  }
  graph_ = std::move(graph);
}

at::Tensor PassGraph::forward_backward(const MicroBatch& batch, double scale) {
  if (!may_capture(batch)) return model_.forward_backward(batch, scale);
  fill_inputs(batch, scale);
  model_.refresh_copy();
  if (!graph_) capture();
  if (!graph_) return model_.forward_backward(batch, scale);
  graph_->replay();
  model_.options().pulse();
  return loss_.clone();  // the next replay writes there again
}

}  // namespace llmctl

#include "trainer/optim/optimizer_state_home.h"

#include <algorithm>

#include "trainer/device/device_memory.h"

namespace llmctl {

OptimizerStateHome::OptimizerStateHome(at::Device device, bool offload, int64_t piece)
    : device_(device),
      piece_(piece),
      transfer_(offload ? std::make_unique<HostTransfer>(device) : nullptr) {}

at::Tensor OptimizerStateHome::zeros(at::IntArrayRef sizes, at::ScalarType type) const {
  const CauseScope cause(Cause::optimizer);
  return transfer_ ? transfer_->zeros(sizes, type)
                   : at::zeros(sizes, at::device(device_).dtype(type));
}

void OptimizerStateHome::append_pieces(size_t part,
                                       int64_t elements,
                                       std::vector<StatePiece>& pieces) const {
  const int64_t piece = transfer_ ? piece_ : elements;
  for (int64_t begin = 0; begin < elements; begin += piece) {
    pieces.push_back({part, begin, std::min(piece, elements - begin)});
  }
}

static OptimizerStateHome::Tensors fetched(HostTransfer& transfer,
                                           const OptimizerStateHome::Tensors& from) {
  const CauseScope cause(Cause::optimizer);
  OptimizerStateHome::Tensors all;
  for (const at::Tensor& tensor : from) all.push_back(transfer.fetch(tensor));
  return all;
}

void OptimizerStateHome::visit(size_t count,
                               const std::function<Tensors(size_t k)>& state_of,
                               const std::function<void(size_t k, Tensors& tensors)>& update) {
  if (!transfer_) {
    for (size_t k = 0; k < count; ++k) {
      Tensors tensors = state_of(k);
      update(k, tensors);
    }
    return;
  }
  Tensors leaving, arriving;
  const struct Guard {  // also when an update throws: before these two give back their memory
    HostTransfer& transfer;
    ~Guard() {
      transfer.wait_sent();
      transfer.wait_arrived();
    }
  } guard{*transfer_};
  if (count > 0) arriving = fetched(*transfer_, state_of(0));
  for (size_t k = 0; k < count; ++k) {
    transfer_->wait_arrived();
    Tensors here = std::move(arriving);
    if (k + 1 < count) arriving = fetched(*transfer_, state_of(k + 1));
    update(k, here);
    transfer_->wait_sent();  // of the piece before: its memory is free now
    const Tensors home = state_of(k);
    for (size_t i = 0; i < here.size(); ++i) transfer_->send(here[i], home[i]);
    leaving = std::move(here);
  }
}

void OptimizerStateHome::visit_flat(
    const Tensors& flat,
    const std::function<void(int64_t begin, int64_t size, Tensors& parts)>& update) {
  std::vector<StatePiece> pieces;
  append_pieces(0, flat.front().numel(), pieces);
  const auto parts_of = [&](size_t k) {
    Tensors parts;
    for (const at::Tensor& whole : flat) {
      parts.push_back(whole.narrow(0, pieces[k].begin, pieces[k].size));
    }
    return parts;
  };
  visit(pieces.size(), parts_of,
        [&](size_t k, Tensors& parts) { update(pieces[k].begin, pieces[k].size, parts); });
}

void OptimizerStateHome::settle() const {
  if (transfer_) transfer_->finish();
}

}  // namespace llmctl

// Where an optimizer's state lives, and how an update gets at it: resident on the device, or
// offloaded to host memory. Offloaded, an update walks through it in pieces: while one is used on
// the device, the next is fetched and the one before is sent back, each way on a stream of its own.
// (Updating on the host instead, as DeepSpeed's CPUAdam does, moves fewer bytes, but needs every
// optimizer a second time, and the host rounds differently; this way offloaded state has the same
// bits as resident state.) Owned by the optimizer; one thread calls it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/training/offload.h"
#include "trainer/device/host_transfer.h"

namespace llmctl {

struct StatePiece {
  size_t part;
  int64_t begin, size;  // elements of that part
};

class OptimizerStateHome {
 public:
  using Tensors = std::vector<at::Tensor>;

  // `piece`: elements of offloaded state taken at a time.
  OptimizerStateHome(at::Device device = at::kCPU,
                     bool offload = false,
                     int64_t piece = kOffloadPiece);
  at::Device device() const { return device_; }
  at::Tensor zeros(at::IntArrayRef sizes, at::ScalarType type = at::kFloat) const;

  // update(k, tensors) for every k below `count`: `tensors` are state_of(k) on the device, and what
  // is written to them is kept. Requires: no two k share memory.
  void visit(size_t count,
             const std::function<Tensors(size_t k)>& state_of,
             const std::function<void(size_t k, Tensors& tensors)>& update);
  // The same for flat state whose elements do not depend on each other: elements
  // [begin, begin + size) at a time.
  void visit_flat(const Tensors& flat,
                  const std::function<void(int64_t begin, int64_t size, Tensors& parts)>& update);
  // Appends the pieces in which to visit a part whose elements do not depend on each other: one
  // piece when resident.
  void append_pieces(size_t part, int64_t elements, std::vector<StatePiece>& pieces) const;

  // Before the host reads state: offloaded state may still be on its way back.
  void settle() const;

 private:
  at::Device device_;
  int64_t piece_;
  std::unique_ptr<HostTransfer> transfer_;  // nullptr: resident
};

}  // namespace llmctl

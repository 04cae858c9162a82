// Copies between the device's memory and the host's, beside the device's work: pinned host memory
// and two streams of their own, one for each way. On the CPU the same calls are plain copies to and
// from other tensors, so that tests on the CPU prove the order of steps. No bit changes. A tensor
// may be freed once the device's own stream waits for its copy (wait_sent, wait_arrived): then
// nobody uses its memory too early, and how much is in use is known exactly. One thread calls it;
// only finish() makes the host wait.
#pragma once

#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <optional>

#include "trainer/device/tensor.h"

namespace llmctl {

// The tensor on the device, through pinned memory, so that the host need not wait for the device;
// the tensor itself where it is there already.
at::Tensor upload(const at::Tensor& t, at::Device device);

class HostTransfer {
 public:
  explicit HostTransfer(at::Device device);

  // A tensor in host memory, pinned for a GPU, of the shape and type of `like`.
  at::Tensor room_for(const at::Tensor& like) const;
  at::Tensor zeros(at::IntArrayRef sizes, at::ScalarType type) const;

  // Both begin after the work that was enqueued on the device so far.
  void send(const at::Tensor& from, const at::Tensor& to_host);
  at::Tensor fetch(const at::Tensor& host);
  // Work enqueued on the device from now on begins after all that was sent, or fetched, so far.
  void wait_sent();
  void wait_arrived();
  void finish() const;  // returns when the host holds all that was sent

 private:
  struct Lane {
    explicit Lane(at::Device device);
    std::optional<c10::Stream> stream;  // none on the CPU
    c10::Event begin, end;              // of the device's work before a copy; of the last copy
  };
  void copy(Lane& lane, const at::Tensor& from, const at::Tensor& to) const;
  void wait(const Lane& lane) const;

  at::Device device_;
  Lane out_, in_;
};

}  // namespace llmctl

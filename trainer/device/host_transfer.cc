#include "trainer/device/host_transfer.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/core/StreamGuard.h>

namespace llmctl {

at::Tensor upload(const at::Tensor& t, at::Device device) {
  if (t.device() == device) return t;
  return (device.is_cuda() ? t.pin_memory() : t).to(device, t.scalar_type(), /*non_blocking=*/true);
}

static std::optional<c10::Stream> stream_beside(at::Device device) {
  if (!device.is_cuda()) return std::nullopt;
  return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

static c10::Stream stream_of_work(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

HostTransfer::Lane::Lane(at::Device device)
    : stream(stream_beside(device)), begin(device.type()), end(device.type()) {}

HostTransfer::HostTransfer(at::Device device) : device_(device), out_(device), in_(device) {}

at::Tensor HostTransfer::room_for(const at::Tensor& like) const {
  return at::empty_like(like, like.options().device(at::kCPU).pinned_memory(device_.is_cuda()));
}

at::Tensor HostTransfer::zeros(at::IntArrayRef sizes, at::ScalarType type) const {
  return at::zeros(sizes, at::dtype(type).pinned_memory(device_.is_cuda()));
}

void HostTransfer::copy(Lane& lane, const at::Tensor& from, const at::Tensor& to) const {
  if (!lane.stream) {
    to.copy_(from);
    return;
  }
  lane.begin.record(stream_of_work(device_));
  lane.begin.block(*lane.stream);
  const c10::StreamGuard beside(*lane.stream);
  to.copy_(from, /*non_blocking=*/true);
  lane.end.record(*lane.stream);
}

void HostTransfer::wait(const Lane& lane) const {
  if (lane.end.was_marked_for_recording()) lane.end.block(stream_of_work(device_));
}

void HostTransfer::send(const at::Tensor& from, const at::Tensor& to_host) {
  copy(out_, from, to_host);
}

at::Tensor HostTransfer::fetch(const at::Tensor& host) {
  at::Tensor arriving = at::empty_like(host, host.options().device(device_).pinned_memory(false));
  copy(in_, host, arriving);
  return arriving;
}

void HostTransfer::wait_sent() {
  wait(out_);
}

void HostTransfer::wait_arrived() {
  wait(in_);
}

void HostTransfer::finish() const {
  if (out_.end.was_marked_for_recording()) out_.end.synchronize();
}

}  // namespace llmctl

// The GPU of a test, which says why it skips where there is none.
#pragma once

#include <gtest/gtest.h>

#include "trainer/device/device.h"
#include "trainer/device/device_memory.h"

namespace llmctl {

class Gpu : public ::testing::Test {
 protected:
  void SetUp() override {
    const Result<at::Device> opened = open_device("cuda");
    if (!opened.ok()) GTEST_SKIP() << opened.error().message;
    device_ = *opened;
    device_memory::use(device_);
    device_memory::set_cap(0);
    device_memory::release_kept_blocks();
    device_memory::reset_peak();
  }
  void TearDown() override {
    if (device_.is_cuda()) device_memory::set_cap(0);
  }
  at::Tensor there(const at::Tensor& t) const { return t.to(device_); }
  at::Device device_ = at::kCPU;
};

}  // namespace llmctl

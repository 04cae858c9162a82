#include "trainer/device/device.h"

#include <gtest/gtest.h>

namespace llmctl {
namespace {

std::string problem(const std::string& name) {
  const Result<at::Device> device = open_device(name);
  return device.ok() ? "" : device.error().message;
}

TEST(Device, TheCpuIsAlwaysThere) {
  EXPECT_EQ(problem("cpu"), "");
  EXPECT_TRUE(open_device("cpu")->is_cpu());
}

TEST(Device, RefusesNamesThatAreNone) {
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cudaa", "cpu:0",
                           "cuda:99999999999999999999"}) {
    EXPECT_EQ(problem(name), std::string("device ") + name + ": expected cpu, cuda or cuda:N");
  }
}

TEST(Device, SaysWhyThereIsNoGpu) {
  if (open_device("cuda").ok()) GTEST_SKIP() << "there is one";
#ifdef LLMCTL_CUDA
  EXPECT_EQ(problem("cuda:0"), "device cuda:0: no GPU is visible");
#else
  EXPECT_EQ(problem("cuda:0"), "device cuda:0: this trainer was built without CUDA");
#endif
}

TEST(Device, RefusesAGpuBeyondThoseThatAreVisible) {
  if (!open_device("cuda").ok()) GTEST_SKIP() << problem("cuda");
  EXPECT_NE(problem("cuda:9999"), "");
}

}  // namespace
}  // namespace llmctl

// Memory of a real GPU, and graphs, whose memory is their own. Without one every test here says why
// it skips.
#include <c10/util/Exception.h>

#include <array>
#ifdef LLMCTL_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>
#endif

#include "core/plan/memory_model.h"
#include "tests/trainer/close.h"
#include "tests/trainer/gpu_fixture.h"
#include "tests/trainer/sample_model.h"
#include "trainer/device/device_graph.h"
#include "trainer/model/pass_graph.h"
#include "trainer/optim/adamw.h"

namespace llmctl {
namespace {

constexpr Bytes kMiB = 1 << 20;

class GpuMemory : public Gpu {
 protected:
  at::Tensor mebibytes(int64_t n) const {
    return at::empty({n * kMiB}, at::device(device_).dtype(at::kByte));
  }
};

TEST_F(GpuMemory, MemoryIsCountedUnderTheCauseOfItsScope) {
  const Bytes before = device_memory::live_bytes();
  const MemoryByCause base = device_memory::peak_by_cause();
  at::Tensor a, b;
  {
    const CauseScope outer(Cause::activations);
    a = mebibytes(30);
    const CauseScope inner(Cause::logits);
    b = mebibytes(50);
  }
  EXPECT_EQ(device_memory::live_bytes() - before, 80 * kMiB);
  b.reset();
  EXPECT_EQ(device_memory::live_bytes() - before, 30 * kMiB);
  const MemoryByCause peak = device_memory::peak_by_cause();
  EXPECT_EQ(peak.activations - base.activations, 30 * kMiB);
  EXPECT_EQ(peak.logits - base.logits, 50 * kMiB);
  EXPECT_EQ(peak.total(), device_memory::peak_bytes());
}

TEST_F(GpuMemory, MemoryBeyondTheCapIsRefusedAsOutOfMemory) {
  device_memory::set_cap(256 * kMiB);
  EXPECT_THROW(mebibytes(512), c10::OutOfMemoryError);
  EXPECT_NO_THROW(mebibytes(64));
}

// Of a GPU that nobody else uses. The promise holds what a process takes beside its tensors.
TEST_F(GpuMemory, AProcessTakesNoMoreBesideThanIsCounted) {
#ifdef LLMCTL_CUDA
  const at::Tensor product = at::mm(at::ones({64, 64}, device_), at::ones({64, 64}, device_));
  wait_for(device_);
  size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  const auto used = static_cast<Bytes>(total - free);
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device_.index());
  const Bytes beside = used - stats.reserved_bytes[0].current;
  RecordProperty("bytes_beside", std::to_string(beside));
  EXPECT_LE(beside, gpu_process_bytes(1));
#endif
}

TEST_F(GpuMemory, TheCapAndThePeakHoldWhatTheProcessTakesBeside) {
  const Bytes before = device_memory::peak_bytes();
  device_memory::use(device_, 200 * kMiB);
  EXPECT_EQ(device_memory::peak_bytes() - before, 200 * kMiB);
  device_memory::set_cap(456 * kMiB);
  EXPECT_THROW(mebibytes(300), c10::OutOfMemoryError);
}

// LibTorch 2.11 believes afterwards that it goes on: it frees nothing when memory runs out.
TEST_F(GpuMemory, IsFreeAgainAfterACaptureThatCudaRefused) {
  for (int i = 0; i < 3; ++i) {
    const auto graph = make_device_graph(device_);
    EXPECT_ANY_THROW(graph->capture([&] { mebibytes(64).sum().item<double>(); }));
  }
  device_memory::release_kept_blocks();
  device_memory::set_cap(256 * kMiB);
  { const at::Tensor kept = mebibytes(160); }
  EXPECT_NO_THROW(mebibytes(200)) << "what is kept goes first";
  at::Tensor sum = at::ones({}, device_);
  const auto graph = make_device_graph(device_);
  graph->capture([&] { sum.add_(1); });
  graph->replay();
  EXPECT_EQ(sum.item<double>(), 2);
}

TEST_F(GpuMemory, IsFreeAgainAfterACaptureWhoseWorkThrew) {
  const auto graph = make_device_graph(device_);
  EXPECT_THROW(graph->capture([] { throw std::runtime_error("CUDA: no"); }), std::runtime_error);
  device_memory::release_kept_blocks();
  EXPECT_NO_THROW(mebibytes(64).fill_(1).sum().item<double>());
}

struct Kind {
  at::ScalarType number;
  AttentionKind attention;
  bool learned_positions;
};
class CapturedPasses : public GpuMemory, public ::testing::WithParamInterface<Kind> {
 protected:
  ModelConfig config() const {
    ModelConfig config = sample_config();
    config.hidden_size = 64;  // heads of 16, which flash attention takes
    config.head_dim = 0;
    config.learned_positions = GetParam().learned_positions;
    return resolved(config, 0, kSampleLength);
  }
  ModelOptions options() const {
    return {.sequence_len = kSampleLength,
            .attention = GetParam().attention,
            .device = device_,
            .number = GetParam().number};
  }
};

TEST_P(CapturedPasses, ChangeNoBitWhateverTheScaleIs) {
  std::array<at::Tensor, 2> weights, losses;
  for (const bool graphs : {false, true}) {
    Model model(config(), options());
    initialize(model.layout(), 0.1, 1, model.writable_weights());
    AdamW optimizer(model.layout().size(), model.layout().matrices_end(), device_);
    PassGraph pass(model, graphs, [](const std::string& why) { ADD_FAILURE() << why; });
    losses[graphs] = at::zeros({}, at::device(device_).dtype(at::kDouble));
    for (uint64_t step = 0; step < 8; ++step) {
      const double scale = 0.01 / static_cast<double>(1 + step / 4);
      losses[graphs].add_(pass.forward_backward(sample_batch(4, step), scale));
      optimizer.update(model.writable_weights(), model.gradients(), {.learning_rate = 1e-2});
    }
    EXPECT_EQ(pass.captured(), graphs);
    weights[graphs] = model.weights().flat().cpu();
  }
  EXPECT_TRUE(at::equal(weights[1], weights[0]));
  EXPECT_EQ(losses[1].item<double>(), losses[0].item<double>());
}

TEST_P(CapturedPasses, GiveTheirMemoryBackAndAreCapturedAgain) {
  Model model(config(), options());
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  PassGraph pass(model, true, [](const std::string& why) { ADD_FAILURE() << why; });
  const auto losses = [&] {
    double sum = 0;
    for (int i = 0; i < 4; ++i) {
      sum += pass.forward_backward(sample_batch(4, 1), 0.01).item<double>();
    }
    return sum;
  };
  const double want = losses();
  ASSERT_TRUE(pass.captured());
  const Bytes held = device_memory::live_bytes();
  pass.release();
  device_memory::reset_peak();
  EXPECT_LE(device_memory::live_bytes(), held);
  EXPECT_EQ(losses(), want);
  EXPECT_TRUE(pass.captured());
}

INSTANTIATE_TEST_SUITE_P(Kinds,
                         CapturedPasses,
                         ::testing::Values(Kind{at::kFloat, AttentionKind::sdpa, false},
                                           Kind{at::kFloat, AttentionKind::sdpa, true},
                                           Kind{at::kBFloat16, AttentionKind::sdpa, true},
                                           Kind{at::kBFloat16, AttentionKind::flash, false},
                                           Kind{at::kHalf, AttentionKind::flash, false}));

}  // namespace
}  // namespace llmctl

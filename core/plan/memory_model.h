// The memory model: predicted peak bytes of one rank, by cause, from shapes alone. Pure; no torch.
// Counts what trainer/ really allocates (explicit forward and backward,
// core/training/optimizer_facts.h's optimizer), so the same causes can be compared line by line
// with the trainer's measurement.
#pragma once

#include <string>

#include "core/plan/plan.h"

namespace llmctl {

struct FitQuestion {
  ModelConfig model;  // resolved
  int64_t sequence_len = 0;
  int64_t micro_batch_size = 0;
  Checkpointing gradient_checkpointing = Checkpointing::none;
  std::string precision = "fp32";
  std::string attention = "sdpa";
  std::string optimizer = "adamw";
  bool packed = false;    // documents that do not see each other share sequences
  bool averaged = false;  // the optimizer also keeps an average of the weights
  bool on_cpu = true;     // where 16-bit operands of a product are widened first
  std::string offload = "none";
  bool masters = true;  // of 16-bit weights, in fp32
  int64_t ranks = 1;
};
MemoryByCause predict_memory(const FitQuestion& question);
// Of the job under that plan: all that its run allocates, packed weights among `parameters` and, on
// a CPU, the copy for checkpoints in `workspace`.
MemoryByCause predict_memory(const JobSpec& spec, const Plan& plan);
// Whether the job's sequences hold documents that do not see each other.
bool packs_documents(const JobSpec& spec);

// The copy of weights and optimizer state from which a checkpoint is written while training goes
// on; 0: the job makes none. In host memory, so on the CPU it is of the device.
Bytes checkpoint_copy_bytes(const JobSpec& spec);

// Both layouts of every matrix, packed for the passes of a step (trainer/ops/cpu/cpu_gemm.h); 0:
// there is nothing to pack: on a GPU, in a 16-bit precision, with one pass.
Bytes packed_weight_bytes(const JobSpec& spec, const Plan& plan);

// What one process of a job of so many ranks takes of a GPU beside its tensors: CUDA's context, and
// with several ranks NCCL's buffers. Not measured but allowed for: predictions and the trainer's
// peak hold it as workspace, and the trainer's tensors have that much less than the promise.
Bytes gpu_process_bytes(int64_t ranks);

// Tokens whose logits exist at a time; the loss is taken over `tokens` in equal chunks of at most
// this. On a CPU they are few enough for its cache. On a GPU every chunk reads and writes the whole
// gradient of the head, so they are many: half a GiB of logits.
int64_t loss_chunk_tokens(int64_t vocab_size, int64_t tokens, bool on_cpu);

// The CPU's own attention (trainer/ops/cpu/attention.h) takes heads of a multiple of this.
inline constexpr int64_t kAttentionLanes = 16;

}  // namespace llmctl

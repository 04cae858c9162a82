// What the blocks of one pass keep for their backward: resident on the device, or offloaded to host
// memory. The pass calls keep() and take() and does not know which. Offloaded, what block i saved
// is sent to the host while block i + 1 runs forward, and fetched while block i + 1 runs backward,
// so at most two blocks are on the device; the last one, needed at once, stays there. Host memory
// is freed with what it holds. One thread calls it; a pass that fails may simply destroy it.
#pragma once

#include <vector>

#include "trainer/device/host_transfer.h"
#include "trainer/model/block.h"

namespace llmctl {

class SavedActivations {
 public:
  // `transfer` nullptr: resident.
  SavedActivations(size_t blocks, HostTransfer* transfer) : saved_(blocks), transfer_(transfer) {}
  ~SavedActivations();
  SavedActivations(const SavedActivations&) = delete;
  SavedActivations& operator=(const SavedActivations&) = delete;

  void keep(size_t block, Block::Saved saved);  // blocks in order
  Block::Saved take(size_t block);              // in reverse, each once

 private:
  void fetch(size_t block);
  void free_sent();  // the device memory of what the host has by now

  std::vector<Block::Saved> saved_;  // on the device, or in host memory
  HostTransfer* transfer_;
  Block::Saved leaving_;  // on its way to the host: keeps the device memory until it is there
};

}  // namespace llmctl

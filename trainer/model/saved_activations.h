// What the blocks of one pass keep for their backward: resident, or offloaded to host memory. The
// pass says keep() and take() and does not know which. Offloaded, what block i saved leaves while
// block i + 1 runs, and arrives while block i + 1 runs backward, so at most two blocks are on the
// device; the last one, needed at once, stays. Host memory lives as long as what it holds. One
// thread calls it; a pass that is given up may simply destroy it.
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
  void let_go();  // of what has left

  std::vector<Block::Saved> saved_;  // on the device, or in host memory
  HostTransfer* transfer_;
  Block::Saved leaving_;
};

}  // namespace llmctl

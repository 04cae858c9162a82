// Strong integer ids: a JobId cannot be passed where an Epoch is wanted. 0 means "none".
// Ids come from counters in the scheduler's State, never from randomness.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace llmctl {

template <class Tag>
struct Id {
  int64_t value = 0;
  auto operator<=>(const Id&) const = default;
  explicit operator bool() const { return value != 0; }
  std::string str() const { return std::to_string(value); }
};

using JobId = Id<struct JobTag>;
using WorkerId = Id<struct WorkerTag>;  // assigned by the scheduler to a worker name, for ever
using Epoch = Id<struct EpochTag>;      // fencing token of an attempt; grows within one job
using Seq = Id<struct SeqTag>;          // position in the event log; grows by one

}  // namespace llmctl

template <class Tag>
struct std::hash<llmctl::Id<Tag>> {
  size_t operator()(const llmctl::Id<Tag>& id) const noexcept {
    return std::hash<int64_t>()(id.value);
  }
};

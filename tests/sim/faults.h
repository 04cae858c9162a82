// Faults and People: what goes wrong, and what users do, at random. Both stop when the world says
// that its faults are over; people then only finish what they have begun.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/base/ids.h"
#include "core/job/job_spec.h"

namespace llmctl::sim {

class World;

void inject_fault(World& world);  // one step; usually nothing

class People {
 public:
  void step(World& world);
  void let_go(World& world);  // resume what is paused, open what is drained
  bool waiting() const { return !unanswered_.empty(); }

 private:
  void submit(World& world);
  void send(World& world, const std::string& key);
  void meddle(World& world);

  int submitted_ = 0;
  std::map<std::string, JobSpec> unanswered_;  // by idempotency key
};

}  // namespace llmctl::sim

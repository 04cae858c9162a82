// SimWorker: the real agent on a simulated machine, and its end of the link to the scheduler, which
// dials, gives a silent connection up, and dials again, as worker/link and worker/loop.cc do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "network.h"
#include "sim_host.h"

namespace llmctl::sim {

class World;

class SimWorker {
 public:
  // Of two machines with workers of one name the inventory's place differs.
  SimWorker(World& world, std::string name, Inventory inventory);

  void step();
  void crash_agent();                 // its ranks go on
  void crash_machine(bool disk_too);  // its ranks die
  void cut(bool cut) { link_.cut = cut; }
  void reject(bool rejects);       // as a firewall: connections end, and dialing is refused
  void use_memory(Bytes foreign);  // of its first device, by somebody else
  void break_connection() { hang_up(); }
  void slow_down(Millis slowness_ms) { link_.slowness_ms = slowness_ms; }
  void rename(const std::string& name);
  void heal();

  const std::string& name() const { return name_; }              // as it says hello
  const std::string& place() const { return inventory_.place; }  // its machine
  const Device& device(const std::string& label) const;
  Link& link() { return link_; }
  SimHost& host() { return host_; }

 private:
  void start_agent();
  void dial();
  void hang_up();
  void receive();
  void send();

  World& world_;
  std::string name_;
  Inventory inventory_;
  Link link_;
  SimHost host_;
  std::optional<worker::Agent> agent_;  // none: its process is dead
  int64_t lives_ = 0;
  Millis agent_back_at_ = 0;
  bool dialed_ = false;
  bool rejects_ = false;
  Millis heard_at_ = 0, redial_at_ = 0;
};

}  // namespace llmctl::sim

#include "sim_worker.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "world.h"

namespace llmctl::sim {
namespace {

constexpr Millis kSilence = 1'500;       // then the connection is given up
constexpr Millis kRedial = 500;          // at most
constexpr Millis kHangTimeout = 10'000;  // more than ranks wait for each other
constexpr Millis kAgentAway = 10'000;    // at most

}  // namespace

SimWorker::SimWorker(World& world, std::string name, Inventory inventory)
    : world_(world),
      name_(std::move(name)),
      inventory_(std::move(inventory)),
      host_(world, inventory_.place, inventory_.jobs_folder) {
  start_agent();
}

void SimWorker::start_agent() {
  worker::AgentConfig config;
  config.name = name_;
  config.instance = place() + "." + std::to_string(++lives_);
  config.hang_timeout_ms = kHangTimeout;
  config.inventory = inventory_;
  config.cluster_id = host_.cluster();
  agent_.emplace(std::move(config), host_);
  host_.adopt(*agent_);
}

void SimWorker::step() {
  host_.step();
  if (!agent_) {
    if (world_.now() < agent_back_at_) return;
    start_agent();
  }
  if (dialed_ && world_.now() - heard_at_ > kSilence) hang_up();
  if (!dialed_ && world_.now() >= redial_at_) dial();
  receive();
  host_.tell(*agent_);
  agent_->tick();
  send();
}

void SimWorker::dial() {
  dialed_ = true;
  heard_at_ = world_.now();
  ++link_.connection;
  agent_->receive(worker::Dialing{});
  if (rejects_ || (!world_.scheduler().up() && !link_.cut)) hang_up();
}

void SimWorker::hang_up() {
  if (!std::exchange(dialed_, false)) return;
  link_.up.send(link_.connection, world_.now() + link_.slowness_ms, Hangup{});
  redial_at_ = world_.now() + world_.random().between(50, kRedial);
  if (agent_) agent_->receive(worker::Disconnected{""});
}

void SimWorker::receive() {
  if (link_.cut) return;
  for (auto& [connection, message] : link_.down.receive(world_.now())) {
    if (connection != link_.connection || !dialed_) continue;
    heard_at_ = world_.now();
    if (std::holds_alternative<worker::Disconnected>(message)) {
      hang_up();
    } else {
      agent_->receive(message);
    }
  }
}

void SimWorker::send() {
  for (worker::ToScheduler& message : agent_->take_outbox(1'000)) {
    if (!dialed_) continue;
    const Millis due = world_.now() + world_.random().between(0, link_.slowness_ms);
    const bool twice =
        std::holds_alternative<worker::Heartbeat>(message) && world_.random().one_in(20);
    if (twice) link_.up.send(link_.connection, due, message);
    link_.up.send(link_.connection, due, std::move(message));
  }
}

void SimWorker::crash_agent() {
  agent_.reset();
  agent_back_at_ = world_.now() + world_.random().between(100, kAgentAway);
  hang_up();
}

void SimWorker::crash_machine(bool disk_too) {
  crash_agent();
  host_.crash(disk_too);
}

void SimWorker::rename(const std::string& name) {
  if (std::exchange(name_, name) == name) return;
  crash_agent();
}

void SimWorker::reject(bool rejects) {
  rejects_ = rejects;
  if (rejects) hang_up();
}

void SimWorker::use_memory(Bytes foreign) {
  inventory_.devices.front().memory_foreign = foreign;
  if (agent_) agent_->set_devices(inventory_.devices);
}

const Device& SimWorker::device(const std::string& label) const {
  for (const Device& device : inventory_.devices) {
    if (label == device.kind || label == device_label(device.kind, device.index)) return device;
  }
  return inventory_.devices.front();
}

// Whoever runs this machine ends what is left of a cluster that is gone: its worker is refused
// until then.
void SimWorker::heal() {
  link_.cut = rejects_ = false;
  host_.fill_disk(false);
  use_memory(0);
  for (auto& [key, run] : host_.runs()) {
    if (run.alive() && run.config.cluster_id != world_.scheduler().cluster()) host_.crash_run(run);
  }
  link_.slowness_ms = 20;
  agent_back_at_ = std::min(agent_back_at_, world_.now());
}

}  // namespace llmctl::sim

#include "sim_fleet.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "world.h"

namespace llmctl::sim {

void SimFleet::receive(Loop& loop) {
  for (size_t seat = 0; seat < world_.workers().size(); ++seat) {
    Link& link = world_.workers()[seat]->link();
    if (link.cut) continue;
    for (auto& [connection, message] : link.up.receive(world_.now())) {
      receive(loop, {seat, connection}, std::move(message));
    }
  }
}

void SimFleet::receive(Loop& loop, const Line& line, ToScheduler message) {
  if (std::holds_alternative<Hangup>(message)) return finish(&loop, line);
  auto& said = std::get<worker::ToScheduler>(message);
  if (auto* hello = std::get_if<worker::Hello>(&said)) {
    return on_hello(loop, line, std::move(*hello));
  }
  const auto session = sessions_.find(line);
  if (session == sessions_.end()) return send(line, worker::Disconnected{});
  if (auto* heartbeat = std::get_if<worker::Heartbeat>(&said)) {
    on_heartbeat(loop, line, std::move(*heartbeat));
  } else if (auto* report = std::get_if<worker::RunReport>(&said)) {
    const worker::RunKey& run = report->run;
    const ReportInput input{session->second.worker, run.job, run.epoch, run.rank, report->report};
    (void)loop.post(input, nullptr);
  }
}

void SimFleet::on_hello(Loop& loop, const Line& line, worker::Hello hello) {
  const bool stranger =
      !hello.cluster_id.empty() && hello.cluster_id != world_.scheduler().cluster();
  const auto lives = [](const RunStatus& run) { return run.phase != RunStatus::Phase::ended; };
  if (stranger && std::any_of(hello.runs.begin(), hello.runs.end(), lives)) {
    return send(line, worker::Disconnected{});
  }
  sessions_[line] = {hello.name, hello.instance, {}};
  HelloInput input{std::move(hello.name),      std::move(hello.instance),
                   std::move(hello.inventory), std::move(hello.runs),
                   hello.made_boot_ms,         world_.workers()[line.first]->place()};
  (void)loop.post(std::move(input), [this, &loop, line](const Answer& answer, const State&) {
    if (!sessions_.contains(line)) return;
    if (answer.error) return finish(&loop, line);
    on_welcome(line, answer.worker);
  });
}

void SimFleet::on_welcome(const Line& line, WorkerId worker) {
  const auto older = by_name_.find(sessions_.at(line).name);
  if (older != by_name_.end()) {
    const Line replaced = older->second;
    by_name_.erase(older);
    finish(nullptr, replaced);
  }
  by_name_[sessions_.at(line).name] = line;
  sessions_.at(line).worker = worker;
  const Millis lease = world_.scheduler().config().lease_ms;
  send(line, worker::Welcome{worker, lease, lease / 10, world_.scheduler().cluster()});
}

void SimFleet::on_heartbeat(Loop& loop, const Line& line, worker::Heartbeat heartbeat) {
  const Session& session = sessions_.at(line);
  HeartbeatInput input{session.worker, session.instance, std::move(heartbeat.devices),
                       std::move(heartbeat.runs)};
  const auto answered = [this, &loop, line, number = heartbeat.number](const Answer& answer,
                                                                       const State&) {
    if (!sessions_.contains(line)) return;
    if (answer.error) return finish(&loop, line);
    send(line, worker::HeartbeatAck{number});
  };
  (void)loop.post(std::move(input), answered);
}

// `loop`: hears that the worker is away, unless a newer connection stands for it.
void SimFleet::finish(Loop* loop, const Line& line) {
  const auto session = sessions_.find(line);
  if (session == sessions_.end()) return;
  const auto [name, instance, worker] = session->second;
  sessions_.erase(session);
  send(line, worker::Disconnected{});
  const auto named = by_name_.find(name);
  if (named == by_name_.end() || named->second != line) return;
  by_name_.erase(named);
  if (worker && loop != nullptr) (void)loop->post(DisconnectInput{worker, instance}, nullptr);
}

void SimFleet::send_desired(WorkerId worker, const std::vector<RunOrder>& orders) {
  for (const auto& [line, session] : sessions_) {
    if (session.worker != worker || by_name_.at(session.name) != line) continue;
    worker::Desired desired;
    for (const RunOrder& order : orders) {
      using Stop = worker::RunOrder::Stop;
      desired.runs.push_back({order.config, static_cast<Stop>(static_cast<int>(order.stop))});
    }
    return send(line, std::move(desired));
  }
}

void SimFleet::close_all() {
  for (const auto& [line, session] : std::exchange(sessions_, {})) {
    send(line, worker::Disconnected{});
  }
  by_name_.clear();
}

void SimFleet::send(const Line& line, worker::FromScheduler message) {
  Link& link = world_.workers()[line.first]->link();
  link.down.send(line.second, world_.now() + link.slowness_ms, std::move(message));
}

}  // namespace llmctl::sim

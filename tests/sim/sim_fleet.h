// SimFleet: the scheduler's end of the workers' connections, as scheduler/fleet does it: a
// connection begins with a hello, is a worker's voice once the loop has welcomed it, and ends when
// either side says so. Lives as long as the scheduler's process.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "network.h"
#include "scheduler/loop/loop.h"

namespace llmctl::sim {

class World;

class SimFleet {
 public:
  explicit SimFleet(World& world) : world_(world) {}
  void receive(Loop& loop);  // what has arrived goes into the loop's queue
  void send_desired(WorkerId worker, const std::vector<RunOrder>& orders);
  void close_all();

 private:
  using Line = std::pair<size_t, int64_t>;  // a worker's seat in the world, its connection
  struct Session {
    std::string name, instance;
    WorkerId worker;  // 0: not welcomed yet
  };

  void receive(Loop& loop, const Line& line, ToScheduler message);
  void on_hello(Loop& loop, const Line& line, worker::Hello hello);
  void on_welcome(const Line& line, WorkerId worker);
  void on_heartbeat(Loop& loop, const Line& line, worker::Heartbeat heartbeat);
  void finish(Loop* loop, const Line& line);
  void send(const Line& line, worker::FromScheduler message);

  World& world_;
  std::map<Line, Session> sessions_;
  std::map<std::string, Line> by_name_;  // the newest connection of each worker
};

}  // namespace llmctl::sim

// The link of one worker: connections with an age, messages with delays. Within a connection
// messages keep their order, as TCP's do; those of an older connection may come late or never.
#pragma once

#include <algorithm>
#include <map>
#include <variant>
#include <vector>

#include "worker/agent/messages.h"

namespace llmctl::sim {

struct Random {  // splitmix64
  uint64_t state;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1));
  }
  bool one_in(int64_t n) { return between(1, n) == 1; }
};

struct Hangup {};  // the worker's side has closed the connection
using ToScheduler = std::variant<worker::ToScheduler, Hangup>;

template <class Message>
class Pipe {
 public:
  void send(int64_t connection, Millis due, Message message) {
    due = std::max(due, last_due_[connection]);
    last_due_[connection] = due;
    waiting_.emplace(due, std::pair{connection, std::move(message)});
  }
  std::vector<std::pair<int64_t, Message>> receive(Millis now) {
    std::vector<std::pair<int64_t, Message>> due;
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      due.push_back(std::move(waiting_.begin()->second));
      waiting_.erase(waiting_.begin());
    }
    return due;
  }
  void lose_all() { waiting_.clear(); }

 private:
  std::multimap<Millis, std::pair<int64_t, Message>> waiting_;
  std::map<int64_t, Millis> last_due_;
};

struct Link {
  int64_t connection = 0;  // of the worker's newest dialing
  bool cut = false;        // nothing is delivered
  Millis slowness_ms = 20;
  Pipe<ToScheduler> up;
  Pipe<worker::FromScheduler> down;  // Disconnected: closed by the scheduler's side
};

}  // namespace llmctl::sim

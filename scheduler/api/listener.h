// Listener: accepts TCP connections on a thread of its own and hands each on. gRPC 1.51 would do it
// itself, but one accept() that finds no descriptor ends its accepting for good. Here what is
// beyond the cap is closed at once, and a lack of descriptors only delays. The kernel gives the
// lowest free descriptor, so the number of a new one tells how many are open.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

class Listener {
 public:
  // Owns `connection` from then on. Called on the listener's thread.
  using Take = std::function<void(int listening, int connection)>;

  // `address` is "host:port", port 0: a free one. `most`: descriptors of this process that may be
  // open when a connection is taken.
  static Result<std::unique_ptr<Listener>> open(const std::string& address, int most);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int port() const { return port_; }
  void start(Take take);  // once
  void stop();            // no call of `take` begins or goes on after it; may be repeated

 private:
  explicit Listener(int most) : most_(most) {}
  Status bind_all(const std::string& address);
  void run(const std::stop_token& stopping);
  // Returns whether more may wait there. `again`: false when accepting failed and wants a pause.
  bool accept_one(int listening, bool& again);

  const int most_;
  int port_ = 0;
  std::vector<int> listening_;
  int wake_ = -1;      // eventfd
  bool full_ = false;  // the last one was closed for being too many
  Take take_;
  std::jthread thread_;
};

}  // namespace llmctl

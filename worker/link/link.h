// SchedulerLink: the worker's one stream to the scheduler, dialed again whenever it breaks. Owned
// by the loop thread; gRPC's threads only push what arrived into a queue and wake the loop through
// an eventfd. What is sent while there is no stream is dropped: the agent tells everything again.
#pragma once

#include <memory>
#include <random>
#include <vector>

#include "core/base/clock.h"
#include "proto/endpoint.h"
#include "worker/agent/messages.h"

namespace llmctl::worker {

class SchedulerLink {
 public:
  SchedulerLink(Endpoint scheduler, const Clock& clock);
  ~SchedulerLink();  // ends the stream; waits for gRPC's threads to leave it

  int wake_fd() const;  // readable: receive() has something
  // Dials when it is time to; gives a stream up that has been silent for a lease.
  void tick();
  void hang_up();  // dials again
  Millis next_tick_boot_ms() const;
  // In order. After a Dialing the next message sent must be a Hello.
  std::vector<FromScheduler> receive();
  void send(const ToScheduler& message);
  size_t room() const;  // messages that send() may be given now
  // Bytes handed to send() that gRPC has not taken yet.
  Bytes queued_bytes() const;

 private:
  class Stream;
  struct Inbox;
  struct Connection;
  void dial();
  void on_closed(const Disconnected& why);
  bool is_whole(Desired& desired);

  const Endpoint scheduler_;
  const Clock& clock_;
  std::unique_ptr<Connection> connection_;  // outlives every stream
  std::shared_ptr<Inbox> inbox_;
  std::shared_ptr<Stream> stream_;  // null: between two dials
  int64_t dials_ = 0;               // numbers the streams, so that echoes of old ones are ignored
  Desired gathered_;                // parts of a set that is not whole
  bool dialing_unread_ = false;     // receive() owes a Dialing
  Millis heard_boot_ms_ = 0;
  Millis redial_boot_ms_ = 0;
  Millis backoff_ms_ = 0;
  std::minstd_rand random_;
};

}  // namespace llmctl::worker

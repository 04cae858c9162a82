// Watch: event streams without a gap. A watcher first reads the store from the sequence number it
// asked for, while live events wait beside it; when it has caught up it gets the live ones, each
// seq once. A watcher that reads too slowly falls back to the store instead of losing events; only
// volatile ones (progress) are dropped for it. Everything here runs on the streams thread.
#pragma once

#include <memory>
#include <set>

#include "llmctl/v1/scheduler.grpc.pb.h"
#include "scheduler/loop/server_parts.h"

namespace llmctl {

class Watcher;

class WatchHub {
 public:
  explicit WatchHub(ServerParts& parts) : parts_(parts) {}

  // Any thread: makes the stream's reactor; it joins the hub on the streams thread.
  grpc::ServerWriteReactor<v1::Event>* open(const v1::WatchRequest& request);

  // Streams thread.
  void start(Seq last_seq) { last_seq_ = last_seq; }
  void publish(const std::vector<Event>& events);
  void events_missed();
  void close_all(const Error& why);

 private:
  friend class Watcher;
  void join(const std::shared_ptr<Watcher>& watcher);
  void leave(const std::shared_ptr<Watcher>& watcher) { watchers_.erase(watcher); }

  ServerParts& parts_;
  Seq last_seq_;
  std::set<std::shared_ptr<Watcher>> watchers_;
};

}  // namespace llmctl

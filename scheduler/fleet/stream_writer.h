// StreamWriter: a server stream whose reactor lives on the streams thread. gRPC's callbacks only
// post there, so derived classes need no lock: on_start(), on_ready() and on_gone() run on the
// streams thread, one at a time. The object keeps itself alive until gRPC is done with it.
#pragma once

#include <deque>
#include <memory>

#include "proto/status.h"
#include "scheduler/loop/server_parts.h"

namespace llmctl {

template <class Message>
class StreamWriter : public grpc::ServerWriteReactor<Message>,
                     public std::enable_shared_from_this<StreamWriter<Message>> {
 public:
  explicit StreamWriter(WorkThread& streams) : streams_(streams) {}

  // Requires: owned by a shared_ptr. Called once, by whoever hands the reactor to gRPC.
  void begin() {
    self_ = this->shared_from_this();
    streams_.post([this] { on_start(); });
  }

  void finish(const grpc::Status& status) {
    if (finished_) return;
    finished_ = true;
    this->Finish(status);
  }
  bool finished() const { return finished_; }

 protected:
  virtual void on_start() = 0;
  virtual void on_ready() = 0;  // the last write is done: the next may follow
  virtual void on_gone() = 0;   // the stream is over; called once, last

  bool may_write() const { return !writing_ && !finished_; }
  // Requires: may_write().
  void write(Message message) {
    writing_ = true;
    current_ = std::move(message);
    this->StartWrite(&current_);
  }

 private:
  void OnWriteDone(bool ok) override {
    streams_.post([this, ok] {
      writing_ = false;
      if (!ok) return finish(grpc::Status(grpc::StatusCode::CANCELLED, "the reader has gone"));
      if (!finished_) on_ready();
    });
  }
  void OnCancel() override {
    streams_.post([this] { finish(grpc::Status(grpc::StatusCode::CANCELLED, "canceled")); });
  }
  void OnDone() override {
    // The last callback of all; after a stop of the streams thread nobody else is left.
    if (!streams_.post([this] { end(); })) end();
  }
  void end() {
    on_gone();
    self_.reset();
  }

  WorkThread& streams_;
  std::shared_ptr<StreamWriter> self_;
  Message current_;
  bool writing_ = false;
  bool finished_ = false;
};

}  // namespace llmctl

#include "scheduler/fleet/log_router.h"

#include <deque>

#include "core/base/limits.h"
#include "scheduler/fleet/fleet_server.h"
#include "scheduler/fleet/stream_writer.h"

namespace llmctl {
namespace {

// Two whole log files of a rank may wait for a slow reader, no more.
constexpr Bytes kWaitingBytes = 2 * limits::kLogFileBytes + (4 << 20);

Error worker_away(WorkerId worker) {
  return Error{Code::unavailable, "worker " + worker.str() + " holds this log and is away",
               "llmctl workers shows when it was last seen"};
}

}  // namespace

class LogReader final : public StreamWriter<v1::LogChunk> {
 public:
  LogReader(LogRouter& router, v1::LogsRequest request)
      : StreamWriter(router.parts_.streams), router_(router), request_(std::move(request)) {}

  WorkerId worker() const { return worker_; }

  void receive(const v1::LogData& data) {
    if (!data.data().empty()) {
      v1::LogChunk& chunk = waiting_.emplace_back();
      chunk.set_data(data.data());
      chunk.set_epoch(epoch_.value);
      chunk.set_rank(request_.rank());
      waiting_bytes_ += static_cast<Bytes>(data.data().size());
    }
    if (!data.error().empty()) {
      end_ = to_status({Code::not_found, data.error(), ""});
    } else if (data.end()) {
      end_ = grpc::Status::OK;
    }
    if (waiting_bytes_ > kWaitingBytes) {
      finish(to_status({Code::resource_exhausted, "the log grows faster than it is read", ""}));
    }
    on_ready();
  }

 private:
  void on_start() override {
    if (router_.readers_.size() >= limits::kWatchers) {
      return finish(to_status({Code::resource_exhausted, "too many log readers", ""}));
    }
    if (request_.job_id() <= 0 || request_.epoch() < 0 || request_.rank() < 0 ||
        request_.tail_bytes() < 0) {
      return finish(to_status(
          {Code::invalid_argument, "job_id must be > 0; epoch, rank and tail_bytes >= 0", ""}));
    }
    auto self = shared_from_this();
    const bool posted = router_.parts_.archive_thread.try_post([this, self] {
      auto place = router_.parts_.archive.place_of_rank(JobId{request_.job_id()},
                                                        Epoch{request_.epoch()}, request_.rank());
      router_.parts_.streams.post([this, self, place = std::move(place)] { ask(place); });
    });
    if (!posted) finish(to_status(too_busy()));
  }

  void ask(const Result<RankPlace>& place) {
    if (finished()) return;
    if (!place.ok()) return finish(to_status(place.error()));
    worker_ = place->worker;
    epoch_ = place->epoch;
    number_ = ++router_.last_request_;
    router_.readers_[number_] = std::static_pointer_cast<LogReader>(shared_from_this());
    if (!send(false)) finish(to_status(worker_away(worker_)));
  }

  bool send(bool cancel) {
    v1::LogRead read;
    read.set_request(number_);
    read.set_job_id(request_.job_id());
    read.set_epoch(epoch_.value);
    read.set_rank(request_.rank());
    read.set_tail_bytes(request_.tail_bytes());
    read.set_follow(request_.follow());
    read.set_cancel(cancel);
    return router_.fleet_.send(worker_, std::move(read));
  }

  void on_ready() override {
    if (!may_write()) return;
    if (!waiting_.empty()) {
      v1::LogChunk next = std::move(waiting_.front());
      waiting_.pop_front();
      waiting_bytes_ -= static_cast<Bytes>(next.data().size());
      return write(std::move(next));
    }
    if (end_) finish(*end_);
  }

  void on_gone() override {
    if (number_ == 0) return;
    if (!end_) send(true);
    router_.readers_.erase(number_);
  }

  LogRouter& router_;
  const v1::LogsRequest request_;
  WorkerId worker_;
  Epoch epoch_;
  int64_t number_ = 0;  // 0: the worker was not asked yet
  std::deque<v1::LogChunk> waiting_;
  Bytes waiting_bytes_ = 0;
  std::optional<grpc::Status> end_;  // after what waits
};

grpc::ServerWriteReactor<v1::LogChunk>* LogRouter::open(const v1::LogsRequest& request) {
  const auto reader = std::make_shared<LogReader>(*this, request);
  reader->begin();
  return reader.get();
}

void LogRouter::receive(WorkerId worker, const v1::LogData& data) {
  const auto reader = readers_.find(data.request());
  // A worker answers only what it was asked.
  if (reader != readers_.end() && reader->second->worker() == worker) {
    reader->second->receive(data);
  }
}

void LogRouter::worker_gone(WorkerId worker) {
  for (const auto& [number, reader] : readers_) {
    if (reader->worker() == worker) reader->finish(to_status(worker_away(worker)));
  }
}

void LogRouter::close_all(const Error& why) {
  for (const auto& [number, reader] : readers_) reader->finish(to_status(why));
}

}  // namespace llmctl

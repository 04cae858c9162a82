#include "scheduler/api/watch.h"

#include <deque>

#include "core/base/limits.h"
#include "proto/convert_event.h"
#include "scheduler/fleet/stream_writer.h"

namespace llmctl {
namespace {

constexpr int kPage = 256;                // events read from the store at a time
constexpr size_t kWaitingEvents = 1'024;  // held for one watcher before it reads the store

bool ends_job(const v1::Event& event) {
  if (!event.has_job_moved()) return false;
  const auto to = parse_job_state(event.job_moved().to());
  return to && is_terminal(*to);
}

bool is_final(const v1::Job& job) {
  const auto state = parse_job_state(job.state());
  return state && is_terminal(*state);
}

// One page of history and whether the job was final when it was read.
struct Page {
  std::vector<v1::Event> events;
  bool job_final = false;
};

Result<Page> read_page(Archive& archive, const v1::WatchRequest& request, Seq from) {
  Page page;
  const JobId job{request.job_id()};
  if (job) page.job_final = is_final(TRY(archive.job(job)));
  page.events = TRY(archive.events(from, job, kPage));
  return page;
}

}  // namespace

class Watcher final : public StreamWriter<v1::Event> {
 public:
  Watcher(WatchHub& hub, v1::WatchRequest request)
      : StreamWriter(hub.parts_.streams), hub_(hub), request_(std::move(request)) {}

  bool wants(const Event& event) const {
    if (request_.job_id() != 0 && request_.job_id() != event.job.value) return false;
    return request_.progress() || is_durable(event);
  }

  void offer(const v1::Event& event) {
    std::deque<v1::Event>& queue = catching_up_ ? live_ : waiting_;
    if (queue.size() >= kWaitingEvents) return fall_back();
    if (catching_up_) {
      live_.push_back(event);
    } else {
      enqueue(event);
    }
    on_ready();
  }

  // Drops the live events that were held; the store has every durable one of them.
  void fall_back() {
    catching_up_ = true;
    missed_live_ = true;
    live_.clear();
    on_ready();
  }

 private:
  void on_start() override {
    if (request_.from_seq() < 0 || request_.job_id() < 0) {
      return finish(to_status({Code::invalid_argument, "job_id and from_seq are >= 0", ""}));
    }
    hub_.join(std::static_pointer_cast<Watcher>(shared_from_this()));
  }

  void on_gone() override { hub_.leave(std::static_pointer_cast<Watcher>(shared_from_this())); }

  void on_ready() override {
    if (!may_write()) return;
    if (!waiting_.empty()) {
      v1::Event next = std::move(waiting_.front());
      waiting_.pop_front();
      if (request_.until_done() && request_.job_id() != 0 && ends_job(next)) {
        ending_ = true;
        waiting_.clear();
      }
      return write(std::move(next));
    }
    if (ending_) return finish(grpc::Status::OK);
    if (catching_up_ && !reading_) read();
  }

  void read() {
    reading_ = true;
    missed_live_ = false;
    auto self = shared_from_this();
    const bool posted = hub_.parts_.archive_thread.try_post([this, self, from = next_seq_] {
      auto page = read_page(hub_.parts_.archive, request_, from);
      hub_.parts_.streams.post(
          [this, self, page = std::move(page)]() mutable { take(std::move(page)); });
    });
    if (!posted) finish(to_status(too_busy()));
  }

  void take(Result<Page> page) {
    reading_ = false;
    if (finished()) return;
    if (!page.ok()) return finish(to_status(page.error()));
    const bool all = static_cast<int>(page->events.size()) < kPage;
    for (v1::Event& event : page->events) enqueue(std::move(event));
    if (all && !missed_live_) {
      catching_up_ = false;
      for (v1::Event& event : live_) enqueue(std::move(event));
      live_.clear();
      ending_ = request_.until_now() || (request_.until_done() && page->job_final);
    }
    on_ready();
  }

  // In order and once; volatile events have no seq.
  void enqueue(v1::Event event) {
    if (event.seq() != 0) {
      if (event.seq() < next_seq_.value) return;
      next_seq_.value = event.seq() + 1;
    }
    waiting_.push_back(std::move(event));
  }

  friend class WatchHub;
  WatchHub& hub_;
  const v1::WatchRequest request_;
  Seq next_seq_;                   // the first one not in waiting_ yet
  std::deque<v1::Event> waiting_;  // to be written to the stream
  std::deque<v1::Event> live_;     // happened while the store is read
  bool catching_up_ = true;        // the store has events that were not read yet
  bool reading_ = false;
  bool missed_live_ = false;  // live events were dropped since the read began: read again
  bool ending_ = false;
};

grpc::ServerWriteReactor<v1::Event>* WatchHub::open(const v1::WatchRequest& request) {
  const auto watcher = std::make_shared<Watcher>(*this, request);
  watcher->begin();
  return watcher.get();
}

void WatchHub::join(const std::shared_ptr<Watcher>& watcher) {
  if (watchers_.size() >= limits::kWatchers) {
    return watcher->finish(to_status({Code::resource_exhausted, "too many watchers", ""}));
  }
  const int64_t from = watcher->request_.from_seq();
  watcher->next_seq_.value = from == 0 ? last_seq_.value + 1 : from;
  watchers_.insert(watcher);
  watcher->on_ready();
}

void WatchHub::publish(const std::vector<Event>& events) {
  for (const Event& event : events) {
    if (event.seq) last_seq_ = event.seq;
    std::optional<v1::Event> message;
    for (const auto& watcher : watchers_) {
      if (watcher->finished() || !watcher->wants(event)) continue;
      if (!message) message = to_wire(event);
      watcher->offer(*message);
    }
  }
}

void WatchHub::events_missed() {
  for (const auto& watcher : watchers_) watcher->fall_back();
}

void WatchHub::close_all(const Error& why) {
  for (const auto& watcher : watchers_) watcher->finish(to_status(why));
}

}  // namespace llmctl

#include "worker/link/link.h"

#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>

#include "core/base/limits.h"
#include "core/base/log.h"
#include "llmctl/v1/fleet.grpc.pb.h"
#include "worker/files/open_file.h"
#include "worker/link/wire.h"

namespace llmctl::worker {

static constexpr Millis kBackoffFirst = 50;       // a scheduler restarts in well under a second
static constexpr Millis kBackoffLimit = 1'000;    // trainers may be waiting for it
static constexpr Millis kConnectTimeout = 2'000;  // of one attempt by gRPC
static constexpr size_t kQueuedMessages = 8'192;  // unsent; more means the scheduler does not read

// What gRPC's threads leave for the loop thread.
struct SchedulerLink::Inbox {
  struct Arrival {
    int64_t dial = 0;
    std::optional<v1::SchedulerMessage> message;
    bool reading_over = false;
    std::optional<Disconnected> closed;
    std::shared_ptr<Stream> stream;  // with `closed`: to be destroyed by the loop thread
  };
  void push(Arrival arrival) {
    {
      const std::lock_guard lock(mutex);
      arrivals.push_back(std::move(arrival));
    }
    const uint64_t one = 1;
    (void)!write(wake.fd(), &one, sizeof one);
  }
  std::deque<Arrival> take() {
    uint64_t count = 0;
    (void)!read(wake.fd(), &count, sizeof count);
    const std::lock_guard lock(mutex);
    return std::exchange(arrivals, {});
  }

  OpenFile wake{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::mutex mutex;
  std::deque<Arrival> arrivals;  // bounded by the scheduler's flow: one message per read
};

// One channel for the life of the link: gRPC 1.51 aborts when the last channel goes away on one of
// its own threads, so neither channel nor streams are ever destroyed there.
struct SchedulerLink::Connection {
  explicit Connection(const Endpoint& scheduler) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(limits::kMessageBytes);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, static_cast<int>(kBackoffFirst));
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, static_cast<int>(kBackoffLimit) / 2);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, static_cast<int>(kConnectTimeout));
    channel =
        grpc::CreateCustomChannel(scheduler.address, channel_credentials(scheduler), arguments);
    stub = v1::Fleet::NewStub(channel);
  }
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Fleet::Stub> stub;
};

// One stream's life: start(), write()s from the loop thread, reading over, release(), OnDone.
class SchedulerLink::Stream final
    : public grpc::ClientBidiReactor<v1::WorkerMessage, v1::SchedulerMessage> {
 public:
  Stream(const Endpoint& scheduler, int64_t dial, std::shared_ptr<Inbox> inbox)
      : scheduler_(scheduler), dial_(dial), inbox_(std::move(inbox)) {
    const std::string& token = scheduler.token;
    if (!token.empty()) context_.AddMetadata("authorization", "Bearer " + token);
  }

  void start(std::shared_ptr<Stream> self, v1::Fleet::Stub& stub) {
    self_ = std::move(self);
    stub.async()->Connect(&context_, this);
    AddHold();  // for write() from outside of the reactions, until release()
    StartRead(&incoming_);
    StartCall();
  }
  void write(v1::WorkerMessage message) {
    if (released_) return;  // gRPC may be done with it
    const v1::WorkerMessage* next = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.size() >= kQueuedMessages) return cancel();
      queued_bytes_ += static_cast<Bytes>(message.ByteSizeLong());
      queue_.push_back(std::move(message));
      if (std::exchange(writing_, true)) return;
      next = &queue_.front();
    }
    StartWrite(next);  // without the lock: the reaction may run right here
  }
  Bytes queued_bytes() const {
    const std::lock_guard lock(mutex_);
    return queued_bytes_;
  }
  size_t room() const {
    const std::lock_guard lock(mutex_);
    return kQueuedMessages - queue_.size();
  }
  void cancel() { context_.TryCancel(); }
  void release() {
    if (!std::exchange(released_, true)) RemoveHold();
  }

  void OnWriteDone(bool ok) override {
    const v1::WorkerMessage* next = nullptr;
    {
      const std::lock_guard lock(mutex_);
      queued_bytes_ -= static_cast<Bytes>(queue_.front().ByteSizeLong());
      queue_.pop_front();
      writing_ = ok && !queue_.empty();
      if (!writing_) return;
      next = &queue_.front();  // stays where it is when more is queued
    }
    StartWrite(next);
  }
  void OnReadDone(bool ok) override {
    Inbox::Arrival arrival{dial_, {}, !ok, {}, {}};
    if (ok) arrival.message = std::move(incoming_);
    inbox_->push(std::move(arrival));
    if (!ok) return;
    incoming_.Clear();
    StartRead(&incoming_);
  }
  void OnDone(const grpc::Status& status) override {
    Disconnected why;
    const Error error = call_error(scheduler_, status);
    why.detail = status.ok() ? "the scheduler ended the stream" : error.message;
    if (!error.hint.empty()) why.detail += " (" + error.hint + ")";
    const auto inbox = inbox_;  // after the push below another thread may destroy this object
    inbox->push({dial_, {}, false, std::move(why), std::move(self_)});
  }

 private:
  const Endpoint scheduler_;
  const int64_t dial_;
  const std::shared_ptr<Inbox> inbox_;
  grpc::ClientContext context_;
  v1::SchedulerMessage incoming_;
  std::shared_ptr<Stream> self_;  // until OnDone, so that gRPC never calls into nothing
  bool released_ = false;         // loop thread only

  mutable std::mutex mutex_;
  std::deque<v1::WorkerMessage> queue_;  // the front is being written while writing_
  Bytes queued_bytes_ = 0;
  bool writing_ = false;
};

SchedulerLink::SchedulerLink(Endpoint scheduler, const Clock& clock)
    : scheduler_(std::move(scheduler)),
      clock_(clock),
      connection_(std::make_unique<Connection>(scheduler_)),
      inbox_(std::make_shared<Inbox>()),
      random_(static_cast<unsigned>(clock.unix_ms() ^ getpid())) {}

SchedulerLink::~SchedulerLink() {
  if (!stream_) return;
  stream_->cancel();
  stream_->release();
  for (int i = 0; i < 20; ++i) {
    pollfd ready{inbox_->wake.fd(), POLLIN, 0};
    poll(&ready, 1, 100);
    for (const Inbox::Arrival& arrival : inbox_->take()) {
      if (arrival.dial == dials_ && arrival.closed) return;
    }
  }
}

int SchedulerLink::wake_fd() const {
  return inbox_->wake.fd();
}

size_t SchedulerLink::room() const {
  return stream_ ? stream_->room() / 2 : kQueuedMessages;  // the rest is for logs
}

Bytes SchedulerLink::queued_bytes() const {
  return stream_ ? stream_->queued_bytes() : 0;
}

void SchedulerLink::dial() {
  stream_ = std::make_shared<Stream>(scheduler_, ++dials_, inbox_);
  stream_->start(stream_, *connection_->stub);
  heard_boot_ms_ = clock_.boot_ms();
  dialing_unread_ = true;
  gathered_ = {};
}

void SchedulerLink::tick() {
  const Millis now = clock_.boot_ms();
  if (!stream_ && now >= redial_boot_ms_) dial();
  if (stream_ && now - heard_boot_ms_ > limits::kLease) stream_->cancel();
}

void SchedulerLink::hang_up() {
  if (stream_) stream_->cancel();
}

Millis SchedulerLink::next_tick_boot_ms() const {
  if (dialing_unread_) return clock_.boot_ms();
  return stream_ ? heard_boot_ms_ + limits::kLease + 1 : redial_boot_ms_;
}

// The wait doubles with each failure in a row. A random part keeps many workers from dialing all at
// the same moments.
void SchedulerLink::on_closed(const Disconnected& why) {
  stream_.reset();
  if (backoff_ms_ == 0) log_sentence("worker", "not connected: " + why.detail);
  backoff_ms_ = std::clamp(backoff_ms_ * 2, kBackoffFirst, kBackoffLimit);
  std::uniform_int_distribution<Millis> jitter(backoff_ms_ / 2, backoff_ms_);
  redial_boot_ms_ = clock_.boot_ms() + jitter(random_);
}

// Joins the parts of a set. A set that is replaced while it is sent begins again with part 0.
bool SchedulerLink::is_whole(Desired& desired) {
  if (desired.part == 0) gathered_ = {};
  if (desired.part != gathered_.part) return false;  // the rest of one that was replaced
  ++gathered_.part;
  std::ranges::move(desired.runs, std::back_inserter(gathered_.runs));
  if (desired.more) return false;
  desired = std::exchange(gathered_, {});
  return true;
}

std::vector<FromScheduler> SchedulerLink::receive() {
  std::vector<FromScheduler> messages;
  if (std::exchange(dialing_unread_, false)) messages.emplace_back(Dialing{});
  for (Inbox::Arrival& arrival : inbox_->take()) {
    if (arrival.dial != dials_ || !stream_) continue;
    if (arrival.reading_over) stream_->release();
    if (arrival.closed) {
      on_closed(*arrival.closed);
      messages.emplace_back(std::move(*arrival.closed));
    }
    if (!arrival.message) continue;
    heard_boot_ms_ = clock_.boot_ms();
    auto message = from_wire(*arrival.message);
    if (!message.ok()) {
      log_sentence("worker", message.error().message);
      continue;
    }
    if (std::holds_alternative<Welcome>(*message)) {
      log_sentence("worker", "connected to " + scheduler_.address);
      backoff_ms_ = 0;
    }
    auto* const desired = std::get_if<Desired>(&*message);
    if (desired == nullptr || is_whole(*desired)) messages.push_back(std::move(message).value());
  }
  return messages;
}

void SchedulerLink::send(const ToScheduler& message) {
  if (stream_) stream_->write(to_wire(message));
}

}  // namespace llmctl::worker

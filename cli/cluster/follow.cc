#include "cli/cluster/follow.h"

#include "cli/cluster/home.h"
#include "cli/shell/interrupt.h"

namespace llmctl {

constexpr int kReconnectMs = 300;

class Follower {
 public:
  Follower(const Context& context,
           const JobView& job,
           const FollowRequest& request,
           FollowSink& sink)
      : context_(context),
        request_(request),
        sink_(sink),
        job_(job),
        next_seq_(request.from_seq > 0 ? request.from_seq : job.last_seq + 1),
        deadline_ms_(request.timeout_ms > 0 ? context.clock.boot_ms() + request.timeout_ms : 0) {}

  Result<Followed> run() {
    while (true) {
      // Anew each time: a cluster that came back may have another address.
      Result<Client> client = connect(context_.env);
      const Status status = client.ok() ? once(*client) : Status(client.error());
      if (stopped()) return finished();
      if (!status.ok() && status.error().code == Code::out_of_range) {
        next_seq_ = 0;  // the log was compacted meanwhile: go on from the present
      } else if (!status.ok() && status.error().code != Code::unavailable) {
        return status.error();
      }
      if (!status.ok() && !lost_) {
        lost_ = true;
        sink_.on_lost();
      }
      pause_ms(kReconnectMs);
      sink_.on_tick();
      if (stopped()) return finished();
    }
  }

 private:
  // One connection: the job as it is now, then its events until the end of either.
  Status once(Client& client) {
    job_ = TRY(client.get(JobId{job_.id}));
    if (lost_) sink_.on_back(job_);
    lost_ = false;
    if (next_seq_ == 0) next_seq_ = job_.last_seq + 1;
    const WatchQuery query{job_.id, next_seq_, request_.progress, /*until_done=*/true};
    TRY(client.watch(query, [&](const Event* event) {
      if (event == nullptr) {
        sink_.on_tick();
      } else {
        if (event->seq) next_seq_ = event->seq.value + 1;
        sink_.on_event(*event);
      }
      return !given_up();
    }));
    job_ = TRY(client.get(JobId{job_.id}));
    done_ = is_done(job_);  // only now: all its events have been told
    return ok_status();
  }

  bool given_up() const {
    return interrupt_.interrupted() ||
           (deadline_ms_ > 0 && context_.clock.boot_ms() >= deadline_ms_);
  }
  bool stopped() const { return done_ || given_up(); }

  Followed finished() const {
    if (done_) return {FollowEnd::done, job_};
    return {interrupt_.interrupted() ? FollowEnd::interrupted : FollowEnd::timed_out, job_};
  }

  const Context& context_;
  const FollowRequest request_;
  FollowSink& sink_;
  const InterruptGuard interrupt_;
  JobView job_;
  int64_t next_seq_;
  const Millis deadline_ms_;
  bool lost_ = false;  // no connection, and the reader was told
  bool done_ = false;  // the job has ended and the reader has seen it
};

Result<Followed> follow(const Context& context,
                        const JobView& job,
                        const FollowRequest& request,
                        FollowSink& sink) {
  return Follower(context, job, request, sink).run();
}

}  // namespace llmctl

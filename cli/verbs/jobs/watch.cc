// watch, wait: following jobs. Ctrl-C only ever detaches.
#include "cli/verbs/jobs/watch.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/ask/selector.h"
#include "cli/cluster/follow.h"
#include "cli/cluster/home.h"
#include "cli/screen/documents.h"
#include "cli/screen/draw.h"
#include "cli/screen/watch_view.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

// Events as JSON lines on stdout.
class JsonSink final : public FollowSink {
 public:
  explicit JsonSink(Context& context) : context_(context) {}
  void on_event(const Event& event) override {
    using nlohmann::json;
    context_.out << event_document(event).dump(-1, ' ', false, json::error_handler_t::replace)
                 << "\n"
                 << std::flush;
  }

 private:
  Context& context_;
};

// Lines above, one line redrawn in place below; without a terminal only lines.
class PeopleSink final : public FollowSink {
 public:
  PeopleSink(Context& context, const JobView& job)
      : context_(context), view_(job, context.out_terminal) {}
  ~PeopleSink() override { erase(); }

  void on_event(const Event& event) override {
    const std::vector<std::string> lines = view_.lines_for(event, context_.clock.boot_ms());
    if (lines.empty()) return;
    erase();
    for (const std::string& line : lines) context_.out << line << "\n";
    context_.out << std::flush;
  }
  void on_tick() override {
    if (!context_.out_terminal.tty) return;
    context_.out << "\r\x1b[2K" << view_.status_line() << std::flush;
    drawn_ = true;
  }
  void on_lost() override {
    erase();
    context_.err << "the scheduler does not answer; waiting for it (the job goes on)\n";
  }
  void on_back(const JobView& job) override {
    view_.replace(job);
    erase();
    context_.err << "the scheduler is back; nothing was missed\n";
  }

 private:
  void erase() {
    if (drawn_) context_.out << "\r\x1b[2K" << std::flush;
    drawn_ = false;
  }

  Context& context_;
  WatchView view_;
  bool drawn_ = false;
};

static void say_detached(const Context& context, int64_t id) {
  context.err << "detached; job " << id << " goes on. `llmctl watch " << id
              << "` comes back to it, `llmctl cancel " << id << "` stops it\n";
}

Result<int> watch_job(Context& context, const JobView& job, const WatchOptions& options) {
  const FollowRequest request{options.progress, options.from_seq, 0};
  Followed followed;
  if (context.json()) {
    JsonSink sink(context);
    followed = TRY(follow(context, job, request, sink));
  } else {
    PeopleSink sink(context, job);
    followed = TRY(follow(context, job, request, sink));
  }
  if (followed.end == FollowEnd::interrupted) {
    say_detached(context, job.id);
    return kExitInterrupted;
  }
  const std::string jobs_dir = local_jobs_dir(context.env);
  if (!context.json()) {
    context.out << render_ending({followed.job, jobs_dir}, context.out_terminal);
  }
  return exit_code_of_state(followed.job.state);
}

static VerbAction setup_watch(CLI::App& app) {
  auto id = std::make_shared<std::string>("last");
  auto options = std::make_shared<WatchOptions>();
  app.add_option("ID", *id, "The job (default: the newest)");
  app.add_option("--from", options->from_seq, "Begin with the event of this sequence number")
      ->check(CLI::PositiveNumber);
  app.add_flag("!--no-progress", options->progress, "Only durable events, no steps");
  return [id, options](Context& context) -> Result<int> {
    Client client = TRY(connect(context.env));
    const JobId job_id = TRY(resolve_job(client, *id));
    const JobView job = TRY(client.get(job_id));
    return watch_job(context, job, *options);
  };
}

// ---- wait

class SilentSink final : public FollowSink {
 public:
  void on_event(const Event&) override {}
};

struct WaitArguments {
  std::vector<std::string> ids;
  std::string timeout;
};

static Result<int> wait(Context& context, const WaitArguments& arguments) {
  Client client = TRY(connect(context.env));
  const std::vector<JobId> ids = TRY(resolve_jobs(client, arguments.ids));
  const Millis timeout = arguments.timeout.empty() ? 0 : TRY(parse_duration(arguments.timeout));
  const Millis begin = context.clock.boot_ms();
  std::vector<JobView> jobs;
  int code = kExitOk;
  for (const JobId id : ids) {
    const JobView job = TRY(client.get(id));
    const Millis left = timeout - (context.clock.boot_ms() - begin);
    SilentSink sink;
    // A timeout that is over still looks once: 1 ms.
    const FollowRequest request{false, 0, timeout > 0 ? std::max<Millis>(1, left) : 0};
    const Followed followed = TRY(follow(context, job, request, sink));
    if (followed.end == FollowEnd::interrupted) {
      say_detached(context, id.value);
      return kExitInterrupted;
    }
    jobs.push_back(followed.job);
    if (code == kExitOk) code = exit_code_of_state(followed.job.state);
  }
  if (context.json()) {
    context.print(jobs_document(jobs));
  } else {
    for (const JobView& job : jobs) {
      context.out << "job " << job.id << " "
                  << paint(job.state, tone_of_state(job.state), context.out_terminal) << "\n";
    }
  }
  return code;
}

static VerbAction setup_wait(CLI::App& app) {
  auto arguments = std::make_shared<WaitArguments>();
  app.add_option("ID", arguments->ids, "Jobs to wait for")->required();
  app.add_option("--timeout", arguments->timeout, "Give up after this long, as 10m; exit code 101")
      ->type_name("DURATION");
  return [arguments](Context& context) { return wait(context, *arguments); };
}

const Verb kWatchVerb{"watch", "Jobs", "Follow a job live; Ctrl-C detaches, never cancels",
                      "llmctl watch\nllmctl watch 17\nllmctl watch 17 --from 1 -o json    # every "
                      "event, as JSON lines",
                      setup_watch};
const Verb kWaitVerb{"wait", "Jobs", "Wait until jobs end; the exit code tells how",
                     "llmctl wait last\nllmctl wait 3-7 --timeout 2h && echo all succeeded",
                     setup_wait};

}  // namespace llmctl

// logs: what a rank of a job wrote. Follows across scheduler restarts; Ctrl-C only detaches.
#include <algorithm>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/ask/selector.h"
#include "cli/cluster/home.h"
#include "cli/screen/documents.h"
#include "cli/shell/interrupt.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

struct LogsArguments {
  std::string id = "last";
  LogsQuery query;
  std::string tail;
};

// Text goes out as it is, like `cat`; in JSON mode each piece is a line with its text.
static void put(const Context& context, const std::string& data) {
  using nlohmann::json;
  if (!context.json()) {
    context.out << data << std::flush;
    return;
  }
  const json line = {{"api_version", kApiVersion}, {"data", data}};
  context.out << line.dump(-1, ' ', false, json::error_handler_t::replace) << "\n" << std::flush;
}

static Result<int> logs(Context& context, LogsArguments arguments) {
  Client client = TRY(connect(context.env));
  const JobId id = TRY(resolve_job(client, arguments.id));
  arguments.query.job_id = id.value;
  if (!arguments.tail.empty()) arguments.query.tail_bytes = TRY(parse_bytes(arguments.tail));
  const InterruptGuard interrupt;
  int64_t received = 0, skip = 0;
  bool lost = false;
  while (true) {
    const Status status = client.logs(arguments.query, [&](const std::string* data) {
      if (data != nullptr) {
        // After a break the log comes from its beginning again: what was shown is passed over.
        const auto known = std::min<int64_t>(skip, static_cast<int64_t>(data->size()));
        skip -= known;
        received += static_cast<int64_t>(data->size()) - known;
        put(context, data->substr(static_cast<size_t>(known)));
      }
      return !interrupt.interrupted();
    });
    if (interrupt.interrupted()) {
      context.err << "\ndetached; job " << id.value << " goes on\n";
      return kExitInterrupted;
    }
    if (status.ok()) return kExitOk;
    const bool resumable = arguments.query.follow && arguments.query.tail_bytes == 0;
    if (status.error().code != Code::unavailable || !resumable) return status.error();
    if (!lost) context.err << "the scheduler does not answer; waiting for it\n";
    lost = true;
    skip = received;
    pause_ms(300);
    if (Result<Client> again = connect(context.env); again.ok()) client = std::move(again).value();
  }
}

static VerbAction setup_logs(CLI::App& app) {
  auto arguments = std::make_shared<LogsArguments>();
  app.add_option("ID", arguments->id, "The job (default: the newest)");
  app.add_flag("-f,--follow", arguments->query.follow, "Go on with what is written next");
  app.add_option("--rank", arguments->query.rank, "Rank of a gang (default 0)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--epoch", arguments->query.epoch, "An earlier attempt (default: the newest)")
      ->check(CLI::PositiveNumber);
  app.add_option("--tail", arguments->tail, "Only the last bytes, as 4KiB")->type_name("SIZE");
  return [arguments](Context& context) { return logs(context, *arguments); };
}

const Verb kLogsVerb{"logs", "Jobs", "What a job's trainer wrote",
                     "llmctl logs 17\nllmctl logs -f last\nllmctl logs 17 --rank 1 --tail 4KiB",
                     setup_logs};

}  // namespace llmctl

// up, down, status: the cluster on this machine.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/cluster/local_cluster.h"
#include "cli/screen/documents.h"
#include "cli/screen/render.h"
#include "cli/screen/table.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

using nlohmann::json;

static Say say_to(const Context& context) {
  return [&context](const std::string& line) {
    if (!context.json()) context.err << line << "\n" << std::flush;
  };
}

static json processes_json(const Home& home, const ClusterRecord& record) {
  json list = json::array();
  for (const ProcessRecord& process : record.processes) {
    list.push_back({{"name", process.name},
                    {"pid", process.pid},
                    {"alive", is_alive(process)},
                    {"log", home.log_path(process.name)}});
  }
  return list;
}

// ---- up

struct UpArguments {
  UpRequest request;
  std::string cpu_memory;
};

static Result<int> up(Context& context, UpArguments arguments) {
  UpRequest& request = arguments.request;
  if (!arguments.cpu_memory.empty()) {
    request.shape.cpu_memory = TRY(parse_bytes(arguments.cpu_memory));
  }
  const UpReport report = TRY(bring_up(context.env, request, say_to(context)));
  const Home home{context.env.home};
  if (context.json()) {
    json document = workers_document(report.workers);
    document["home"] = home.dir;
    document["address"] = report.record.address;
    document["metrics_address"] = report.record.metrics_address;
    document["started"] = report.started;
    document["processes"] = processes_json(home, report.record);
    context.print(document);
    return kExitOk;
  }
  context.err << (report.started.empty() ? "already up" : "up") << ": scheduler "
              << report.record.address << ", metrics http://" << report.record.metrics_address
              << "/metrics, home " << home.dir << "\n";
  context.out << render_workers(report.workers, {context.out_terminal, context.clock.unix_ms()});
  context.err << "Next: llmctl submit job.yaml --watch\n";
  return kExitOk;
}

static VerbAction setup_up(CLI::App& app) {
  auto arguments = std::make_shared<UpArguments>();
  ClusterShape& shape = arguments->request.shape;
  app.add_option("--workers", shape.workers, "Worker processes (default 1)")
      ->check(CLI::Range(1, 64));
  app.add_option("--cpu-memory", arguments->cpu_memory, "Memory budget of each worker, as 6GiB")
      ->type_name("SIZE");
  app.add_option("--slots", shape.slots, "Ranks that may share a device")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", shape.threads, "CPU threads per rank")->check(CLI::PositiveNumber);
  app.add_option("--port", shape.port, "The scheduler's port; 0: any free one")
      ->check(CLI::Range(0, 65535));
  app.add_option("--lease-ms", shape.lease_ms, "How long a silent worker keeps its jobs")
      ->check(CLI::PositiveNumber);
  app.add_option("--grace-ms", shape.grace_ms, "Wait beyond the lease before taking over")
      ->check(CLI::PositiveNumber);
  app.add_option("--trainer", shape.trainer, "Another build of llmctl-trainer, e.g. for CUDA")
      ->check(CLI::ExistingFile);
  return [arguments](Context& context) { return up(context, *arguments); };
}

// ---- down

static Result<int> down(Context& context, const DownRequest& request) {
  const std::vector<std::string> stopped = TRY(bring_down(context.env, request, say_to(context)));
  if (context.json()) {
    context.print({{"api_version", kApiVersion}, {"stopped", stopped}});
  } else {
    context.err << (stopped.empty() ? "nothing was running in "
                                    : "down; jobs and checkpoints stay in ")
                << context.env.home << "\n";
  }
  return kExitOk;
}

static VerbAction setup_down(CLI::App& app) {
  auto request = std::make_shared<DownRequest>();
  app.add_flag("--now", request->now, "Do not wait for running jobs to checkpoint");
  auto timeout_s = std::make_shared<int64_t>(90);
  app.add_option("--timeout", *timeout_s, "Seconds to wait for checkpoints")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  return [request, timeout_s](Context& context) {
    request->patience_ms = *timeout_s * 1000;
    return down(context, *request);
  };
}

// ---- status

static Result<int> status(Context& context) {
  const Home home{context.env.home};
  const Result<ClusterRecord> known = read_cluster(home);
  const ClusterRecord record = known.ok() ? *known : ClusterRecord{};
  Client client = TRY(connect(context.env));
  const Result<ServerView> server = client.server_info();
  if (context.json()) {
    json document = {{"api_version", kApiVersion},
                     {"home", home.dir},
                     {"address", record.address},
                     {"metrics_address", record.metrics_address},
                     {"scheduler", server.ok() ? server_document(*server) : json(nullptr)},
                     {"processes", processes_json(home, record)}};
    context.print(document);
    return server.ok() ? kExitOk : exit_code_of(server.error());
  }
  Table table({{"PROCESS"}, {"STATE"}, {"PID", Column::Align::right}, {"LOG", {}, 1}});
  for (const ProcessRecord& process : record.processes) {
    const char* state = is_alive(process) ? "up" : "dead";
    table.add({process.name,
               {state, tone_of_state(state)},
               std::to_string(process.pid),
               home.log_path(process.name)});
  }
  if (!record.processes.empty()) context.out << table.text(context.out_terminal);
  if (!server.ok()) return server.error();
  context.out << "scheduler " << server->version << " at "
              << (context.env.server.empty() ? record.address : context.env.server) << ", up "
              << age(context.clock.unix_ms() - server->started_unix_ms) << ": " << server->jobs_live
              << " live jobs, " << server->workers_connected << " workers connected\n";
  return kExitOk;
}

static VerbAction setup_status(CLI::App&) {
  return [](Context& context) { return status(context); };
}

const Verb kUpVerb{"up", "Cluster on this machine",
                   "Start a scheduler and workers here, or repair what died",
                   "llmctl up\n"
                   "llmctl up --workers 2 --cpu-memory 6GiB --port 0\n"
                   "LLMCTL_HOME=/tmp/second llmctl up     # a second cluster beside the first",
                   setup_up};
const Verb kDownVerb{"down", "Cluster on this machine",
                     "Checkpoint running jobs, then stop everything",
                     "llmctl down\nllmctl down --now", setup_down};
const Verb kStatusVerb{"status", "Cluster on this machine",
                       "What runs on this machine, and whether it answers",
                       "llmctl status\nllmctl status -o json", setup_status};

}  // namespace llmctl

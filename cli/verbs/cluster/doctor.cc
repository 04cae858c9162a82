// doctor: is everything here that training needs? Cluster questions here, host questions in
// host_checks.cc.
#include "cli/verbs/cluster/doctor.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/cluster/home.h"
#include "cli/screen/documents.h"
#include "cli/screen/table.h"
#include "cli/verbs/verbs.h"
#include "core/base/version.h"

namespace llmctl {

using nlohmann::json;
using Verdict = Check::Verdict;

const char* to_string(Check::Verdict verdict) {
  if (verdict == Verdict::ok) return "ok";
  return verdict == Verdict::warn ? "warn" : "fail";
}

static Check check_versions(const ServerView& server, const std::vector<WorkerView>& workers) {
  std::string others;
  const auto compare = [&](const std::string& who, const std::string& version) {
    if (version != kVersion) others += (others.empty() ? "" : ", ") + who + " " + version;
  };
  compare("scheduler", server.version);
  for (const WorkerView& worker : workers) compare(worker.name, worker.version);
  if (others.empty()) return {"versions", Verdict::ok, std::string("all ") + kVersion, ""};
  return {"versions", Verdict::warn, std::string("llmctl ") + kVersion + ", but " + others,
          "install the same version everywhere; locally `llmctl down` and `llmctl up`"};
}

static Check check_workers(const std::vector<WorkerView>& workers) {
  std::string absent, unhealthy;
  for (const WorkerView& worker : workers) {
    if (worker.state == "disconnected" || worker.state == "lost") absent += " " + worker.name;
    for (const DeviceView& view : worker.devices) {
      if (!view.device.healthy) {
        unhealthy += " " + worker.name + "/" + device_label(view.device.kind, view.device.index);
      }
    }
  }
  if (workers.empty()) return {"workers", Verdict::fail, "none", "`llmctl up` starts one here"};
  if (!absent.empty()) {
    return {"workers", Verdict::fail, "not connected:" + absent,
            "`llmctl up` restarts local ones; look at their logs"};
  }
  if (!unhealthy.empty()) {
    return {"workers", Verdict::fail, "unhealthy devices:" + unhealthy,
            "restart the worker; if it stays, reset the GPU or reboot"};
  }
  return {"workers", Verdict::ok, std::to_string(workers.size()) + " connected", ""};
}

std::vector<Check> check_cluster(const Environment& env) {
  Result<Client> client = connect(env);
  if (!client.ok()) {
    const Error& error = client.error();
    return {{"scheduler", Verdict::fail, error.message, error.hint}};
  }
  const Result<ServerView> server = client->server_info();
  if (!server.ok()) {
    return {{"scheduler", Verdict::fail, server.error().message, server.error().hint}};
  }
  std::vector<Check> checks;
  checks.push_back(
      {"scheduler", Verdict::ok,
       std::to_string(server->jobs_live) + " live jobs, event " + std::to_string(server->last_seq),
       ""});
  const Result<std::vector<WorkerView>> workers = client->workers();
  if (!workers.ok()) {
    checks.push_back({"workers", Verdict::fail, workers.error().message, workers.error().hint});
    return checks;
  }
  checks.push_back(check_versions(*server, *workers));
  checks.push_back(check_workers(*workers));
  return checks;
}

static void show_checks(Context& context, const std::vector<Check>& checks) {
  for (const Check& check : checks) {
    const char* verdict = to_string(check.verdict);
    context.out << paint(pad_right(verdict, 4), tone_of_state(verdict), context.out_terminal)
                << "  " << pad_right(check.name, 12) << clean(check.detail) << "\n";
    if (!check.fix.empty()) context.out << std::string(18, ' ') << "fix: " << check.fix << "\n";
  }
}

static Result<int> doctor(Context& context) {
  std::vector<Check> checks = check_cluster(context.env);
  std::vector<Check> host = check_host(context.env);
  checks.insert(checks.end(), host.begin(), host.end());
  const bool failed = std::any_of(checks.begin(), checks.end(), [](const Check& check) {
    return check.verdict == Verdict::fail;
  });
  if (context.json()) {
    json list = json::array();
    for (const Check& check : checks) {
      list.push_back({{"name", check.name},
                      {"verdict", to_string(check.verdict)},
                      {"detail", check.detail},
                      {"fix", check.fix}});
    }
    context.print({{"api_version", kApiVersion}, {"ok", !failed}, {"checks", std::move(list)}});
  } else {
    show_checks(context, checks);
  }
  return failed ? kExitFailure : kExitOk;
}

static VerbAction setup_doctor(CLI::App&) {
  return [](Context& context) { return doctor(context); };
}

const Verb kDoctorVerb{
    "doctor", "This program", "Check cluster and machine; each problem with its fix",
    "llmctl doctor\nllmctl doctor -o json | jq '.checks[] | select(.verdict != \"ok\")'",
    setup_doctor};

}  // namespace llmctl

#include "cli/cluster/home.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/json_reader.h"
#include "core/base/random_hex.h"
#include "core/base/write_and_rename.h"

namespace llmctl {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kTokenBytes = 32;
constexpr std::streamsize kRecordBytesMax = 1 << 20;  // cluster.json is a few hundred bytes

static Error file_error(const std::string& path, const char* verb) {
  return {Code::internal, std::string("cannot ") + verb + " " + path + ": " + std::strerror(errno),
          "check the folder's owner and free space, or set LLMCTL_HOME"};
}

ProcessRecord* ClusterRecord::find(const std::string& name) {
  const auto found = std::find_if(processes.begin(), processes.end(),
                                  [&](const ProcessRecord& p) { return p.name == name; });
  return found == processes.end() ? nullptr : &*found;
}

static Result<std::string> read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{Code::not_found, "cannot read " + path, ""};
  std::string text(static_cast<size_t>(kRecordBytesMax), '\0');
  file.read(text.data(), kRecordBytesMax);
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

static Status write_whole(const std::string& path, const std::string& text) {
  const auto failure = write_and_rename(path, text, {.mode = 0600});
  if (!failure) return ok_status();
  errno = failure->error_number;
  return failure->step == "open" ? file_error(failure->path, "create") : file_error(path, "write");
}

static void read_shape(const json& document, ClusterShape& shape, Status& status) {
  JsonReader reader(document, "shape");
  reader.read("workers", shape.workers);
  reader.read("cpu_memory", shape.cpu_memory);
  reader.read("slots", shape.slots);
  reader.read("threads", shape.threads);
  reader.read("port", shape.port);
  reader.read("lease_ms", shape.lease_ms);
  reader.read("grace_ms", shape.grace_ms);
  reader.read("trainer", shape.trainer);
  status = reader.status();
}

Result<ClusterRecord> read_cluster(const Home& home) {
  const std::string text = TRY(read_whole(home.record_path()));
  const json document = TRY(parse_json(text, home.record_path()));
  ClusterRecord record;
  JsonReader reader(document, home.record_path());
  reader.read("address", record.address);
  reader.read("metrics_address", record.metrics_address);
  Status shape = ok_status();
  if (const json* child = reader.child("shape")) read_shape(*child, record.shape, shape);
  if (!shape.ok()) return shape.error();
  if (const json* list = reader.child("processes")) {
    for (const json& item : *list) {
      ProcessRecord process;
      JsonReader one(item, "processes");
      one.read("name", process.name);
      one.read("pid", process.pid);
      one.read("start_ticks", process.start_ticks);
      if (Status status = one.status(); !status.ok()) return status.error();
      record.processes.push_back(std::move(process));
    }
  }
  if (const json* list = reader.child("drained"); list != nullptr && list->is_array()) {
    for (const json& name : *list) {
      if (name.is_string()) record.drained.push_back(name.get<std::string>());
    }
  }
  if (Status status = reader.status(); !status.ok()) return status.error();
  return record;
}

Status write_cluster(const Home& home, const ClusterRecord& record) {
  json processes = json::array();
  for (const ProcessRecord& process : record.processes) {
    processes.push_back(
        {{"name", process.name}, {"pid", process.pid}, {"start_ticks", process.start_ticks}});
  }
  const ClusterShape& shape = record.shape;
  const json document = {{"api_version", "llmctl/v1"},
                         {"address", record.address},
                         {"metrics_address", record.metrics_address},
                         {"shape",
                          {{"workers", shape.workers},
                           {"cpu_memory", shape.cpu_memory},
                           {"slots", shape.slots},
                           {"threads", shape.threads},
                           {"port", shape.port},
                           {"lease_ms", shape.lease_ms},
                           {"grace_ms", shape.grace_ms},
                           {"trainer", shape.trainer}}},
                         {"processes", std::move(processes)},
                         {"drained", record.drained}};
  return write_whole(home.record_path(), document.dump(2) + "\n");
}

static Status make_token(const Home& home) {
  if (fs::exists(home.token_path())) return ok_status();
  return write_whole(home.token_path(), random_hex(kTokenBytes) + "\n");
}

Status make_home(const Home& home) {
  if (home.dir.empty()) {
    return Error{Code::failed_precondition, "this user has no home directory",
                 "set LLMCTL_HOME to a folder for the cluster's data"};
  }
  for (const std::string& dir : {home.dir, home.scheduler_dir(), home.dir + "/workers",
                                 home.jobs_dir(), home.dir + "/logs"}) {
    std::error_code error;
    fs::create_directories(dir, error);
    if (error) {
      return Error{Code::internal, "cannot create " + dir + ": " + error.message(),
                   "check the folder's owner, or set LLMCTL_HOME"};
    }
  }
  chmod(home.dir.c_str(), 0700);  // the token and everyone's data are in it
  return make_token(home);
}

Result<std::string> read_token(const std::string& path) {
  std::string token = TRY(read_whole(path));
  token.erase(token.find_last_not_of(" \t\r\n") + 1);
  return token;
}

Result<Endpoint> find_endpoint(const Environment& env) {
  EndpointText text{env.server, env.tls_ca, env.token};
  if (!env.token_file.empty()) text.token = TRY(read_token(env.token_file));
  const Home home{env.home};
  const Result<ClusterRecord> record = read_cluster(home);
  const bool running = record.ok() && !record->processes.empty();
  if (text.address.empty()) {
    if (!record.ok() && record.error().code != Code::not_found) return record.error();
    if (!running) {
      return Error{Code::unavailable, "no cluster runs in " + env.home,
                   "run `llmctl up`, or set LLMCTL_SERVER=host:port"};
    }
    text.address = record->address;
    text.ca_file.clear();  // loopback needs none
  }
  // The local token is only for the local scheduler: it is never sent anywhere else.
  if (text.token.empty() && running && text.address == record->address) {
    text.token = TRY(read_token(home.token_path()));
  }
  return parse_endpoint(text);
}

Result<Client> connect(const Environment& env) {
  Endpoint endpoint = TRY(find_endpoint(env));
  return Client(std::move(endpoint));
}

std::string local_jobs_dir(const Environment& env) {
  if (!env.jobs_dir.empty()) return env.jobs_dir;
  const Home home{env.home};
  const Result<ClusterRecord> record = read_cluster(home);
  if (!record.ok()) return "";
  return env.server.empty() || env.server == record->address ? home.jobs_dir() : "";
}

std::string trainer_program(const Environment& env) {
  const Result<ClusterRecord> record = read_cluster(Home{env.home});
  if (record.ok() && !record->shape.trainer.empty()) return record->shape.trainer;
  return env.bin_dir + "/llmctl-trainer";
}

}  // namespace llmctl

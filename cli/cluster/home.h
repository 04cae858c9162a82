// LLMCTL_HOME: the layout of a local cluster on disk and its one record, HOME/cluster.json.
//   cluster.json  what runs, where     token      shared secret, 0600      logs/  of the programs
//   scheduler/    its data             workers/   work folders by name, with token caches
//   jobs/         checkpoints of all jobs, shared by the workers
// Files are written whole (temporary, fsync, rename). Errors name the file.
#pragma once

#include <string>
#include <vector>

#include "cli/ask/client.h"
#include "cli/cluster/process.h"
#include "cli/shell/environment.h"

namespace llmctl {

struct ClusterShape {
  int workers = 0;                    // 0: one
  Bytes cpu_memory = 0;               // per worker; 0: the worker decides
  int slots = 0;                      // ranks per device; 0: the worker decides
  int threads = 0;                    // per rank; 0: the worker decides
  int port = 0;                       // of the scheduler; 0: any free one
  Millis lease_ms = 0, grace_ms = 0;  // 0: the scheduler's defaults
  std::string trainer;                // program; empty: llmctl-trainer beside llmctl
  bool operator==(const ClusterShape&) const = default;
};

struct ClusterRecord {
  std::string address, metrics_address;  // of the scheduler
  ClusterShape shape;
  std::vector<ProcessRecord> processes;  // scheduler first; empty: brought down
  std::vector<std::string> drained;      // workers that `down` drained, to be undone by `up`

  ProcessRecord* find(const std::string& name);
};

struct Home {
  std::string dir;
  std::string scheduler_dir() const { return dir + "/scheduler"; }
  std::string worker_dir(const std::string& name) const { return dir + "/workers/" + name; }
  std::string jobs_dir() const { return dir + "/jobs"; }
  std::string log_path(const std::string& name) const { return dir + "/logs/" + name + ".log"; }
  std::string token_path() const { return dir + "/token"; }
  std::string record_path() const { return dir + "/cluster.json"; }
};

Result<ClusterRecord> read_cluster(const Home& home);  // not_found: never brought up
Status write_cluster(const Home& home, const ClusterRecord& record);
Status make_home(const Home& home);  // folders and the token
Result<std::string> read_token(const std::string& path);

// Where to ask: LLMCTL_SERVER, LLMCTL_TLS_CA and LLMCTL_TOKEN, else the local cluster.
// unavailable: there is none; else what parse_endpoint says.
Result<Endpoint> find_endpoint(const Environment& env);
Result<Client> connect(const Environment& env);
// The jobs folder when the cluster asked is the local one; empty: it is somewhere else.
std::string local_jobs_dir(const Environment& env);
// The trainer that the local cluster was brought up with, else the one beside llmctl.
std::string trainer_program(const Environment& env);

}  // namespace llmctl

// Everything the CLI takes from its surroundings, read once in main: environment variables and the
// place of its own binary (the other programs live beside it). Tests build the struct themselves.
#pragma once

#include <string>

namespace llmctl {

struct Environment {
  std::string home;        // LLMCTL_HOME, default ~/.llmctl; absolute: holds the local cluster;
                           // empty: the user has no home
  std::string server;      // LLMCTL_SERVER, [https://]host:port; empty: the local cluster
  std::string tls_ca;      // LLMCTL_TLS_CA: PEM file of the authority behind `server`
  std::string token;       // LLMCTL_TOKEN; empty: the local cluster's token file
  std::string token_file;  // --token-file, before `token`
  std::string jobs_dir;    // LLMCTL_JOBS_DIR: where this machine mounts the cluster's jobs folder
  std::string output;      // LLMCTL_OUTPUT: table | json; empty: table
  std::string bin_dir;     // folder of the running llmctl; empty: unknown
};
Environment read_environment();

std::string environment_variable(const char* name);  // empty when unset

}  // namespace llmctl

#include "cli/shell/environment.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace llmctl {

std::string environment_variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing calls setenv
  return value == nullptr ? "" : value;
}

Environment read_environment() {
  namespace fs = std::filesystem;
  Environment env;
  env.home = environment_variable("LLMCTL_HOME");
  if (env.home.empty()) {
    std::string user_home = environment_variable("HOME");
    const passwd* user =
        user_home.empty() ? getpwuid(getuid()) : nullptr;  // NOLINT(concurrency-mt-unsafe)
    if (user != nullptr) user_home = user->pw_dir;
    if (!user_home.empty()) env.home = user_home + "/.llmctl";
  }
  std::error_code ignored;
  const fs::path absolute = fs::absolute(env.home, ignored);
  if (!env.home.empty() && !absolute.empty()) env.home = absolute.lexically_normal().string();
  env.server = environment_variable("LLMCTL_SERVER");
  env.tls_ca = environment_variable("LLMCTL_TLS_CA");
  env.token = environment_variable("LLMCTL_TOKEN");
  env.output = environment_variable("LLMCTL_OUTPUT");
  env.jobs_dir = environment_variable("LLMCTL_JOBS_DIR");
  env.bin_dir = fs::read_symlink("/proc/self/exe", ignored).parent_path().string();
  return env;
}

}  // namespace llmctl

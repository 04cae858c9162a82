#include "cli/cluster/child_output.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

extern char** environ;

namespace llmctl {

constexpr size_t kOutputMax = 1 << 20;

static std::vector<char*> argument_pointers(const std::vector<std::string>& command) {
  std::vector<char*> pointers;
  pointers.reserve(command.size() + 1);
  for (const std::string& word : command) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

static std::string start_failure(const std::string& program, int error) {
  return "cannot start " + program + ": " + std::strerror(error);
}

// Both pipes at once: reading one after the other could block the child on the full one.
static void read_both(int out, int err, ChildOutput& output) {
  std::array<pollfd, 2> pipes{{{out, POLLIN, 0}, {err, POLLIN, 0}}};
  while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
    if (poll(pipes.data(), pipes.size(), -1) < 0 && errno != EINTR) return;
    for (size_t i = 0; i < pipes.size(); ++i) {
      if (pipes[i].fd < 0 || pipes[i].revents == 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t count = read(pipes[i].fd, buffer.data(), buffer.size());
      if (count <= 0) {
        pipes[i].fd = -1;  // poll() passes over it
        continue;
      }
      std::string& text = i == 0 ? output.text : output.error_text;
      if (text.size() < kOutputMax) text.append(buffer.data(), static_cast<size_t>(count));
    }
  }
}

Result<ChildOutput> run_child(const std::vector<std::string>& command) {
  std::array<int, 2> out{}, err{};
  if (pipe2(out.data(), O_CLOEXEC) != 0) return Error{Code::internal, std::strerror(errno), ""};
  if (pipe2(err.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    close(out[0]);
    close(out[1]);
    return Error{Code::internal, std::strerror(error), ""};
  }
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, out[1], 1);
  posix_spawn_file_actions_adddup2(&files, err[1], 2);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, command[0].c_str(), &files, nullptr,
                                argument_pointers(command).data(), environ);
  posix_spawn_file_actions_destroy(&files);
  close(out[1]);
  close(err[1]);
  ChildOutput output;
  if (error == 0) read_both(out[0], err[0], output);
  close(out[0]);
  close(err[0]);
  if (error != 0) return Error{Code::internal, start_failure(command[0], error), ""};
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  output.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return output;
}

std::string replace_process(const std::vector<std::string>& command) {
  execve(command[0].c_str(), argument_pointers(command).data(), environ);
  return start_failure(command[0], errno);
}

}  // namespace llmctl

// main() of the test binaries that start real processes: schedulers, workers, trainers, which are
// made to outlive whoever started them. However the tests end, nothing of theirs stays behind.
//
//   the test binary, as ctest or a person started it: waits, and ends as the tests did
//     └─ guardian: whatever is orphaned below it becomes its child
//          └─ the tests
//
// When the tests have ended, or one of the other two was killed, SIGKILL included, the guardian
// kills all that is left below it and removes the folder where the tests kept their files. It has
// another name, so that `pkill -9 -f TEST_BINARY` does not take it along.
// A debugger follows the tests with `set follow-fork-mode child`.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace {

namespace fs = std::filesystem;

constexpr char kGuardianName[] = "test-guardian";

// Ends this process the way that another one ended: `status` is waitpid's.
[[noreturn]] void end_with(int status) {
  if (!WIFSIGNALED(status)) _exit(WEXITSTATUS(status));
  prctl(PR_SET_DUMPABLE, 0);  // that one has dumped its core already
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_UNBLOCK, &all, nullptr);
  signal(WTERMSIG(status), SIG_DFL);
  raise(WTERMSIG(status));
  _exit(128 + WTERMSIG(status));
}

// What `ps` and `pkill -f` show is the memory of argv.
void rename_process(int argc, char** argv) {
  char* const end = argv[argc - 1] + std::strlen(argv[argc - 1]);
  const auto room = static_cast<size_t>(end - argv[0]);
  std::memset(argv[0], 0, room);
  std::memcpy(argv[0], kGuardianName, std::min(room, sizeof kGuardianName - 1));
  prctl(PR_SET_NAME, kGuardianName);
}

void kill_children() {
  std::ifstream children("/proc/thread-self/children");
  for (pid_t child = 0; children >> child;) kill(child, SIGKILL);
}

// A killed child's own children become ours, so this goes on until there is none.
void kill_all_below() {
  for (;;) {
    kill_children();
    pid_t reaped = 0;
    while ((reaped = waitpid(-1, nullptr, WNOHANG)) > 0) continue;
    if (reaped < 0 && errno == ECHILD) return;
    usleep(5'000);
  }
}

void unmount_all_in(const std::string& folder) {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, place;
    words >> device >> place;
    if (place.starts_with(folder + "/")) umount2(place.c_str(), MNT_DETACH);
  }
}

// They failed or crashed by themselves: somebody will want to see their files.
bool went_wrong(int status) {
  if (status < 0) return false;
  if (WIFEXITED(status)) return WEXITSTATUS(status) != 0;
  return WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM && WTERMSIG(status) != SIGINT;
}

void remove_folder(const std::string& folder, bool keep_files) {
  std::error_code error;
  if (keep_files) {
    if (!fs::remove(folder, error)) {  // only when it is empty
      std::fprintf(stderr, "files of failed tests are in %s\n", folder.c_str());
    }
    return;
  }
  unmount_all_in(folder);
  fs::remove_all(folder, error);
}

sigset_t guardian_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int each : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&signals, each);
  return signals;
}

// Waits for the tests to end, or for a signal that means the guardian should; the tests' status, or
// -1.
int wait_for_tests(pid_t tests, const sigset_t& signals) {
  for (int received = 0;;) {
    sigwait(&signals, &received);
    if (received != SIGCHLD) return -1;
    int status = 0;
    for (pid_t ended = 0; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (ended == tests) return status;
    }
  }
}

[[noreturn]] void guard(pid_t tests, pid_t first, const std::string& folder) {
  const sigset_t signals = guardian_signals();
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // when the first process is gone
  const int status = getppid() == first ? wait_for_tests(tests, signals) : -1;
  kill_all_below();
  remove_folder(folder, went_wrong(status));
  end_with(status >= 0 ? status : SIGTERM);
}

pid_t checked_fork() {
  const pid_t pid = fork();
  if (pid >= 0) return pid;
  std::perror("fork");
  _exit(1);
}

// Returns in the process that runs the tests; the other two stay inside.
void run_below_guardian(int argc, char** argv) {
  std::string folder = fs::temp_directory_path() / "llmctl-tests-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    std::perror(folder.c_str());
    _exit(1);
  }
  const pid_t first = getpid(), guardian = checked_fork();
  if (guardian > 0) {
    int status = 0;
    while (waitpid(guardian, &status, 0) < 0 && errno == EINTR) continue;
    end_with(status);
  }
  sigset_t before;
  const sigset_t signals = guardian_signals();
  sigprocmask(SIG_BLOCK, &signals, &before);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t above = getpid(), tests = checked_fork();
  if (tests > 0) {
    rename_process(argc, argv);
    guard(tests, first, folder);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != above) _exit(1);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  setenv("TMPDIR", folder.c_str(), 1);
  setenv("TEST_TMPDIR", folder.c_str(), 1);  // gtest's name for it
}

}  // namespace

int main(int argc, char** argv) {
  run_below_guardian(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

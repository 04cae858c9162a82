// `llmctl-trainer wait`: loaded first, told of its run afterwards.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "core/base/json_reader.h"
#include "tests/trainer/run/training_fixture.h"

extern char** environ;

namespace llmctl {
namespace {

// The program with one end of a socket as its standard input.
class Waiting {
 public:
  Waiting() {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    socket_ = ends[0];
    const char* argv[] = {LLMCTL_BIN_DIR "/llmctl-trainer", "wait", nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    CHECK(posix_spawn(&pid_, argv[0], &actions, nullptr, const_cast<char**>(argv), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
  }
  ~Waiting() {
    hang_up();
    if (pid_ > 0) wait_exit();
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  bool is_loaded() const {
    char byte = 0;
    return recv(socket_, &byte, 1, 0) == 1;
  }
  void tell(const std::string& packet) const {
    ASSERT_EQ(send(socket_, packet.data(), packet.size(), 0), static_cast<ssize_t>(packet.size()));
  }
  void hang_up() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }
  int wait_exit() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  int socket_ = -1;
  pid_t pid_ = 0;
};

TEST_F(Training, EndsWithTheSameBitsWhenItWasLoadedAhead) {
  const RunConfig plain = config("plain", 12), ahead = config("ahead", 12);
  Waiting spare;
  ASSERT_TRUE(spare.is_loaded());
  const fs::path directory = run_directory();
  fs::create_directories(directory);
  write_file(directory / "config.json", dump_json(to_json(ahead)));
  spare.tell("train" + std::string(1, '\0') + directory.string() + '\0');
  EXPECT_EQ(spare.wait_exit(), 0);
  EXPECT_FALSE(weights(ahead).empty());
  EXPECT_TRUE(weights(ahead) == weights_after(plain));
}

TEST(WaitForRun, NobodyNeedsIt) {
  Waiting spare;
  ASSERT_TRUE(spare.is_loaded());
  spare.hang_up();
  EXPECT_EQ(spare.wait_exit(), 0);
}

TEST(WaitForRun, RefusesWhatNoSupervisorSends) {
  const std::string nul(1, '\0');
  for (const std::string& packet :
       {std::string("train"), "train" + nul, "train" + nul + "/tmp", "train" + nul + nul,
        "train" + nul + "/nowhere" + nul, nul + "/tmp" + nul, "eval" + nul + "/tmp" + nul,
        std::string(100'000, 'x')}) {
    Waiting spare;
    ASSERT_TRUE(spare.is_loaded());
    spare.tell(packet);
    EXPECT_NE(spare.wait_exit(), 0) << packet.substr(0, 40);
  }
  EXPECT_NE(run_program("'" LLMCTL_BIN_DIR "/llmctl-trainer' wait 2>/dev/null </dev/null").code, 0);
}

}  // namespace
}  // namespace llmctl

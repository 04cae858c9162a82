// Real handshakes: a scheduler with a certificate that the openssl program made for the test, a
// worker and the CLI on the other side; what goes wrong is told in words that help.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/app/command_line.h"
#include "cli/cluster/child_output.h"
#include "cli/cluster/process.h"
#include "tests/cli/answer.h"
#include "tests/processes/patience.h"
#include "tests/processes/test_folder.h"

namespace llmctl {

using nlohmann::json;
namespace fs = std::filesystem;

class TlsTest : public ::testing::Test {
 protected:
  // One key for both authorities would do; making them is most of the time, so they are shared.
  static void SetUpTestSuite() {
    folder_ = std::make_unique<testing::TestFolder>("tls");
    dir_ = folder_->path();
    std::ofstream(dir_ + "/token") << kToken << "\n";
    make_authority("ca");
    make_authority("other");
    sign("server", "subjectAltName=IP:127.0.0.1");
    sign("elsewhere", "subjectAltName=DNS:train.example");
  }
  static void TearDownTestSuite() { folder_.reset(); }

  TlsTest() {
    env_.home = dir_ + "/home";
    env_.bin_dir = LLMCTL_BIN_DIR;
  }
  ~TlsTest() override {
    for (const ProcessRecord& process : processes_) stop_process(process, testing::kPatienceMs);
    fs::remove_all(dir_ + "/data");
    fs::remove_all(dir_ + "/work");
  }

  static void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "/usr/bin/openssl");
    const Result<ChildOutput> output = run_child(arguments);
    ASSERT_TRUE(output.ok()) << output.error().message;
    ASSERT_EQ(output->exit_code, 0) << output->error_text;
  }
  static std::string file(const std::string& name) { return dir_ + "/" + name; }
  static void make_key(const std::string& name) {
    openssl({"ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", file(name + ".key")});
  }
  static void make_authority(const std::string& name) {
    make_key(name);
    openssl({"req", "-x509", "-new", "-key", file(name + ".key"), "-subj", "/CN=" + name, "-days",
             "2", "-addext", "basicConstraints=critical,CA:TRUE", "-out", file(name + ".pem")});
  }
  // A certificate for a scheduler, signed by "ca".
  static void sign(const std::string& name, const std::string& extension) {
    make_key(name);
    std::ofstream(file(name + ".ext")) << extension << "\n";
    openssl({"req", "-new", "-key", file(name + ".key"), "-subj", "/CN=" + name, "-out",
             file(name + ".csr")});
    openssl({"x509", "-req", "-in", file(name + ".csr"), "-CA", file("ca.pem"), "-CAkey",
             file("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", file(name + ".ext"),
             "-out", file(name + ".pem")});
  }

  std::string log(const std::string& name) const { return dir_ + "/" + name + ".log"; }
  void start(const std::string& name, std::vector<std::string> arguments) {
    fs::remove(log(name));
    const auto process = start_detached({name, std::move(arguments), log(name)});
    ASSERT_TRUE(process.ok()) << process.error().message;
    processes_.push_back(*process);
  }
  // Without a certificate it listens in the clear.
  void start_scheduler(const std::string& certificate = "server") {
    std::vector<std::string> arguments = {env_.bin_dir + "/llmctl-scheduler",
                                          "--data-dir",
                                          dir_ + "/data",
                                          "--listen",
                                          "127.0.0.1:0",
                                          "--metrics-listen",
                                          "",
                                          "--token-file",
                                          file("token")};
    if (!certificate.empty()) {
      arguments.insert(arguments.end(), {"--tls-cert", file(certificate + ".pem"), "--tls-key",
                                         file(certificate + ".key")});
    }
    start("scheduler", std::move(arguments));
    json ready;
    ASSERT_TRUE(testing::eventually([&] {
      std::ifstream text(dir_ + "/data/scheduler.json");
      ready = json::parse(text, nullptr, false);
      return ready.is_object();
    })) << log_tail(log("scheduler"), 10);
    address_ = ready["address"];
  }
  void start_worker(const std::string& authority, const std::string& token_file) {
    start("worker",
          {env_.bin_dir + "/llmctl-worker", "--scheduler", "https://" + address_, "--tls-ca",
           file(authority), "--token-file", token_file, "--name", "w1", "--work-dir",
           dir_ + "/work", "--jobs-dir", dir_ + "/work/jobs", "--metrics-listen", "", "--no-cuda"});
  }
  bool worker_says(const std::string& words) const {
    return testing::eventually([&] {
      std::ifstream text(log("worker"));
      return std::string(std::istreambuf_iterator<char>(text), {}).find(words) != std::string::npos;
    });
  }

  Answer run(const std::vector<std::string>& arguments) const {
    return run_llmctl(env_, arguments);
  }

  static constexpr const char* kToken = "this-is-the-token-of-the-test";
  inline static std::unique_ptr<testing::TestFolder> folder_;
  inline static std::string dir_;
  Environment env_;
  std::vector<ProcessRecord> processes_;
  std::string address_;
};

TEST_F(TlsTest, WorkerAndClientConnectWithAuthorityAndToken) {
  start_scheduler();
  start_worker("ca.pem", file("token"));
  ASSERT_TRUE(worker_says("connected to " + address_)) << log_tail(log("worker"), 10);
  env_.server = "https://" + address_;
  env_.tls_ca = file("ca.pem");
  env_.token = kToken;
  const Answer by_variables = run({"workers", "-o", "json"});
  ASSERT_EQ(by_variables.code, kExitOk) << by_variables.out;
  EXPECT_EQ(json::parse(by_variables.out)["workers"][0]["state"], "ready");
  env_.server = env_.tls_ca = env_.token = "";
  const std::vector<std::string> options = {"--server",     address_,       "--tls-ca",
                                            file("ca.pem"), "--token-file", file("token")};
  std::vector<std::string> before = options, after = {"workers"};
  before.emplace_back("workers");
  after.insert(after.end(), options.begin(), options.end());
  EXPECT_EQ(run(before).code, kExitOk);
  EXPECT_EQ(run(after).out, run(before).out);
}

TEST_F(TlsTest, TheAuthorityMustHaveSignedTheCertificate) {
  start_scheduler();
  env_.token = kToken;
  const Answer wrong =
      run({"ls", "--server", "https://" + address_, "--tls-ca", file("other.pem")});
  EXPECT_EQ(wrong.code, kExitAuth);
  EXPECT_EQ(wrong.err, "error: the certificate of " + address_ + " is not signed by " +
                           file("other.pem") +
                           "\nhint: pass the authority that signed it: --tls-ca FILE; also check "
                           "that it has not expired\n");
  const Answer none = run({"ls", "--server", "https://" + address_});
  EXPECT_EQ(none.code, kExitAuth);
  EXPECT_EQ(none.err.substr(0, none.err.find('\n')),
            "error: the certificate of " + address_ +
                " is not signed by the authorities that this system trusts");
  start_worker("other.pem", file("token"));
  EXPECT_TRUE(worker_says("not connected: the certificate of " + address_ + " is not signed by " +
                          file("other.pem")))
      << log_tail(log("worker"), 10);
}

TEST_F(TlsTest, TheCertificateMustNameTheHost) {
  start_scheduler("elsewhere");
  const Answer answer = run({"ls", "--server", address_, "--tls-ca", file("ca.pem")});
  EXPECT_EQ(answer.code, kExitAuth);
  EXPECT_EQ(answer.err, "error: the certificate of " + address_ +
                            " is for another host\nhint: use a name that it lists, or issue one "
                            "with subjectAltName 127.0.0.1\n");
}

TEST_F(TlsTest, AWrongTokenIsToldFromAMissingOne) {
  start_scheduler();
  env_.server = "https://" + address_;
  env_.tls_ca = file("ca.pem");
  const Answer missing = run({"ls"});
  EXPECT_EQ(missing.code, kExitAuth);
  EXPECT_EQ(missing.err, "error: the scheduler at " + address_ +
                             " wants a token\nhint: set LLMCTL_TOKEN, or pass --token-file FILE (a "
                             "local cluster's: HOME/token)\n");
  env_.token = "not-the-token-of-the-test";
  const Answer wrong = run({"ls"});
  EXPECT_EQ(wrong.code, kExitAuth);
  EXPECT_EQ(wrong.err.substr(0, wrong.err.find('\n')),
            "error: the scheduler at " + address_ + " does not accept this token");
  std::ofstream(file("wrong-token")) << env_.token << "\n";
  start_worker("ca.pem", file("wrong-token"));
  EXPECT_TRUE(worker_says("not connected: this scheduler wants a token"))
      << log_tail(log("worker"), 10);
}

TEST_F(TlsTest, AClientInTheClearIsToldToUseTls) {
  start_scheduler();
  const Answer answer = run({"ls", "--server", address_});
  EXPECT_EQ(answer.code, kExitUnreachable);
  EXPECT_EQ(answer.err.substr(0, answer.err.find(':', 7 + address_.size())),
            "error: " + address_ + " hangs up");
  EXPECT_NE(answer.err.find("hint: if the scheduler has a certificate, use https://" + address_),
            std::string::npos)
      << answer.err;
}

TEST_F(TlsTest, AServerInTheClearIsToldFromAnUntrustedOne) {
  start_scheduler("");
  const Answer answer = run({"ls", "--server", "https://" + address_});
  EXPECT_EQ(answer.code, kExitUnreachable);
  EXPECT_EQ(answer.err, "error: " + address_ +
                            " does not speak TLS\nhint: is it the scheduler's port? a local one is "
                            "reached as http://" +
                            address_ + "\n");
}

TEST_F(TlsTest, ATokenIsNeverSentInTheClearToAnotherMachine) {
  env_.token = kToken;
  for (const char* address : {"192.0.2.1:7700", "train.example:7700", "127.evil.example:7700"}) {
    const Answer answer = run({"ls", "--server", address});
    EXPECT_EQ(answer.code, kExitConflict);
    EXPECT_EQ(answer.err, std::string("error: refusing to send the token to ") + address +
                              " in the clear\nhint: use https://" + address +
                              ", with --tls-ca FILE if a private authority signed its "
                              "certificate\n");
  }
  const auto worker =
      run_child({env_.bin_dir + "/llmctl-worker", "--scheduler", "192.0.2.1:7700", "--token-file",
                 file("token"), "--work-dir", dir_ + "/work", "--jobs-dir", dir_ + "/jobs"});
  ASSERT_TRUE(worker.ok());
  EXPECT_EQ(worker->exit_code, 2);
  EXPECT_EQ(worker->error_text.substr(0, worker->error_text.find('\n')),
            "llmctl-worker: refusing to send the token to 192.0.2.1:7700 in the clear");
}

TEST_F(TlsTest, MalformedSettingsAreUsageErrors) {
  for (const char* address : {"host", "host:", "host:70000", ":7700", "ftp://host:1", "a b:1",
                              "https://", "unix:/tmp/x", "host:1/path"}) {
    const Answer answer = run({"ls", "--server", address});
    EXPECT_EQ(answer.code, kExitUsage) << address;
    EXPECT_NE(answer.err.find(std::string("\"") + address + "\" is not the address"),
              std::string::npos)
        << answer.err;
  }
  for (const std::string& authority : {file("nowhere.pem"), file("ca.key")}) {
    const Answer answer = run({"ls", "--server", "host:1", "--tls-ca", authority});
    EXPECT_EQ(answer.code, kExitUsage);
    EXPECT_NE(answer.err.find(authority), std::string::npos) << answer.err;
  }
}

}  // namespace llmctl

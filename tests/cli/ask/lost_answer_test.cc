// A scheduler whose first answers are lost on the way: what makes a job makes one, not two.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cli/ask/client.h"
#include "llmctl/v1/scheduler.grpc.pb.h"

namespace llmctl {
namespace {

class Forgetful final : public v1::Scheduler::Service {
 public:
  explicit Forgetful(size_t lost) : lost_(lost) {}

  grpc::Status Submit(grpc::ServerContext*,
                      const v1::SubmitRequest* request,
                      v1::SubmitResponse* response) override {
    return answer(request->idempotency_key(), response);
  }
  grpc::Status Retry(grpc::ServerContext*,
                     const v1::RetryRequest* request,
                     v1::SubmitResponse* response) override {
    return answer(request->idempotency_key(), response);
  }

  std::vector<std::string> keys() const {  // as they came
    const std::lock_guard lock(mutex_);
    return keys_;
  }

 private:
  grpc::Status answer(const std::string& key, v1::SubmitResponse* response) {
    const std::lock_guard lock(mutex_);
    keys_.push_back(key);
    if (keys_.size() <= lost_) return {grpc::StatusCode::DEADLINE_EXCEEDED, "lost"};
    response->set_job_id(7);
    response->set_existed(keys_.size() > 1);
    return grpc::Status::OK;
  }

  const size_t lost_;
  mutable std::mutex mutex_;
  std::vector<std::string> keys_;
};

struct LostAnswer : ::testing::Test {
  Client client(Forgetful& service) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
    return Client(*parse_endpoint({"127.0.0.1:" + std::to_string(port), "", ""}));
  }
  std::unique_ptr<grpc::Server> server;
};

TEST_F(LostAnswer, OfASubmissionIsAskedForAgainUnderTheSameKey) {
  Forgetful service(2);
  const auto submitted = client(service).submit("{}", "");
  ASSERT_TRUE(submitted.ok()) << submitted.error().message;
  EXPECT_EQ(submitted->id, 7);
  EXPECT_FALSE(submitted->existed) << "the key was the client's own";
  ASSERT_EQ(service.keys().size(), 3u);
  EXPECT_FALSE(service.keys()[0].empty());
  EXPECT_EQ(service.keys()[0], service.keys()[2]);
}

TEST_F(LostAnswer, OfARetryIsAskedForAgainUnderTheSameKey) {
  Forgetful service(1);
  Client calls = client(service);
  ASSERT_TRUE(calls.retry(JobId{3}).ok());
  ASSERT_TRUE(calls.retry(JobId{3}).ok());
  ASSERT_EQ(service.keys().size(), 3u);
  EXPECT_EQ(service.keys()[0], service.keys()[1]);
  EXPECT_NE(service.keys()[1], service.keys()[2]) << "another call makes another job";
}

TEST_F(LostAnswer, ThatNeverComesIsSaidToLeaveItOpen) {
  Forgetful service(100);
  const auto submitted = client(service).submit("{}", "mine");
  ASSERT_FALSE(submitted.ok());
  EXPECT_NE(submitted.error().message.find("not known"), std::string::npos);
  EXPECT_EQ(service.keys().back(), "mine");
}

}  // namespace
}  // namespace llmctl

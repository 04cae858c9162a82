#include "tests/worker/link/fleet_server.h"

#include <chrono>

#include "core/base/result.h"

namespace llmctl::worker {

void FleetServer::listen(const std::string& address) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  CHECK(server_ != nullptr && port > 0);
  address_ = "127.0.0.1:" + std::to_string(port);
}

void FleetServer::stop() {
  hang_up();
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void FleetServer::send(const v1::SchedulerMessage& message) {
  const std::lock_guard lock(mutex_);
  if (stream_ != nullptr) stream_->Write(message);
}

void FleetServer::hang_up() {
  const std::lock_guard lock(mutex_);
  if (context_ != nullptr) context_->TryCancel();
}

std::vector<v1::WorkerMessage> FleetServer::received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}

int FleetServer::streams() const {
  const std::lock_guard lock(mutex_);
  return streams_;
}

std::string FleetServer::token() const {
  const std::lock_guard lock(mutex_);
  return token_;
}

grpc::Status FleetServer::Connect(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::SchedulerMessage, v1::WorkerMessage>* stream) {
  {
    const std::lock_guard lock(mutex_);
    ++streams_;
    stream_ = stream;
    context_ = context;
    const auto token = context->client_metadata().find("authorization");
    token_ = token == context->client_metadata().end()
                 ? ""
                 : std::string(token->second.data(), token->second.size());
  }
  v1::WorkerMessage message;
  while (stream->Read(&message)) {
    const std::lock_guard lock(mutex_);
    v1::SchedulerMessage answer;
    if (message.has_hello()) {
      answer.mutable_welcome()->set_worker_id(1);
      answer.mutable_welcome()->set_lease_ms(lease_ms);
      answer.mutable_welcome()->set_heartbeat_ms(100);
    } else if (message.has_heartbeat() && answer_heartbeats) {
      answer.mutable_ack()->set_number(message.heartbeat().number());
    }
    received_.push_back(std::move(message));
    if (answer.body_case() != v1::SchedulerMessage::BODY_NOT_SET) stream->Write(answer);
  }
  const std::lock_guard lock(mutex_);
  if (stream_ == stream) {
    stream_ = nullptr;
    context_ = nullptr;
  }
  return grpc::Status::OK;
}

}  // namespace llmctl::worker

// The JSON documents of `-o json`: stable, versioned, tested. Every document carries
// "api_version":"llmctl/v1"; times are RFC 3339, sizes bytes, a number that is not finite is null.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/screen/view.h"
#include "core/base/result.h"

namespace llmctl {

inline constexpr const char* kApiVersion = "llmctl/v1";

// `jobs_dir` makes checkpoint paths absolute; empty (a remote cluster): they stay relative.
nlohmann::json job_document(const JobView& job, const std::string& jobs_dir);
nlohmann::json jobs_document(const std::vector<JobView>& jobs);
nlohmann::json submitted_document(const SubmittedView& submitted);
nlohmann::json plan_document(const PlanView& plan, const std::string& spec_json);
nlohmann::json explain_document(int64_t id, const ExplanationView& explanation);
nlohmann::json metrics_document(int64_t id, const std::vector<SeriesView>& series);
nlohmann::json checkpoints_document(const JobView& job, const std::string& jobs_dir);
nlohmann::json workers_document(const std::vector<WorkerView>& workers);
nlohmann::json server_document(const ServerView& server);
nlohmann::json event_document(const Event& event);  // one line of `watch -o json`
nlohmann::json error_document(const Error& error);

std::string checkpoint_path(const std::string& jobs_dir, int64_t job_id, const std::string& name);

}  // namespace llmctl

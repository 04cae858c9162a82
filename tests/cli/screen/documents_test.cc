// The JSON documents: scripts depend on these fields, so each is pinned as a golden.
#include "cli/screen/documents.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/shell/exit_code.h"
#include "tests/cli/screen/golden.h"
#include "tests/cli/screen/views.h"

namespace llmctl {

using nlohmann::json;

TEST(Documents, AreStable) {
  expect_golden("show.json", job_document(running_job(), "/jobs").dump(2) + "\n");
  expect_golden("ls.json", jobs_document({queued_job()}).dump(2) + "\n");
  expect_golden("submit.json", submitted_document({17, "QUEUED", false}).dump(2) + "\n");
  expect_golden("plan.json",
                plan_document(sample_plan_screen(true).plan, R"({"seed":1})").dump(2) + "\n");
  expect_golden("explain.json",
                explain_document(17, {"headline", {"fact"}, "next"}).dump(2) + "\n");
  expect_golden("workers.json", workers_document(sample_workers()).dump(2) + "\n");
  expect_golden("checkpoints.json", checkpoints_document(running_job(), "/jobs").dump(2) + "\n");
  expect_golden("event.json", event_document(sample_timeline()[1]).dump(2) + "\n");
  expect_golden("error.json",
                error_document({Code::not_found, "no job 99", "llmctl ls"}).dump(2) + "\n");
}

TEST(Documents, EveryOneCarriesTheApiVersion) {
  for (const json& document :
       {job_document(running_job(), ""), jobs_document({}), submitted_document({}),
        plan_document({}, ""), explain_document(1, {}), metrics_document(1, {}),
        checkpoints_document({}, ""), workers_document({}), event_document(sample_timeline()[0]),
        error_document({})}) {
    EXPECT_EQ(document.value("api_version", ""), "llmctl/v1") << document;
  }
}

TEST(Documents, NumbersThatAreNotFiniteAreNull) {
  const json job = job_document(queued_job(), "");
  EXPECT_TRUE(job["progress"]["loss"].is_null());
  EXPECT_TRUE(job["progress"]["eval_loss"].is_null());
  EXPECT_TRUE(job["progress"]["eta_seconds"].is_null());
  const json metrics = metrics_document(17, sample_series());
  EXPECT_EQ(metrics["series"][0]["points"].size(), 40u);
  EXPECT_TRUE(metrics["series"][1]["points"][1][2].is_null());
  EXPECT_EQ(metrics["series"][1]["points"][1][0], 40);
}

TEST(Documents, ACheckpointPathIsAbsoluteWhereTheClusterIsLocal) {
  const json local = job_document(running_job(), "/h/jobs");
  EXPECT_EQ(local["checkpoints"][0]["path"], "/h/jobs/17/checkpoints/e2-s300");
  const json remote = job_document(running_job(), "");
  EXPECT_EQ(remote["checkpoints"][0]["path"], "e2-s300");
}

TEST(ExitCodes, EveryErrorCodeHasItsOwnMeaning) {
  const auto code = [](Code c) { return exit_code_of(Error{c, "", ""}); };
  EXPECT_EQ(code(Code::invalid_argument), 2);
  EXPECT_EQ(code(Code::not_found), 3);
  EXPECT_EQ(code(Code::unauthenticated), 4);
  EXPECT_EQ(code(Code::permission_denied), 4);
  EXPECT_EQ(code(Code::unavailable), 5);
  EXPECT_EQ(code(Code::already_exists), 6);
  EXPECT_EQ(code(Code::failed_precondition), 6);
  EXPECT_EQ(code(Code::deadline_exceeded), 7);
  EXPECT_EQ(code(Code::internal), 1);
}

TEST(ExitCodes, AJobsEndIsTold) {
  EXPECT_EQ(exit_code_of_state("SUCCEEDED"), 0);
  EXPECT_EQ(exit_code_of_state("FAILED"), 100);
  EXPECT_EQ(exit_code_of_state("CANCELED"), 103);
  EXPECT_EQ(exit_code_of_state("RUNNING"), 101);
  EXPECT_EQ(exit_code_of_state("SOMETHING_NEW"), 101);
}

}  // namespace llmctl

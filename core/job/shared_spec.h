// SharedSpec: a job's spec once it is submitted. Nobody changes it any more, so events, State and
// all who read them share one copy, and its canonical text is written once. A value: cheap to
// copy, equal when the specs are. Any thread.
#pragma once

#include <memory>
#include <string>

#include "core/job/job_spec.h"

namespace llmctl {

class SharedSpec {
 public:
  SharedSpec();              // of a JobSpec as it is made
  SharedSpec(JobSpec spec);  // NOLINT(google-explicit-constructor): the same thing, kept longer
  // Of a stored text. One that this program does not understand (another version wrote it, under
  // other rules) is kept as it is, with its name, and says what is wrong with it.
  static SharedSpec stored(std::string text);

  const JobSpec& operator*() const { return body_->spec; }
  const JobSpec* operator->() const { return &body_->spec; }
  const std::string& text() const { return body_->text; }        // spec_text()
  const std::string& problem() const { return body_->problem; }  // empty: understood

  bool operator==(const SharedSpec& other) const { return text() == other.text(); }

 private:
  struct Body {
    JobSpec spec;
    std::string text, problem;
  };
  explicit SharedSpec(Body body);
  std::shared_ptr<const Body> body_;
};

}  // namespace llmctl

#include "trainer/run/ending.h"

namespace llmctl {

static Outcome outcome_of(Code code) {
  switch (code) {
    case Code::invalid_argument:
    case Code::failed_precondition:
    case Code::not_found:
      return Outcome::bad_input;
    case Code::data_loss:
      return Outcome::checkpoint_lost;
    case Code::resource_exhausted:
      return Outcome::storage_full;
    case Code::aborted:
      return Outcome::left;
    default:
      return Outcome::crashed;
  }
}

Ending ended_by(const Error& error) {
  return ended_by(outcome_of(error.code), error);
}

Ending ended_by(Outcome outcome, const Error& error) {
  return {outcome, error.hint.empty() ? error.message : error.message + " (" + error.hint + ")"};
}

}  // namespace llmctl

#include "core/job/shared_spec.h"

namespace llmctl {

SharedSpec::SharedSpec(JobSpec spec) {
  std::string text = spec_text(spec);
  body_ = std::make_shared<const Body>(Body{std::move(spec), std::move(text)});
}

SharedSpec::SharedSpec() {
  static const SharedSpec fresh{JobSpec{}};
  *this = fresh;
}

}  // namespace llmctl

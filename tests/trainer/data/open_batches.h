// Batches of a job as the trainer opens them, their token cache in a directory of the test.
#pragma once

#include <gtest/gtest.h>

#include <utility>

#include "core/base/result.h"
#include "tests/trainer/scratch.h"
#include "trainer/data/batches.h"

namespace llmctl {

inline Batches open_batches(const JobSpec& spec, const Scratch& scratch) {
  auto batches = Batches::open(spec, scratch.path() / "cache", 2, {});
  if (!batches.ok()) ADD_FAILURE() << batches.error().message;
  CHECK(batches.ok());
  return std::move(*batches);
}

}  // namespace llmctl

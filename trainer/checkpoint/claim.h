// Whose a job's folder is. Ids of jobs begin again with a new store, so a folder of jobs may hold
// another cluster's job of the same number: what that left must be neither resumed nor pruned.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/result.h"

namespace llmctl {

// Takes the folder for a cluster: its id is kept in <job_dir>/cluster. failed_precondition when the
// folder is another's, or has checkpoints from before clusters had ids that the scheduler does not
// know (`known`: it named some of this folder).
Status claim_job_folder(const std::filesystem::path& job_dir,
                        const std::string& cluster,
                        bool known);

}  // namespace llmctl

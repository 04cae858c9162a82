// How many files a process may have open: a server counts its clients against it.
#pragma once

namespace llmctl {

// Raises the soft limit to the hard one, which a process may always do (systemd and shells leave
// the soft one at 1,024 for programs that use select()). Returns the limit that holds then.
int raise_descriptor_limit();

}  // namespace llmctl

// What signals ask of a training run: SIGTERM = write a checkpoint and leave, SIGUSR1 = write a
// checkpoint now. Process-wide, as signals are. SIGPIPE is ignored: a reader that went away is no
// reason to stop. SIGBUS in a mapped file that became shorter ends the process with a line that
// names the file: `bad_input` for data of people.
#pragma once

namespace llmctl::signals {

void listen();
// Until the first step there is nothing to save: SIGTERM ends the process at once, as `left`.
void preparing(bool on);
bool leave_requested();
bool take_save_request();  // and forgets it

}  // namespace llmctl::signals

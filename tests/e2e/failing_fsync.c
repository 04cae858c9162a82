// Preloaded into llmctl-scheduler: while the file named by FAILING_FSYNC exists, fsync and
// fdatasync fail as on a dying disk. Every other program is left alone.
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(void) {
  const char* file = getenv("FAILING_FSYNC");
  return file && access(file, F_OK) == 0 &&
         strcmp(program_invocation_short_name, "llmctl-scheduler") == 0;
}

static int sync_or_fail(long call, int fd) {
  if (!fails()) return (int)syscall(call, fd);
  errno = EIO;
  return -1;
}

int fsync(int fd) { return sync_or_fail(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_or_fail(SYS_fdatasync, fd); }

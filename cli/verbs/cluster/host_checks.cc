// doctor's questions about this machine: disk, memory, limits, trainer, GPU driver.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cli/cluster/child_output.h"
#include "cli/cluster/home.h"
#include "cli/screen/draw.h"
#include "cli/verbs/cluster/doctor.h"
#include "core/base/clock.h"

namespace llmctl {

using Verdict = Check::Verdict;

constexpr Bytes kDiskWarn = Bytes{10} << 30;  // a few checkpoints of a 1B model
constexpr Bytes kDiskFail = Bytes{1} << 30;
constexpr Bytes kShmWarn = Bytes{1} << 30;  // containers default to 64 MiB; NCCL wants more
constexpr Bytes kRamWarn = Bytes{2} << 30;
constexpr Bytes kWriteTestBytes = 64 << 20;  // long enough to see the disk, short enough to wait
constexpr double kWriteWarn = 50e6;          // bytes/s: a checkpoint would stall training
constexpr unsigned long long kFilesWarn = 4096;  // ranks hold sockets, logs and dataset maps

Check judge_free_space(const std::string& path, long long bytes_free) {
  const std::string detail = format_bytes(bytes_free) + " free in " + path;
  if (bytes_free < kDiskFail) {
    return {"disk", Verdict::fail, detail, "make room, or point LLMCTL_HOME to a larger disk"};
  }
  if (bytes_free < kDiskWarn) {
    return {"disk", Verdict::warn, detail, "checkpoints need room; lower save_total_limit"};
  }
  return {"disk", Verdict::ok, detail, ""};
}

Check judge_open_files(unsigned long long soft_limit) {
  const std::string detail = soft_limit == RLIM_INFINITY ? "unlimited" : std::to_string(soft_limit);
  if (soft_limit >= kFilesWarn) return {"open files", Verdict::ok, detail, ""};
  return {"open files", Verdict::warn, detail + " allowed", "ulimit -n 65536, then `llmctl up`"};
}

static std::string existing_parent(std::string path) {
  while (path.size() > 1 && !std::filesystem::exists(path)) {
    path = std::filesystem::path(path).parent_path().string();
  }
  return path;
}

static Bytes free_space(const std::string& path) {
  struct statvfs stat {};
  if (statvfs(path.c_str(), &stat) != 0) return 0;
  return static_cast<Bytes>(stat.f_bavail) * static_cast<Bytes>(stat.f_frsize);
}

static Check check_write_speed(const std::string& dir) {
  std::string path = dir + "/doctor-XXXXXX";
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return {"disk speed", Verdict::fail, "cannot write in " + dir, "check its owner"};
  unlink(path.c_str());
  const std::string block(1 << 20, 'x');
  const SystemClock clock;
  const Millis begin = clock.boot_ms();
  bool written = true;
  for (Bytes done = 0; written && done < kWriteTestBytes; done += Bytes{1} << 20) {
    written = write(fd, block.data(), block.size()) == static_cast<ssize_t>(block.size());
  }
  written = written && fsync(fd) == 0;
  close(fd);
  if (!written) return {"disk speed", Verdict::fail, "writing 64 MiB failed", "make room"};
  const double seconds = static_cast<double>(std::max<Millis>(1, clock.boot_ms() - begin)) / 1000;
  const double speed = static_cast<double>(kWriteTestBytes) / seconds;
  const std::string detail = format_bytes(static_cast<Bytes>(speed)) + "/s with fsync";
  if (speed >= kWriteWarn) return {"disk speed", Verdict::ok, detail, ""};
  return {"disk speed", Verdict::warn, detail, "a local disk makes checkpoints faster"};
}

static Check check_memory() {
  std::ifstream file("/proc/meminfo");
  Bytes available = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("MemAvailable:", 0) == 0) {
      available = std::strtoll(line.c_str() + 13, nullptr, 10) * 1024;  // the file counts KiB
    }
  }
  const std::string detail = format_bytes(available) + " available";
  if (available >= kRamWarn) return {"memory", Verdict::ok, detail, ""};
  return {"memory", Verdict::warn, detail, "close something; jobs are fitted into what is free"};
}

static Check check_shm() {
  const Bytes free = free_space("/dev/shm");
  const std::string detail = format_bytes(free) + " free in /dev/shm";
  if (free >= kShmWarn) return {"shm", Verdict::ok, detail, ""};
  return {"shm", Verdict::warn, detail, "containers: --shm-size=8g (several GPUs talk through it)"};
}

static Check check_open_files() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return judge_open_files(limit.rlim_cur);
}

static Check check_trainer(const Environment& env) {
  const std::string program = trainer_program(env);
  const Result<ChildOutput> output = run_child({program, "--version"});
  if (!output.ok()) {
    return {"trainer", Verdict::fail, output.error().message, "./dev build, or reinstall"};
  }
  if (output->exit_code != 0) {
    return {"trainer", Verdict::fail,
            "exit code " + std::to_string(output->exit_code) + ": " + output->error_text,
            "is LibTorch where it was when it was built? ./dev setup"};
  }
  std::string version = output->text;
  version.erase(version.find_last_not_of(" \n") + 1);
  return {"trainer", Verdict::ok, version, ""};
}

// The driver's own library, loaded as the worker does; no GPU at all is fine.
static Check check_gpu_driver() {
  const bool device = std::filesystem::exists("/dev/nvidiactl");
  void* library = dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    if (!device) return {"gpu", Verdict::ok, "no NVIDIA GPU; jobs run on the CPU", ""};
    return {"gpu", Verdict::fail, "a GPU is there, but libnvidia-ml.so.1 is not",
            "install the NVIDIA driver; containers: --gpus all"};
  }
  const auto init = reinterpret_cast<int (*)()>(dlsym(library, "nvmlInit_v2"));
  const auto count = reinterpret_cast<int (*)(unsigned*)>(dlsym(library, "nvmlDeviceGetCount_v2"));
  const auto version =
      reinterpret_cast<int (*)(char*, unsigned)>(dlsym(library, "nvmlSystemGetDriverVersion"));
  const auto shutdown = reinterpret_cast<int (*)()>(dlsym(library, "nvmlShutdown"));
  unsigned gpus = 0;
  std::string driver(96, '\0');
  const bool works = init != nullptr && count != nullptr && version != nullptr && init() == 0 &&
                     count(&gpus) == 0 &&
                     version(driver.data(), static_cast<unsigned>(driver.size())) == 0;
  if (works && shutdown != nullptr) shutdown();
  dlclose(library);
  if (!works) {
    return {"gpu", Verdict::fail, "the NVIDIA driver does not answer",
            "nvidia-smi shows why; containers lose GPUs after `systemctl daemon-reload`: restart"};
  }
  driver.resize(driver.find('\0'));
  return {"gpu", Verdict::ok, std::to_string(gpus) + " GPU(s), driver " + driver, ""};
}

std::vector<Check> check_host(const Environment& env) {
  const std::string dir = existing_parent(env.home);
  return {judge_free_space(dir, free_space(dir)),
          check_write_speed(dir),
          check_memory(),
          check_shm(),
          check_open_files(),
          check_trainer(env),
          check_gpu_driver()};
}

}  // namespace llmctl

#include "trainer/files/zstd_reader.h"

#include <zstd.h>

namespace llmctl {
namespace {

constexpr int kWindowLog = 27;  // what the zstd program accepts without being asked
constexpr size_t kStepBytes = 1 << 20;
constexpr size_t kMostExpansion = 1000;
constexpr size_t kAllowance = 64 << 20;

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

struct ZstdReader::State {
  std::string name;
  std::shared_ptr<const MappedFile> file;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context{ZSTD_createDCtx()};
  size_t taken = 0, given = 0;  // bytes of the file and of the content
  bool frame_is_whole = true;   // no frame is open

  Error bad(const std::string& what) const {
    return {Code::invalid_argument, name + ": " + what, ""};
  }
};

ZstdReader::ZstdReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
ZstdReader::~ZstdReader() = default;
ZstdReader::ZstdReader(ZstdReader&&) noexcept = default;

Result<ZstdReader> ZstdReader::open(const std::filesystem::path& file) {
  auto state = std::make_unique<State>();
  state->name = file.string();
  state->file = TRY(MappedFile::open(file, /*input=*/true));
  CHECK(state->context != nullptr);
  ZSTD_DCtx_setParameter(state->context.get(), ZSTD_d_windowLogMax, kWindowLog);
  return ZstdReader(std::move(state));
}

Result<bool> ZstdReader::read(std::string& text) {
  State& s = *state_;
  const auto bytes = s.file->bytes();
  const size_t before = text.size();
  text.resize(before + kStepBytes);
  ZSTD_outBuffer out{text.data() + before, kStepBytes, 0};
  ZSTD_inBuffer in{bytes.data(), bytes.size(), s.taken};
  while (out.pos < out.size) {
    const size_t taken = in.pos, given = out.pos;
    const size_t rest = ZSTD_decompressStream(s.context.get(), &out, &in);
    if (ZSTD_isError(rest) != 0) {
      return s.bad(std::string("is damaged or no .zst file: ") + ZSTD_getErrorName(rest));
    }
    if (in.pos == taken && out.pos == given) break;  // the file ends
    s.frame_is_whole = rest == 0;
  }
  text.resize(before + out.pos);
  s.taken = in.pos;
  s.given += out.pos;
  if (s.given > kMostExpansion * bytes.size() + kAllowance) {
    return s.bad("expands to more than " + std::to_string(kMostExpansion) + " times its size");
  }
  if (out.pos == 0 && !s.frame_is_whole) return s.bad("ends inside a frame");
  return out.pos > 0;
}

}  // namespace llmctl

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "trainer/files/content_hash.h"
#include "trainer/files/mapped_file.h"
#include "trainer/formats/gguf/format.h"
#include "trainer/formats/gguf/gguf.h"

namespace llmctl {
namespace {

constexpr uint64_t kPairs = 65'536;     // real files have about 40
constexpr uint64_t kTensors = 1 << 20;  // 100x the largest public model
constexpr uint32_t kDimensions = 4;
constexpr uint64_t kKeyBytes = 65'535;
constexpr int64_t kExtent = int64_t{1} << 40;

struct TensorInfo {
  std::string name;
  std::vector<int64_t> shape;
  GgufType type = GgufType::f32;
  uint64_t offset = 0;
};

DType dtype_of(GgufType plain) {
  return plain == GgufType::f32 ? DType::f32 : plain == GgufType::f16 ? DType::f16 : DType::bf16;
}

class Reader {
 public:
  Reader(std::shared_ptr<const MappedFile> file, std::string name)
      : file_(std::move(file)), name_(std::move(name)), left_(file_->bytes()) {}

  Result<GgufFile> read() {
    if (TRY(bytes(kGgufMagic.size(), "magic")) != kGgufMagic) return fail("", "not a GGUF file");
    const auto version = TRY(number<uint32_t>("version"));
    if (version != kGgufVersion) {
      return fail("", "GGUF version " + std::to_string(version) + ", expected 3");
    }
    const auto tensors = TRY(number<uint64_t>("tensor count"));
    const auto pairs = TRY(number<uint64_t>("key count"));
    if (tensors > kTensors || pairs > kPairs) return fail("", "too many tensors or keys");
    for (uint64_t i = 0; i < pairs; ++i) TRY(read_pair());
    for (uint64_t i = 0; i < tensors; ++i) TRY(read_info());
    TRY(place_tensors());
    return std::move(out_);
  }

 private:
  Error fail(const std::string& place, const std::string& what) const {
    return {Code::invalid_argument, name_ + ": " + (place.empty() ? "" : place + ": ") + what, ""};
  }

  Result<std::string_view> bytes(uint64_t count, const std::string& place) {
    if (count > left_.size()) return fail(place, "the file ends here");
    const auto text = as_text(left_.first(count));
    left_ = left_.subspan(count);
    return text;
  }
  template <class T>
  Result<T> number(const std::string& place) {
    T value{};
    const std::string_view text = TRY(bytes(sizeof value, place));
    std::memcpy(&value, text.data(), sizeof value);
    return value;
  }
  Result<std::string> string(const std::string& place) {
    const auto size = TRY(number<uint64_t>(place));
    return std::string(TRY(bytes(size, place)));
  }
  Result<bool> boolean(const std::string& place) {
    const auto value = TRY(number<uint8_t>(place));
    if (value > 1) return fail(place, "a truth value is neither 0 nor 1");
    return value == 1;
  }

  template <class Stored, class T>
  Result<GgufValue> widened(const std::string& key) {
    return GgufValue(static_cast<T>(TRY(number<Stored>(key))));
  }
  Result<GgufValue> value(GgufKind kind, const std::string& key) {
    switch (kind) {
      case GgufKind::u8:
        return widened<uint8_t, uint32_t>(key);
      case GgufKind::i8:
        return widened<int8_t, int32_t>(key);
      case GgufKind::u16:
        return widened<uint16_t, uint32_t>(key);
      case GgufKind::i16:
        return widened<int16_t, int32_t>(key);
      case GgufKind::u32:
        return widened<uint32_t, uint32_t>(key);
      case GgufKind::i32:
        return widened<int32_t, int32_t>(key);
      case GgufKind::f32:
        return widened<float, float>(key);
      case GgufKind::boolean:
        return GgufValue(TRY(boolean(key)));
      case GgufKind::string:
        return GgufValue(TRY(string(key)));
      case GgufKind::u64:
      case GgufKind::i64:
        return widened<uint64_t, uint64_t>(key);
      case GgufKind::f64:
        return widened<double, double>(key);
      case GgufKind::array:
        return array(key);
    }
    return fail(key, "unknown type " + std::to_string(static_cast<uint32_t>(kind)));
  }

  // A list of T in the file, as one of To; of 64 bits only numbers that 32 can hold.
  template <class T, class To>
  Result<GgufValue> numbers(uint64_t count, const std::string& key) {
    if (count > left_.size() / sizeof(T)) return fail(key, "the file ends before its list does");
    std::vector<To> values;
    values.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      const T value = TRY(number<T>(key));
      values.push_back(static_cast<To>(value));
      const bool changed = sizeof(T) > sizeof(To) && static_cast<T>(values.back()) != value;
      if (changed && std::is_integral_v<T>)
        return fail(key, "its list has a number beyond 32 bits");
    }
    return GgufValue(std::move(values));
  }
  Result<GgufValue> texts(uint64_t count, const std::string& key) {
    if (count > left_.size()) return fail(key, "the file ends before its list does");
    std::vector<std::string> values;
    for (uint64_t i = 0; i < count; ++i) values.push_back(TRY(string(key)));
    return GgufValue(std::move(values));
  }
  Result<GgufValue> array(const std::string& key) {
    const auto kind = static_cast<GgufKind>(TRY(number<uint32_t>(key)));
    const auto count = TRY(number<uint64_t>(key));
    switch (kind) {
      case GgufKind::u8:
      case GgufKind::boolean:
        return numbers<uint8_t, int32_t>(count, key);
      case GgufKind::i8:
        return numbers<int8_t, int32_t>(count, key);
      case GgufKind::u16:
        return numbers<uint16_t, int32_t>(count, key);
      case GgufKind::i16:
        return numbers<int16_t, int32_t>(count, key);
      case GgufKind::u32:
      case GgufKind::i32:
        return numbers<int32_t, int32_t>(count, key);
      case GgufKind::u64:
      case GgufKind::i64:
        return numbers<int64_t, int32_t>(count, key);
      case GgufKind::f32:
        return numbers<float, float>(count, key);
      case GgufKind::f64:
        return numbers<double, float>(count, key);
      case GgufKind::string:
        return texts(count, key);
      case GgufKind::array:
        return fail(key, "a list of lists is not read");
    }
    return fail(key, "unknown type " + std::to_string(static_cast<uint32_t>(kind)));
  }

  Status read_pair() {
    std::string key = TRY(string("key"));
    if (key.size() > kKeyBytes) return fail("", "a key is too long");
    const auto kind = static_cast<GgufKind>(TRY(number<uint32_t>(key)));
    GgufValue read = TRY(value(kind, key));
    if (!out_.metadata.emplace(key, std::move(read)).second) return fail(key, "appears twice");
    return ok_status();
  }

  Status read_info() {
    TensorInfo info;
    info.name = TRY(string("tensor name"));
    const std::string place = "tensor \"" + info.name + "\"";
    const auto dimensions = TRY(number<uint32_t>(place));
    if (dimensions < 1 || dimensions > kDimensions) return fail(place, "has not 1 to 4 dimensions");
    for (uint32_t i = 0; i < dimensions; ++i) {
      const auto extent = TRY(number<uint64_t>(place));
      if (extent > static_cast<uint64_t>(kExtent)) return fail(place, "is too large");
      info.shape.insert(info.shape.begin(), static_cast<int64_t>(extent));
    }
    const auto number_of_type = TRY(number<uint32_t>(place));
    info.offset = TRY(number<uint64_t>(place));
    const std::optional<GgufType> type = gguf_type(number_of_type);
    if (!type) {
      return fail(place, "has type " + std::to_string(number_of_type) +
                             ", which is not read; these are: " + gguf_type_names());
    }
    info.type = *type;
    if (info.shape.back() % block_elements(*type) != 0) {
      return fail(place, "its rows are no whole blocks of " + std::string(to_string(*type)));
    }
    infos_.push_back(std::move(info));
    return ok_status();
  }

  Result<uint64_t> alignment() const {
    const auto found = out_.metadata.find("general.alignment");
    if (found == out_.metadata.end()) return kGgufAlignment;
    const auto* given = std::get_if<uint32_t>(&found->second);
    if (given == nullptr || *given == 0 || *given % 8 != 0 || *given > 65'536) {
      return fail(found->first, "expected a multiple of 8");
    }
    return uint64_t{*given};
  }

  Status place_tensors() {
    const uint64_t unit = TRY(alignment());
    const auto all = file_->bytes();
    const uint64_t header = all.size() - left_.size();
    const uint64_t start = (header + unit - 1) / unit * unit;
    if (start > all.size() && !infos_.empty()) return fail("", "the file ends before its data");
    const auto data = all.subspan(std::min<uint64_t>(start, all.size()));
    std::sort(infos_.begin(), infos_.end(),
              [](const TensorInfo& a, const TensorInfo& b) { return a.offset < b.offset; });
    uint64_t used = 0;
    std::map<std::string_view, int> names;
    for (TensorInfo& info : infos_) {
      const std::string place = "tensor \"" + info.name + "\"";
      const auto elements = byte_size(TensorShape{info.name, DType::u8, info.shape});
      if (!elements.ok()) return fail(place, "its shape is no size");
      const auto blocks = static_cast<uint64_t>(*elements / block_elements(info.type));
      const auto block = static_cast<uint64_t>(block_bytes(info.type));
      if (info.offset % unit != 0) return fail(place, "is not aligned");
      if (info.offset < used) return fail(place, "overlaps the tensor before it");
      if (info.offset > data.size() || blocks > (data.size() - info.offset) / block) {
        return fail(place, "lies outside the file");
      }
      if (++names[info.name] > 1) return fail(place, "appears twice");
      used = info.offset + blocks * block;
      out_.tensors.push_back(TRY(stored(info, data.subspan(info.offset, blocks * block))));
    }
    return ok_status();
  }

  Result<StoredTensor> stored(const TensorInfo& info, std::span<const std::byte> content) const {
    if (block_elements(info.type) == 1) {
      return stored_tensor({info.name, dtype_of(info.type), info.shape, content}, file_, name_);
    }
    const auto read = [owner = file_, type = info.type, content](std::span<float> out) {
      read_blocks(type, content, out);
    };
    return StoredTensor{info.name, info.shape, read};
  }

  std::shared_ptr<const MappedFile> file_;
  std::string name_;
  std::span<const std::byte> left_;
  std::vector<TensorInfo> infos_;
  GgufFile out_;
};

}  // namespace

Result<GgufFile> read_gguf(const std::filesystem::path& file) {
  return Reader(TRY(MappedFile::open(file)), file.string()).read();
}

}  // namespace llmctl

// Chooses among a model bundle's variants on a device. One header, to be vendored by an app;
// C++17 and nothing else.
//
// A variant is allowed where the device has what it requires. Of those allowed the policy
// chooses: the first of its order that reaches min_fps, or the fastest. Frames a second are
// those measured for the device's class; Probe measures them on the device itself.
//
//   auto manifest = model_selector::ReadManifest(text_of_manifest_json);
//   model_selector::Device device;
//   device.abi = "arm64-v8a";
//   auto choice = model_selector::Select(manifest, device);
//
// ReadManifest throws std::invalid_argument; nothing else throws.

#ifndef RULES_QUANTIZE_MODEL_SELECTOR_H_
#define RULES_QUANTIZE_MODEL_SELECTOR_H_

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace model_selector {

// A JSON value: what a manifest is made of.
struct Json {
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  bool boolean = false;
  double number = 0;
  std::string string;
  std::vector<Json> array;
  std::map<std::string, Json> object;

  bool Has(const std::string& name) const { return object.count(name) != 0; }

  const Json& At(const std::string& name) const {
    auto found = object.find(name);
    if (found == object.end()) throw std::invalid_argument(name + " is missing");
    return found->second;
  }

  const std::string& String(const std::string& name) const {
    const Json& value = At(name);
    if (value.kind != Kind::kString) throw std::invalid_argument(name + " is no string");
    return value.string;
  }

  double Number(const std::string& name) const {
    const Json& value = At(name);
    if (value.kind != Kind::kNumber) throw std::invalid_argument(name + " is no number");
    return value.number;
  }

  std::vector<std::string> Strings(const std::string& name) const {
    std::vector<std::string> result;
    for (const Json& one : At(name).array) {
      if (one.kind != Kind::kString) throw std::invalid_argument(name + " holds no strings");
      result.push_back(one.string);
    }
    return result;
  }
};

class JsonReader {
 public:
  explicit JsonReader(const std::string& text) : text_(text) {}

  Json Read() {
    Json value = Value(0);
    Space();
    if (place_ != text_.size()) Refuse();
    return value;
  }

 private:
  [[noreturn]] void Refuse() const {
    throw std::invalid_argument("not JSON at byte " + std::to_string(place_));
  }

  void Space() {
    while (place_ < text_.size() && std::string(" \t\r\n").find(text_[place_]) != std::string::npos)
      ++place_;
  }

  char Peek() {
    Space();
    if (place_ == text_.size()) Refuse();
    return text_[place_];
  }

  void Expect(const std::string& word) {
    if (text_.compare(place_, word.size(), word) != 0) Refuse();
    place_ += word.size();
  }

  static void AppendUtf8(std::uint32_t point, std::string* result) {
    if (point < 0x80) {
      *result += static_cast<char>(point);
    } else if (point < 0x800) {
      *result += static_cast<char>(0xC0 | (point >> 6));
      *result += static_cast<char>(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
      *result += static_cast<char>(0xE0 | (point >> 12));
      *result += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
      *result += static_cast<char>(0x80 | (point & 0x3F));
    } else {
      *result += static_cast<char>(0xF0 | (point >> 18));
      *result += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
      *result += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
      *result += static_cast<char>(0x80 | (point & 0x3F));
    }
  }

  std::uint32_t Hex() {
    if (place_ + 4 > text_.size()) Refuse();
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const auto digit = std::string("0123456789abcdef")
                             .find(static_cast<char>(std::tolower(text_[place_++])));
      if (digit == std::string::npos) Refuse();
      value = value * 16 + static_cast<std::uint32_t>(digit);
    }
    return value;
  }

  std::string String() {
    Expect("\"");
    std::string result;
    while (place_ < text_.size() && text_[place_] != '"') {
      char character = text_[place_++];
      if (static_cast<unsigned char>(character) < 0x20) Refuse();
      if (character != '\\') {
        result += character;
        continue;
      }
      if (place_ == text_.size()) Refuse();
      character = text_[place_++];
      const auto simple = std::string("\"\\/bfnrt").find(character);
      if (simple != std::string::npos) {
        result += "\"\\/\b\f\n\r\t"[simple];
      } else if (character == 'u') {
        std::uint32_t point = Hex();
        if (point >= 0xD800 && point < 0xDC00) {
          Expect("\\u");
          const std::uint32_t low = Hex();
          if (low < 0xDC00 || low > 0xDFFF) Refuse();
          point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
        }
        AppendUtf8(point, &result);
      } else {
        Refuse();
      }
    }
    Expect("\"");
    return result;
  }

  Json Value(int depth) {
    if (depth > 64) Refuse();
    Json value;
    const char next = Peek();
    if (next == '{' || next == '[') {
      const bool is_object = next == '{';
      value.kind = is_object ? Json::Kind::kObject : Json::Kind::kArray;
      const char end = is_object ? '}' : ']';
      ++place_;
      while (Peek() != end) {
        if (is_object) {
          std::string name = String();
          if (Peek() != ':') Refuse();
          ++place_;
          value.object[name] = Value(depth + 1);
        } else {
          value.array.push_back(Value(depth + 1));
        }
        if (Peek() == end) break;
        Expect(",");
        if (Peek() == end) Refuse();
      }
      ++place_;
    } else if (next == '"') {
      value.kind = Json::Kind::kString;
      value.string = String();
    } else if (next == 't' || next == 'f') {
      value.kind = Json::Kind::kBoolean;
      value.boolean = next == 't';
      Expect(value.boolean ? "true" : "false");
    } else if (next == 'n') {
      Expect("null");
    } else {
      const char* start = text_.c_str() + place_;
      char* stop = nullptr;
      value.kind = Json::Kind::kNumber;
      value.number = std::strtod(start, &stop);
      if (stop == start || std::string("-0123456789").find(next) == std::string::npos) Refuse();
      place_ += static_cast<std::size_t>(stop - start);
    }
    return value;
  }

  const std::string& text_;
  std::size_t place_ = 0;
};

// What an app knows of the device that it runs on.
struct Device {
  std::string abi;                     // Such as "arm64-v8a".
  double api_level = 0;                // Android's; 0 elsewhere.
  double ram_mb = 0;                   // In MiB.
  std::vector<std::string> delegates;  // That the app can use.
  std::string device_class;            // As the measurements call it; or empty.
  std::string runtime;                 // Version of TFLite or LiteRT; empty is new enough.
};

struct Variant {
  std::string name;
  std::string file;
  std::string sha256;
  double bytes = 0;
  std::vector<std::string> abis;       // The device's must be one of them; empty is any.
  std::vector<std::string> delegates;  // One must be on the device; empty is any.
  double api_level = 0;
  double ram_mb = 0;
  std::string min_runtime;
  std::map<std::string, double> fps;   // By class of device, as measured.
};

struct Manifest {
  std::string name;
  std::string version;
  std::vector<Variant> variants;  // In the policy's order, the best first.
  std::string choose;             // "first_fast_enough" or "fastest".
  double min_fps = 0;
  std::string fallback;
};

struct Choice {
  std::string variant;  // Empty when the device may run none.
  std::string reason;   // "fast_enough", "fastest", "fallback" or "none_allowed".
};

inline Manifest ManifestOf(const Json& document) {
  if (!document.Has("kind") || document.String("kind") != "rules_quantize.model_bundle")
    throw std::invalid_argument("not the manifest of a model bundle");
  if (document.Number("schema_version") != 1)
    throw std::invalid_argument("schema_version is not known");
  Manifest manifest;
  manifest.name = document.String("name");
  manifest.version = document.String("version");
  const Json& policy = document.At("policy");
  manifest.choose = policy.String("choose");
  manifest.min_fps = policy.Number("min_fps");
  manifest.fallback = policy.String("fallback");
  std::map<std::string, Variant> by_name;
  for (const Json& entry : document.At("variants").array) {
    const Json& requires_ = entry.At("requires");
    Variant variant;
    variant.name = entry.String("name");
    variant.file = entry.String("file");
    variant.sha256 = entry.String("sha256");
    variant.bytes = entry.Number("bytes");
    variant.abis = requires_.Strings("abis");
    variant.delegates = requires_.Strings("delegates");
    variant.api_level = requires_.Number("api_level");
    variant.ram_mb = requires_.Number("ram_mb");
    variant.min_runtime = requires_.String("min_runtime");
    for (const auto& one : entry.At("fps").object) variant.fps[one.first] = one.second.number;
    by_name[variant.name] = variant;
  }
  for (const std::string& name : policy.Strings("order")) {
    if (!by_name.count(name)) throw std::invalid_argument("the policy's order names " + name);
    manifest.variants.push_back(by_name[name]);
  }
  return manifest;
}

// Reads manifest.json of a bundle.
inline Manifest ReadManifest(const std::string& text) {
  return ManifestOf(JsonReader(text).Read());
}

inline std::vector<long> VersionOf(const std::string& text) {
  std::vector<long> result;
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t stop = std::min(text.find('.', start), text.size());
    const std::string part = text.substr(start, stop - start);
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    result.push_back(digits ? std::strtol(part.c_str(), nullptr, 10) : 0);
    start = stop + 1;
  }
  return result;
}

// Says whether a version comes before another; parts that are missing are 0.
inline bool IsOlder(const std::string& one, const std::string& other) {
  std::vector<long> first = VersionOf(one), second = VersionOf(other);
  first.resize(std::max(first.size(), second.size()), 0);
  second.resize(first.size(), 0);
  return first < second;
}

inline bool Holds(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// Gives the variants that a device may run, in the policy's order.
inline std::vector<Variant> Allowed(const Manifest& manifest, const Device& device) {
  std::vector<Variant> result;
  for (const Variant& variant : manifest.variants) {
    const bool has_delegate =
        variant.delegates.empty() ||
        std::any_of(variant.delegates.begin(), variant.delegates.end(),
                    [&](const std::string& name) { return Holds(device.delegates, name); });
    if ((variant.abis.empty() || Holds(variant.abis, device.abi)) && has_delegate &&
        variant.api_level <= device.api_level && variant.ram_mb <= device.ram_mb &&
        (device.runtime.empty() || !IsOlder(device.runtime, variant.min_runtime)))
      result.push_back(variant);
  }
  return result;
}

// Chooses by the policy among `variants`, of some of which the frames a second are known.
inline Choice Choose(const Manifest& manifest, const std::vector<Variant>& variants,
                     const std::map<std::string, double>& fps) {
  if (variants.empty()) return {"", "none_allowed"};
  std::string fastest;
  for (const Variant& variant : variants) {
    const auto known = fps.find(variant.name);
    if (known == fps.end()) continue;
    if (manifest.choose == "first_fast_enough" && known->second >= manifest.min_fps)
      return {variant.name, "fast_enough"};
    // Of equals the first, which the policy likes better.
    if (fastest.empty() || known->second > fps.at(fastest)) fastest = variant.name;
  }
  if (!fastest.empty()) return {fastest, "fastest"};
  for (const Variant& variant : variants)
    if (variant.name == manifest.fallback) return {variant.name, "fallback"};
  // The order ends with what runs anywhere.
  return {variants.back().name, "fallback"};
}

// Chooses by what was measured for the device's class, without running anything.
inline Choice Select(const Manifest& manifest, const Device& device) {
  const std::vector<Variant> variants = Allowed(manifest, device);
  std::map<std::string, double> fps;
  for (const Variant& variant : variants) {
    const auto measured = variant.fps.find(device.device_class);
    if (measured != variant.fps.end()) fps[variant.name] = measured->second;
  }
  return Choose(manifest, variants, fps);
}

inline double SteadyMilliseconds() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Runs every allowed variant for a while, and chooses by what that takes. To be done once,
// at the first start; keep the choice with the bundle's version.
//
// `run` runs a variant once, as the app will, and returns false when it cannot be run. The
// first call of a variant is not measured: the app loads the model in it. `fps`, where it
// is given, receives frames a second by variant, from the median of its runs.
inline Choice Probe(const Manifest& manifest, const Device& device,
                    const std::function<bool(const Variant&)>& run, double milliseconds = 200,
                    std::map<std::string, double>* fps = nullptr,
                    const std::function<double()>& now = SteadyMilliseconds) {
  std::vector<Variant> runnable;
  std::map<std::string, double> measured;
  for (const Variant& variant : Allowed(manifest, device)) {
    bool runs = run(variant);
    std::vector<double> times;
    const double begin = now();
    // Below three runs a median says nothing, whatever the time allows. A clock may stand still.
    while (runs && times.size() < 1000 && (times.size() < 3 || now() - begin < milliseconds)) {
      const double start = now();
      runs = run(variant);
      times.push_back(now() - start);
    }
    if (!runs) continue;
    std::sort(times.begin(), times.end());
    const std::size_t middle = times.size() / 2;
    const double median =
        times.size() % 2 ? times[middle] : (times[middle - 1] + times[middle]) / 2;
    // A run shorter than the clock's step is as fast as can be told.
    measured[variant.name] = 1000 / std::max(median, 1e-3);
    runnable.push_back(variant);
  }
  if (fps) *fps = measured;
  return Choose(manifest, runnable, measured);
}

}  // namespace model_selector

#endif  // RULES_QUANTIZE_MODEL_SELECTOR_H_

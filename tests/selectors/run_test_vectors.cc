// Prints what the C++ selector chooses for every case of test_vectors.json, given as the
// only argument: NAME, VARIANT and REASON with tabs between. Refused manifests are "refused".

#include <fstream>
#include <iostream>
#include <iterator>

#include "tools/bundle/selectors/model_selector.h"

namespace {

using model_selector::Choice;
using model_selector::Json;

model_selector::Device DeviceOf(const Json& json) {
  model_selector::Device device;
  if (json.Has("abi")) device.abi = json.String("abi");
  if (json.Has("api_level")) device.api_level = json.Number("api_level");
  if (json.Has("ram_mb")) device.ram_mb = json.Number("ram_mb");
  if (json.Has("delegates")) device.delegates = json.Strings("delegates");
  if (json.Has("device_class")) device.device_class = json.String("device_class");
  if (json.Has("runtime")) device.runtime = json.String("runtime");
  return device;
}

Choice ChoiceOf(const Json& test, const model_selector::Manifest& manifest) {
  const model_selector::Device device = DeviceOf(test.At("device"));
  if (!test.Has("probe")) return model_selector::Select(manifest, device);
  double clock = 0;
  return model_selector::Probe(
      manifest, device,
      [&](const model_selector::Variant& variant) {
        const Json& time = test.At("probe").At(variant.name);
        clock += time.number;
        return time.kind == Json::Kind::kNumber;
      },
      test.Number("probe_milliseconds"), nullptr, [&] { return clock; });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const Json vectors = model_selector::JsonReader(text).Read();
  for (const Json& test : vectors.At("cases").array) {
    const auto manifest =
        model_selector::ManifestOf(vectors.At("manifests").At(test.String("manifest")));
    const Choice choice = ChoiceOf(test, manifest);
    std::cout << test.String("name") << '\t' << choice.variant << '\t' << choice.reason << '\n';
  }
  for (const std::string& refused : vectors.Strings("refused")) {
    try {
      model_selector::ReadManifest(refused);
      std::cout << "accepted\n";
    } catch (const std::invalid_argument&) {
      std::cout << "refused\n";
    }
  }
}

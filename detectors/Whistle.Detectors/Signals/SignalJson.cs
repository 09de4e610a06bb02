using System.Text.Json.Serialization;

namespace Whistle.Detectors.Signals;

[JsonSerializable(typeof(Dictionary<string, string>))]
sealed partial class SignalJson : JsonSerializerContext;

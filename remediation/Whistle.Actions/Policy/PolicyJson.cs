using System.Text.Json;
using System.Text.Json.Serialization;

namespace Whistle.Actions.Policy;

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true, AllowDuplicateProperties = false, MaxDepth = 32, NumberHandling = JsonNumberHandling.Strict,
    RespectNullableAnnotations = true)]
[JsonSerializable(typeof(NodePolicy))]
sealed partial class PolicyJson : JsonSerializerContext;

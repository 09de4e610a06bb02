using System.Text.Json;
using System.Text.Json.Serialization;

namespace Whistle.Actions;

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true, AllowDuplicateProperties = false, MaxDepth = 32, NumberHandling = JsonNumberHandling.Strict, RespectNullableAnnotations = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(NodePolicy))]
[JsonSerializable(typeof(Disk.LargestParameters))]
[JsonSerializable(typeof(Disk.LargestReport))]
[JsonSerializable(typeof(Disk.CleanParameters))]
[JsonSerializable(typeof(Disk.CleanReport))]
[JsonSerializable(typeof(Disk.VacuumParameters))]
[JsonSerializable(typeof(Disk.VacuumReport))]
[JsonSerializable(typeof(Diagnostics.CaptureParameters))]
[JsonSerializable(typeof(Diagnostics.CaptureReport))]
[JsonSerializable(typeof(Units.RestartParameters))]
[JsonSerializable(typeof(Units.RestartReport))]
[JsonSerializable(typeof(Kernel.RaiseParameters))]
[JsonSerializable(typeof(Kernel.RestoreParameters))]
[JsonSerializable(typeof(Kernel.SysctlReport))]
[JsonSerializable(typeof(Kernel.ClockParameters))]
[JsonSerializable(typeof(Kernel.ClockReport))]
[JsonSerializable(typeof(Certificates.CheckParameters))]
[JsonSerializable(typeof(Certificates.CheckReport))]
[JsonSerializable(typeof(Certificates.RenewParameters))]
[JsonSerializable(typeof(Certificates.RenewReport))]
[JsonSerializable(typeof(Disk.PruneImagesParameters))]
[JsonSerializable(typeof(Disk.PruneImagesReport))]
[JsonSerializable(typeof(Disk.RotateParameters))]
[JsonSerializable(typeof(Disk.RotateReport))]
[JsonSerializable(typeof(Disk.PruneBackupsParameters))]
[JsonSerializable(typeof(Disk.PruneBackupsReport))]
[JsonSerializable(typeof(Packages.CheckPackagesParameters))]
[JsonSerializable(typeof(Packages.CheckPackagesReport))]
[JsonSerializable(typeof(Packages.PinParameters))]
[JsonSerializable(typeof(Packages.PinReport))]
sealed partial class ActionsJson : JsonSerializerContext;
